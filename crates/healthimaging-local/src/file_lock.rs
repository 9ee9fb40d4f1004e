//! Locks that die with their process: how processes that share a store know of one another.

use std::path::{Path, PathBuf};

use crate::error::{Result, StoreError};
use crate::files::{Files, StoreFile};

/// An exclusive lock on a file, held until it is dropped or its process dies.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: StoreFile,
    files: Files,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock; `None` when somebody else holds it.
    pub(crate) fn try_acquire(files: &Files, path: &Path) -> Result<Option<Self>> {
        let file = files.make_or_open_to_lock(path).map_err(StoreError::file("open", path))?;
        let locked = file.try_lock().map_err(StoreError::file("lock", path))?;
        Ok(locked.then(|| Self { _file: file, files: files.clone(), path: path.to_owned() }))
    }

    /// Gives the lock up and removes its file: for locks whose name is never used again.
    pub(crate) fn remove(self) -> Result<()> {
        let removed = self.files.remove(&self.path);
        removed.map_err(StoreError::file("remove", &self.path))
    }
}
