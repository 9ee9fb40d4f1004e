//! Import jobs: list, read headers, group, store, write the outcome.
//!
//! A job is run by the process that accepted it, which holds the lease `locks/job-<id>.lock`. When that
//! process dies, the holder of the store's lease takes the job over: files that have an outcome in
//! the catalogue are done, the rest is done again.

mod carry_out;
mod inputs;
mod output;
mod paths;
mod progress;
mod rows;
mod run;

pub(crate) use carry_out::{adopt, run};
pub use paths::{ImportSummary, RefusedFile};
pub use progress::ImportProgress;
