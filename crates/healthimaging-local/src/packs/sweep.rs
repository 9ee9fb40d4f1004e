//! Removing packs that nobody owns.

use std::fs::OpenOptions;
use std::io;
use std::sync::Arc;

use super::{Packs, sync_folder};
use crate::error::{Result, StoreError};
use crate::index::packs::{self, PackId};
use crate::shared::SharedStore;

/// Removes the files and rows of packs that nobody owns and nobody writes.
pub(crate) async fn sweep(shared: &SharedStore) -> Result<()> {
    let ownerless = shared.catalogue.read(packs::ownerless).await?;
    if ownerless.is_empty() {
        return Ok(());
    }
    let shared = Arc::clone(shared);
    let gone = tokio::task::spawn_blocking(move || -> Result<usize> {
        let mut gone = 0;
        for id in ownerless {
            if shared.packs.remove_abandoned(&shared, &id)? {
                gone += 1;
            }
        }
        Ok(gone)
    })
    .await??;
    if gone > 0 {
        tracing::info!(packs = gone, "removed packs that nobody owns");
    }
    Ok(())
}

impl Packs {
    /// Removes a pack without an owner, file first; `false` when somebody is writing it.
    fn remove_abandoned(&self, shared: &SharedStore, id: &PackId) -> Result<bool> {
        let path = self.path(id);
        // The lock is held over the look into the catalogue: a writer that was done meanwhile has
        // its owner by then.
        let file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) if file.try_lock().is_ok() => Some(file),
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(StoreError::file("open", &path)(error)),
        };
        let still = shared.catalogue.read_blocking(packs::ownerless)?;
        if !still.contains(id) {
            return Ok(false);
        }
        if file.is_some() {
            std::fs::remove_file(&path).map_err(StoreError::file("remove", &path))?;
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
