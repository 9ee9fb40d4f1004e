//! Who writes to a series: writers in this process wait for each other rather than find out, once the
//! document is made, that they were too late. The catalogue still has the last word, for it hears of
//! other processes too.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// Series that share a turn now and then wait without need.
const TURNS: usize = 64;

/// A turn for each series, more or less.
#[derive(Debug)]
pub(crate) struct Turns {
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Self { turns: [const { Mutex::const_new(()) }; TURNS], hasher: RandomState::new() }
    }
}

impl Turns {
    /// Waits for the turn of a series of a data store, named by its row.
    pub(crate) async fn take(&self, datastore: i64, series: &str) -> Option<MutexGuard<'_, ()>> {
        let hash = self.hasher.hash_one((datastore, series));
        let place = usize::try_from(hash % TURNS as u64).unwrap_or_default();
        Some(self.turns.get(place)?.lock().await)
    }
}
