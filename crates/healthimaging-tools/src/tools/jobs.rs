//! Jobs of this server: get, list, cancel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::{DatastoreId, JobId, NextToken, Result};
use healthimaging_workflows::{Job, JobFilter, JobState};

use crate::answer::{Reply, to_object};
use crate::arguments::MaxResults;
use crate::context::Context;
use crate::listing;
use crate::tool::{Effect, Tool};

/// Jobs or outcomes in one page of the ledger.
const PAGE_SIZE: u32 = 50;

/// Get the status of a job of this server (export, transfer, deletion, update), with the outcomes of its items.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetJob {
    /// Job ID
    job_id: JobId,
    /// 1 to 100; default 50
    max_results: Option<MaxResults>,
    next_token: Option<NextToken>,
}

/// A job and the outcomes of its items.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FoundJob {
    job: Map<String, Value>,
    outcomes: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

impl Tool for GetJob {
    const NAME: &'static str = "get_job";
    const TITLE: &'static str = "Get job";
    const EXAMPLE: &'static str = r#"{"job_id": "5c0ffee05c0ffee05c0ffee05c0ffee0"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = FoundJob;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let ledger = context.ledger();
        let job = ledger.get(&self.job_id).await?;
        let fetch = async |token, page_size| ledger.outcomes(&self.job_id, token, page_size).await;
        let page =
            listing::join(self.max_results, self.next_token, PAGE_SIZE, |_| true, fetch).await?;
        let text = format!(
            "Job {} is {}. Items done: {}; failed: {}.",
            job.job_id, job.job_status, job.items_done, job.items_failed
        );
        let output = FoundJob {
            job: object(&job)?,
            outcomes: page.items.iter().map(to_object).collect::<Result<_>>()?,
            next_token: page.next_token,
        };
        Ok(Reply::new(output, text))
    }
}

/// List the jobs of this server, newest first, without their reports.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListJobs {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Only jobs with this status
    job_status: Option<JobState>,
    /// 1 to 100; default 50
    max_results: Option<MaxResults>,
    next_token: Option<NextToken>,
}

/// Jobs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Jobs {
    jobs: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

impl Tool for ListJobs {
    const NAME: &'static str = "list_jobs";
    const TITLE: &'static str = "List jobs";
    const EXAMPLE: &'static str = r#"{"job_status": "IN_PROGRESS"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = Jobs;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let filter =
            JobFilter { datastore_id: self.datastore_id, job_status: self.job_status, tool: None };
        let ledger = context.ledger();
        let fetch = async |token, page_size| ledger.list(&filter, token, page_size).await;
        let page =
            listing::join(self.max_results, self.next_token, PAGE_SIZE, |_| true, fetch).await?;
        let next = page.next_token.as_ref();
        let text = listing::summary(page.items.len(), "job", next);
        let output = Jobs {
            jobs: page.items.into_iter().map(summary).collect::<Result<_>>()?,
            next_token: page.next_token,
        };
        Ok(Reply::new(output, text))
    }
}

/// Returns a job without its report, which may be long.
fn summary(mut job: Job) -> Result<Map<String, Value>> {
    job.report = None;
    object(&job)
}

/// Returns a job as an object without its absent members.
pub(super) fn object(job: &Job) -> Result<Map<String, Value>> {
    let mut object = to_object(job)?;
    object.retain(|_, value| !value.is_null());
    Ok(object)
}

/// Cancel a job of this server. Completed items are not undone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelJob {
    /// Job ID
    job_id: JobId,
}

/// Status of the job.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CancelledJob {
    job: Map<String, Value>,
}

impl Tool for CancelJob {
    const NAME: &'static str = "cancel_job";
    const TITLE: &'static str = "Cancel job";
    const EXAMPLE: &'static str = r#"{"job_id": "5c0ffee05c0ffee05c0ffee05c0ffee0"}"#;
    const EFFECT: Effect = Effect::Writes;
    type Output = CancelledJob;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let job = context.ledger().cancel(&self.job_id).await?;
        let text = format!("Job {} is {}.", job.job_id, job.job_status);
        let job = object(&job)?;
        Ok(Reply::new(CancelledJob { job }, text))
    }
}
