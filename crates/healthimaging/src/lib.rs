//! The contract of AWS HealthImaging: its operations as traits, its data types, its errors.
//!
//! A *back end* implements [`HealthImaging`] (the 18 operations of the AWS API) and [`DicomWeb`]
//! (DICOMweb); a *face* offers them to clients. This crate does no I/O and depends on no protocol.

mod attributes;
mod body;
mod cache;
mod dicomweb;
mod effect;
mod error;
mod grant;
mod id;
mod invisible;
mod json;
mod layer;
mod listing;
mod memory;
mod named;
mod names;
mod operation;
mod pace;
mod paced;
mod page;
mod restricted;
mod retry;
mod rights;
mod search_all;
mod service;
mod value_token;

pub mod model;

pub use attributes::{ATTRIBUTES, Attribute, AttributeLevel, Condition, Matching, QueryLevel};
pub use body::Body;
pub use cache::Cache;
pub use dicomweb::DicomWeb;
pub use effect::Effect;
pub use error::{Error, ErrorKind, Outage, PublicType, Result, Source};
pub use grant::{Grant, InsufficientScope, RedactionLevel};
pub use id::{
    AccountId, ClientToken, DatastoreId, DatastoreName, ImageFrameId, ImageSetId, JobId, JobName,
    KmsKeyArn, LambdaArn, NextToken, ObjectUri, Resource, ResourceArn, RoleArn, TagKey, TagValue,
    Uid, VersionId, check_region, path_segment, random_hex,
};
pub use invisible::is_invisible;
pub use json::{plain_type, read_json};
pub use layer::{AnyOperation, Call, Layer};
pub use listing::{Listing, fingerprint};
pub use memory::{MemoryBudget, MemoryLease, Sheds};
pub use named::Named;
pub use names::{datastore_named, is_datastore_name};
pub use operation::{Limits, Operation, Rate, WebOperation};
pub use pace::{Pace, TurnWatch, watch_turns};
pub use paced::Paced;
pub use page::{Page, sweep};
pub use restricted::{Restricted, Restrictor, Traits, restricted};
pub use retry::{poll_pauses, retry_read};
pub use rights::{Limit, Rights};
pub use search_all::{SearchBound, search_all};
pub use service::HealthImaging;
pub use value_token::{VALUE_TOKEN_PREFIX, is_value_token};

/// A point in time, in the milliseconds that the service returns.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
