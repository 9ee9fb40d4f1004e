//! Import jobs: start, get, list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::model::{
    GetDicomImportJobRequest, GetDicomImportJobResponse, ImportConfiguration, JobStatus,
    ListDicomImportJobsRequest, ListDicomImportJobsResponse, StartDicomImportJobRequest,
};
use healthimaging::{
    AccountId, ClientToken, DatastoreId, JobId, JobName, NextToken, ObjectUri, Page, Result,
    RoleArn, Timestamp,
};

use crate::answer::Reply;
use crate::arguments::{MaxResults, WaitSeconds};
use crate::context::Context;
use crate::listing;
use crate::tool::{Effect, Tool};
use crate::wait;

/// Import every DICOM file below an S3 prefix or, with the local store, a file:/// folder, as a job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartDicomImportJob {
    /// ID, name or ARN
    datastore_id: Option<DatastoreId>,
    /// Required on AWS
    data_access_role_arn: Option<RoleArn>,
    /// s3://bucket/prefix/ or file:///folder/
    input_s3_uri: ObjectUri,
    /// Letters, digits, ._/#-
    job_name: Option<JobName>,
    /// Idempotency token
    client_token: Option<ClientToken>,
    /// Folder of the manifest; required on AWS
    output_s3_uri: Option<ObjectUri>,
    /// Account of the bucket owner
    input_owner_account_id: Option<AccountId>,
    /// dicomMetadataMappings: [{studyInstanceUID, seriesInstanceUID?, metadataFilePath}]
    import_configuration: Option<ImportConfiguration>,
    /// Seconds to wait
    wait_seconds: Option<WaitSeconds>,
}

/// Status of the job.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StartedJob {
    datastore_id: DatastoreId,
    job_id: JobId,
    job_status: JobStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    submitted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_s3_uri: Option<ObjectUri>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Tool for StartDicomImportJob {
    const NAME: &'static str = "start_dicom_import_job";
    const TITLE: &'static str = "Start DICOM import job";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "input_s3_uri": "s3://bucket/scans/", "output_s3_uri": "s3://bucket/outcome/", "data_access_role_arn": "arn:aws:iam::000000000000:role/import", "wait_seconds": 60}"#;
    const EFFECT: Effect = Effect::Writes;
    type Output = StartedJob;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let request = StartDicomImportJobRequest {
            job_name: self.job_name,
            datastore_id: context.datastore(self.datastore_id).await?,
            data_access_role_arn: self.data_access_role_arn,
            client_token: self.client_token,
            input_s3_uri: self.input_s3_uri,
            output_s3_uri: self.output_s3_uri,
            input_owner_account_id: self.input_owner_account_id,
            import_configuration: self.import_configuration,
        };
        let started = context.service().start_dicom_import_job(request).await?;
        let mut job = StartedJob {
            datastore_id: started.datastore_id,
            job_id: started.job_id,
            job_status: started.job_status,
            submitted_at: Some(started.submitted_at),
            ended_at: None,
            output_s3_uri: None,
            message: None,
        };
        if let Some(wait) = self.wait_seconds.filter(|wait| wait.get() > 0) {
            let ended = await_end(context, &job.datastore_id, &job.job_id, wait).await?;
            let properties = ended.job_properties;
            job.job_status = properties.job_status;
            job.ended_at = properties.ended_at;
            job.output_s3_uri = Some(properties.output_s3_uri);
            job.message = properties.message;
        }
        let text = format!("Import job {} is {}.", job.job_id, job.job_status);
        Ok(Reply::new(job, text))
    }
}

async fn await_end(
    context: &Context,
    datastore_id: &DatastoreId,
    job_id: &JobId,
    wait: WaitSeconds,
) -> Result<GetDicomImportJobResponse> {
    let has_ended = |found: &GetDicomImportJobResponse| {
        matches!(found.job_properties.job_status, JobStatus::Completed | JobStatus::Failed)
    };
    let look = async || {
        let request =
            GetDicomImportJobRequest { datastore_id: datastore_id.clone(), job_id: job_id.clone() };
        context.service().get_dicom_import_job(request).await
    };
    wait::until(context, wait, "import job", has_ended, look).await
}

/// Get the status of a DICOM import job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetDicomImportJob {
    /// ID, name or ARN
    datastore_id: Option<DatastoreId>,
    /// Job ID
    job_id: JobId,
}

impl Tool for GetDicomImportJob {
    const NAME: &'static str = "get_dicom_import_job";
    const TITLE: &'static str = "Get DICOM import job";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "job_id": "5c0ffee05c0ffee05c0ffee05c0ffee0"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = GetDicomImportJobResponse;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let request = GetDicomImportJobRequest {
            datastore_id: context.datastore(self.datastore_id).await?,
            job_id: self.job_id,
        };
        let found = context.service().get_dicom_import_job(request).await?;
        let job = &found.job_properties;
        let text = format!("Import job {} is {}.", job.job_id, job.job_status);
        Ok(Reply::new(found, text))
    }
}

/// List the import jobs of a data store, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDicomImportJobs {
    /// ID, name or ARN
    datastore_id: Option<DatastoreId>,
    /// Only jobs with this status
    #[serde(alias = "status")]
    job_status: Option<JobStatus>,
    /// 1 to 100; default 50
    max_results: Option<MaxResults>,
    /// From the previous answer
    next_token: Option<NextToken>,
}

impl Tool for ListDicomImportJobs {
    const NAME: &'static str = "list_dicom_import_jobs";
    const TITLE: &'static str = "List DICOM import jobs";
    const EXAMPLE: &'static str =
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "job_status": "COMPLETED"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = ListDicomImportJobsResponse;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let service = context.service();
        let fetch = async |next_token, page_size| {
            let request = ListDicomImportJobsRequest {
                datastore_id: datastore_id.clone(),
                job_status: self.job_status,
                next_token,
                max_results: Some(page_size),
            };
            let page = service.list_dicom_import_jobs(request).await?;
            Ok(Page { items: page.job_summaries, next_token: page.next_token })
        };
        let page_size = service.limits().page_size;
        let page =
            listing::join(self.max_results, self.next_token, page_size, |_| true, fetch).await?;
        let next = page.next_token.as_ref();
        let text = listing::summary(page.items.len(), "import job", next);
        let output =
            ListDicomImportJobsResponse { job_summaries: page.items, next_token: page.next_token };
        Ok(Reply::new(output, text))
    }
}
