//! The embedded store through its public face.

mod copies;
mod datastores;
mod deletion;
mod fixture;
mod recovery;
mod searches;
mod tagging;
mod updates;
mod versions;
