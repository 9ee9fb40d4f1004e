//! The catalog: its tables, and every statement on them. The rest of the store calls its functions within a
//! transaction of [`Catalog`], and names no database.

pub(crate) mod attributes;
pub(crate) mod blocks;
pub(crate) mod client_tokens;
mod columns;
mod connections;
pub(crate) mod content;
pub(crate) mod cut;
pub(crate) mod datastores;
mod db;
pub(crate) mod deflate;
pub(crate) mod dicom_search;
pub(crate) mod documents;
pub(crate) mod expiry;
pub(crate) mod growth;
pub(crate) mod image_sets;
pub(crate) mod imports;
mod migration;
mod opening;
pub(crate) mod packs;
mod predicate;
mod queue;
mod schema;
pub(crate) mod search;
pub(crate) mod snapshot;
pub(crate) mod tags;
pub(crate) mod tombstone;
pub(crate) mod verification;
pub(crate) mod walk;
pub(crate) mod writes;
mod written_once;

pub(crate) use connections::Catalog;
pub(crate) use db::{Error, Fault, Reader, Tx, Value as SqlValue};
pub use imports::ImportProgress;
pub use migration::{MigrationProgress, MigrationWatch};
