//! The catalogue: its tables, and what is asked of them in the words of the rest of the store.

pub(crate) mod attributes;
pub(crate) mod content;
pub(crate) mod datastores;
pub(crate) mod image_sets;
pub(crate) mod import_jobs;
pub(crate) mod packs;
pub(crate) mod predicate;
pub(crate) mod search;
pub(crate) mod tombstone;

pub(crate) mod agree;
mod catalogue;
mod migration;
mod opening;
pub(crate) mod schema;
pub(crate) mod words;

pub(crate) use catalogue::Catalogue;
pub use migration::{MigrationProgress, MigrationWatch};
