//! What has outlived its time: tombstones, client tokens, ended jobs.

use std::fs::DirEntry;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use rusqlite::{Connection, Transaction};

use super::client_token;
use crate::clock::Millis;
use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;
use crate::jobs;
use crate::shared::{Shared, SharedStore};

/// How long a deleted data store or image set is still told of. AWS does not say how long it does.
const TOMBSTONE: TimeDelta = TimeDelta::hours(24);
/// How long an ended import job is listed, as in AWS.
const JOB: TimeDelta = TimeDelta::days(90);
/// A lock file of a process that died without work left is removed when it is this old.
const LOCK_FILE: Duration = Duration::from_hours(24);

/// Rows that have outlived their time, as `(what is asked, what removes them)`.
const EXPIRED: [(&str, TimeDelta); 4] = [
    ("FROM image_set WHERE state = 'DELETED' AND deleted_at < ?1", TOMBSTONE),
    (
        "FROM datastore WHERE status = 'DELETED' AND updated_at < ?1
             AND NOT EXISTS (SELECT 1 FROM image_set
                 WHERE image_set.state = 'DELETED' AND image_set.datastore = datastore.row)",
        TOMBSTONE,
    ),
    ("FROM client_token WHERE created_at < ?1", client_token::LIFE),
    ("FROM import_job WHERE ended_at < ?1", JOB),
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
    Ok(false)
}

fn remove(transaction: &Transaction<'_>, at: Millis) -> Result<()> {
    for (rows, life) in EXPIRED {
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
    shared.catalogue.read_blocking(|connection| {
        Ok(connection
            .prepare_cached(
                "SELECT 1 FROM import_job WHERE id = ?1 AND status IN ('SUBMITTED', 'IN_PROGRESS')",
            )?
            .exists([job])?)
    })
}

fn age(entry: &DirEntry) -> Option<Duration> {
    let modified = entry.metadata().and_then(|data| data.modified()).ok()?;
    SystemTime::now().duration_since(modified).ok()
}
