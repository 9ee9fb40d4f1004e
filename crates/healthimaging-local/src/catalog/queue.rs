//! Writes that wait for the catalog: those that wait at the same time are committed together, with one sync
//! of the disk.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::oneshot::{self, Receiver, Sender};

use super::connections::check_format;
use super::db;
use crate::error::{Result, StoreError};
use crate::sync::locked;

/// Writes that are committed together at most.
const TOGETHER: usize = 32;

/// The waiting writes, in the order in which they came.
#[derive(Default)]
pub(super) struct WriteQueue {
    waiting: Mutex<VecDeque<(u64, Box<dyn Write>)>>,
    added: AtomicU64,
}

/// A write that waits; it is given up when this is dropped before it begins.
pub(super) struct Waiting<'a, T> {
    queue: &'a WriteQueue,
    number: u64,
    answer: Receiver<Result<T>>,
}

impl<T> Waiting<'_, T> {
    /// The result, if the write was made, by its caller or along with another one.
    pub(super) fn made(&mut self) -> Option<Result<T>> {
        match self.answer.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err(StoreError::Lost)),
        }
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        locked(&self.queue.waiting).retain(|(number, _)| *number != self.number);
    }
}

impl WriteQueue {
    /// Adds a write.
    pub(super) fn add<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Waiting<'_, T> {
        let (to, answer) = oneshot::channel();
        let number = self.added.fetch_add(1, Ordering::Relaxed);
        let write = QueuedWrite { work: Some(work), made: None, to };
        locked(&self.waiting).push_back((number, Box::new(write)));
        Waiting { queue: self, number, answer }
    }

    /// Makes the waiting writes in one transaction, and answers them. Blocks.
    pub(super) fn make(&self, connection: &mut Connection) {
        let mut writes: Vec<Box<dyn Write>> = {
            let mut waiting = locked(&self.waiting);
            let count = waiting.len().min(TOGETHER);
            waiting.drain(..count).map(|(_, write)| write).collect()
        };
        let made = make(connection, &mut writes);
        for write in writes {
            write.answer(made.as_ref().err());
        }
    }
}

/// Fails if the transaction did: then nothing of any write is stored.
fn make(connection: &mut Connection, writes: &mut [Box<dyn Write>]) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    check_format(&transaction)?;
    if let [write] = writes {
        return if write.make(&transaction) { Ok(transaction.commit()?) } else { Ok(()) };
    }
    for write in writes {
        transaction.execute_batch("SAVEPOINT one")?;
        let is_made = write.make(&transaction);
        // A full or failing disk ends the transaction, with the writes before.
        if transaction.is_autocommit() {
            return Err(write.failure());
        }
        if !is_made {
            transaction.execute_batch("ROLLBACK TO one")?;
        }
        transaction.execute_batch("RELEASE one")?;
    }
    Ok(transaction.commit()?)
}

/// A write, whatever its result.
trait Write: Send {
    /// Makes it within a transaction, and keeps the result; `false` if it failed.
    fn make(&mut self, transaction: &Transaction<'_>) -> bool;

    /// The error with which it failed, for writes that failed with it.
    fn failure(&self) -> StoreError;

    /// Answers, once the transaction is committed or failed.
    fn answer(self: Box<Self>, failed: Option<&StoreError>);
}

struct QueuedWrite<T, W> {
    work: Option<W>,
    made: Option<Result<T>>,
    to: Sender<Result<T>>,
}

impl<T, W> Write for QueuedWrite<T, W>
where
    T: Send,
    W: FnOnce(&Transaction<'_>) -> Result<T> + Send,
{
    fn make(&mut self, transaction: &Transaction<'_>) -> bool {
        self.made = self.work.take().map(|work| work(transaction));
        matches!(self.made, Some(Ok(_)))
    }

    fn failure(&self) -> StoreError {
        match &self.made {
            Some(Err(error)) => again(error),
            _ => StoreError::Lost,
        }
    }

    fn answer(self: Box<Self>, failed: Option<&StoreError>) {
        let result = match (self.made, failed) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(failed)) => Err(again(failed)),
            (Some(made), None) => made,
            (None, None) => Err(StoreError::Lost),
        };
        // The caller may be gone.
        drop(self.to.send(result));
    }
}

/// The error of a transaction, for one more of its writes.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Catalog(error) => StoreError::Catalog(db::again(error)),
        StoreError::Migrated { found, known } => {
            StoreError::Migrated { found: *found, known: *known }
        }
        _ => StoreError::Lost,
    }
}

impl std::fmt::Debug for WriteQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteQueue").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use healthimaging::Error;

    fn catalog() -> Connection {
        let catalog = Connection::open_in_memory().unwrap();
        catalog.execute_batch("CREATE TABLE t (n INTEGER)").unwrap();
        catalog.pragma_update(None, "user_version", schema::FORMAT).unwrap();
        catalog
    }

    fn insert(n: i64) -> impl FnOnce(&Transaction<'_>) -> Result<i64> + Send + 'static {
        move |tx| {
            tx.execute("INSERT INTO t VALUES (?1)", [n])?;
            Ok(n)
        }
    }

    fn rows(catalog: &Connection) -> Vec<i64> {
        let mut statement = catalog.prepare("SELECT n FROM t ORDER BY n").unwrap();
        statement
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(std::result::Result::unwrap)
            .collect()
    }

    #[test]
    fn writes_that_wait_are_made_at_once_and_each_fails_alone() {
        let (mut catalog, queue) = (catalog(), WriteQueue::default());
        let mut first = queue.add(insert(1));
        let mut refused = queue.add(|tx| {
            tx.execute("INSERT INTO t VALUES (2)", [])?;
            Err::<(), _>(Error::conflict("no").into())
        });
        let mut last = queue.add(insert(3));
        queue.make(&mut catalog);
        assert_eq!(first.made().unwrap().unwrap(), 1);
        assert!(matches!(refused.made(), Some(Err(StoreError::Public(_)))));
        assert_eq!(last.made().unwrap().unwrap(), 3);
        assert_eq!(rows(&catalog), [1, 3]);
    }

    #[test]
    fn a_write_whose_caller_is_gone_is_not_made() {
        let (mut catalog, queue) = (catalog(), WriteQueue::default());
        let mut stays = queue.add(insert(1));
        drop(queue.add(insert(2)));
        queue.make(&mut catalog);
        assert!(stays.made().unwrap().is_ok());
        assert_eq!(rows(&catalog), [1]);
    }

    #[test]
    fn when_the_transaction_ends_no_write_of_it_succeeds() {
        let (mut catalog, queue) = (catalog(), WriteQueue::default());
        let mut before = queue.add(insert(1));
        // As SQLite does when the disk is full.
        let mut failing = queue.add(|tx| {
            tx.execute_batch("ROLLBACK")?;
            tx.execute("INSERT INTO missing VALUES (2)", [])?;
            Ok(())
        });
        let mut behind = queue.add(insert(3));
        queue.make(&mut catalog);
        assert!(matches!(before.made(), Some(Err(StoreError::Catalog(_)))));
        assert!(matches!(failing.made(), Some(Err(StoreError::Catalog(_)))));
        assert!(matches!(behind.made(), Some(Err(StoreError::Catalog(_)))));
        assert_eq!(rows(&catalog), [0_i64; 0]);
    }
}
