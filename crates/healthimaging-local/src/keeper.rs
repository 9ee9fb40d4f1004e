//! The background loop of a process: writes down reads, takes over the work of dead processes, and with
//! the store's lease sweeps garbage and drops what has outlived its time.

use std::time::{Duration, Instant};

use healthimaging_jobs::engine;

use crate::access;
use crate::error::Result;
use crate::file_lock::FileLock;
use crate::shared::SharedStore;
use crate::{operations, packs};

/// How often the lease is tried, and the chores are done by who holds it.
const ROUND: Duration = Duration::from_secs(2);
/// How often reads are written down: each time costs a sync of the disk.
const ACCESSES: Duration = Duration::from_mins(1);

/// Runs until the store is closed.
pub(crate) async fn keep(shared: SharedStore) {
    if shared.is_read_only {
        return;
    }
    let mut lease = None;
    let mut written = Instant::now();
    loop {
        if shared.config.run_jobs
            && let Err(error) = round(&shared, &mut lease).await
        {
            tracing::warn!(%error, "upkeep of the local store failed; it is tried again");
        }
        tokio::select! {
            () = shared.closing.cancelled() => break,
            () = tokio::time::sleep(ROUND) => {}
        }
        if written.elapsed() >= ACCESSES {
            written = Instant::now();
            if let Err(error) = write_accesses(&shared).await {
                tracing::warn!(%error, "could not note when image sets were read");
            }
        }
    }
}

/// One round: the work of dead processes, and the chores when this process holds the lease or can get it.
///
/// Every process takes work over, since the one with the lease may lack what a job needs.
async fn round(shared: &SharedStore, lease: &mut Option<FileLock>) -> Result<()> {
    engine::adopt(shared).await?;
    if lease.is_none() {
        let path = shared.config.data_dir.join("locks/store.lock");
        *lease = FileLock::try_acquire(&shared.config.files, &path)?;
        if lease.is_none() {
            return Ok(());
        }
    }
    shared.reserve.set_aside();
    operations::expiry::expire(shared).await?;
    packs::sweep(shared).await
}

/// Writes down when image sets were read.
pub(crate) async fn write_accesses(shared: &SharedStore) -> Result<()> {
    let accesses = shared.accesses.take();
    if accesses.is_empty() || shared.is_read_only {
        return Ok(());
    }
    shared.catalogue.write(move |transaction| access::write(transaction, &accesses)).await
}
