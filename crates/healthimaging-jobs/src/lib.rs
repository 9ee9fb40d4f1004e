//! Durable jobs of every kind: their data, the process that runs them, and their end.
//!
//! A job outlives the process that accepted it: another process, perhaps with other flags, takes it over.
//! A job carries its [`Needs`] for that, a process offers a [`Runner`]. The process that holds the lock that a
//! job names runs it ([`engine`]), with the handler of its kind. [`CrashLog`] finds inputs on which every
//! process crashes.
//!
//! This crate depends on no database, no back end and no kind of job.
//!
//! ```
//! use healthimaging_jobs::{Needs, Runner};
//!
//! let deletion = Needs { deletes: true, ..Needs::default() };
//! let server = Runner { deletes: false, ..Runner::default() };
//! assert_eq!(server.check(&deletion), Err("waiting for a server without --no-delete".to_owned()));
//! assert_eq!(server.check(&Needs::default()), Ok(()));
//! ```

mod changes;
mod crash_log;
pub mod engine;
mod job;
mod needs;
mod store;

pub use changes::{Changes, Moment, pauses};
pub use crash_log::{CrashLog, MAX_CRASHES, Mark};
pub use engine::{Engine, Handler, Host, Origin, Ran};
pub use job::{Counts, End, Item, Job, JobQuery, JobState, Unfinished};
pub use needs::{Needs, Runner, is_lack_of_access};
pub use store::{Added, JobStore};
