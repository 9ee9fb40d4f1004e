#![doc = include_str!("../README.md")]

mod bucket;
mod connection;
mod credentials;
mod folder;
mod listing;
mod location;
mod writer;

pub use connection::{fetch, http_connector};
pub use credentials::{S3Config, S3CredentialSource, S3Credentials, StaticS3Credentials};
pub use folder::{file_path, file_uri};
pub use listing::{Entry, Listed, ObjectPart};
pub use location::{Location, Objects, ObjectsConfig};
pub use writer::ObjectWriter;
