//! DICOMweb as AWS offers it: signed HTTPS to a host of its own, over the SDK's HTTP client.

mod chunked;
pub(crate) mod frames;
mod multipart;
mod part10;
mod request;
pub(crate) mod retrieve;
pub(crate) mod search;
mod sign;
pub(crate) mod store;

pub(crate) use request::Web;
