//! The store as the contract sees it.

mod backup;
mod imports;
mod verify;
mod walk;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use healthimaging::model::{self, ImageSetCount};
use healthimaging::{DatastoreId, DatastoreName, DicomWeb, HealthImaging, Limits, Result};

use crate::config::LocalConfig;
use crate::error::StoreError;
use crate::shared::{Shared, SharedStore};
use crate::{maintenance, operations, web};

pub use crate::catalog::walk::Piece;
pub use backup::{CopyProgress, CopyReport};
pub use imports::{ImportSummary, RefusedFile, RefusedFiles};
pub use verify::{Damage, VerifyProgress, VerifyReport};
pub use walk::{StorePlace, StoreVisit};

/// AWS HealthImaging in a folder.
///
/// Asynchronous writes, import jobs and upkeep run as tasks of the Tokio runtime that called.
pub struct LocalStore {
    pub(crate) shared: SharedStore,
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStore").finish_non_exhaustive()
    }
}

impl LocalStore {
    /// Opens the store in `config.data_dir`, making it when it is missing.
    ///
    /// A store of a newer format is refused.
    pub async fn open(config: LocalConfig) -> Result<Arc<Self>> {
        healthimaging_pixels::prepare();
        let shared = tokio::task::spawn_blocking(move || Shared::open(config))
            .await
            .map_err(StoreError::Task)??;
        let shared = Arc::new(shared);
        shared.lifecycle.tasks.spawn(maintenance::run(Arc::clone(&shared)));
        Ok(Arc::new(Self { shared }))
    }

    /// Whether `data_dir` holds a store, which may be damaged. Opening a store where none is would create one.
    pub fn exists_in(data_dir: &Path) -> bool {
        ["catalogue.sqlite", "packs"].iter().any(|name| data_dir.join(name).exists())
    }

    /// Whether the folder cannot be written to, so that the store can only be read.
    pub fn is_read_only(&self) -> bool {
        self.shared.lifecycle.is_read_only
    }

    /// Releases the reserved space if the disk is full, so that what is beside the catalog can be opened;
    /// returns whether there was any.
    pub fn make_room(&self) -> Result<bool> {
        Ok(self.shared.blobs.reserve.release_if_full()?)
    }

    /// Fails unless the store works: its catalog is the one that was opened and can be read, and its packs exist.
    pub async fn check(&self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let checked = tokio::task::spawn_blocking(move || {
            shared.catalog.check()?;
            shared.blobs.packs.check().map_err(StoreError::from)
        });
        Ok(checked.await.map_err(StoreError::Task)??)
    }

    /// The data store of this name that is `ACTIVE` or about to be; it is made if there is none.
    /// Concurrent calls, also of several processes, make one.
    ///
    /// Several of that name are a `Conflict`.
    pub async fn find_or_create_datastore(&self, name: DatastoreName) -> Result<DatastoreId> {
        let shared = Arc::clone(&self.shared);
        let work = async move { operations::datastores::find_or_create(&shared, name).await };
        self.shared.lifecycle.to_the_end(work).await
    }

    /// Waits for writes under way; jobs stop at the next file, and go on when the store is opened again.
    pub async fn close(&self) {
        self.shared.lifecycle.closing.cancel();
        self.shared.lifecycle.tasks.close();
        self.shared.lifecycle.tasks.wait().await;
        if let Err(error) = maintenance::write_accesses(&self.shared).await {
            tracing::warn!(%error, "the times of reads of image sets could not be written");
        }
        let shared = Arc::clone(&self.shared);
        let cleared = tokio::task::spawn_blocking(move || shared.blobs.ready.clear());
        if let Err(error) = cleared.await {
            tracing::warn!(%error, "packs that were not used are left behind");
        }
        if !self.is_read_only()
            && let Err(error) = self.shared.catalog.leave().await
        {
            tracing::warn!(%error, "the write-ahead log of the catalog is left to the next process");
        }
        self.shared.lifecycle.sign_off(&self.shared.config);
    }
}

/// Carries out an operation by the function of its name. A write continues if its caller is dropped; a read
/// needs no task of its own.
macro_rules! carry_out {
    (Reads $shared:expr, $path:path, $request:ident) => {
        Ok($path(&$shared, $request).await?)
    };
    ($effect:ident $shared:expr, $path:path, $request:ident) => {{
        let shared = Arc::clone(&$shared);
        let work = async move { $path(&shared, $request).await.map_err(StoreError::from) };
        $shared.lifecycle.to_the_end(work).await
    }};
}

macro_rules! delegate {
    (
        $trait:ident $module:ident { $($rest:item)* }
        $($(#[$doc:meta])* $effect:ident $operation:ident $api:literal:
            $method:ident($request:ident) -> $response:ident;)*
    ) => {
        #[async_trait]
        impl $trait for LocalStore {
            $($rest)*
            $(async fn $method(&self, request: model::$request) -> Result<model::$response> {
                carry_out!($effect self.shared, $module::$method, request)
            })*
        }
    };
}

healthimaging::with_operations!(delegate HealthImaging operations {
    fn limits(&self) -> Limits {
        let copy_frames = self.shared.config.quotas.copy_frames;
        Limits {
            page_size: operations::paging::PAGE_SIZE,
            rate: |_| None,
            web_rate: None,
            copy_frames: (copy_frames != u64::MAX).then_some(copy_frames),
        }
    }

    async fn count_image_sets(&self, datastore_id: DatastoreId) -> Result<Option<ImageSetCount>> {
        Ok(operations::search::count(&self.shared, datastore_id).await?)
    }
});
healthimaging::with_web_operations!(delegate DicomWeb web {});
