//! Removing packs that nobody owns.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Packs;
use crate::error::{Result, StoreError};
use crate::files::StoreFile;
use crate::index::packs::{self, PackId};
use crate::shared::{Shared, SharedStore};

/// Removes the files and rows of packs that nobody owns and nobody writes.
pub(crate) async fn sweep(shared: &SharedStore) -> Result<()> {
    let shared = Arc::clone(shared);
    let gone = tokio::task::spawn_blocking(move || -> Result<usize> {
        let mut gone = shared.packs.remove_unfinished()?;
        for id in shared.catalogue.read_blocking(packs::ownerless)? {
            gone += usize::from(shared.packs.remove_abandoned(&shared, &id)?);
        }
        Ok(gone)
    })
    .await??;
    if gone > 0 {
        tracing::info!(packs = gone, "removed packs that nobody owns");
    }
    Ok(())
}

/// What is at a path.
enum Found {
    Nothing,
    /// Its writer is at work.
    Locked,
    /// Locked by this sweep now.
    Abandoned(StoreFile),
}

impl Packs {
    /// Removes files that were never announced and that nobody writes.
    fn remove_unfinished(&self) -> Result<usize> {
        let folder = self.unfinished();
        let mut gone = 0;
        let entries = self.files.list(&folder);
        let entries = entries.map_err(StoreError::file("list", &folder))?;
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

    /// Removes a pack without an owner, file first; `false` when somebody is at work on it.
    fn remove_abandoned(&self, shared: &Shared, id: &PackId) -> Result<bool> {
        // In this order: a pack moves from the one place to the other.
        let path = self.path(id);
        let found = match self.look(&self.unfinished_path(id))? {
            Found::Locked => return Ok(false),
            Found::Abandoned(_) | Found::Nothing => self.look(&path)?,
        };
        if matches!(found, Found::Locked) {
            return Ok(false);
        }
        // The lock is held over this look: a writer that was done meanwhile has its owner by now.
        if !shared.catalogue.read_blocking(|connection| packs::is_ownerless(connection, id))? {
            return Ok(false);
        }
        if let Found::Abandoned(_lock) = &found {
            self.remove(&path)?;
            if let Some(shelf) = path.parent() {
                self.sync_folder(shelf)?;
            }
        }
        shared.catalogue.write_blocking(|transaction| packs::forget(transaction, id))?;
        Ok(true)
    }

    fn look(&self, path: &Path) -> Result<Found> {
        match self.files.open_to_lock(path) {
            Ok(file) if file.try_lock().is_ok_and(|locked| locked) => Ok(Found::Abandoned(file)),
            Ok(_) => Ok(Found::Locked),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(StoreError::file("open", path)(error)),
        }
    }

    /// Removes a file, unless it moved to its place, or another sweep removed it.
    fn remove(&self, path: &Path) -> Result<()> {
        let removed = self.files.remove(path);
        removed.map_err(StoreError::file("remove", path))
    }
}
