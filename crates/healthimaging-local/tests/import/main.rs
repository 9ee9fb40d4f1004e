//! Imports, through the public face of the store.

mod corpus;
mod fixture;
