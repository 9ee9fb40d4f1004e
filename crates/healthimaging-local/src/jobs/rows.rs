//! Rows of import jobs and of the files they have done.

use std::path::PathBuf;

use healthimaging::model::{ImportConfiguration, JobStatus};
use healthimaging::{DatastoreId, Error, JobId, ObjectUri};
use healthimaging_jobs::Needs;
use rusqlite::{Connection, Row, Transaction};

use super::progress::ImportProgress;
use crate::clock::Millis;
use crate::error::{Result, StoreError};
use crate::index::words::{checked, word};
use crate::ingest::Outcome;

/// A job, as far as running it needs to know.
#[derive(Debug, Clone)]
pub(super) struct JobRow {
    pub(super) row: i64,
    pub(super) id: JobId,
    pub(super) datastore: DatastoreId,
    pub(super) status: JobStatus,
    pub(super) input_uri: ObjectUri,
    pub(super) output_uri: ObjectUri,
    pub(super) configuration: Option<ImportConfiguration>,
    /// Paths of a job from the command line, which allows them by that.
    pub(super) local_paths: Vec<PathBuf>,
    pub(super) message: Option<String>,
    /// What it needs of the process that runs it.
    pub(super) needs: Needs,
    pub(super) progress: ImportProgress,
}

pub(super) fn find(connection: &Connection, id: &JobId) -> Result<JobRow> {
    connection
        .prepare_cached(
            "SELECT import_job.*, datastore.id AS datastore_id
             FROM import_job JOIN datastore ON datastore.row = import_job.datastore
             WHERE import_job.id = ?1",
        )?
        .query_and_then([id.as_str()], job)?
        .next()
        .unwrap_or_else(|| Err(Error::not_found("there is no import job with this job_id").into()))
}

/// Jobs that have not ended, oldest first.
pub(super) fn unfinished(connection: &Connection) -> Result<Vec<JobId>> {
    connection
        .prepare_cached(
            "SELECT id FROM import_job WHERE status IN ('SUBMITTED', 'IN_PROGRESS')
             ORDER BY submitted_at, row",
        )?
        .query_and_then([], |row| checked(row, "id"))?
        .collect()
}

/// The job runs; its output goes to `output_uri`.
pub(super) fn begin(transaction: &Transaction<'_>, job: i64, output_uri: &ObjectUri) -> Result<()> {
    transaction.execute(
        "UPDATE import_job SET status = ?2, output_uri = ?3, message = NULL WHERE row = ?1",
        (job, JobStatus::InProgress.as_str(), output_uri.as_str()),
    )?;
    Ok(())
}

/// The job waits for another process, for this reason.
pub(super) fn hold(transaction: &Transaction<'_>, job: i64, reason: &str) -> Result<()> {
    transaction.execute("UPDATE import_job SET message = ?2 WHERE row = ?1", (job, reason))?;
    Ok(())
}

pub(super) fn write_progress(
    transaction: &Transaction<'_>,
    job: i64,
    progress: &ImportProgress,
) -> Result<()> {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    transaction
        .prepare_cached(
            "UPDATE import_job SET files_total = ?2, files_done = ?3, bytes_done = ?4,
                 image_sets = ?5, refused = ?6, warned = ?7
             WHERE row = ?1",
        )?
        .execute((
            job,
            progress.files_total.map(signed),
            signed(progress.files_done),
            signed(progress.bytes_done),
            signed(progress.image_sets),
            signed(progress.refused),
            signed(progress.warned),
        ))?;
    Ok(())
}

/// The job has ended; its files are in the output now.
pub(super) fn end(
    transaction: &Transaction<'_>,
    job: i64,
    status: JobStatus,
    message: Option<&str>,
    at: Millis,
) -> Result<()> {
    transaction.execute(
        "UPDATE import_job SET status = ?2, message = ?3, ended_at = ?4 WHERE row = ?1",
        (job, status.as_str(), message, at),
    )?;
    transaction.execute("DELETE FROM import_file WHERE job = ?1", [job])?;
    Ok(())
}

/// Writes down what became of a file.
pub(super) fn record(
    transaction: &Transaction<'_>,
    job: i64,
    key: &str,
    outcome: &Outcome,
) -> Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO import_file (job, key, outcome) VALUES (?1, ?2, ?3)",
        )?
        .execute((job, key, to_json(outcome)?))?;
    Ok(())
}

/// Files that are done, in the order of their keys, from the one after `after` on.
pub(super) fn outcomes(
    connection: &Connection,
    job: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<(String, Outcome)>> {
    connection
        .prepare_cached(
            "SELECT key, outcome FROM import_file WHERE job = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
        )?
        .query_and_then((job, after, limit), |row| {
            let outcome: String = row.get(1)?;
            Ok((row.get(0)?, from_json(&outcome)?))
        })?
        .collect()
}

fn job(row: &Row<'_>) -> Result<JobRow> {
    let configuration: Option<String> = row.get("configuration")?;
    let paths: Option<String> = row.get("local_paths")?;
    let needs: Option<String> = row.get("needs")?;
    let count = |column: &str| -> Result<u64> {
        Ok(row.get::<_, i64>(column)?.try_into().unwrap_or_default())
    };
    let total: Option<i64> = row.get("files_total")?;
    Ok(JobRow {
        row: row.get("row")?,
        id: checked(row, "id")?,
        datastore: checked(row, "datastore_id")?,
        status: word(row, "status")?,
        input_uri: checked(row, "input_uri")?,
        output_uri: checked(row, "output_uri")?,
        configuration: configuration.as_deref().map(from_json).transpose()?,
        local_paths: paths.as_deref().map(from_json).transpose()?.unwrap_or_default(),
        message: row.get("message")?,
        needs: needs.as_deref().map(from_json).transpose()?.unwrap_or_default(),
        progress: ImportProgress {
            files_total: total.and_then(|total| total.try_into().ok()),
            files_done: count("files_done")?,
            bytes_done: count("bytes_done")?,
            image_sets: count("image_sets")?,
            refused: count("refused")?,
            warned: count("warned")?,
        },
    })
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Damaged(format!("a row could not be written: {error}")))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Damaged("the catalogue holds a malformed import job".to_owned()))
}
