//! Raises the format of a catalog that an earlier release wrote.
//!
//! A migration runs only while no other process has the folder open: it holds the catalog exclusively,
//! which SQLite refuses while any other connection is open, of whichever release. It first raises
//! `user_version`, so that an earlier release refuses a catalog that is half migrated, and keeps its
//! progress in the table `migration`, which exists until the migration is finished.

mod holders;
mod image_sets;
mod jobs;
mod steps;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use healthimaging::Error;
use healthimaging_packs::Files;
use holders::Holders;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior};
use steps::{Part, STEPS, Step};

use super::schema;
use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;

/// How long to wait for a program that reads the catalog.
const BUSY: Duration = Duration::from_secs(2);

/// Free space that is left beside what the steps need, in bytes.
const MARGIN: u64 = 16 << 20;

/// Progress of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationProgress {
    /// Format before the migration.
    pub from: i64,
    /// Format after it.
    pub to: i64,
    /// Rows done, of all steps.
    pub rows_done: u64,
    /// Rows to do, of all steps.
    pub rows_total: u64,
}

/// Receives the progress of a migration after each batch, on the thread that opens the store.
#[derive(Clone, Default)]
pub struct MigrationWatch(Option<Arc<dyn Fn(MigrationProgress) + Send + Sync>>);

impl MigrationWatch {
    /// Calls `watch` when a migration begins, after each batch, and at its end.
    pub fn new(watch: impl Fn(MigrationProgress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watch)))
    }

    fn show(&self, progress: MigrationProgress) {
        if let Some(watch) = &self.0 {
            watch(progress);
        }
    }
}

impl fmt::Debug for MigrationWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MigrationWatch").finish()
    }
}

/// State of a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It has no tables yet.
    Empty,
    /// It has the format that this program writes.
    Current,
    /// It has an earlier format, or its migration was not finished.
    Older,
}

/// Determines the state of a catalog; a newer format is refused.
pub(super) fn found(catalog: &Connection) -> Result<Found> {
    let format = user_version(catalog)?;
    match format {
        0 => Ok(Found::Empty),
        _ if format > schema::FORMAT => {
            Err(StoreError::NewerFormat { found: format, known: schema::FORMAT })
        }
        _ if format < 0 => {
            Err(StoreError::Damaged("the catalog has an impossible format".to_owned()))
        }
        schema::FORMAT if mark(catalog)?.is_none() => Ok(Found::Current),
        _ => Ok(Found::Older),
    }
}

/// The format of a catalog.
pub(super) fn user_version(catalog: &Connection) -> Result<i64> {
    let mut statement = catalog.prepare_cached("PRAGMA user_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Where a migration is: it continues with part `part` of the step from format `step`, behind row `after`.
#[derive(Debug, Clone, Copy)]
struct Mark {
    first: i64,
    step: i64,
    part: u32,
    after: i64,
}

/// The mark of a migration that is not finished.
fn mark(catalog: &Connection) -> Result<Option<Mark>> {
    let is_there = "SELECT 1 FROM sqlite_schema WHERE name = 'migration'";
    if !catalog.prepare(is_there)?.exists([])? {
        return Ok(None);
    }
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Mark { first: row.get(0)?, step: row.get(1)?, part: row.get(2)?, after: row.get(3)? })
    };
    let select = "SELECT first, step, part, after FROM migration";
    Ok(catalog.query_row(select, [], read).optional()?)
}

fn set_mark(transaction: &Transaction<'_>, mark: Mark) -> Result<()> {
    let set = "UPDATE migration SET step = ?1, part = ?2, after = ?3";
    transaction.execute(set, (mark.step, mark.part, mark.after))?;
    Ok(())
}

/// A catalog to be migrated.
pub(super) struct Migration<'a> {
    /// The data folder.
    pub(super) folder: &'a Path,
    /// The file of the catalog in it.
    pub(super) catalog: &'a Path,
    pub(super) files: &'a Files,
    pub(super) watch: &'a MigrationWatch,
}

impl Migration<'_> {
    /// Migrates the catalog, or continues a migration that was killed. A process that comes second
    /// waits for the first, and finds nothing left to do.
    ///
    /// Fails while another process has the folder open, and where the disk has too little space.
    pub(super) fn run(&self) -> Result<()> {
        let lock = lock_of(self.folder);
        let alone = if let Some(lock) = FileLock::try_acquire(self.files, &lock)? {
            lock
        } else {
            tracing::info!("another process migrates the store; waiting for it");
            FileLock::acquire(self.files, &lock)?
        };
        if found(&Connection::open(self.catalog)?)? != Found::Older {
            return alone.remove();
        }
        check_unused(&Holders::of_folder(self.files, self.folder)?)?;
        let mut catalog = self.exclusive()?;
        let mark = begin(&mut catalog, |catalog, mark| self.check_space(catalog, mark))?;
        let shown = Shown { watch: self.watch, first: mark.first, total: total(&catalog, mark) };
        tracing::info!(from = mark.first, to = schema::FORMAT, "migrating the store");
        run(&mut catalog, STEPS, mark, &shown)?;
        catalog.close().map_err(|(_, error)| error)?;
        tracing::info!(to = schema::FORMAT, "the store is migrated");
        alone.remove()
    }

    /// Opens the catalog so that no other connection can, as long as this one is open.
    fn exclusive(&self) -> Result<Connection> {
        let catalog = Connection::open(self.catalog)?;
        catalog.busy_timeout(BUSY)?;
        catalog.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
        let taken = catalog
            .execute_batch(schema::SETTINGS)
            // Tables are made anew under the names that others refer to.
            .and_then(|()| catalog.execute_batch("PRAGMA foreign_keys = OFF"))
            .and_then(|()| catalog.execute_batch("BEGIN IMMEDIATE; COMMIT"));
        match taken {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                let mut holders = Holders::of_catalog(self.catalog);
                holders.unknown |= holders.pids.is_empty();
                check_unused(&holders)?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
            Ok(()) => Ok(catalog),
        }
    }

    fn check_space(&self, catalog: &Connection, mark: Mark) -> Result<()> {
        let mut needed = MARGIN;
        for step in remaining(STEPS, mark) {
            needed = needed.saturating_add((step.needs)(catalog)?);
        }
        let folder = self.folder;
        let free = fs4::available_space(folder).map_err(StoreError::file("measure", folder))?;
        enough(needed, free)
    }
}

