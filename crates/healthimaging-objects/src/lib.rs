//! Objects to read and write: `s3://` buckets and, inside allowed folders, `file://`.
//!
//! A [`Place`] is a prefix: it lists what is beneath it, hands out objects as files, and takes new ones.
//! This crate knows no DICOM and no jobs.

mod bucket;
mod credentials;
mod folder;
mod place;
mod writing;

pub use credentials::{S3Config, S3CredentialSource, S3Credentials, StaticS3Credentials};
pub use folder::file_uri;
pub use place::{Entry, Listed, ObjectPart, Objects, ObjectsConfig, Place};
pub use writing::Writing;
