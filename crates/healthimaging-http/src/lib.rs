//! The HTTP face: the AWS wire, DICOMweb, and what is mounted beside them.
//!
//! A [`Site`] serves a back end through the contract alone, as the SDKs of AWS and DICOMweb clients
//! call it, and any tower service, such as that of MCP. It checks who may come in, bounds bodies,
//! connections and silence, and ends in order. This crate is the only one that names axum.

mod access;
mod byte_range;
mod call;
mod content;
mod dicomweb;
mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod here;
mod listen;
mod newcomers;
mod observe;
mod patience;
mod rest;
mod site;
mod store;
mod token;
mod visitors;

pub use access::AccessKeys;
pub use site::{RequestBody, Site};
pub use token::Token;
