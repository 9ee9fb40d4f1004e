//! A job and its items.

use std::fmt;
use std::str::FromStr;

use healthimaging::{ClientToken, DatastoreId, Error, JobId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::needs::Needs;

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(inline)]
pub enum JobState {
    /// Accepted.
    Submitted,
    /// Running, or waiting for a process that continues it.
    InProgress,
    /// Ran to its end; each item has its own outcome.
    Completed,
    /// Could not run to its end.
    Failed,
    /// Cancelled; what was done is not undone.
    Cancelled,
}

impl JobState {
    const ALL: [Self; 5] =
        [Self::Submitted, Self::InProgress, Self::Completed, Self::Failed, Self::Cancelled];

    /// Whether the job has ended.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The word for it in the AWS API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| Error::validation("unknown state of a job"))
    }
}

/// Numbers of items of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All, once that is known.
    pub total: Option<u64>,
    /// Those with an outcome.
    pub done: u64,
    /// Those of them that failed.
    pub failed: u64,
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its row in the store.
    pub row: i64,
    /// Its id, unique in the store.
    pub id: JobId,
    /// Jobs of one scope are listed together, and share their client tokens.
    pub scope: String,
    /// The handler that runs it.
    pub kind: String,
    /// Its data store.
    pub datastore_id: Option<DatastoreId>,
    /// Its name.
    pub name: Option<String>,
    /// Its state.
    pub state: JobState,
    /// Name of the lock that its process holds.
    pub lease: String,
    /// What it needs of the process that runs it.
    pub needs: Needs,
    /// The request, JSON; of an ended job the part that may be kept.
    pub request: String,
    /// Idempotency token of the request.
    pub token: Option<ClientToken>,
    /// Hash of the request that brought the token.
    pub fingerprint: Option<String>,
    /// Whether it was cancelled.
    pub is_cancelled: bool,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Numbers of its items.
    pub counts: Counts,
    /// Counters of its kind, JSON.
    pub progress: Option<String>,
    /// Why it failed, or waits.
    pub message: Option<String>,
    /// What it reported at its end, JSON.
    pub report: Option<String>,
}

impl Job {
    /// A new job.
    pub fn new(id: JobId, scope: &str, kind: &str, submitted_at: Timestamp) -> Self {
        Self {
            row: 0,
            lease: format!("job-{id}"),
            id,
            scope: scope.to_owned(),
            kind: kind.to_owned(),
            datastore_id: None,
            name: None,
            state: JobState::Submitted,
            needs: Needs::default(),
            request: String::new(),
            token: None,
            fingerprint: None,
            is_cancelled: false,
            submitted_at,
            ended_at: None,
            counts: Counts::default(),
            progress: None,
            message: None,
            report: None,
        }
    }
}

/// The end of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Its final state.
    pub state: JobState,
    /// Time of the end.
    pub at: Timestamp,
    /// Why it failed.
    pub message: Option<String>,
    /// What it reports, JSON.
    pub report: Option<String>,
    /// The part of the request that is kept; `None` keeps all of it.
    pub request: Option<String>,
}

/// The outcome of an item of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Unique in its job.
    pub key: String,
    /// Its outcome, JSON.
    pub outcome: String,
}

/// A job that has not ended, and the lock that its process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The job.
    pub id: JobId,
    /// Name of the lock.
    pub lease: String,
}

/// Filters of a list of jobs, newest first.
#[derive(Debug, Clone, Default)]
pub struct JobQuery {
    /// Of this scope.
    pub scope: String,
    /// Of this data store.
    pub datastore_id: Option<DatastoreId>,
    /// In this state.
    pub state: Option<JobState>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Older than the job that was submitted at this moment (milliseconds since 1970) and has this row.
    pub after: Option<(i64, i64)>,
    /// Maximum number of jobs.
    pub limit: u32,
}
