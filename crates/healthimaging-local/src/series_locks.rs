//! Locks on series: writers in this process wait for each other, so that none makes a document in vain. The
//! catalog still decides, since other processes write too.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// Number of locks; series that share one may wait without need.
const LOCKS: usize = 64;

/// Locks on series.
#[derive(Debug)]
pub(crate) struct SeriesLocks {
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

impl Default for SeriesLocks {
    fn default() -> Self {
        Self { locks: [const { Mutex::const_new(()) }; LOCKS], hasher: RandomState::new() }
    }
}

impl SeriesLocks {
    /// Waits for the lock of a series of a data store, which its row names.
    pub(crate) async fn lock(&self, datastore: i64, series: &str) -> Option<MutexGuard<'_, ()>> {
        let hash = self.hasher.hash_one((datastore, series));
        let index = usize::try_from(hash % LOCKS as u64).unwrap_or_default();
        Some(self.locks.get(index)?.lock().await)
    }
}
