//! Back end: AWS HealthImaging through the official SDK, and its DICOMweb.
//!
//! [`Aws`] implements both traits of the contract. The SDK speaks for the 18 operations; what it lacks
//! goes as signed HTTPS to the DICOMweb host, over the same HTTP client and with the same credentials.

mod client;
mod convert;
mod credentials;
mod dicomweb;
mod error;
mod identity;
mod limits;
mod network;
mod origin;
mod service;
mod settings;
mod shared_files;
mod web;

pub use client::Aws;
pub use credentials::s3;
pub use identity::Identity;
pub use settings::AwsConfig;
