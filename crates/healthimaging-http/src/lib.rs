//! The HTTP face: the AWS wire, DICOMweb, and what is mounted beside them.
//!
//! A [`Site`] serves a back end through the contract alone, as the SDKs of AWS and DICOMweb clients
//! call it, and any tower service, such as that of MCP. It checks who may come in, bounds bodies,
//! connections and silence, and ends in order. This crate is the only one that names axum.

mod access;
mod base_url;
mod byte_range;
mod call;
mod content;
mod cors;
mod dicomweb;
mod entity_tag;
mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod listen;
mod observe;
mod page;
mod peers;
mod rest;
mod server;
mod timeouts;
mod token;

pub use access::AccessKeys;
pub use server::{RequestBody, Site};
pub use token::Token;
