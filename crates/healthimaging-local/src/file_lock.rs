//! Locks that die with their process: how processes that share a store know of one another.

use std::io::Write;
use std::path::{Path, PathBuf};

use healthimaging_packs::{Files, StoreFile};

use crate::error::{Result, StoreError};

/// An exclusive lock on a file, held until it is dropped or its process dies.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: StoreFile,
    files: Files,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock; `None` when somebody else holds it.
    pub(crate) fn try_acquire(files: &Files, path: &Path) -> Result<Option<Self>> {
        let file = files.make_or_open_to_lock(path).map_err(StoreError::file("open", path))?;
        let locked = file.try_lock().map_err(StoreError::file("lock", path))?;
        Ok(locked.then(|| Self { file, files: files.clone(), path: path.to_owned() }))
    }

    /// Takes the lock, waiting for whoever holds it.
    pub(crate) fn acquire(files: &Files, path: &Path) -> Result<Self> {
        let file = files.make_or_open_to_lock(path).map_err(StoreError::file("open", path))?;
        file.lock().map_err(StoreError::file("lock", path))?;
        Ok(Self { file, files: files.clone(), path: path.to_owned() })
    }

    /// Writes the id of this process into the file, so that others can name who holds the lock.
    pub(crate) fn write_pid(&mut self) -> Result<()> {
        let written = writeln!(self.file, "{}", std::process::id());
        written.map_err(StoreError::file("write", &self.path))
    }

    /// Gives the lock up and removes its file: for locks whose name is never used again.
    pub(crate) fn remove(self) -> Result<()> {
        let removed = self.files.remove(&self.path);
        removed.map_err(StoreError::file("remove", &self.path))
    }
}
