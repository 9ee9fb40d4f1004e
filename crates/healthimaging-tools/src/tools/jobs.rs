//! The ledger of long work: get, list, cancel.

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

/// What the ledger is asked for at once.
const PAGE_SIZE: u32 = 50;

/// Get how a job of this server (export, deletion, update) stands, with the outcomes of its items.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetJob {
    /// Job ID
    job_id: JobId,
    /// 1 to 100; default 50
    max_results: Option<MaxResults>,
    /// From the previous answer
    next_token: Option<NextToken>,
}

/// A job with outcomes of its items.
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
            job: told(&job)?,
            outcomes: page.items.iter().map(to_object).collect::<Result<_>>()?,
            next_token: page.next_token,
        };
        Ok(Reply::new(output, text))
    }
}

/// List the jobs of this server, newest first, in brief.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListJobs {
    /// ID, name or ARN
    datastore_id: Option<DatastoreId>,
    /// Only jobs with this status
    job_status: Option<JobState>,
    /// 1 to 100; default 50
    max_results: Option<MaxResults>,
    /// From the previous answer
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
            jobs: page.items.into_iter().map(brief).collect::<Result<_>>()?,
            next_token: page.next_token,
        };
        Ok(Reply::new(output, text))
    }
}

/// A job without its report, which may be long.
fn brief(mut job: Job) -> Result<Map<String, Value>> {
    job.report = None;
    told(&job)
}

/// A job, with what there is to tell of it.
fn told(job: &Job) -> Result<Map<String, Value>> {
    let mut told = to_object(job)?;
    told.retain(|_, fact| !fact.is_null());
    Ok(told)
}

/// Cancel a job of this server; what is done stays done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelJob {
    /// Job ID
    job_id: JobId,
}

/// The job as it stands.
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
        let job = told(&job)?;
        Ok(Reply::new(CancelledJob { job }, text))
    }
}
