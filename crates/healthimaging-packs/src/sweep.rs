//! Removing packs that nothing refers to.

use std::io;
use std::path::Path;

use crate::References;
use crate::blob::PackId;
use crate::error::{Error, Result};
use crate::files::StoreFile;
use crate::folder::PackFolder;

pub(crate) fn sweep<R: References>(packs: &PackFolder, references: &R) -> Result<usize, R::Error> {
    let mut gone = packs.remove_unfinished()?;
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
    /// Removes files that were never announced and that no process writes.
    fn remove_unfinished(&self) -> Result<usize> {
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
            if let Found::Abandoned(_lock) = self.look(&path)? {
                self.remove(&path)?;
                gone += 1;
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
        // In this order: a pack moves from the first place to the second.
        let path = self.path(id);
        let found = match self.look(&self.incoming_path(id))? {
            Found::Locked => return Ok(false),
            Found::Abandoned(_) | Found::Nothing => self.look(&path)?,
        };
        if matches!(found, Found::Locked) {
            return Ok(false);
        }
        // Looked up while the lock is held: a writer that has ended since has its reference by now.
        if !references.is_unused(id)? {
            return Ok(false);
        }
        if let Found::Abandoned(_lock) = &found {
            self.remove(&path)?;
            if let Some(shelf) = path.parent() {
                self.sync_folder(shelf)?;
            }
        }
        references.forget(id)?;
        Ok(true)
    }

    fn look(&self, path: &Path) -> Result<Found> {
        match self.files.open_to_lock(path) {
            Ok(file) if file.try_lock().is_ok_and(|locked| locked) => Ok(Found::Abandoned(file)),
            Ok(_) => Ok(Found::Locked),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(Error::file("open", path)(error)),
        }
    }

    /// Removes a file, unless it was moved to its place, or another sweep removed it.
    fn remove(&self, path: &Path) -> Result<()> {
        let removed = self.files.remove(path);
        removed.map_err(Error::file("remove", path))
    }
}
