//! Rows that expire: tombstones, client tokens, ended import jobs.

use chrono::TimeDelta;
use healthimaging_jobs_sqlite as sql;

use super::client_tokens;
use super::columns::checked;
use super::db::{Reader, Tx};
use super::imports::IMPORT;
use crate::clock::Millis;
use crate::error::Result;

/// How long a deleted data store or image set is shown. AWS does not document its time.
const TOMBSTONE: TimeDelta = TimeDelta::hours(24);
/// How long an ended import job is listed, as in AWS.
const JOB: TimeDelta = TimeDelta::days(90);
/// Data stores whose tombstones have expired.
const DATASTORE: &str = "FROM datastore WHERE status = 'DELETED' AND updated_at < ?1
    AND NOT EXISTS (SELECT 1 FROM image_set
        WHERE image_set.state = 'DELETED' AND image_set.datastore = datastore.row)";

/// Expired rows, as the end of a `SELECT` or `DELETE`, and their time.
const EXPIRED: [(&str, TimeDelta); 3] = [
    ("FROM image_set WHERE state = 'DELETED' AND deleted_at < ?1", TOMBSTONE),
    (DATASTORE, TOMBSTONE),
    ("FROM client_token WHERE created_at < ?1", client_tokens::LIFE),
];

/// Whether anything has expired.
pub(crate) fn is_due(reader: &Reader, at: Millis) -> Result<bool> {
    for (rows, life) in EXPIRED {
        let found =
            reader.prepare_cached(&format!("SELECT 1 {rows} LIMIT 1"))?.exists([at.minus(life)])?;
        if found {
            return Ok(true);
        }
    }
    Ok(sql::has_expired(reader, IMPORT, at.minus(JOB).into())?)
}

/// Removes what has expired.
pub(crate) fn remove(tx: &Tx<'_>, at: Millis) -> Result<()> {
    sql::expire(tx, IMPORT, at.minus(JOB).into())?;
    for (rows, life) in EXPIRED {
        if rows == DATASTORE {
            let mut gone = tx.prepare(&format!("SELECT id {rows}"))?;
            for id in gone.query_and_then([at.minus(life)], |row| checked(row, "id"))? {
                sql::remove_all(tx, IMPORT, &id?)?;
            }
        }
        tx.execute(&format!("DELETE {rows}"), [at.minus(life)])?;
    }
    Ok(())
}
