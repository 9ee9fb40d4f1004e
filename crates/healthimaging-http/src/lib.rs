//! The HTTP face: routes, the bearer token, body limits and an orderly end.
//!
//! What is served comes from outside as a tower service and is mounted on a [`Site`]; this crate
//! knows neither MCP nor any back end. It is the only one that names axum.

mod site;
mod token;

pub use site::{RequestBody, Site};
pub use token::Token;
