//! How far a job is: counted in memory, written to the job's row a few times a second.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::catalog::ImportProgress;

/// The counters of a job that runs here.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) files_total: AtomicU64,
    pub(super) files_done: AtomicU64,
    pub(super) bytes_done: AtomicU64,
    pub(super) image_sets: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) warned: AtomicU64,
}

/// Adds to a counter.
pub(super) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

impl Counters {
    /// The counters now.
    pub(super) fn now(&self) -> ImportProgress {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ImportProgress {
            // A job without files fails before it counts.
            files_total: Some(read(&self.files_total)).filter(|total| *total > 0),
            files_done: read(&self.files_done),
            bytes_done: read(&self.bytes_done),
            image_sets: read(&self.image_sets),
            refused: read(&self.refused),
            warned: read(&self.warned),
        }
    }
}
