//! DICOMweb: instances as Part 10 files, metadata as DICOM JSON, searches, storing.

mod find;
mod frames;
mod metadata;
mod query;
mod received;
mod retrieve;
mod rope;
mod store;

pub(crate) use frames::{retrieve_bulkdata, retrieve_frames};
pub(crate) use metadata::{instance_metadata, series_metadata};
pub(crate) use query::search;
pub(crate) use retrieve::retrieve_instance;
pub(crate) use store::store_instances;
