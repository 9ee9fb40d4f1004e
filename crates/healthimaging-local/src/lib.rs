//! Back end: the embedded store on disk.
//!
//! One folder: `catalogue.sqlite` (data stores, image sets, versions with their metadata documents,
//! jobs, the search index), `packs/` (frames and other large values in append-only files), `imports/`
//! (outcomes of import jobs) and `locks/`. Several processes may share it. Acknowledged writes are
//! durable; deleted data is overwritten on the disk.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use healthimaging::HealthImaging;
//! use healthimaging::model::ListDatastoresRequest;
//! use healthimaging_local::{LocalConfig, LocalStore};
//!
//! let folder = tempfile::tempdir()?;
//! let store = LocalStore::open(LocalConfig::new(folder.path())).await?;
//! let main = store.find_or_create_datastore("main".parse()?).await?;
//! let listed = store.list_datastores(ListDatastoresRequest::default()).await?;
//! assert_eq!(listed.datastore_summaries[0].datastore_id, main);
//! store.close().await;
//! # Ok(())
//! # }
//! ```

mod accesses;
mod blobs;
mod caches;
mod catalog;
mod clock;
mod config;
mod documents;
mod error;
mod file_lock;
mod host;
mod ingest;
mod jobs;
mod lifecycle;
mod maintenance;
mod open_blocks;
mod operations;
mod quotas;
mod ready_packs;
mod reserve;
mod series_locks;
mod shared;
mod single_flight;
mod store;
mod sync;
mod web;

pub use catalog::{ImportProgress, MigrationProgress, MigrationWatch};
pub use clock::Clock;
pub use config::{Grouping, LocalConfig};
pub use healthimaging_packs::{FileCall, Files};
pub use ingest::FileKind;
pub use jobs::Probe;
pub use quotas::Quotas;
pub use store::{
    CopyProgress, CopyReport, Damage, ImportSummary, LocalStore, Piece, RefusedFile, RefusedFiles,
    StorePlace, StoreVisit, VerifyProgress, VerifyReport,
};