/// Fails while processes have the folder open.
fn check_unused(holders: &Holders) -> Result<()> {
    if holders.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "the local store has an earlier format and must be migrated to format {}, but other processes \
         have its folder open ({}); stop them, then try again",
        schema::FORMAT,
        holders.described()
    ))
    .into())
}

/// Fails unless there is enough free space, in bytes.
fn enough(needed: u64, free: u64) -> Result<()> {
    if needed <= free {
        return Ok(());
    }
    let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
    Err(Error::conflict(format!(
        "to migrate the local store to format {} takes up to {} MB of free space, but its disk has {} MB; \
         free space, then try again",
        schema::FORMAT,
        megabytes(needed),
        free / 1_000_000
    ))
    .into())
}

fn remaining(steps: &[Step], mark: Mark) -> impl Iterator<Item = &Step> {
    steps.iter().filter(move |step| step.from >= mark.step)
}

/// Raises `user_version` and marks the beginning, or finds the mark of a migration that was killed.
fn begin(
    catalog: &mut Connection,
    check: impl FnOnce(&Connection, Mark) -> Result<()>,
) -> Result<Mark> {
    let transaction = catalog.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mark = if let Some(mark) = mark(&transaction)? {
        mark
    } else {
        let first = user_version(&transaction)?;
        Mark { first, step: first, part: 0, after: 0 }
    };
    check(&transaction, mark)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (
             first INTEGER NOT NULL, step INTEGER NOT NULL, part INTEGER NOT NULL,
             after INTEGER NOT NULL);
         DELETE FROM migration;",
    )?;
    let insert = "INSERT INTO migration VALUES (?1, ?2, ?3, ?4)";
    transaction.execute(insert, (mark.first, mark.step, mark.part, mark.after))?;
    transaction.pragma_update(None, "user_version", schema::FORMAT)?;
    transaction.commit()?;
    Ok(mark)
}

/// Rows of all parts that are still to be done.
fn total(catalog: &Connection, mark: Mark) -> u64 {
    let mut total = 0;
    for step in remaining(STEPS, mark) {
        for part in step.parts {
            if let Part::Rows { table, .. } = part {
                total += steps::rows(catalog, table).unwrap_or(0);
            }
        }
    }
    total
}

/// The receiver of the progress.
struct Shown<'a> {
    watch: &'a MigrationWatch,
    first: i64,
    total: u64,
}

impl Shown<'_> {
    fn show(&self, rows_done: u64) {
        self.watch.show(MigrationProgress {
            from: self.first,
            to: schema::FORMAT,
            rows_done: rows_done.min(self.total),
            rows_total: self.total,
        });
    }
}

/// Runs what is left of the steps, and removes the mark.
fn run(catalog: &mut Connection, steps: &[Step], from: Mark, shown: &Shown<'_>) -> Result<()> {
    let mut mark = from;
    let mut done = 0;
    shown.show(done);
    for step in remaining(steps, from) {
        if step.from != mark.step {
            mark = Mark { step: step.from, part: 0, after: 0, ..mark };
        }
        while let Some(part) = usize::try_from(mark.part).ok().and_then(|part| step.parts.get(part))
        {
            let transaction = catalog.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let next = match part {
                Part::Sql(sql) => transaction.execute_batch(sql).map(|()| None)?,
                Part::Run(run) => run(&transaction).map(|()| None)?,
                Part::Rows { batch, .. } => batch(&transaction, mark.after)?,
            };
            done += next.unwrap_or(mark.after).abs_diff(mark.after);
            mark = match next {
                Some(after) => Mark { after, ..mark },
                None => Mark { part: mark.part + 1, after: 0, ..mark },
            };
            set_mark(&transaction, mark)?;
            transaction.commit()?;
            shown.show(done);
        }
    }
    catalog.execute_batch("DROP TABLE migration")?;
    shown.show(shown.total);
    Ok(())
}

/// Held by the process that migrates the catalog of a folder.
pub(super) fn lock_of(folder: &Path) -> PathBuf {
    folder.join("locks/migration.lock")
}

/// Where the catalog of a folder is.
pub(super) fn catalog_of(folder: &Path) -> PathBuf {
    folder.join("catalogue.sqlite")
}

#[cfg(test)]
mod tests;
