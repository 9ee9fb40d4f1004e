//! Times of the last reads of image sets: kept in memory and written from time to time, so that a read costs no write.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use crate::clock::Millis;
use crate::sync::locked;

/// Reads of image sets that are not in the catalog yet, by row.
#[derive(Debug, Default)]
pub(crate) struct Accesses(Mutex<HashMap<i64, Millis>>);

impl Accesses {
    fn map(&self) -> MutexGuard<'_, HashMap<i64, Millis>> {
        locked(&self.0)
    }

    /// Notes that the image set in `row` was read.
    pub(crate) fn note(&self, row: i64, at: Millis) {
        self.map().insert(row, at);
    }

    /// The last read of the image set in `row`, for which the catalog has `written`.
    pub(crate) fn last(&self, row: i64, written: Option<Millis>) -> Option<Millis> {
        self.map().get(&row).copied().max(written)
    }

    /// Takes what is not written yet.
    pub(crate) fn take(&self) -> HashMap<i64, Millis> {
        std::mem::take(&mut *self.map())
    }
}
