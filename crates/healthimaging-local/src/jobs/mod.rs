//! Import jobs: list, read headers, group, store, write the outcome.
//!
//! A job is run by the process that accepted it, which holds the lease `locks/job-<id>.lock`. When that
//! process dies, another one that offers what the job needs takes it over: files that have an outcome in
//! the catalogue are done, the rest is done again. A file that a process died over is handled alone, and
//! refused when a second process dies of it.

use healthimaging_jobs::Engine;
use tokio::sync::RwLock;

mod carry_out;
mod directories;
mod inputs;
mod output;
mod paths;
mod probe;
mod progress;
mod run;
mod starts;
mod touch;

pub(crate) use carry_out::run;
pub use paths::{ImportSummary, RefusedFile, RefusedFiles};
pub use probe::Probe;
pub(crate) use probe::sweep as sweep_probes;
pub use progress::ImportProgress;

/// What this process knows of jobs beside their rows.
#[derive(Debug, Default)]
pub(crate) struct KnownJobs {
    pub(crate) engine: Engine,
    /// Held shared while a file is touched, and alone for one that a process has died over.
    files: RwLock<()>,
}
