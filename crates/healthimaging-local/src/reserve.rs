//! Space that is reserved for deletions: a file that is removed when the disk is full.

use std::path::{Path, PathBuf};

use healthimaging_packs::Files;

use crate::error::{Result, StoreError};

/// Reserved bytes: a deletion writes the pages of what it erases into the log of the catalog.
const BYTES: u64 = 8 << 20;

/// Reserved space of the disk.
#[derive(Debug, Clone)]
pub(crate) struct Reserve {
    files: Files,
    path: PathBuf,
}

impl Reserve {
    /// The reserve of a data folder, which may not be there.
    pub(crate) fn of(files: &Files, folder: &Path) -> Self {
        Self { files: files.clone(), path: folder.join("reserve") }
    }

    /// Reserves space if there is more than enough; returns whether it is reserved. A store works without.
    pub(crate) fn reserve(&self) -> bool {
        if self.path.exists() {
            return true;
        }
        let free = self.path.parent().and_then(|folder| fs4::available_space(folder).ok());
        if free.is_none_or(|free| free < 4 * BYTES) {
            return false;
        }
        // Another process may have reserved it first; some file systems cannot.
        let made = self.files.allocate(&self.path, BYTES);
        if let Err(error) = &made {
            tracing::debug!(%error, "no space is reserved for deletions");
        }
        made.is_ok()
    }

    /// Releases the space if less than a MiB is free; returns whether there was any.
    pub(crate) fn release_if_full(&self) -> Result<bool> {
        let free = self.path.parent().and_then(|folder| fs4::available_space(folder).ok());
        if free.is_some_and(|free| free < 1 << 20) { self.release() } else { Ok(false) }
    }

    /// Releases the space; returns whether there was any.
    pub(crate) fn release(&self) -> Result<bool> {
        let was_there = self.path.exists();
        self.files.remove(&self.path).map_err(StoreError::file("remove", &self.path))?;
        if was_there {
            tracing::warn!("the disk is full: the space reserved for deletions is released");
        }
        Ok(was_there)
    }
}
