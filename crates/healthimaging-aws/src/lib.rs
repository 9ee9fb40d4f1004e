//! Back end: AWS HealthImaging through the official SDK, and its DICOMweb.
//!
//! [`Aws`] implements both traits of the contract. The SDK speaks for the 18 operations; what it lacks
//! goes as signed HTTPS to the DICOMweb host, over the same HTTP client and with the same credentials.

mod config;
mod convert;
mod credentials;
mod error;
mod identity;
mod limits;
mod network;
mod origin;
mod service;
mod shared_files;
mod web;

pub use config::{Aws, AwsConfig};
pub use credentials::s3;
pub use identity::Identity;
