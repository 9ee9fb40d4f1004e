//! Jobs in SQLite: the schema, statements within a transaction of the caller, and a file of jobs for back ends
//! without a database.
//!
//! A migration runs [`CREATE`] and calls [`insert`]; it belongs to the caller, as the transaction does.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use healthimaging_jobs::{Job, JobStore};
//! use healthimaging_jobs_sqlite::JobsFile;
//!
//! let folder = tempfile::tempdir()?;
//! let jobs = JobsFile::open(folder.path())?;
//! let id = "0".repeat(32).parse()?;
//! jobs.add(Job::new(id, "exports", "export", healthimaging::Timestamp::UNIX_EPOCH))?;
//! assert_eq!(jobs.unfinished("exports")?.len(), 1);
//! # Ok(())
//! # }
//! ```

mod file;
mod rows;
mod schema;
pub mod scrub;
#[cfg(test)]
mod tests;
mod uri;
mod walk;

pub use file::{JobsFile, is_full};
pub use rows::{
    begin, cancel, count, end, expect, expire, find, has_expired, hold, insert, is_busy, item,
    items, items_by_key, page, record, remove, remove_all, remove_items, set_progress, set_request,
    turn, unfinished, with_token,
};
pub use schema::CREATE;
pub use uri::uri;
pub use walk::tables;
