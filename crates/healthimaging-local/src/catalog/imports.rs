//! Import jobs, as jobs of one kind.

use std::path::PathBuf;

use healthimaging::model::{ImportConfiguration, JobStatus};
use healthimaging::{DatastoreId, Error, JobId, ObjectUri, RoleArn};
use healthimaging_jobs::{Counts, Item, Job, JobQuery, Needs};
use healthimaging_jobs_sqlite as sql;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::db::{Reader, Tx};
use crate::clock::Millis;
use crate::error::{Result, StoreError};

/// Scope and kind of import jobs.
pub(crate) const IMPORT: &str = "import";

/// Jobs of each status among which one for the same input is looked for.
const NEWEST: u32 = 100;

/// What an import job is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ImportRequest {
    pub(crate) role: Option<RoleArn>,
    pub(crate) input: ObjectUri,
    /// Where the output is written: once the job runs, in its own folder.
    pub(crate) output: ObjectUri,
    /// Whether that is the folder of outcomes of the store, which moves with it.
    #[serde(default)]
    pub(crate) is_own_output: bool,
    pub(crate) configuration: Option<ImportConfiguration>,
    /// Paths of a job from the command line, which allows them by that.
    pub(crate) local_paths: Vec<PathBuf>,
}

impl ImportRequest {
    /// Whether both have the same input, whatever their outputs.
    fn imports_the_same(&self, other: &Self) -> bool {
        self.role == other.role
            && self.input == other.input
            && self.configuration == other.configuration
            && self.local_paths == other.local_paths
    }
}

/// Progress of an import job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportProgress {
    /// Files found; absent while they are still being listed.
    pub files_total: Option<u64>,
    /// Files read to their end, imported or not.
    pub files_done: u64,
    /// Their bytes.
    pub bytes_done: u64,
    /// Image sets made or extended.
    pub image_sets: u64,
    /// Files refused.
    pub refused: u64,
    /// Files stored with a warning.
    pub warned: u64,
}

/// Counters of an import job beside those that every job has.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    bytes_done: u64,
    image_sets: u64,
    warned: u64,
}

/// An import job.
#[derive(Debug, Clone)]
pub(crate) struct ImportJob {
    pub(crate) row: i64,
    pub(crate) id: JobId,
    pub(crate) datastore: DatastoreId,
    pub(crate) name: String,
    pub(crate) status: JobStatus,
    pub(crate) request: ImportRequest,
    pub(crate) message: Option<String>,
    /// What it needs of the process that runs it.
    pub(crate) needs: Needs,
    pub(crate) progress: ImportProgress,
    pub(crate) submitted_at: Millis,
    pub(crate) ended_at: Option<Millis>,
}

impl TryFrom<Job> for ImportJob {
    type Error = StoreError;

    fn try_from(job: Job) -> Result<Self> {
        let progress: Progress =
            job.progress.as_deref().map(from_json).transpose()?.unwrap_or_default();
        Ok(Self {
            row: job.row,
            name: job.name.unwrap_or_else(|| job.id.to_string()),
            id: job.id,
            datastore: job.datastore_id.ok_or_else(malformed)?,
            status: job.state.as_str().parse().map_err(|_| malformed())?,
            request: from_json(&job.request)?,
            message: job.message,
            needs: job.needs,
            progress: ImportProgress {
                files_total: job.counts.total,
                files_done: job.counts.done,
                bytes_done: progress.bytes_done,
                image_sets: progress.image_sets,
                refused: job.counts.failed,
                warned: progress.warned,
            },
            submitted_at: job.submitted_at.into(),
            ended_at: job.ended_at.map(Into::into),
        })
    }
}

/// A job that is submitted.
pub(crate) fn new(
    id: JobId,
    datastore: DatastoreId,
    name: &str,
    request: &ImportRequest,
    needs: Needs,
    at: Millis,
) -> Result<Job> {
    let request = to_json(request)?;
    let (datastore_id, name) = (Some(datastore), Some(name.to_owned()));
    Ok(Job { datastore_id, name, needs, request, ..Job::new(id, IMPORT, IMPORT, at.into()) })
}

