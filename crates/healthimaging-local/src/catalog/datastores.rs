//! Rows of data stores.

use healthimaging::model::{DatastoreStatus, LosslessStorageFormat};
use healthimaging::{DatastoreId, Error, KmsKeyArn, LambdaArn};
use healthimaging_jobs_sqlite as sql;

use super::columns::{checked, checked_option, word};
use super::db::{Reader, Row, Tx};
use super::imports::IMPORT;
use crate::clock::Millis;
use crate::error::Result;

/// A data store.
#[derive(Debug, Clone)]
pub(crate) struct DatastoreRow {
    pub(crate) row: i64,
    pub(crate) id: DatastoreId,
    pub(crate) name: String,
    pub(crate) status: DatastoreStatus,
    pub(crate) kms_key_arn: Option<KmsKeyArn>,
    pub(crate) lambda_authorizer_arn: Option<LambdaArn>,
    pub(crate) format: LosslessStorageFormat,
    pub(crate) created_at: Millis,
    pub(crate) updated_at: Millis,
}

/// What a new data store begins with.
#[derive(Debug)]
pub(crate) struct NewDatastore {
    pub(crate) id: DatastoreId,
    pub(crate) name: String,
    pub(crate) kms_key_arn: Option<KmsKeyArn>,
    pub(crate) lambda_authorizer_arn: Option<LambdaArn>,
    pub(crate) format: LosslessStorageFormat,
}

/// Adds a data store that is being created, and returns its row.
pub(crate) fn insert(tx: &Tx<'_>, new: &NewDatastore, at: Millis) -> Result<i64> {
    tx.execute(
        "INSERT INTO datastore (id, name, status, kms_key_arn, lambda_authorizer_arn,
             lossless_storage_format, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        (
            new.id.as_str(),
            &new.name,
            DatastoreStatus::Creating.as_str(),
            new.kms_key_arn.as_ref().map(KmsKeyArn::as_str),
            new.lambda_authorizer_arn.as_ref().map(LambdaArn::as_str),
            new.format.as_str(),
            at,
        ),
    )?;
    Ok(tx.last_insert_rowid())
}

/// How many there are that are not deleted.
pub(crate) fn count(reader: &Reader) -> Result<u64> {
    let count = "SELECT count(*) FROM datastore WHERE status <> 'DELETED'";
    let found: i64 = reader.query_row(count, [], |row| row.get(0))?;
    Ok(found.unsigned_abs())
}

/// The data store `id`, whatever its state.
pub(crate) fn find(reader: &Reader, id: &DatastoreId) -> Result<DatastoreRow> {
    reader
        .prepare_cached("SELECT * FROM datastore WHERE id = ?1")?
        .query_and_then([id.as_str()], from_row)?
        .next()
        .unwrap_or_else(|| Err(Error::no_datastore().into()))
}

/// The data stores of this name that are `ACTIVE` or about to be.
pub(crate) fn named(reader: &Reader, name: &str) -> Result<Vec<DatastoreRow>> {
    reader
        .prepare_cached(
            "SELECT * FROM datastore WHERE name = ?1 AND status IN ('CREATING', 'ACTIVE')
             ORDER BY row",
        )?
        .query_and_then([name], from_row)?
        .collect()
}

/// The data store in `row`.
pub(crate) fn at(reader: &Reader, row: i64) -> Result<DatastoreRow> {
    reader
        .prepare_cached("SELECT * FROM datastore WHERE row = ?1")?
        .query_and_then([row], from_row)?
        .next()
        .unwrap_or_else(|| Err(Error::not_found("the data store is gone").into()))
}

/// The data store `id`, which must be `ACTIVE`.
pub(crate) fn find_active(reader: &Reader, id: &DatastoreId) -> Result<DatastoreRow> {
    let found = find(reader, id)?;
    if found.status == DatastoreStatus::Active {
        return Ok(found);
    }
    Err(Error::conflict(format!("the data store is {}; it must be ACTIVE", found.status)).into())
}

/// Changes the state of a data store.
pub(crate) fn set_status(tx: &Tx<'_>, row: i64, status: DatastoreStatus, at: Millis) -> Result<()> {
    tx.execute(
        "UPDATE datastore SET status = ?2, updated_at = ?3 WHERE row = ?1",
        (row, status.as_str(), at),
    )?;
    Ok(())
}

/// One page, newest first, of at most `limit` data stores older than `after`.
pub(crate) fn page(
    reader: &Reader,
    status: Option<DatastoreStatus>,
    after: Option<(i64, i64)>,
    limit: u32,
) -> Result<Vec<DatastoreRow>> {
    let (created_at, row) = after.unwrap_or((i64::MAX, i64::MAX));
    reader
        .prepare_cached(
            "SELECT * FROM datastore
             WHERE (created_at, row) < (?1, ?2) AND (?3 IS NULL OR status = ?3)
             ORDER BY created_at DESC, row DESC LIMIT ?4",
        )?
        .query_and_then((created_at, row, status.map(DatastoreStatus::as_str), limit), from_row)?
        .collect()
}

/// Fails with `Conflict` if something in the data store prevents its deletion.
pub(crate) fn check_empty(reader: &Reader, datastore: &DatastoreRow) -> Result<()> {
    let held = reader
        .prepare_cached(
            "SELECT 1 FROM image_set WHERE datastore = ?1 AND state <> 'DELETED' LIMIT 1",
        )?
        .exists([datastore.row])?;
    if held {
        return Err(Error::conflict(
            "the data store still holds image sets; delete every image set first",
        )
        .into());
    }
    if sql::is_busy(reader, IMPORT, &datastore.id)? {
        return Err(Error::conflict(
            "an import job still runs in the data store; wait until it has ended",
        )
        .into());
    }
    Ok(())
}

fn from_row(row: &Row<'_>) -> Result<DatastoreRow> {
    Ok(DatastoreRow {
        row: row.get("row")?,
        id: checked(row, "id")?,
        name: row.get("name")?,
        status: word(row, "status")?,
        kms_key_arn: checked_option(row, "kms_key_arn")?,
        lambda_authorizer_arn: checked_option(row, "lambda_authorizer_arn")?,
        format: word(row, "lossless_storage_format")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
