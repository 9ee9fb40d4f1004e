//! Touching a file of a job: it is noted first, so that the next process knows what this one died over.

use std::path::{Path, PathBuf};

use healthimaging::JobId;
use healthimaging_jobs::{InHand, MOST_DEATHS, Mark};

use crate::error::{Result, StoreError};
use crate::files::StoreFile;
use crate::ingest::Refusal;
use crate::shared::{Shared, SharedStore};

const POISON: &str = "the server crashed twice while it processed this file, so the file was skipped; report it \
                      to the operator of the server";

/// After so many deaths a file is refused that could not be tried in a process of its own, or lived there.
const TOO_MANY_DEATHS: u8 = 5;

/// What is done with a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    /// Its header is read.
    Header,
    /// It is stored.
    Store,
}

/// The files that a job has in hand.
#[derive(Debug)]
pub(super) struct Touching {
    shared: SharedStore,
    notes: InHand<StoreFile>,
}

impl Touching {
    /// Charges an earlier process's death to what it had in hand.
    pub(super) fn take_over(shared: &SharedStore, job: &JobId) -> Result<Self> {
        let path = path(shared, job);
        let file = shared.config.files.make_or_open(&path);
        let file = file.map_err(StoreError::file("open", &path))?;
        let notes = InHand::take_over(file).map_err(StoreError::file("read", &path))?;
        Ok(Self { shared: SharedStore::clone(shared), notes })
    }

    /// Does `work`, which touches the file of this key: alone when a process died over it, and not at all
    /// when it is known to be fatal.
    pub(super) async fn touch<T, E: From<Refusal>>(
        &self,
        key: &str,
        stage: Stage,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let files = &self.shared.jobs.files;
        let note = format!("{stage:?} {key}");
        let deaths = self.notes.deaths(&note);
        if deaths == 0 {
            let _others_too = files.read().await;
            return self.noted(&note, work).await;
        }
        let _alone = files.write().await;
        if self.is_fatal(key, deaths).await {
            tracing::error!(deaths, "a file of an import is refused: processes died over it");
            return Err(Refusal::fault(POISON).into());
        }
        self.noted(&note, work).await
    }

    /// Whether a file that processes died over kills whoever touches it.
    async fn is_fatal(&self, key: &str, deaths: u8) -> bool {
        let Some(probe) = &self.shared.config.probe else {
            return deaths >= MOST_DEATHS;
        };
        let file = Path::new(key);
        if deaths >= TOO_MANY_DEATHS || !file.is_file() {
            return deaths >= TOO_MANY_DEATHS;
        }
        let tried = probe.is_fatal(&self.shared, file).await;
        tried.unwrap_or_else(|error| {
            tracing::warn!(%error, "a file could not be tried in a process of its own");
            deaths >= MOST_DEATHS
        })
    }

    async fn noted<T>(&self, note: &str, work: impl Future<Output = T>) -> T {
        // A full disk must not stop what needs no room.
        let mark = self.notes.take(note).map_err(|error| tracing::debug!(%error, "not noted")).ok();
        let done = work.await;
        if let Some(Err(error)) = mark.map(|mark: Mark| self.notes.release(mark)) {
            tracing::debug!(%error, "a file stays noted");
        }
        done
    }

    /// Notes that the process ends well: nothing is charged for what it leaves.
    pub(super) fn put_down(&self) {
        if let Err(error) = self.notes.release_all() {
            tracing::debug!(%error, "files stay noted");
        }
    }
}

/// Removes the notes of a job that has ended.
pub(super) fn forget(shared: &Shared, job: &JobId) -> Result<()> {
    let path = path(shared, job);
    shared.config.files.remove(&path).map_err(StoreError::file("remove", &path))
}

fn path(shared: &Shared, job: &JobId) -> PathBuf {
    shared.config.data_dir.join(format!("locks/hand-{job}"))
}
