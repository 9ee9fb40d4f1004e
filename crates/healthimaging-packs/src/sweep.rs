//! Removing packs that nothing refers to.

use std::io;
use std::path::Path;

use crate::References;
use crate::blob::PackId;
use crate::error::{Error, Result};
use crate::files::StoreFile;
use crate::folder::PackFolder;

pub(crate) fn sweep<R: References>(packs: &PackFolder, references: &R) -> Result<usize, R::Error> {
    let mut gone = packs.remove_unfinished(references)?;
    for id in references.unused()? {
        gone += usize::from(packs.remove_abandoned(references, &id)?);
    }
    if gone > 0 {
        tracing::info!(packs = gone, "removed packs that nothing refers to");
    }
    Ok(gone)
}

/// The file at a path.
enum Found {
    Nothing,
    /// Its writer holds its lock.
    Locked,
    /// Locked by this sweep now.
    Abandoned(StoreFile),
}

impl PackFolder {
    /// Removes the first names of packs that no process writes, with the packs that nothing refers to.
    fn remove_unfinished<R: References>(&self, references: &R) -> Result<usize, R::Error> {
        let folder = self.incoming();
        let mut gone = 0;
        let entries = self.files.list(&folder);
        let entries = entries.map_err(Error::file("list", &folder))?;
        for entry in entries {
            let path = entry.path();
            // Downloads are here too, mostly without names.
            if path.extension().is_none_or(|extension| extension != "pack") {
                continue;
            }
            let id = path.file_stem().and_then(|stem| stem.to_str());
            let Some(id) = id.map(|id| PackId(id.to_owned())) else {
                continue;
            };
            if let Found::Abandoned(_lock) = self.look(&path)? {
                // Looked up while the lock is held: a writer that has ended since has its reference by now.
                if !references.is_used(&id)? {
                    self.remove_placed(&id)?;
                    gone += 1;
                }
                self.remove(&path)?;
            }
        }
        if gone > 0 {
            self.sync_folder(&folder)?;
        }
        Ok(gone)
    }

    /// Removes a pack that nothing refers to, file first; `false` while its writer holds its lock.
    fn remove_abandoned<R: References>(
        &self,
        references: &R,
        id: &PackId,
    ) -> Result<bool, R::Error> {
        let found = self.look(&self.path(id))?;
        if matches!(found, Found::Locked) || references.is_used(id)? {
            return Ok(false);
        }
        if let Found::Abandoned(_lock) = &found {
            self.remove_placed(id)?;
        }
        references.forget(id)?;
        Ok(true)
    }

    /// Removes a pack from its place, durably.
    fn remove_placed(&self, id: &PackId) -> Result<()> {
        let path = self.path(id);
        self.remove(&path)?;
        match path.parent() {
            Some(folder) if folder.exists() => self.sync_folder(folder),
            _ => Ok(()),
        }
    }

    fn look(&self, path: &Path) -> Result<Found> {
        match self.files.open_to_lock(path) {
            Ok(file) if file.try_lock().is_ok_and(|locked| locked) => Ok(Found::Abandoned(file)),
            Ok(_) => Ok(Found::Locked),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(Error::file("open", path)(error)),
        }
    }

    /// Removes a file, unless another sweep removed it.
    fn remove(&self, path: &Path) -> Result<()> {
        let removed = self.files.remove(path);
        removed.map_err(Error::file("remove", path))
    }
}
