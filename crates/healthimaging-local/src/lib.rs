//! Back end: the embedded store on disk.
//!
//! One folder: `catalogue.sqlite` (data stores, image sets, versions with their metadata documents,
//! jobs, the search index), `packs/` (frames and other large values in append-only files), `imports/`
//! (outcomes of import jobs) and `locks/`. Several processes may share it. What is acknowledged is
//! durable; what is deleted is gone from the disk.

mod access;
mod clock;
mod config;
mod documents;
mod error;
mod existence;
mod file_lock;
mod files;
mod index;
mod ingest;
mod jobs;
mod keeper;
mod lately;
mod new_id;
mod operations;
mod packs;
mod quotas;
mod reserve;
mod shared;
mod store;
mod turns;
mod verify;
mod web;

pub use clock::Clock;
pub use config::{Grouping, LocalConfig};
pub use files::{FileCall, Files};
pub use index::{MigrationProgress, MigrationWatch};
pub use ingest::FileKind;
pub use jobs::{ImportProgress, ImportSummary, Probe, RefusedFile, RefusedFiles};
pub use quotas::Quotas;
pub use store::LocalStore;
pub use verify::{Damage, VerifyProgress, VerifyReport};
