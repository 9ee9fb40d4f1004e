//! Import jobs: list, read headers, group, store, write the outcome.
//!
//! A job is run by the process that accepted it, which holds the lease `locks/job-<id>.lock`. When that
//! process dies, another one that offers what the job needs takes it over: files that have an outcome in
//! the catalog are done, the rest is done again. A file on which a process crashed is processed alone, and
//! refused when a second process crashes on it.

mod crashes;
mod directories;
mod import;
mod inputs;
mod output;
mod probe;
mod progress;
mod run;
mod starts;
mod submission;

pub(crate) use crashes::forget;
pub(crate) use import::{import, run};
pub use probe::Probe;
pub(crate) use probe::sweep as sweep_probes;
pub(crate) use submission::{default_output, needs, output_of};
