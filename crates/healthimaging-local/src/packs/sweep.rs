//! Removing packs that nobody owns.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Packs, sync_folder};
use crate::error::{Result, StoreError};
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
    Abandoned(File),
}

impl Packs {
    /// Removes files that were never announced and that nobody writes.
    fn remove_unfinished(&self) -> Result<usize> {
        let folder = self.unfinished();
        let mut gone = 0;
        let entries = std::fs::read_dir(&folder).map_err(StoreError::file("list", &folder))?;
        for entry in entries {
            let path = entry.map_err(StoreError::file("list", &folder))?.path();
            // Downloads are here too, mostly without names.
            if path.extension().is_none_or(|extension| extension != "pack") {
                continue;
            }
            if let Found::Abandoned(_lock) = look(&path)? {
                remove(&path)?;
                gone += 1;
            }
        }
        if gone > 0 {
            sync_folder(&folder)?;
        }
        Ok(gone)
    }

    /// Removes a pack without an owner, file first; `false` when somebody is at work on it.
    fn remove_abandoned(&self, shared: &Shared, id: &PackId) -> Result<bool> {
        // In this order: a pack moves from the one place to the other.
        let path = self.path(id);
        let found = match look(&self.unfinished_path(id))? {
            Found::Locked => return Ok(false),
            Found::Abandoned(_) | Found::Nothing => look(&path)?,
        };
        if matches!(found, Found::Locked) {
            return Ok(false);
        }
        // The lock is held over this look: a writer that was done meanwhile has its owner by now.
        if !shared
            .catalogue
            .read_blocking(|connection| packs::is_ownerless(connection, id))?
        {
            return Ok(false);
        }
        if let Found::Abandoned(_lock) = &found {
            remove(&path)?;
            if let Some(shelf) = path.parent() {
                sync_folder(shelf)?;
            }
        }
        shared
            .catalogue
            .write_blocking(|transaction| packs::forget(transaction, id))?;
        Ok(true)
    }
}

fn look(path: &Path) -> Result<Found> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) if file.try_lock().is_ok() => Ok(Found::Abandoned(file)),
        Ok(_) => Ok(Found::Locked),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(StoreError::file("open", path)(error)),
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        // Moved to its place, or removed by another sweep.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(StoreError::file("remove", path)),
    }
}
