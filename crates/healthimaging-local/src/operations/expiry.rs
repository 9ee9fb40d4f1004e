//! What has outlived its time: tombstones, client tokens, ended jobs.

use std::fs::DirEntry;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use healthimaging::JobId;
use healthimaging_jobs_sqlite as sql;
use rusqlite::{Connection, Transaction};

use super::client_token;
use crate::clock::Millis;
use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;
use crate::index::import_jobs::IMPORT;
use crate::index::words::checked;
use crate::jobs;
use crate::shared::{Shared, SharedStore};

/// How long a deleted data store or image set is still told of. AWS does not say how long it does.
const TOMBSTONE: TimeDelta = TimeDelta::hours(24);
/// How long an ended import job is listed, as in AWS.
const JOB: TimeDelta = TimeDelta::days(90);
/// A lock file of a process that died without work left is removed when it is this old.
const LOCK_FILE: Duration = Duration::from_hours(24);

/// Data stores whose tombstones have outlived their time.
const DATASTORE: &str = "FROM datastore WHERE status = 'DELETED' AND updated_at < ?1
    AND NOT EXISTS (SELECT 1 FROM image_set
        WHERE image_set.state = 'DELETED' AND image_set.datastore = datastore.row)";

/// Rows that have outlived their time, as `(what is asked, what removes them)`.
const EXPIRED: [(&str, TimeDelta); 3] = [
    ("FROM image_set WHERE state = 'DELETED' AND deleted_at < ?1", TOMBSTONE),
    (DATASTORE, TOMBSTONE),
    ("FROM client_token WHERE created_at < ?1", client_token::LIFE),
];

/// Removes what has outlived its time. Called by the holder of the store's lease.
pub(crate) async fn expire(shared: &SharedStore) -> Result<()> {
    let at = shared.now();
    let due = shared.catalogue.read(move |connection| due(connection, at)).await?;
    // A write transaction costs a sync of the disk; most rounds need none.
    if due {
        shared.catalogue.write(move |transaction| remove(transaction, at)).await?;
    }
    let shared = Arc::clone(shared);
    let work = move || {
        jobs::sweep_probes(&shared)?;
        remove_dead_locks(&shared)
    };
    tokio::task::spawn_blocking(work).await?
}

fn due(connection: &Connection, at: Millis) -> Result<bool> {
    for (rows, life) in EXPIRED {
        let found = connection
            .prepare_cached(&format!("SELECT 1 {rows} LIMIT 1"))?
            .exists([at.minus(life)])?;
        if found {
            return Ok(true);
        }
    }
    Ok(sql::has_expired(connection, IMPORT, at.minus(JOB).into())?)
}

fn remove(transaction: &Transaction<'_>, at: Millis) -> Result<()> {
    sql::expire(transaction, IMPORT, at.minus(JOB).into())?;
    for (rows, life) in EXPIRED {
        if rows == DATASTORE {
            let mut gone = transaction.prepare(&format!("SELECT id {rows}"))?;
            for id in gone.query_and_then([at.minus(life)], |row| checked(row, "id"))? {
                sql::remove_all(transaction, IMPORT, &id?)?;
            }
        }
        transaction.execute(&format!("DELETE {rows}"), [at.minus(life)])?;
    }
    Ok(())
}

/// Removes the lock files and notes of jobs that have ended, and old ones of processes; what is locked
/// stays.
fn remove_dead_locks(shared: &Shared) -> Result<()> {
    let files = &shared.config.files;
    let folder = shared.config.data_dir.join("locks");
    let entries = files.list(&folder);
    for entry in entries.map_err(StoreError::file("list", &folder))? {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if let Some(job) = name.strip_prefix("hand-") {
            if !runs(shared, job)? {
                let path = entry.path();
                files.remove(&path).map_err(StoreError::file("remove", &path))?;
            }
            continue;
        }
        let dead = match (name.strip_prefix("job-"), name.strip_prefix("process-")) {
            (Some(job), _) => !runs(shared, job.trim_end_matches(".lock"))?,
            (_, Some(_)) => age(&entry).is_some_and(|age| age > LOCK_FILE),
            _ => false,
        };
        if dead && let Some(lock) = FileLock::try_acquire(files, &entry.path())? {
            lock.remove()?;
        }
    }
    Ok(())
}

/// Whether a job is still to be run. One that has ended never is again, so its lock is needed no more.
fn runs(shared: &Shared, job: &str) -> Result<bool> {
    let Ok(id) = JobId::try_from(job) else {
        return Ok(false);
    };
    let found = shared.catalogue.read_blocking(|connection| Ok(sql::find(connection, &id)?))?;
    Ok(found.is_some_and(|job| !job.state.has_ended()))
}

fn age(entry: &DirEntry) -> Option<Duration> {
    let modified = entry.metadata().and_then(|data| data.modified()).ok()?;
    SystemTime::now().duration_since(modified).ok()
}
