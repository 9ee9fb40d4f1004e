//! The ledger of long work: jobs that are durable, leased, resumable and cancellable.
//!
//! A job is a folder of files below the data folder, whatever the back end is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::{
    ClientToken, DatastoreId, Error, JobId, JobName, NextToken, Page, Result, Timestamp,
};

use crate::work::{ItemOutcome, Tools, Work};

/// How a ledger is kept.
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// The folder that holds it; made when it is missing.
    pub folder: PathBuf,
    /// Which back end the jobs are for, such as `local`; a job runs on no other.
    pub back_end: String,
    /// Whether this process runs jobs; off in read-only servers.
    pub run_jobs: bool,
}

/// Jobs of this program; clones are the same ledger.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    _config: LedgerConfig,
    _tools: Tools,
}

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
    /// Running, or waiting for a process that runs it.
    InProgress,
    /// Ran to its end; each item has an outcome of its own.
    Completed,
    /// Could not run to its end.
    Failed,
    /// Was cancelled; what was done stays done.
    Cancelled,
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
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Of this data store.
    pub datastore_id: Option<DatastoreId>,
    /// In this state.
    pub job_status: Option<JobState>,
    /// Asked for by this tool.
    pub tool: Option<String>,
}

fn missing<T>() -> Result<T> {
    Err(Error::not_supported("jobs are not here yet"))
}

impl Ledger {
    /// Opens a ledger, and takes over what dead processes left, where it runs jobs.
    pub fn open(config: LedgerConfig, tools: Tools) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            _config: config,
            _tools: tools,
        })))
    }

    /// What its work may use.
    pub fn tools(&self) -> &Tools {
        &self.0._tools
    }

    /// Starts a job: it is durable when this returns, and runs in this process.
    pub async fn start(&self, _new: NewJob) -> Result<Job> {
        missing()
    }

    /// How a job stands.
    pub async fn get(&self, _job_id: &JobId) -> Result<Job> {
        missing()
    }

    /// What a job was asked to do.
    pub async fn work(&self, _job_id: &JobId) -> Result<Work> {
        missing()
    }

    /// Jobs, newest first.
    pub async fn list(
        &self,
        _filter: &JobFilter,
        _start: Option<NextToken>,
        _count: u32,
    ) -> Result<Page<Job>> {
        missing()
    }

    /// Outcomes of the items of a job, in the order they were done.
    pub async fn outcomes(
        &self,
        _job_id: &JobId,
        _start: Option<NextToken>,
        _count: u32,
    ) -> Result<Page<ItemOutcome>> {
        missing()
    }

    /// Cancels a job: it ends between two items. One that has ended is a `Conflict`.
    pub async fn cancel(&self, _job_id: &JobId) -> Result<Job> {
        missing()
    }

    /// Waits until a job has ended, at most so long; `told` hears each change.
    pub async fn wait(
        &self,
        _job_id: &JobId,
        _up_to: Duration,
        _told: &mut (dyn FnMut(&Job) + Send),
    ) -> Result<Job> {
        missing()
    }

    /// Ends the work of this process between two items; other processes, or the next one, go on.
    pub async fn close(&self) {}
}
