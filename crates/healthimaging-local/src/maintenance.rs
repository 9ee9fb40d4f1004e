//! The background loop of a process: it writes times of reads, takes over jobs of dead processes, and, if it
//! holds the lease of the store, removes unused packs and expired rows.

use std::time::{Duration, Instant};

use healthimaging_jobs::{Changes, engine, pauses};

use crate::catalog::image_sets;
use crate::error::Result;
use crate::file_lock::FileLock;
use crate::operations;
use crate::shared::SharedStore;

/// Interval between writes of times of reads: each costs a sync of the disk.
const ACCESSES: Duration = Duration::from_mins(1);

/// Runs until the store is closed.
pub(crate) async fn run(shared: SharedStore) {
    if shared.lifecycle.is_read_only {
        return;
    }
    let mut lease = None;
    let mut written = Instant::now();
    let folders = ["incoming", "locks"].map(|name| shared.config.data_dir.join(name));
    let mut changes = Changes::of(shared.catalog.files().into_iter().chain(folders));
    for pause in pauses() {
        tokio::select! {
            () = shared.lifecycle.closing.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        if shared.config.run_jobs
            && let Some(moment) = changes.since_settled(shared.now().into())
        {
            let is_done = round(&shared, &mut lease).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "maintenance of the local store failed; it is tried again");
                false
            });
            changes.settle(moment, is_done);
        }
        if written.elapsed() >= ACCESSES {
            written = Instant::now();
            if let Err(error) = write_accesses(&shared).await {
                tracing::warn!(%error, "the times of reads of image sets could not be written");
            }
        }
    }
}

/// One round: takes over jobs of dead processes; with the lease of the store, cleans up. Returns whether nothing is left to do
/// until something changes.
///
/// Every process takes jobs over, since the one with the lease may lack what a job needs.
async fn round(shared: &SharedStore, lease: &mut Option<FileLock>) -> Result<bool> {
    let is_at_work = engine::adopt(shared).await?;
    if lease.is_none() {
        let path = shared.config.lock_path("store");
        *lease = FileLock::try_acquire(&shared.config.files, &path)?;
        if lease.is_none() {
            return Ok(false);
        }
    }
    let is_reserved = shared.blobs.reserve.reserve();
    operations::expiry::expire(shared).await?;
    let is_swept = shared.blobs.sweep().await?;
    Ok(!is_at_work && is_reserved && is_swept)
}

/// Writes the times of reads of image sets.
pub(crate) async fn write_accesses(shared: &SharedStore) -> Result<()> {
    let accesses = shared.caches.accesses.take();
    if accesses.is_empty() || shared.lifecycle.is_read_only {
        return Ok(());
    }
    shared.catalog.write(move |tx| image_sets::write_accesses(tx, &accesses)).await
}
