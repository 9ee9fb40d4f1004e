//! Jobs as callers see them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::{ClientToken, DatastoreId, JobId, JobName, Timestamp};

use crate::work::Work;

/// A job to be started.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// The tool that asks for it.
    pub tool: &'static str,
    /// Its name.
    pub job_name: Option<JobName>,
    /// The same token with the same work answers with the first job.
    pub client_token: Option<ClientToken>,
    /// Of which data store.
    pub datastore_id: DatastoreId,
    /// What it does.
    pub work: Work,
}

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(inline)]
pub enum JobState {
    /// Accepted.
    Submitted,
    /// Running, or waiting for a process that goes on with it.
    InProgress,
    /// Ran to its end; each item has an outcome of its own.
    Completed,
    /// Could not run to its end.
    Failed,
    /// Was cancelled; what was done stays done.
    Cancelled,
}

impl JobState {
    /// Whether nothing changes any more.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submitted => "SUBMITTED",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        })
    }
}

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// Its id.
    pub job_id: JobId,
    /// The tool that asked for it.
    pub tool: String,
    /// Its name.
    pub job_name: Option<JobName>,
    /// Of which data store.
    pub datastore_id: DatastoreId,
    /// Its state.
    pub job_status: JobState,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How many items it has, once that is known.
    pub items_total: Option<u64>,
    /// How many have an outcome.
    pub items_done: u64,
    /// How many of these failed.
    pub items_failed: u64,
    /// Why it failed, or what to know.
    pub message: Option<String>,
    /// What it reported at its end.
    pub report: Option<Map<String, Value>>,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, Serialize)]
pub struct JobFilter {
    /// Of this data store.
    pub datastore_id: Option<DatastoreId>,
    /// In this state.
    pub job_status: Option<JobState>,
    /// Asked for by this tool.
    pub tool: Option<String>,
}

impl JobFilter {
    pub(super) fn includes(&self, job: &Job) -> bool {
        let datastore = self.datastore_id.as_ref();
        let tool = self.tool.as_deref();
        datastore.is_none_or(|wanted| *wanted == job.datastore_id)
            && self.job_status.is_none_or(|wanted| wanted == job.job_status)
            && tool.is_none_or(|wanted| wanted == job.tool)
    }
}
