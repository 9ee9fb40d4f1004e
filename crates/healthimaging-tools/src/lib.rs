#![doc = include_str!("../README.md")]

mod answer;
mod arguments;
mod audit;
mod base64_text;
mod changed;
mod complete;
mod confirm;
mod context;
mod datastore_names;
mod elicitation;
mod failure;
#[cfg(feature = "conformance-fixtures")]
mod fixtures;
mod instructions;
mod lenient;
mod lines;
mod listing;
mod message;
mod options;
mod outcome;
mod ownership;
mod picture;
mod pixels;
mod policy;
mod prompts;
mod protocol;
mod redaction;
mod resources;
mod schema;
mod selection;
mod server;
mod sessions;
mod sheet;
mod size;
mod stack;
mod tool;
mod tools;
mod transport;
mod turns;
mod versions;
mod visible;
mod wait;
mod web;

pub use answer::{Answer, Image, Link};
pub use arguments::Arguments;
pub use confirm::{Ask, Confirm, Consent, Round, UserReply};
pub use context::Progress;
pub use failure::error_document;
pub use options::{
    FrameFormat, Offer, RedactorSource, ResultForm, Schemas, ServerOptions, ViewerAddress,
};
pub use policy::Policy;
pub use schema::{Definition, SUMMARY};
pub use selection::Selection;
pub use server::Server;
pub use tool::{Effect, ToolEntry, Toolset};
#[cfg(feature = "conformance-fixtures")]
pub use transport::conformance_service;
pub use transport::{HttpOptions, http_service, serve};
