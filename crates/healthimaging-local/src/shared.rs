//! What all parts of an open store share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use healthimaging::random_hex;

use crate::blobs::Blobs;
use crate::caches::Caches;
use crate::catalog::Catalog;
use crate::clock::Millis;
use crate::config::LocalConfig;
use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;
use crate::lifecycle::Lifecycle;
use crate::reserve::Reserve;
use crate::series_locks::SeriesLocks;

/// What all parts of an open store share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: LocalConfig,
    pub(crate) catalog: Catalog,
    pub(crate) blobs: Blobs,
    pub(crate) caches: Caches,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) series_locks: SeriesLocks,
}

/// A store that is open.
pub(crate) type SharedStore = Arc<Shared>;

impl Shared {
    /// Opens the folder, making what is missing; one that cannot be written to is opened to be read.
    pub(crate) fn open(config: LocalConfig) -> Result<Self> {
        let (process, opened_at) = (random_hex()?, config.clock.now());
        let reserve = Reserve::of(&config.files, &config.data_dir);
        let (lock, catalog) = match prepare(&config, &process) {
            Err(error) if error.is_forbidden() && config.data_dir.exists() => {
                tracing::info!(?error, "the store cannot be written to; it is opened to be read");
                (None, Catalog::open_to_read(&config)?)
            }
            Err(error) => return Err(error),
            Ok(lock) => {
                let opened = match Catalog::open(&config) {
                    // To open a catalog takes some space for the index of its log.
                    Err(error) if error.is_full() && reserve.release()? => Catalog::open(&config),
                    opened => opened,
                };
                if opened.is_err() {
                    drop(config.files.remove(&lock));
                }
                let catalog = opened?;
                (Some(take_lock(&config, &lock)?), catalog)
            }
        };
        let blobs = Blobs::new(&config, &catalog, reserve);
        if lock.is_some() {
            blobs.packs.make_folders()?;
            blobs.reserve.reserve();
        }
        Ok(Self {
            catalog,
            blobs,
            caches: Caches::default(),
            lifecycle: Lifecycle::new(process, opened_at, lock),
            series_locks: SeriesLocks::default(),
            config,
        })
    }

    /// Now.
    pub(crate) fn now(&self) -> Millis {
        self.config.clock.now()
    }
}

/// Makes the folders that are missing, and the file whose lock shows that this process uses them; it is
/// locked once the catalog is open, since a migration needs the folder for itself.
fn prepare(config: &LocalConfig, process: &str) -> Result<PathBuf> {
    let folder = &config.data_dir;
    for name in ["", "packs", "imports", "locks"] {
        let path = folder.join(name);
        let made = config.files.make_folders(&path);
        made.map_err(StoreError::file("make", &path))?;
    }
    let path = config.process_lock(process);
    let made = config.files.make_or_open_to_lock(&path);
    made.map_err(StoreError::file("make", &path))?;
    Ok(path)
}

fn take_lock(config: &LocalConfig, path: &Path) -> Result<FileLock> {
    let mut lock = FileLock::try_acquire(&config.files, path)?
        .ok_or_else(|| StoreError::Damaged("a new lock is already held".to_owned()))?;
    match lock.write_pid() {
        // Other processes cannot name this one then.
        Err(error) if error.is_full() => {}
        written => written?,
    }
    Ok(lock)
}