/// The job `id`.
pub(crate) fn find(reader: &Reader, id: &JobId) -> Result<ImportJob> {
    let found = sql::find(reader, id)?.filter(|job| job.scope == IMPORT);
    found.map_or_else(|| Err(unknown("there is no import job with this job_id")), TryInto::try_into)
}

/// The job `id` of a data store.
pub(crate) fn find_of(reader: &Reader, datastore: &DatastoreId, id: &JobId) -> Result<ImportJob> {
    let found = sql::find(reader, id)?
        .filter(|job| job.scope == IMPORT && job.datastore_id.as_ref() == Some(datastore));
    let missing = || Err(unknown("there is no import job with this job_id in the data store"));
    found.map_or_else(missing, TryInto::try_into)
}

/// One page of jobs, newest first, older than `after`.
pub(crate) fn page(
    reader: &Reader,
    datastore: DatastoreId,
    status: Option<JobStatus>,
    after: Option<(i64, i64)>,
    limit: u32,
) -> Result<Vec<ImportJob>> {
    let query = JobQuery {
        scope: IMPORT.to_owned(),
        datastore_id: Some(datastore),
        state: status.map(|status| status.as_str().parse()).transpose()?,
        kind: None,
        after,
        limit,
    };
    sql::page(reader, &query)?.into_iter().map(TryInto::try_into).collect()
}

/// A job of this name that imports the same into the same data store, and had not ended at `moment`, though it may have since.
pub(crate) fn same_job_at(
    reader: &Reader,
    moment: Millis,
    datastore: &DatastoreId,
    name: &str,
    request: &ImportRequest,
) -> Result<Option<JobId>> {
    let had_not_ended = |job: &ImportJob| {
        let ended_since = job.ended_at.is_some_and(|at| at > moment && job.submitted_at < moment);
        job.ended_at.is_none() || ended_since
    };
    for status in [JobStatus::Submitted, JobStatus::InProgress, JobStatus::Completed] {
        let jobs = page(reader, datastore.clone(), Some(status), None, NEWEST)?;
        let is_same = |job: &&ImportJob| {
            job.name == name && job.request.imports_the_same(request) && had_not_ended(job)
        };
        if let Some(job) = jobs.iter().find(is_same) {
            return Ok(Some(job.id.clone()));
        }
    }
    Ok(None)
}

/// Marks the job as running, with its output in `output`.
pub(crate) fn begin(tx: &Tx<'_>, job: &ImportJob, output: &ObjectUri) -> Result<()> {
    let request = ImportRequest { output: output.clone(), ..job.request.clone() };
    sql::begin(tx, job.row)?;
    Ok(sql::set_request(tx, job.row, &to_json(&request)?)?)
}

/// Records the progress of a job.
pub(crate) fn write_progress(tx: &Tx<'_>, row: i64, progress: &ImportProgress) -> Result<()> {
    let ImportProgress { files_total, files_done, bytes_done, image_sets, refused, warned } =
        *progress;
    let counts = Counts { total: files_total, done: files_done, failed: refused };
    let progress = to_json(&Progress { bytes_done, image_sets, warned })?;
    Ok(sql::set_progress(tx, row, &counts, &progress)?)
}

/// Records the outcomes of files, by their keys.
pub(crate) fn record<'a, T: Serialize + 'a>(
    tx: &Tx<'_>,
    row: i64,
    outcomes: impl IntoIterator<Item = (&'a str, &'a T)>,
) -> Result<()> {
    let item =
        |(key, outcome): (&str, &T)| Ok(Item { key: key.to_owned(), outcome: to_json(outcome)? });
    let items: Vec<Item> = outcomes.into_iter().map(item).collect::<Result<_>>()?;
    Ok(sql::record(tx, row, items)?)
}

/// Files that are done, in the order of their keys, from the one after `after` on.
pub(crate) fn outcomes<T: DeserializeOwned>(
    reader: &Reader,
    row: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<(String, T)>> {
    let items = sql::items_by_key(reader, row, after, limit)?;
    items.into_iter().map(|item| Ok((item.key, from_json(&item.outcome)?))).collect()
}

fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::validation("a path is not UTF-8").with_source(error).into())
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| malformed())
}

fn malformed() -> StoreError {
    StoreError::Damaged("the catalog holds a malformed import job".to_owned())
}

fn unknown(message: &str) -> StoreError {
    Error::not_found(message).into()
}
