//! Jobs in a file of their own, `jobs.sqlite`, which processes share.

use std::fs::{DirBuilder, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use healthimaging::{ClientToken, Error, JobId, Result, Timestamp};
use healthimaging_jobs::{Added, End, Item, Job, JobQuery, JobStore, Unfinished};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::uri::uri;
use crate::{rows, schema, scrub, walk};

/// The format that this program writes, kept in `PRAGMA user_version`.
const FORMAT: i64 = 1;
/// How long to wait for a write of another process; write transactions are short.
const BUSY: Duration = Duration::from_secs(30);
/// The index of the write-ahead log could not grow (<https://sqlite.org/rescode.html#ioerr_shmsize>).
const SHM_SIZE: i32 = 4874;

/// Deleted data is overwritten, since it may be patient data; [`JobsFile::clean`] removes what is left in pages
/// and in the log.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON;
    PRAGMA temp_store = MEMORY;
";

/// Jobs in `jobs.sqlite` in a folder.
#[derive(Debug)]
pub struct JobsFile {
    path: PathBuf,
    /// `None` until the file exists, for a reader, which does not make it.
    connection: Mutex<Option<Connection>>,
    /// Whether deleted or changed data may be left in the file.
    is_dirty: AtomicBool,
}

impl JobsFile {
    /// Opens the file in `folder`, making both if they are missing; only their owner may read them.
    ///
    /// A file of a newer format is refused.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("jobs.sqlite");
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
            builder.mode(0o700);
            options.mode(0o600);
        }
        let made = builder.create(folder).and_then(|()| options.open(&path));
        drop(made.map_err(unusable)?);
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unusable)?;
        let connection = Mutex::new(Some(prepare(connection)?));
        // A process that was killed may have left such data.
        Ok(Self { path, connection, is_dirty: AtomicBool::new(true) })
    }

    /// Opens the file in `folder` to read it. Without a file there are no jobs.
    pub fn open_to_read(folder: &Path) -> Self {
        let (path, connection) = (folder.join("jobs.sqlite"), Mutex::new(None));
        Self { path, connection, is_dirty: AtomicBool::new(false) }
    }

    fn connection(&self) -> Result<MutexGuard<'_, Option<Connection>>> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.is_none() && self.path.metadata().is_ok_and(|file| file.len() > 0) {
            *connection = Some(self.connect_to_read()?);
        }
        Ok(connection)
    }

    /// On a read-only file system SQLite does not read a file that may have a log.
    fn connect_to_read(&self) -> Result<Connection> {
        let opened = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unusable)?;
        let log = self.path.with_extension("sqlite-wal").metadata();
        if format(&opened).is_ok() || log.is_ok_and(|log| log.len() > 0) {
            check_format(&opened)?;
            return Ok(opened);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let opened = connect(uri(&self.path, "immutable=1"), flags).map_err(unusable)?;
        check_format(&opened)?;
        Ok(opened)
    }

    /// Reads one moment of the file.
    fn read<T: Default>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = self.connection()?;
        let Some(connection) = connection.as_mut() else {
            return Ok(T::default());
        };
        read(connection, work).map_err(unusable)
    }

    /// Visits table, column and text of everything in the file, except for the job `except`. Blocks.
    pub fn walk(&self, except: &str, visit: &mut dyn FnMut(&str, &str, &str)) -> Result<()> {
        self.read(|connection| walk::texts(connection, except, visit))
    }

    /// Writes; what was written is durable when this returns.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = self.connection()?;
        let Some(connection) = connection.as_mut() else {
            return Err(read_only());
        };
        write(connection, work).map_err(unusable)
    }

    /// Cleans the file, unless it is clean since the last change. While a reader of another process uses the
    /// log, this is left to the next call.
    fn clean(&self, connection: &mut Connection) -> Result<()> {
        if self.is_dirty.load(Ordering::SeqCst) {
            self.is_dirty.store(clean(connection).map_err(unusable)?, Ordering::SeqCst);
        }
        Ok(())
    }
}

fn read<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction()?;
    work(&transaction)
}

fn write<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

/// Overwrites copies of deleted or changed rows, and empties the log; returns whether a reader of another process
/// prevented that.
fn clean(connection: &mut Connection) -> rusqlite::Result<bool> {
    let mut first = read(connection, scrub::can_be_cleaned)?.then_some(1);
    if first.is_none() {
        connection.execute_batch("VACUUM")?;
    }
    while let Some(page) = first {
        let (dirty, next) = read(connection, |connection| scrub::dirty(connection, page))?;
        if !dirty.is_empty() {
            write(connection, |transaction| scrub::clean(transaction, &dirty))?;
        }
        first = next;
    }
    // Does not wait for readers.
    connection.busy_timeout(Duration::ZERO)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    connection.busy_timeout(BUSY)?;
    busy
}

fn read_only() -> Error {
    unusable("the file of jobs is open for reading only")
}

