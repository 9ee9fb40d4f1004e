//! Locks on files, which end with their process: they show which processes use a store.

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
    /// Takes the lock; `None` if it is held.
    pub(crate) fn try_acquire(files: &Files, path: &Path) -> Result<Option<Self>> {
        let file = files.make_or_open_to_lock(path).map_err(StoreError::file("open", path))?;
        let locked = file.try_lock().map_err(StoreError::file("lock", path))?;
        Ok(locked.then(|| Self { file, files: files.clone(), path: path.to_owned() }))
    }

    /// Takes the lock, waiting for its holder.
    pub(crate) fn acquire(files: &Files, path: &Path) -> Result<Self> {
        let file = files.make_or_open_to_lock(path).map_err(StoreError::file("open", path))?;
        file.lock().map_err(StoreError::file("lock", path))?;
        Ok(Self { file, files: files.clone(), path: path.to_owned() })
    }

    /// Writes the id of this process into the file, so that other processes can name the holder.
    pub(crate) fn write_pid(&mut self) -> Result<()> {
        let written = writeln!(self.file, "{}", std::process::id());
        written.map_err(StoreError::file("write", &self.path))
    }

    /// Releases the lock and removes its file: for locks whose name is never used again.
    pub(crate) fn remove(self) -> Result<()> {
        let removed = self.files.remove(&self.path);
        removed.map_err(StoreError::file("remove", &self.path))
    }
}
