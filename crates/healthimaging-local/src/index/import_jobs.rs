//! Rows of import jobs, as requests see them; the runner of jobs has statements of its own.

use healthimaging::model::{ImportConfiguration, JobStatus};
use healthimaging::{Error, JobId, ObjectUri, RoleArn};
use healthimaging_jobs::Needs;
use rusqlite::{Connection, Row, Transaction};

use super::words::{checked, checked_option, word};
use crate::clock::Millis;
use crate::error::{Result, StoreError};

/// An import job.
#[derive(Debug, Clone)]
pub(crate) struct ImportJobRow {
    pub(crate) row: i64,
    pub(crate) id: JobId,
    pub(crate) name: String,
    pub(crate) status: JobStatus,
    pub(crate) role: Option<RoleArn>,
    pub(crate) input: ObjectUri,
    pub(crate) output: ObjectUri,
    pub(crate) configuration: Option<ImportConfiguration>,
    pub(crate) message: Option<String>,
    pub(crate) submitted_at: Millis,
    pub(crate) ended_at: Option<Millis>,
}

/// What a new job begins with.
#[derive(Debug)]
pub(crate) struct NewImportJob<'a> {
    pub(crate) id: &'a JobId,
    /// Row of its data store.
    pub(crate) datastore: i64,
    pub(crate) name: &'a str,
    pub(crate) role: Option<&'a RoleArn>,
    pub(crate) input: &'a ObjectUri,
    pub(crate) output: &'a ObjectUri,
    pub(crate) configuration: Option<&'a ImportConfiguration>,
    /// JSON array of paths given on the command line, which the job may read; else none.
    pub(crate) local_paths: Option<&'a str>,
    /// What it needs of the process that runs it.
    pub(crate) needs: &'a Needs,
}

/// Adds a job that is submitted.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    new: &NewImportJob<'_>,
    at: Millis,
) -> Result<()> {
    let unwritable = |_| StoreError::Damaged("an import job could not be noted".to_owned());
    let configuration =
        new.configuration.map(serde_json::to_string).transpose().map_err(unwritable)?;
    let needs = serde_json::to_string(new.needs).map_err(unwritable)?;
    transaction.execute(
        "INSERT INTO import_job (id, datastore, name, status, data_access_role_arn, input_uri,
             output_uri, configuration, local_paths, submitted_at, needs)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        (
            new.id.as_str(),
            new.datastore,
            new.name,
            JobStatus::Submitted.as_str(),
            new.role.map(RoleArn::as_str),
            new.input.as_str(),
            new.output.as_str(),
            configuration,
            new.local_paths,
            at,
            needs,
        ),
    )?;
    Ok(())
}

/// The job `id` of a data store.
pub(crate) fn find(connection: &Connection, datastore: i64, id: &JobId) -> Result<ImportJobRow> {
    connection
        .prepare_cached("SELECT * FROM import_job WHERE id = ?1 AND datastore = ?2")?
        .query_and_then((id.as_str(), datastore), from_row)?
        .next()
        .unwrap_or_else(|| {
            Err(Error::not_found("there is no import job with this job_id in the data store")
                .into())
        })
}

/// One page of jobs, newest first, older than `after`.
pub(crate) fn page(
    connection: &Connection,
    datastore: i64,
    status: Option<JobStatus>,
    after: Option<(i64, i64)>,
    limit: u32,
) -> Result<Vec<ImportJobRow>> {
    let (submitted_at, row) = after.unwrap_or((i64::MAX, i64::MAX));
    let filter = if status.is_some() { "status = ?2" } else { "?2 IS NULL" };
    connection
        .prepare_cached(&format!(
            "SELECT * FROM import_job
             WHERE datastore = ?1 AND {filter} AND (submitted_at, row) < (?3, ?4)
             ORDER BY submitted_at DESC, row DESC LIMIT ?5",
        ))?
        .query_and_then(
            (datastore, status.map(JobStatus::as_str), submitted_at, row, limit),
            from_row,
        )?
        .collect()
}

fn from_row(row: &Row<'_>) -> Result<ImportJobRow> {
    let configuration: Option<String> = row.get("configuration")?;
    Ok(ImportJobRow {
        row: row.get("row")?,
        id: checked(row, "id")?,
        name: row.get("name")?,
        status: word(row, "status")?,
        role: checked_option(row, "data_access_role_arn")?,
        input: checked(row, "input_uri")?,
        output: checked(row, "output_uri")?,
        configuration: configuration
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(|_| StoreError::Damaged("an import job cannot be read".to_owned()))?,
        message: row.get("message")?,
        submitted_at: row.get("submitted_at")?,
        ended_at: row.get("ended_at")?,
    })
}
