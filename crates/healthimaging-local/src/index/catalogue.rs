//! Connections to `catalogue.sqlite`: one that writes, a few that read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use super::{schema, scrub};
use crate::error::{Result, StoreError};

/// How long to wait for another process that writes; write transactions are short.
const BUSY: Duration = Duration::from_secs(30);
/// Reads at once; more wait without holding a thread.
const READERS: usize = 8;

/// The catalogue, from any thread.
#[derive(Clone)]
pub(crate) struct Catalogue(Arc<Connections>);

struct Connections {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    /// Callers wait here rather than in blocking threads.
    write_turn: Semaphore,
    read_turns: Semaphore,
    scrubs_asked: AtomicU64,
    /// How many of those who asked have been answered.
    scrubbed: AsyncMutex<u64>,
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue").finish_non_exhaustive()
    }
}

/// The connection stays usable after a panic: its transaction was rolled back when it unwound.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Catalogue {
    /// Opens the catalogue, making it when it is missing. A newer format is refused.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut writer = connect(path)?;
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if found > schema::FORMAT {
            return Err(StoreError::NewerFormat { found, known: schema::FORMAT });
        }
        let older = usize::try_from(found).map_err(|_| {
            StoreError::Damaged("the catalogue has an impossible format".to_owned())
        })?;
        match older.checked_sub(1) {
            None => transaction.execute_batch(schema::CREATE)?,
            Some(first) => {
                for step in schema::MIGRATIONS.iter().skip(first) {
                    transaction.execute_batch(step)?;
                }
            }
        }
        if found < schema::FORMAT {
            transaction.pragma_update(None, "user_version", schema::FORMAT)?;
        }
        transaction.commit()?;
        Ok(Self(Arc::new(Connections {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            write_turn: Semaphore::new(1),
            read_turns: Semaphore::new(READERS),
            scrubs_asked: AtomicU64::new(0),
            scrubbed: AsyncMutex::new(0),
        })))
    }

    /// Runs `work` in one read transaction, so that it sees one moment of the catalogue.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let catalogue = self.clone();
        // Closed never: the semaphore lives as long as the catalogue.
        let _turn = self.0.read_turns.acquire().await.ok();
        tokio::task::spawn_blocking(move || catalogue.read_blocking(work)).await?
    }

    /// Runs `work` in one write transaction, committed and durable when this returns `Ok`.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let catalogue = self.clone();
        let _turn = self.0.write_turn.acquire().await.ok();
        tokio::task::spawn_blocking(move || catalogue.write_blocking(work)).await?
    }

    /// As [`Self::read`], in a thread that may block.
    pub(crate) fn read_blocking<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let idle = locked(&self.0.readers).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.0.path)?,
        };
        let transaction = connection.transaction()?;
        let result = work(&transaction);
        drop(transaction);
        let mut readers = locked(&self.0.readers);
        if readers.len() < READERS {
            readers.push(connection);
        }
        result
    }

    /// As [`Self::write`], in a thread that may block.
    pub(crate) fn write_blocking<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut connection = locked(&self.0.writer);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Overwrites what SQLite left of rows that were erased before this is called.
    ///
    /// It reads the whole catalogue, once for all who ask meanwhile.
    pub(crate) async fn scrub(&self) -> Result<()> {
        let asked = self.0.scrubs_asked.fetch_add(1, Ordering::SeqCst);
        let mut scrubbed = self.0.scrubbed.lock().await;
        if *scrubbed > asked {
            return Ok(());
        }
        let answers = self.0.scrubs_asked.load(Ordering::SeqCst);
        let mut first = Some(1);
        if !self.read(scrub::can_be_cleaned).await? {
            self.rebuild().await?;
            first = None;
        }
        while let Some(page) = first {
            let (soiled, next) = self.read(move |c| scrub::soiled(c, page)).await?;
            if !soiled.is_empty() {
                self.write(move |transaction| scrub::clean(transaction, &soiled)).await?;
            }
            first = next;
        }
        *scrubbed = answers;
        Ok(())
    }

    /// Writes the whole catalogue anew.
    async fn rebuild(&self) -> Result<()> {
        let catalogue = self.clone();
        let _turn = self.0.write_turn.acquire().await.ok();
        let work = move || Ok(locked(&catalogue.0.writer).execute_batch("VACUUM")?);
        tokio::task::spawn_blocking(work).await?
    }

    /// Moves the write-ahead log into the catalogue and empties it, so that erased data is in neither.
    ///
    /// `false` when a reader of another process kept it from finishing: try again later.
    pub(crate) async fn empty_log(&self) -> Result<bool> {
        let catalogue = self.clone();
        let _turn = self.0.write_turn.acquire().await.ok();
        tokio::task::spawn_blocking(move || {
            let connection = locked(&catalogue.0.writer);
            let busy: i64 =
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            Ok(busy == 0)
        })
        .await?
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(schema::SETTINGS)?;
    // Without it, statements are planned anew for each value that a partial index might be about.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
