//! Processing a file of a job: it is recorded first, so that the next process knows on which files this one
//! crashed.

use std::path::{Path, PathBuf};

use healthimaging::JobId;
use healthimaging_jobs::{CrashLog, MAX_CRASHES, Mark};
use healthimaging_packs::StoreFile;

use crate::error::{Result, StoreError};
use crate::ingest::Refusal;
use crate::shared::{Shared, SharedStore};

const POISON: &str = "the server crashed twice while it processed this file, so the file was skipped; report it \
                      to the operator of the server";

/// Number of crashes after which a file is refused that could not be tried in a process of its own, or did not
/// crash it.
const MAX_CRASHES_OF_TRIED: u8 = 5;

/// What is done with a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    /// Its header is read.
    Header,
    /// It is stored.
    Store,
}

/// Processes the files of a job, except those on which processes crashed.
#[derive(Debug)]
pub(super) struct CrashGuard {
    shared: SharedStore,
    log: CrashLog<StoreFile>,
}

impl CrashGuard {
    /// Counts the crash of an earlier process against the files that it was processing.
    pub(super) fn take_over(shared: &SharedStore, job: &JobId) -> Result<Self> {
        let path = path(shared, job);
        let file = shared.config.files.make_or_open(&path);
        let file = file.map_err(StoreError::file("open", &path))?;
        let log = CrashLog::take_over(file).map_err(StoreError::file("read", &path))?;
        Ok(Self { shared: SharedStore::clone(shared), log })
    }

    /// Does `work`, which processes the file of this key: with no other file if a process crashed on it, and not
    /// at all if it is known to be fatal.
    pub(super) async fn process<T, E: From<Refusal>>(
        &self,
        key: &str,
        stage: Stage,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let importing = &self.shared.lifecycle.importing;
        // The form of these names is that of logs of earlier releases.
        let name = format!("{stage:?} {key}");
        let crashes = self.log.crashes(&name);
        if crashes == 0 {
            let _with_others = importing.read().await;
            return self.logged(&name, work).await;
        }
        let _alone = importing.write().await;
        if self.is_fatal(key, crashes).await {
            tracing::error!(crashes, "a file of an import is refused: processes crashed on it");
            return Err(Refusal::fault(POISON).into());
        }
        self.logged(&name, work).await
    }

    /// Whether every process crashes on a file.
    async fn is_fatal(&self, key: &str, crashes: u8) -> bool {
        let Some(probe) = &self.shared.config.probe else {
            return crashes >= MAX_CRASHES;
        };
        let file = Path::new(key);
        if crashes >= MAX_CRASHES_OF_TRIED || !file.is_file() {
            return crashes >= MAX_CRASHES_OF_TRIED;
        }
        let tried = probe.is_fatal(&self.shared, file).await;
        tried.unwrap_or_else(|error| {
            tracing::warn!(%error, "a file could not be tried in a process of its own");
            crashes >= MAX_CRASHES
        })
    }

    async fn logged<T>(&self, name: &str, work: impl Future<Output = T>) -> T {
        // A full disk must not stop what needs no space.
        let mark = self.log.take(name).map_err(|error| tracing::debug!(%error, "not logged")).ok();
        let done = work.await;
        if let Some(Err(error)) = mark.map(|mark: Mark| self.log.release(mark)) {
            tracing::debug!(%error, "a file stays in the crash log");
        }
        done
    }

    /// Records that the process stops normally: what it leaves counts against no file.
    pub(super) fn stop(&self) {
        if let Err(error) = self.log.release_all() {
            tracing::debug!(%error, "files stay in the crash log");
        }
    }
}

/// Removes the crash log of a job that has ended.
pub(crate) fn forget(shared: &Shared, job: &JobId) -> Result<()> {
    let path = path(shared, job);
    shared.config.files.remove(&path).map_err(StoreError::file("remove", &path))
}

fn path(shared: &Shared, job: &JobId) -> PathBuf {
    shared.config.data_dir.join(format!("locks/hand-{job}"))
}
