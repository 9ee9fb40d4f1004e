//! The catalogue: its tables, and what is asked of them in the words of the rest of the store.

pub(crate) mod content;
pub(crate) mod datastores;
pub(crate) mod image_sets;
pub(crate) mod import_jobs;
pub(crate) mod packs;
pub(crate) mod search;

pub(crate) mod agree;
mod catalogue;
pub(crate) mod schema;
mod scrub;
pub(crate) mod words;

pub(crate) use catalogue::Catalogue;
