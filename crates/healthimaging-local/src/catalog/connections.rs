//! Connections to `catalogue.sqlite`: one that writes, a few that read.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use healthimaging_jobs_sqlite::scrub;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use super::migration;
use super::opening::{Access, CatalogFile};
use super::queue::WriteQueue;
use super::schema;
use crate::config::LocalConfig;
use crate::error::{Result, StoreError};
use crate::sync::locked;

/// Maximum number of concurrent reads; others wait without holding a thread.
const READERS: usize = 8;

/// The catalog, from any thread.
#[derive(Clone)]
pub(crate) struct Catalog(Arc<Connections>);

struct Connections {
    file: CatalogFile,
    identity: Option<(u64, u64)>,
    /// Usable after a panic: its transaction was rolled back when it unwound.
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    writes: WriteQueue,
    /// Callers wait here rather than in blocking threads.
    write_turn: Semaphore,
    read_turns: Semaphore,
    scrubs_asked: AtomicU64,
    /// How many of these calls have been answered.
    scrubbed: AsyncMutex<u64>,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

impl Catalog {
    /// Opens the catalog of a folder, making it when it is missing and migrating it when its format is
    /// an earlier one. A newer format is refused.
    pub(crate) fn open(config: &LocalConfig) -> Result<Self> {
        Self::new(CatalogFile::to_write(config)?)
    }

    /// Opens the catalog of a folder that cannot be written to.
    pub(crate) fn open_to_read(config: &LocalConfig) -> Result<Self> {
        Self::new(CatalogFile::to_read(config)?)
    }

    fn new((file, connection): (CatalogFile, Connection)) -> Result<Self> {
        let identity = file.identity()?;
        Ok(Self(Arc::new(Connections {
            file,
            identity,
            writer: Mutex::new(connection),
            readers: Mutex::default(),
            writes: WriteQueue::default(),
            write_turn: Semaphore::new(1),
            read_turns: Semaphore::new(READERS),
            scrubs_asked: AtomicU64::new(0),
            scrubbed: AsyncMutex::new(0),
        })))
    }

    /// The files that change whenever the catalog does.
    pub(crate) fn files(&self) -> [PathBuf; 2] {
        let file = &self.0.file.path;
        [file.clone(), file.with_extension("sqlite-wal")]
    }

    /// Runs `work` in one read transaction, so that it sees one moment of the catalog.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let catalog = self.clone();
        // Closed never: the semaphore lives as long as the catalog.
        let _turn = self.0.read_turns.acquire().await.ok();
        tokio::task::spawn_blocking(move || catalog.read_blocking(work)).await?
    }

    /// Runs `work` in a write transaction, committed and durable when this returns `Ok`. What others that
    /// wait at the same time write is in the same transaction; each fails by itself.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.0.file.access != Access::ReadWrite {
            return Err(StoreError::ReadOnly);
        }
        let mut waiting = self.0.writes.add(work);
        let _turn = self.0.write_turn.acquire().await.ok();
        loop {
            if let Some(made) = waiting.made() {
                return made;
            }
            let catalog = self.clone();
            let make = move || catalog.0.writes.make(&mut locked(&catalog.0.writer));
            tokio::task::spawn_blocking(make).await?;
        }
    }

    /// As [`Self::write`], in a thread that may block.
    pub(crate) fn write_together<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.0.file.access != Access::ReadWrite {
            return Err(StoreError::ReadOnly);
        }
        let mut waiting = self.0.writes.add(work);
        loop {
            let mut connection = locked(&self.0.writer);
            if let Some(made) = waiting.made() {
                return made;
            }
            self.0.writes.make(&mut connection);
        }
    }

    /// As [`Self::read`], in a thread that may block.
    pub(crate) fn read_blocking<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let idle = locked(&self.0.readers).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.0.file.connect()?,
        };
        let transaction = connection.transaction()?;
        check_format(&transaction)?;
        let result = work(&transaction);
        drop(transaction);
        let mut readers = locked(&self.0.readers);
        if readers.len() < READERS {
            readers.push(connection);
        }
        result
    }

    /// As [`Self::write`], in a transaction of its own, and in a thread that may block.
    pub(crate) fn write_blocking<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        if self.0.file.access != Access::ReadWrite {
            return Err(StoreError::ReadOnly);
        }
        let mut connection = locked(&self.0.writer);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        check_format(&transaction)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Fails unless the file of the catalog is the one that was opened, and can be opened and read again.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.file.identity()? != self.0.identity {
            return Err(StoreError::Damaged(
                "the file of the catalog was replaced while it was open".to_owned(),
            ));
        }
        let connection = self.0.file.connect()?;
        check_format(&connection)?;
        let mut statement = connection.prepare("SELECT 1 FROM datastore LIMIT 1")?;
        statement.exists([])?;
        Ok(())
    }

    /// Overwrites copies of rows that were erased before this call.
    ///
    /// It reads the whole catalog, once for all calls that wait for it.
    pub(crate) async fn scrub(&self) -> Result<()> {
        let asked = self.0.scrubs_asked.fetch_add(1, Ordering::SeqCst);
        let mut scrubbed = self.0.scrubbed.lock().await;
        if *scrubbed > asked {
            return Ok(());
        }
        let answers = self.0.scrubs_asked.load(Ordering::SeqCst);
        let mut first = Some(1);
        if !self.read(|connection| Ok(scrub::can_be_cleaned(connection)?)).await? {
            self.rebuild().await?;
            first = None;
        }
        while let Some(page) = first {
            let (dirty, next) = self.read(move |c| Ok(scrub::dirty(c, page)?)).await?;
            if !dirty.is_empty() {
                self.write(move |transaction| Ok(scrub::clean(transaction, &dirty)?)).await?;
            }
            first = next;
        }
        *scrubbed = answers;
        Ok(())
    }

    /// Rewrites the whole catalog.
    async fn rebuild(&self) -> Result<()> {
        let catalog = self.clone();
        let _turn = self.0.write_turn.acquire().await.ok();
        let work = move || Ok(locked(&catalog.0.writer).execute_batch("VACUUM")?);
        tokio::task::spawn_blocking(work).await?
    }

    /// Moves the write-ahead log into the catalog and empties it, so that erased data is in neither.
    ///
    /// `false` if a reader of another process prevented that: try again later.
    pub(crate) async fn empty_log(&self) -> Result<bool> {
        let catalog = self.clone();
        let _turn = self.0.write_turn.acquire().await.ok();
        tokio::task::spawn_blocking(move || empty_log(&locked(&catalog.0.writer))).await?
    }

    /// Empties the write-ahead log at the end, so that the catalog can be read on a read-only disk. SQLite does so when its
    /// last connection is closed, which a thread that is still at work may prevent. Other processes are not waited for.
    pub(crate) async fn leave(&self) -> Result<()> {
        let catalog = self.clone();
        let _turn = self.0.write_turn.acquire().await.ok();
        tokio::task::spawn_blocking(move || {
            let connection = locked(&catalog.0.writer);
            connection.busy_timeout(Duration::ZERO)?;
            empty_log(&connection)?;
            Ok(())
        })
        .await?
    }
}

/// Returns whether no reader of another process prevented it.
fn empty_log(connection: &Connection) -> Result<bool> {
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(busy == 0)
}

/// Fails if another program has migrated the catalog since it was opened.
pub(super) fn check_format(catalog: &Connection) -> Result<()> {
    match migration::user_version(catalog)? {
        schema::FORMAT => Ok(()),
        found => Err(StoreError::Migrated { found, known: schema::FORMAT }),
    }
}
