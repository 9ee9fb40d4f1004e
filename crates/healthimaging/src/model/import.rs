//! Import jobs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words;
use crate::Timestamp;
use crate::id::{
    AccountId, ClientToken, DatastoreId, JobId, JobName, NextToken, ObjectUri, RoleArn, Uid,
};

words! {
    /// State of a job.
    JobStatus {
        /// Accepted.
        Submitted = "SUBMITTED",
        /// Running.
        InProgress = "IN_PROGRESS",
        /// Completed; each file has an outcome.
        Completed = "COMPLETED",
        /// Failed.
        Failed = "FAILED",
    }
}

/// Input of `StartDICOMImportJob`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartDicomImportJobRequest {
    /// Name of the job.
    pub job_name: Option<JobName>,
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Role that reads the input and writes the output; AWS needs it, the local store does not.
    pub data_access_role_arn: Option<RoleArn>,
    /// Idempotency token.
    pub client_token: Option<ClientToken>,
    /// Prefix of the objects to import.
    pub input_s3_uri: ObjectUri,
    /// Where to write the outcome; AWS needs it, the local store has a folder of its own.
    pub output_s3_uri: Option<ObjectUri>,
    /// Account that owns the input bucket, if it is another one.
    pub input_owner_account_id: Option<AccountId>,
    /// Overrides of header values.
    pub import_configuration: Option<ImportConfiguration>,
}

/// How an import changes what it reads; a union of one kind today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub struct ImportConfiguration {
    /// Header values taken from DICOM JSON files.
    pub dicom_json_metadata_import_configuration: DicomJsonMetadataImportConfiguration,
}

/// Header values taken from DICOM JSON files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub struct DicomJsonMetadataImportConfiguration {
    /// 1 to 1000 mappings.
    pub dicom_metadata_mappings: Vec<DicomMetadataMapping>,
}

/// Which file overrides which study or series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct DicomMetadataMapping {
    /// The study.
    #[serde(rename = "studyInstanceUID")]
    pub study_instance_uid: Uid,
    /// The series; the whole study when absent.
    #[serde(rename = "seriesInstanceUID", default, skip_serializing_if = "Option::is_none")]
    pub series_instance_uid: Option<Uid>,
    /// Path below the input prefix, 1 to 1024 characters.
    #[serde(rename = "metadataFilePath")]
    pub metadata_file_path: String,
}

/// Output of `StartDICOMImportJob`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StartDicomImportJobResponse {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Id of the job.
    pub job_id: JobId,
    /// `SUBMITTED`.
    pub job_status: JobStatus,
    /// Submission time.
    pub submitted_at: Timestamp,
}

/// Input of `GetDICOMImportJob`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetDicomImportJobRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// ID of the job.
    pub job_id: JobId,
}

/// Output of `GetDICOMImportJob`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GetDicomImportJobResponse {
    /// Properties.
    pub job_properties: DicomImportJobProperties,
}

/// Properties of an import job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct DicomImportJobProperties {
    /// ID.
    pub job_id: JobId,
    /// Name.
    pub job_name: String,
    /// State.
    pub job_status: JobStatus,
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// ARN of the IAM role of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_access_role_arn: Option<RoleArn>,
    /// End time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Submission time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    /// Prefix of the input.
    pub input_s3_uri: ObjectUri,
    /// Folder of the output; once the job runs, with the job's own folder and a `/` at its end.
    pub output_s3_uri: ObjectUri,
    /// Reason of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Overrides of header values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_configuration: Option<ImportConfiguration>,
}

/// Input of `ListDICOMImportJobs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListDicomImportJobsRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Returns only those in this state.
    pub job_status: Option<JobStatus>,
    /// Token of the page before; the first page if absent.
    pub next_token: Option<NextToken>,
    /// Page size, 1 to 50.
    pub max_results: Option<u32>,
}

/// Output of `ListDICOMImportJobs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListDicomImportJobsResponse {
    /// Jobs, newest first.
    pub job_summaries: Vec<DicomImportJobSummary>,
    /// Token of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<NextToken>,
}

/// Summary of an import job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct DicomImportJobSummary {
    /// ID.
    pub job_id: JobId,
    /// Name.
    pub job_name: String,
    /// State.
    pub job_status: JobStatus,
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// ARN of the IAM role of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_access_role_arn: Option<RoleArn>,
    /// End time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Submission time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    /// Reason of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
