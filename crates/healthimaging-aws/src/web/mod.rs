//! DICOMweb of AWS: signed HTTPS requests to its own host, through the HTTP client of the SDK.

mod chunked;
pub(crate) mod frames;
mod multipart;
mod part10;
mod request;
pub(crate) mod retrieve;
pub(crate) mod search;
mod sign;
pub(crate) mod store;
mod urls;

pub(crate) use request::Web;
