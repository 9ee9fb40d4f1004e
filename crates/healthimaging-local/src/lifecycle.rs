//! The part that this process has in an open store: its name, its tasks and jobs, and closing.

use std::future::Future;

use healthimaging_jobs::Engine;
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Millis;
use crate::config::LocalConfig;
use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;

/// The part that this process has in an open store.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    /// Work that outlives the call that began it; [`crate::LocalStore::close`] waits for it.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the store is being closed: loops end, jobs stop at the next file.
    pub(crate) closing: CancellationToken,
    /// Import jobs that this process accepted, and those that it leaves to others.
    pub(crate) engine: Engine,
    /// Held shared while a file is imported, and exclusively for one that a process crashed on.
    pub(crate) importing: RwLock<()>,
    /// Names this process in the leases of its writes, `locks/process-<name>.lock`.
    pub(crate) process: String,
    /// When this process opened the store.
    pub(crate) opened_at: Millis,
    /// Whether the folder can only be read.
    pub(crate) is_read_only: bool,
    _process_lock: Option<FileLock>,
}

impl Lifecycle {
    /// Of the process `process`, with its lock unless the folder can only be read.
    pub(crate) fn new(process: String, opened_at: Millis, lock: Option<FileLock>) -> Self {
        Self {
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            engine: Engine::default(),
            importing: RwLock::default(),
            process,
            opened_at,
            is_read_only: lock.is_none(),
            _process_lock: lock,
        }
    }

    /// Runs `work` to its end even if the caller is dropped.
    ///
    /// A write that is committed must not lose the step that follows it.
    pub(crate) async fn to_the_end<T, W>(&self, work: W) -> healthimaging::Result<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let done = self.tasks.spawn(work).await.map_err(StoreError::Task)?;
        Ok(done?)
    }

    /// Removes the lock file of this process, which has no work left.
    pub(crate) fn sign_off(&self, config: &LocalConfig) {
        if self.is_read_only {
            return;
        }
        let lock = config.process_lock(&self.process);
        if let Err(error) = config.files.remove(&lock) {
            tracing::debug!(%error, "the lock file of this process is left behind");
        }
    }
}
