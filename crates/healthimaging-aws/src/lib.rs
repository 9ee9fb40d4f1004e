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
mod service;
mod web;

pub use config::{Aws, AwsConfig};
pub use credentials::credentials;
pub use identity::Identity;
