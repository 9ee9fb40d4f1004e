//! A job and its items, as every store of jobs keeps them.

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
    const ALL: [Self; 5] =
        [Self::Submitted, Self::InProgress, Self::Completed, Self::Failed, Self::Cancelled];

    /// Whether nothing changes any more.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The word for it, as in the API of AWS.
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

/// How many items a job has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All, once that is known.
    pub total: Option<u64>,
    /// Those that have an outcome.
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
    /// Which jobs belong together: they are listed together, and share their client tokens.
    pub scope: String,
    /// Which handler runs it.
    pub kind: String,
    /// Of which data store.
    pub datastore_id: Option<DatastoreId>,
    /// Its name.
    pub name: Option<String>,
    /// Its state.
    pub state: JobState,
    /// Name of the lock that its process holds.
    pub lease: String,
    /// What it needs of the process that runs it.
    pub needs: Needs,
    /// What is to be done, JSON; of an ended job what may be kept of it.
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
    /// How many items it has.
    pub counts: Counts,
    /// Counters of its kind, JSON.
    pub progress: Option<String>,
    /// Why it failed, or waits.
    pub message: Option<String>,
    /// What it reported at its end, JSON.
    pub report: Option<String>,
}

impl Job {
    /// A job that is accepted now.
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

/// How a job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// A state that has ended.
    pub state: JobState,
    /// When.
    pub at: Timestamp,
    /// Why it failed.
    pub message: Option<String>,
    /// What it reports, JSON.
    pub report: Option<String>,
    /// What is kept of the request; `None` keeps all of it.
    pub request: Option<String>,
}

/// What became of an item of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Unique in its job.
    pub key: String,
    /// What became of it, JSON.
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

/// Which jobs to list, newest first.
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
    /// So many at most.
    pub limit: u32,
}
