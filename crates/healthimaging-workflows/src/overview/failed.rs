//! Import jobs that failed, or completed without some of their files.

use std::cmp::Reverse;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use schemars::JsonSchema;
use serde::Serialize;

use healthimaging::model::{
    DicomImportJobSummary, GetDicomImportJobRequest, JobStatus, ListDicomImportJobsRequest,
};
use healthimaging::{DatastoreId, Error, HealthImaging, Result};
use healthimaging_objects::Objects;

use crate::imports;
use crate::plan::counted;

/// Jobs that are listed.
const LISTED: u32 = 5;

/// Completed jobs whose outcome is read, the newest ones.
const EXAMINED: u32 = 20;

/// Outcomes that are read at once.
const AT_ONCE: usize = 4;

/// Import jobs that did not import everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct FailedImports {
    /// The newest import jobs that failed, or did not import some files.
    pub failed_import_jobs: Vec<FailedImport>,
    /// Import jobs that have not ended: not all of their files are in the data store.
    #[serde(skip_serializing_if = "is_zero")]
    pub import_jobs_not_ended: usize,
    /// Completed import jobs whose outcome was read, the newest ones.
    pub completed_import_jobs_examined: usize,
    /// Completed import jobs whose outcome could not be read.
    #[serde(skip_serializing_if = "is_zero")]
    pub completed_import_jobs_unreadable: usize,
}

/// An import job that did not import everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct FailedImport {
    /// The job.
    #[serde(flatten)]
    pub job: DicomImportJobSummary,
    /// Files that a completed job did not import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_failed: Option<u64>,
}

impl FailedImports {
    /// Returns what was looked at, as part of a sentence.
    pub fn summary(&self) -> String {
        let unreadable = match self.completed_import_jobs_unreadable {
            0 => String::new(),
            count => format!("; the outcome of {count} could not be read"),
        };
        let not_ended = match self.import_jobs_not_ended {
            0 => String::new(),
            count => format!("; {} not ended", counted_have(count)),
        };
        format!(
            "{} that failed or lacked files, {} of the newest completed ones examined{unreadable}{not_ended}",
            counted(self.failed_import_jobs.len(), "import job"),
            self.completed_import_jobs_examined,
        )
    }
}

/// Returns the newest import jobs that failed, or completed with failed files. The service has no counts of a job, so the
/// outcome files of the newest completed ones are read.
///
/// # Errors
/// Those of listing. A job whose outcome cannot be read is counted.
pub async fn failed_imports(
    service: &dyn HealthImaging,
    objects: &Objects,
    datastore_id: &DatastoreId,
) -> Result<FailedImports> {
    let list = async |status, most| {
        let request = ListDicomImportJobsRequest {
            datastore_id: datastore_id.clone(),
            job_status: Some(status),
            next_token: None,
            max_results: Some(most),
        };
        service.list_dicom_import_jobs(request).await
    };
    let import_jobs_not_ended = imports::not_ended(service, datastore_id).await?.len();
    let failed = list(JobStatus::Failed, LISTED).await?.job_summaries;
    let completed = list(JobStatus::Completed, EXAMINED).await?.job_summaries;
    let reads = completed.into_iter().map(|job| async move {
        let request = GetDicomImportJobRequest {
            datastore_id: datastore_id.clone(),
            job_id: job.job_id.clone(),
        };
        let output = service.get_dicom_import_job(request).await?.job_properties.output_s3_uri;
        Ok::<_, Error>((job, imports::files_failed(objects, &output).await.ok()))
    });
    let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    let mut found = FailedImports { import_jobs_not_ended, ..FailedImports::default() };
    let mut jobs: Vec<FailedImport> =
        failed.into_iter().map(|job| FailedImport { job, files_failed: None }).collect();
    for (job, files_failed) in read {
        match files_failed {
            Some(_) => found.completed_import_jobs_examined += 1,
            None => found.completed_import_jobs_unreadable += 1,
        }
        if files_failed.is_some_and(|files| files > 0) {
            jobs.push(FailedImport { job, files_failed });
        }
    }
    jobs.sort_by_key(|one| Reverse(one.job.submitted_at));
    jobs.truncate(LISTED as usize);
    found.failed_import_jobs = jobs;
    Ok(found)
}

/// A number of import jobs, as the subject of a sentence about what they have done.
fn counted_have(count: usize) -> String {
    let verb = if count == 1 { "has" } else { "have" };
    format!("{} {verb}", counted(count, "import job"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
