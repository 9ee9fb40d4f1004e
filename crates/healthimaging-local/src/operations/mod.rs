//! The operations, one file a subject.

pub(crate) mod client_token;
pub(crate) mod copied_blobs;
pub(crate) mod copy;
pub(crate) mod datastores;
pub(crate) mod delete;
pub(crate) mod expiry;
pub(crate) mod hierarchy;
pub(crate) mod image_sets;
pub(crate) mod import_jobs;
pub(crate) mod paging;
pub(crate) mod pending;
pub(crate) mod search;
pub(crate) mod tags;
pub(crate) mod update;
