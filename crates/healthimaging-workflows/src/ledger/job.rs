//! Jobs as callers see them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use healthimaging::{ClientToken, DatastoreId, Error, JobId, JobName, Result, Timestamp};
use healthimaging_jobs::{self as jobs, JobState};

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

impl Job {
    /// A job as it is kept; `is_waiting` when a call of it waits for its turn.
    pub(super) fn of(kept: jobs::Job, is_waiting: bool) -> Result<Self> {
        let message = match kept.message {
            _ if kept.is_cancelled && !kept.state.has_ended() => {
                Some("cancelled: it ends after the items it is at".to_owned())
            }
            None if is_waiting && !kept.state.has_ended() => Some(
                "waiting for its turn: the service takes few of these calls a second".to_owned(),
            ),
            message => message,
        };
        Ok(Self {
            job_id: kept.id,
            tool: kept.kind,
            job_name: kept.name.map(JobName::try_from).transpose()?,
            datastore_id: kept.datastore_id.ok_or_else(|| damaged("no data store"))?,
            job_status: kept.state,
            submitted_at: kept.submitted_at,
            ended_at: kept.ended_at,
            items_total: kept.counts.total,
            items_done: kept.counts.done,
            items_failed: kept.counts.failed,
            message,
            report: kept.report.as_deref().map(read).transpose()?,
        })
    }
}

fn damaged(cause: impl Into<healthimaging::Source>) -> Error {
    Error::internal("what is recorded about this job cannot be read", cause)
}

/// What a job was asked to do; of an ended one what is kept of that.
pub(super) fn work(kept: &jobs::Job) -> Result<Work> {
    read(&kept.request)
}

/// The JSON of something about a job.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|cause| Error::internal("a job could not be written as JSON", cause))
}

/// Reads the JSON of something about a job.
pub(super) fn read<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(damaged)
}
