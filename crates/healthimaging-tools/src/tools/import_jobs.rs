//! Import jobs: start, get, list.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::model::{
    DicomImportJobProperties, GetDicomImportJobRequest, GetDicomImportJobResponse,
    ImportConfiguration, JobStatus, ListDicomImportJobsRequest, ListDicomImportJobsResponse,
    StartDicomImportJobRequest,
};
use healthimaging::{
    AccountId, ClientToken, DatastoreId, ErrorKind, JobId, JobName, Listing, NextToken, ObjectUri,
    Page, Result, RoleArn, Timestamp, poll_pauses,
};
use healthimaging_workflows::counted;
use healthimaging_workflows::imports::{self, Counts, FileOutcome, List};

use crate::answer::Reply;
use crate::arguments::{MaxResults, WaitSeconds};
use crate::context::Context;
use crate::listing;
use crate::tool::{Effect, Tool};
use crate::wait;

/// Files that an answer lists of those that were not imported; get_dicom_import_job lists the rest.
const FIRST_FAILURES: usize = 10;

/// How long the manifest of a job that has ended may take to appear.
const MANIFEST_DELAY: Duration = Duration::from_secs(2);

/// First pause between two reads of it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Import every DICOM file below an S3 prefix or, with the local store, a file:/// folder, as a job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartDicomImportJob {
    /// ID or name
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
    /// Counts, once the job has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Counts>,
    /// The first files that were not imported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<FileOutcome>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
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
            outcome: None,
            failures: Vec::new(),
            notes: Vec::new(),
        };
        let mut text = format!("Import job {} is {}.", job.job_id, job.job_status);
        if let Some(wait) = self.wait_seconds.filter(|wait| wait.get() > 0) {
            let ended = await_end(context, &job.datastore_id, &job.job_id, wait).await?;
            let properties = ended.job_properties;
            let found = Outcome::of(context, &properties, List::Failure).await;
            text = found.summary(&properties);
            job.outcome = found.counts;
            job.failures = found.files;
            job.failures.truncate(FIRST_FAILURES);
            job.notes = found.notes;
            job.job_status = properties.job_status;
            job.ended_at = properties.ended_at;
            job.output_s3_uri = Some(properties.output_s3_uri);
            job.message = properties.message;
        }
        Ok(Reply::new(job, text))
    }
}

async fn await_end(
    context: &Context,
    datastore_id: &DatastoreId,
    job_id: &JobId,
    wait: WaitSeconds,
) -> Result<GetDicomImportJobResponse> {
    let has_ended = |found: &GetDicomImportJobResponse| has_ended(&found.job_properties);
    let look = async || {
        let request =
            GetDicomImportJobRequest { datastore_id: datastore_id.clone(), job_id: job_id.clone() };
        context.service().get_dicom_import_job(request).await
    };
    wait::until(context, wait, "import job", has_ended, look).await
}

fn has_ended(job: &DicomImportJobProperties) -> bool {
    matches!(job.job_status, JobStatus::Completed | JobStatus::Failed)
}

/// What the outcome files of a job hold.
struct Outcome {
    counts: Option<Counts>,
    files: Vec<FileOutcome>,
    notes: Vec<String>,
}

impl Outcome {
    /// Reads the outcome files of a job that has ended. A note says why they are not read.
    async fn of(context: &Context, job: &DicomImportJobProperties, list: List) -> Self {
        let mut outcome = Self { counts: None, files: Vec::new(), notes: Vec::new() };
        if !has_ended(job) {
            return outcome;
        }
        match Self::read(context, job, list).await {
            Ok((counts, files)) => {
                if counts.more_failure_reasons > 0 {
                    outcome.notes.push(format!(
                        "{} more than failure_reasons shows; each failed file has its reason: page through \
                         get_dicom_import_job with next_token.",
                        counted(counts.more_failure_reasons, "reason"),
                    ));
                }
                (outcome.counts, outcome.files) = (Some(counts), files);
            }
            // A job that failed before its first file has none.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                outcome.notes.push(format!("There is no manifest in {}.", job.output_s3_uri));
            }
            Err(error) => outcome.notes.push(format!(
                "The outcome files in {} were not read: {}.",
                job.output_s3_uri,
                error.message()
            )),
        }
        outcome
    }

    async fn read(
        context: &Context,
        job: &DicomImportJobProperties,
        list: List,
    ) -> Result<(Counts, Vec<FileOutcome>)> {
        let objects = &context.ledger().tools().objects;
        let mut pauses = poll_pauses(FIRST_PAUSE, MANIFEST_DELAY);
        let counts = loop {
            let error = match imports::counts(objects, &job.output_s3_uri).await {
                Ok(counts) => break counts,
                Err(error) => error,
            };
            let is_late =
                error.kind() == ErrorKind::NotFound && job.job_status == JobStatus::Completed;
            match pauses.next().filter(|_| is_late) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        };
        let files = imports::files(objects, &job.output_s3_uri, list).await?;
        Ok((counts, files))
    }

    /// Summarizes the job in counts.
    fn summary(&self, job: &DicomImportJobProperties) -> String {
        let text = format!("Import job {} is {}.", job.job_id, job.job_status);
        let Some(counts) = &self.counts else { return text };
        let files = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "file");
        format!(
            "{text} Of {}, {} imported ({} with a warning), {} failed; {}, {} of them not primary.",
            files(counts.files_total),
            counts.files_imported,
            counts.files_with_warnings,
            counts.files_failed,
            counted(counts.image_sets, "image set"),
            counts.non_primary_image_sets,
        )
    }
}

/// Get a DICOM import job: status and, once it has ended, counts, and its files with the reason of each failure.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetDicomImportJob {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Job ID
    job_id: JobId,
    /// Files to list; default FAILURE
    list: Option<List>,
    /// 1 to 100; default 50
    max_results: Option<MaxResults>,
    next_token: Option<NextToken>,
}

/// Properties of a job, its counts, and its files.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FoundImportJob {
    job_properties: DicomImportJobProperties,
    /// Counts, once the job has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Counts>,
    files: Vec<FileOutcome>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

impl Tool for GetDicomImportJob {
    const NAME: &'static str = "get_dicom_import_job";
    const TITLE: &'static str = "Get DICOM import job";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "job_id": "5c0ffee05c0ffee05c0ffee05c0ffee0"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = FoundImportJob;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let list = self.list.unwrap_or_default();
        let listing = Listing::of(&(Self::NAME, &datastore_id, &self.job_id, list))?;
        // Checked before anything is read.
        listing.after::<usize>(self.next_token.as_ref())?;
        let request = GetDicomImportJobRequest { datastore_id, job_id: self.job_id };
        let job_properties = context.service().get_dicom_import_job(request).await?.job_properties;
        let found = Outcome::of(context, &job_properties, list).await;
        let text = found.summary(&job_properties);
        let (wanted, token) = (listing::wanted_of(self.max_results), self.next_token.as_ref());
        let page = listing::page_of(&listing, found.files, wanted, token)?;
        let output = FoundImportJob {
            job_properties,
            outcome: found.counts,
            files: page.items,
            notes: found.notes,
            next_token: page.next_token,
        };
        Ok(Reply::new(output, text))
    }
}

/// List the import jobs of a data store, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDicomImportJobs {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Only jobs with this status
    #[serde(alias = "status")]
    job_status: Option<JobStatus>,
    /// 1 to 100; default 50
    max_results: Option<MaxResults>,
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
