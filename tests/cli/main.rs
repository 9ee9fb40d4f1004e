//! The command line: exit codes, stdout and stderr.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may")]

mod access;
mod audit;
mod aws;
mod backup;
mod bridge;
mod call;
mod certificate;
mod credentials;
mod deidentify;
mod dicomweb;
mod doctor;
mod ephemeral;
mod folder;
mod full_search;
mod help;
mod http;
mod import;
mod json;
mod mistakes;
mod network;
mod redaction;
mod rendered;
mod rig;
mod secured;
mod settings;
mod stub;
mod toolsets;
mod transfer;
mod viewer;
