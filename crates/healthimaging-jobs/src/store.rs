//! A store of jobs.

use std::fmt::Debug;
use std::path::PathBuf;

use healthimaging::{JobId, Result, Timestamp};

use crate::job::{End, Item, Job, JobQuery, Unfinished};

/// Result of adding a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Added {
    /// It is in the store.
    New(Job),
    /// An earlier job of the scope has its client token; nothing was added.
    Earlier(Job),
}

/// A store of jobs that processes share. Writes are durable when a method returns; all methods
/// block, and fail with `Internal` if the store cannot be used.
pub trait JobStore: Send + Sync + Debug {
    /// Adds a job, unless the scope has one of the same client token.
    fn add(&self, job: Job) -> Result<Added>;

    /// Adds a job of another store with its items, in any state; one that exists already is not changed.
    fn take_over(&self, job: &Job, items: Vec<Item>) -> Result<()>;

    /// The job of an id.
    fn find(&self, scope: &str, id: &JobId) -> Result<Option<Job>>;

    /// Jobs, newest first.
    fn page(&self, query: &JobQuery) -> Result<Vec<Job>>;

    /// Jobs that have not ended, oldest first.
    fn unfinished(&self, scope: &str) -> Result<Vec<Unfinished>>;

    /// Marks a job as running.
    fn begin(&self, row: i64) -> Result<()>;

    /// Records why a job waits for another process.
    fn hold(&self, row: i64, reason: &str) -> Result<()>;

    /// Marks a job as cancelled; returns whether it was not cancelled before and has not ended.
    fn cancel(&self, row: i64) -> Result<bool>;

    /// Records how many items a job has.
    fn expect(&self, row: i64, total: u64) -> Result<()>;

    /// Records outcomes of items, in their order, of which so many are failures.
    fn record(&self, row: i64, items: Vec<Item>, failed: u64) -> Result<()>;

    /// The outcome of an item.
    fn item(&self, row: i64, key: &str) -> Result<Option<Item>>;

    /// Items with their numbers from 1 on, in the order of recording, behind the number `after`.
    fn items(&self, row: i64, after: u64, limit: u32) -> Result<Vec<(u64, Item)>>;

    /// Ends a job.
    fn end(&self, row: i64, end: &End) -> Result<()>;

    /// Removes a job with its items.
    fn remove(&self, row: i64) -> Result<()>;

    /// The files that change whenever a job does.
    fn files(&self) -> Vec<PathBuf>;

    /// Removes jobs that ended before a moment; returns whether no trace of what was removed is left. If one is, because of a
    /// reader of another process, call it again.
    fn expire(&self, scope: &str, before: Timestamp) -> Result<bool>;
}
