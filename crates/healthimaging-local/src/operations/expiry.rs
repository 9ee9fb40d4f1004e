//! Removing what has expired: rows, and files of ended jobs and processes.

use std::fs::DirEntry;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use healthimaging::JobId;
use healthimaging_jobs_sqlite as sql;

use crate::catalog::expiry;
use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;
use crate::jobs;
use crate::shared::{Shared, SharedStore};

/// A lock file of a process that died without work left is removed when it is this old.
const LOCK_FILE: Duration = Duration::from_hours(24);

/// Removes what has expired. Called by the holder of the lease of the store.
pub(crate) async fn expire(shared: &SharedStore) -> Result<()> {
    let at = shared.now();
    let due = shared.catalog.read(move |reader| expiry::is_due(reader, at)).await?;
    // A write transaction costs a sync of the disk; most rounds need none.
    if due {
        shared.catalog.write(move |tx| expiry::remove(tx, at)).await?;
    }
    let shared = Arc::clone(shared);
    let work = move || {
        jobs::sweep_probes(&shared)?;
        remove_dead_locks(&shared)
    };
    tokio::task::spawn_blocking(work).await?
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

/// Whether a job has not ended. The lock of one that has is not needed any more.
fn runs(shared: &Shared, job: &str) -> Result<bool> {
    let Ok(id) = JobId::try_from(job) else {
        return Ok(false);
    };
    let found = shared.catalog.read_blocking(|reader| Ok(sql::find(reader, &id)?))?;
    Ok(found.is_some_and(|job| !job.state.has_ended()))
}

fn age(entry: &DirEntry) -> Option<Duration> {
    let modified = entry.metadata().and_then(|data| data.modified()).ok()?;
    SystemTime::now().duration_since(modified).ok()
}
