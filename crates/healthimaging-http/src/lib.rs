#![doc = include_str!("../README.md")]

mod access;
mod admission;
mod base_url;
mod byte_range;
mod call;
mod caller;
mod content;
mod cors;
mod dicomweb;
mod entity_tag;
mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod health;
mod listen;
mod observe;
mod page;
mod peers;
mod remainder;
mod reset;
mod rest;
mod server;
mod stamp;
mod tls;
mod token;
mod viewer;

pub use access::{AccessFile, AccessKeys, Fetch, JwksSource, OAuth};
pub use server::{HttpServer, RequestBody};
pub use tls::Tls;
pub use token::Token;
pub use viewer::Viewer;
