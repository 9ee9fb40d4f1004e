//! DICOMweb: instances as Part 10 files, metadata as DICOM JSON, searches, storing.

mod find;
mod frames;
mod metadata;
mod query;
mod received;
mod retrieve;
mod store;
mod stream;

pub(crate) use frames::{retrieve_bulkdata, retrieve_frames};
pub(crate) use metadata::{instance_metadata, series_metadata};
pub(crate) use query::search;
pub(crate) use retrieve::blob_body;
pub(crate) use retrieve::{DecodedFrames, retrieve_instance, shape_of};
pub(crate) use store::store_instances;