fn connect(path: impl AsRef<Path>, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    // Without it, statements are planned anew for each value that a partial index might be about.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Makes the tables if they are missing.
fn prepare(mut connection: Connection) -> Result<Connection> {
    connection.execute_batch(SETTINGS).map_err(unusable)?;
    let make = |connection: &mut Connection| -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if format(&transaction)? == 0 {
            transaction.execute_batch(schema::CREATE)?;
            transaction.pragma_update(None, "user_version", FORMAT)?;
        }
        transaction.commit()
    };
    make(&mut connection).map_err(unusable)?;
    check_format(&connection)?;
    Ok(connection)
}

fn format(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn check_format(connection: &Connection) -> Result<()> {
    match format(connection).map_err(unusable)? {
        0..=FORMAT => Ok(()),
        found => Err(Error::internal(
            "the jobs of this folder were written by a newer release; use that one",
            format!("format {found}"),
        )),
    }
}

/// Returns whether a statement failed because the disk is full.
#[must_use]
pub fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|error| error.extended_code == SHM_SIZE)
}

fn unusable(cause: impl Into<healthimaging::Source>) -> Error {
    let cause = cause.into();
    let message = if cause.downcast_ref().is_some_and(is_full) {
        "the disk is full, so the file of jobs (jobs.sqlite) cannot be written; free space, then try again"
    } else {
        "the file of jobs (jobs.sqlite) cannot be used; check whether the data folder can be written and its \
         disk has room"
    };
    Error::internal(message, cause)
}

impl JobStore for JobsFile {
    fn add(&self, mut job: Job) -> Result<Added> {
        self.write(|transaction| {
            if let Some(row) = rows::insert(transaction, &job)? {
                job.row = row;
                return Ok(Added::New(job));
            }
            let token = job.token.as_ref().map_or("", ClientToken::as_str);
            let earlier = rows::with_token(transaction, &job.scope, token)?;
            earlier.map(Added::Earlier).ok_or(rusqlite::Error::QueryReturnedNoRows)
        })
    }

    fn take_over(&self, job: &Job, items: Vec<Item>) -> Result<()> {
        self.write(|transaction| {
            let mut inserted = rows::insert(transaction, job)?;
            if inserted.is_none() && rows::find(transaction, &job.id)?.is_none() {
                // Its client token belongs to another job.
                let job = Job { token: None, fingerprint: None, ..job.clone() };
                inserted = rows::insert(transaction, &job)?;
            }
            inserted.map_or(Ok(()), |row| rows::record(transaction, row, items))
        })
    }

    fn find(&self, scope: &str, id: &JobId) -> Result<Option<Job>> {
        let found = self.read(|connection| rows::find(connection, id))?;
        Ok(found.filter(|job| job.scope == scope))
    }

    fn page(&self, query: &JobQuery) -> Result<Vec<Job>> {
        self.read(|connection| rows::page(connection, query))
    }

    fn unfinished(&self, scope: &str) -> Result<Vec<Unfinished>> {
        self.read(|connection| rows::unfinished(connection, Some(scope)))
    }

    fn begin(&self, row: i64) -> Result<()> {
        self.write(|transaction| rows::begin(transaction, row))
    }

    fn hold(&self, row: i64, reason: &str) -> Result<()> {
        self.write(|transaction| rows::hold(transaction, row, reason))
    }

    fn cancel(&self, row: i64) -> Result<bool> {
        self.write(|transaction| rows::cancel(transaction, row))
    }

    fn expect(&self, row: i64, total: u64) -> Result<()> {
        self.write(|transaction| rows::expect(transaction, row, total))
    }

    fn record(&self, row: i64, items: Vec<Item>, failed: u64) -> Result<()> {
        self.write(|transaction| {
            rows::count(transaction, row, items.len() as u64, failed)?;
            rows::record(transaction, row, items)
        })
    }

    fn item(&self, row: i64, key: &str) -> Result<Option<Item>> {
        self.read(|connection| rows::item(connection, row, key))
    }

    fn items(&self, row: i64, after: u64, limit: u32) -> Result<Vec<(u64, Item)>> {
        self.read(|connection| rows::items(connection, row, after, limit))
    }

    fn end(&self, row: i64, end: &End) -> Result<()> {
        let mut connection = self.connection()?;
        let connection = connection.as_mut().ok_or_else(read_only)?;
        self.is_dirty.fetch_or(end.request.is_some(), Ordering::SeqCst);
        // The end is not visible in this process before the file is clean.
        write(connection, |transaction| rows::end(transaction, row, end)).map_err(unusable)?;
        self.clean(connection)
    }

    fn remove(&self, row: i64) -> Result<()> {
        self.write(|transaction| rows::remove(transaction, row)).map(drop)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone(), self.path.with_extension("sqlite-wal")]
    }

    fn expire(&self, scope: &str, before: Timestamp) -> Result<bool> {
        if self.read(|connection| rows::has_expired(connection, scope, before))? {
            self.write(|transaction| rows::expire(transaction, scope, before))?;
        }
        self.connection()?.as_mut().map_or(Ok(()), |connection| self.clean(connection))?;
        Ok(!self.is_dirty.load(Ordering::SeqCst))
    }
}
