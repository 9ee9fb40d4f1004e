//! Import jobs.

use std::sync::Arc;

use axum::response::Response;
use healthimaging::model::{
    self, GetDicomImportJobRequest, ImportConfiguration, JobStatus, ListDicomImportJobsRequest,
    StartDicomImportJobRequest,
};
use healthimaging::{
    AccountId, ClientToken, DatastoreId, HealthImaging, JobId, JobName, NextToken, ObjectUri,
    Result, RoleArn,
};
use serde::Deserialize;

use super::wire::{EpochSeconds, List, wire};
use crate::call::{Call, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct StartImport {
    job_name: Option<JobName>,
    data_access_role_arn: RoleArn,
    client_token: ClientToken,
    input_s3_uri: ObjectUri,
    output_s3_uri: ObjectUri,
    input_owner_account_id: Option<AccountId>,
    import_configuration: Option<ImportConfiguration>,
}

wire! {
    Started from model::StartDicomImportJobResponse {
        datastore_id: DatastoreId,
        job_id: JobId,
        job_status: JobStatus,
        submitted_at: EpochSeconds,
    }
}

pub(super) async fn start(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let datastore_id = call.path("datastoreId")?;
    let body: StartImport = call.body()?;
    let request = StartDicomImportJobRequest {
        job_name: body.job_name,
        datastore_id,
        data_access_role_arn: Some(body.data_access_role_arn),
        client_token: Some(body.client_token),
        input_s3_uri: body.input_s3_uri,
        output_s3_uri: Some(body.output_s3_uri),
        input_owner_account_id: body.input_owner_account_id,
        import_configuration: body.import_configuration,
    };
    json(&Started::from(service.start_dicom_import_job(request).await?))
}

wire! {
    Got from model::GetDicomImportJobResponse {
        job_properties: Properties,
    }
}

wire! {
    Properties from model::DicomImportJobProperties {
        job_id: JobId,
        job_name: String,
        job_status: JobStatus,
        datastore_id: DatastoreId,
        input_s3_uri: ObjectUri,
        output_s3_uri: ObjectUri,
        ;
        data_access_role_arn: RoleArn,
        ended_at: EpochSeconds,
        submitted_at: EpochSeconds,
        message: String,
        import_configuration: ImportConfiguration,
    }
}

pub(super) async fn get(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = GetDicomImportJobRequest {
        datastore_id: call.path("datastoreId")?,
        job_id: call.path("jobId")?,
    };
    json(&Got::from(service.get_dicom_import_job(request).await?))
}

wire! {
    Listed from model::ListDicomImportJobsResponse {
        job_summaries: List<Summary>,
        ;
        next_token: NextToken,
    }
}

wire! {
    Summary from model::DicomImportJobSummary {
        job_id: JobId,
        job_name: String,
        job_status: JobStatus,
        datastore_id: DatastoreId,
        ;
        data_access_role_arn: RoleArn,
        ended_at: EpochSeconds,
        submitted_at: EpochSeconds,
        message: String,
    }
}

pub(super) async fn list(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = ListDicomImportJobsRequest {
        datastore_id: call.path("datastoreId")?,
        job_status: call.query("jobStatus")?,
        next_token: call.query("nextToken")?,
        max_results: call.page_size()?,
    };
    json(&Listed::from(service.list_dicom_import_jobs(request).await?))
}
