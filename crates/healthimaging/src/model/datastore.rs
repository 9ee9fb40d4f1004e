//! Data stores.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::words;
use crate::Timestamp;
use crate::id::{
    ClientToken, DatastoreId, DatastoreName, KmsKeyArn, LambdaArn, NextToken, ResourceArn, TagKey,
    TagValue,
};

words! {
    /// State of a data store.
    DatastoreStatus {
        /// Being made.
        Creating = "CREATING",
        /// Could not be made.
        CreateFailed = "CREATE_FAILED",
        /// Ready.
        Active = "ACTIVE",
        /// Being deleted.
        Deleting = "DELETING",
        /// Deleted.
        Deleted = "DELETED",
    }
}

words! {
    /// The lossless format that frames are stored in; fixed when a data store is made.
    LosslessStorageFormat {
        /// HTJ2K lossless RPCL, `1.2.840.10008.1.2.4.202`.
        Htj2k = "HTJ2K",
        /// JPEG 2000 lossless, `1.2.840.10008.1.2.4.90`.
        Jpeg2000Lossless = "JPEG_2000_LOSSLESS",
    }
}

/// Input of `CreateDatastore`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateDatastoreRequest {
    /// Name; the id, when absent.
    pub datastore_name: Option<DatastoreName>,
    /// Idempotency token.
    pub client_token: Option<ClientToken>,
    /// Tags to start with.
    pub tags: BTreeMap<TagKey, TagValue>,
    /// Key that encrypts the data store; the service's own, when absent.
    pub kms_key_arn: Option<KmsKeyArn>,
    /// Function that checks bearer tokens for DICOMweb.
    pub lambda_authorizer_arn: Option<LambdaArn>,
    /// Stored format; HTJ2K, when absent.
    pub lossless_storage_format: Option<LosslessStorageFormat>,
}

/// Output of `CreateDatastore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CreateDatastoreResponse {
    /// ID.
    pub datastore_id: DatastoreId,
    /// `CREATING`.
    pub datastore_status: DatastoreStatus,
}

/// Input of `GetDatastore`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetDatastoreRequest {
    /// Its ID.
    pub datastore_id: DatastoreId,
}

/// Output of `GetDatastore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GetDatastoreResponse {
    /// Properties.
    pub datastore_properties: DatastoreProperties,
}

/// Properties of a data store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct DatastoreProperties {
    /// ID.
    pub datastore_id: DatastoreId,
    /// Name.
    pub datastore_name: String,
    /// State.
    pub datastore_status: DatastoreStatus,
    /// Key that encrypts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<KmsKeyArn>,
    /// Function that checks bearer tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda_authorizer_arn: Option<LambdaArn>,
    /// Stored format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lossless_storage_format: Option<LosslessStorageFormat>,
    /// ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datastore_arn: Option<ResourceArn>,
    /// Creation time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Time of the last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

/// Input of `ListDatastores`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListDatastoresRequest {
    /// Returns only those in this state.
    pub datastore_status: Option<DatastoreStatus>,
    /// Token of the page before; the first page if absent.
    pub next_token: Option<NextToken>,
    /// Page size, 1 to 50.
    pub max_results: Option<u32>,
}

/// Output of `ListDatastores`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListDatastoresResponse {
    /// Data stores, newest first.
    pub datastore_summaries: Vec<DatastoreSummary>,
    /// Token of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<NextToken>,
}

/// Summary of a data store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct DatastoreSummary {
    /// ID.
    pub datastore_id: DatastoreId,
    /// Name.
    pub datastore_name: String,
    /// State.
    pub datastore_status: DatastoreStatus,
    /// ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datastore_arn: Option<ResourceArn>,
    /// Creation time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Time of the last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

/// Input of `DeleteDatastore`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteDatastoreRequest {
    /// Its ID.
    pub datastore_id: DatastoreId,
}

/// Output of `DeleteDatastore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeleteDatastoreResponse {
    /// Its ID.
    pub datastore_id: DatastoreId,
    /// `DELETING`.
    pub datastore_status: DatastoreStatus,
}
