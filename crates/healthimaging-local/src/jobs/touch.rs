//! Touching a file of a job: it is noted first, so that the next process knows what this one died over.

use std::path::PathBuf;

use healthimaging::JobId;
use healthimaging_jobs::{InHand, MOST_DEATHS, Mark};

use crate::error::{Result, StoreError};
use crate::files::StoreFile;
use crate::ingest::Refusal;
use crate::shared::{Shared, SharedStore};

const POISON: &str = "the server crashed twice while it processed this file, so the file was skipped; report it \
                      to the operator of the server";

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
        let file =
            shared.config.files.make_or_open(&path).map_err(StoreError::file("open", &path))?;
        let notes = InHand::take_over(file).map_err(StoreError::file("read", &path))?;
        Ok(Self { shared: SharedStore::clone(shared), notes })
    }

    /// Does `work`, which touches the file of this key: alone when a process died over it, and not at all
    /// when two did.
    pub(super) async fn touch<T, E: From<Refusal>>(
        &self,
        key: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let files = &self.shared.jobs.files;
        match self.notes.deaths(key) {
            0 => {
                let _others_too = files.read().await;
                self.noted(key, work).await
            }
            deaths if deaths < MOST_DEATHS => {
                let _alone = files.write().await;
                self.noted(key, work).await
            }
            _ => Err(Refusal::fault(POISON).into()),
        }
    }

    async fn noted<T>(&self, key: &str, work: impl Future<Output = T>) -> T {
        // A full disk must not stop what needs no room.
        let mark = self.notes.take(key).map_err(|error| tracing::debug!(%error, "not noted")).ok();
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
