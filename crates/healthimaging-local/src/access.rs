//! When image sets were last read: noted in memory, written now and then, so that a read costs no write.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Transaction;

use crate::clock::Millis;
use crate::error::Result;

/// Reads of image sets that the catalogue does not know yet, by row.
#[derive(Debug, Default)]
pub(crate) struct Accesses(Mutex<HashMap<i64, Millis>>);

impl Accesses {
    fn map(&self) -> MutexGuard<'_, HashMap<i64, Millis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the image set in `row` was read.
    pub(crate) fn note(&self, row: i64, at: Millis) {
        self.map().insert(row, at);
    }

    /// The last read of the image set in `row`, of which the catalogue says `written`.
    pub(crate) fn last(&self, row: i64, written: Option<Millis>) -> Option<Millis> {
        self.map().get(&row).copied().max(written)
    }

    /// Takes what is not written yet.
    pub(crate) fn take(&self) -> HashMap<i64, Millis> {
        std::mem::take(&mut *self.map())
    }
}

/// Writes what was taken; a deleted set is left alone.
pub(crate) fn write(transaction: &Transaction<'_>, accesses: &HashMap<i64, Millis>) -> Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE image_set SET last_accessed_at = max(coalesce(last_accessed_at, 0), ?2)
         WHERE row = ?1 AND state <> 'DELETED'",
    )?;
    for (row, at) in accesses {
        statement.execute((row, at))?;
    }
    Ok(())
}
