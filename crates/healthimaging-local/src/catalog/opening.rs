//! Opening the file of a catalog: to read and write it, or to read it where nothing can be written.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::Duration;

use healthimaging::Error;
use healthimaging_jobs_sqlite::uri;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::migration::{self, Found, Migration};
use super::schema;
use crate::config::LocalConfig;
use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;

/// How long to wait for a write of another process; write transactions are short.
const BUSY: Duration = Duration::from_secs(30);

/// What a process may do with a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read and write it.
    ReadWrite,
    /// Read it, while another process that may write has it open.
    ReadOnly,
    /// Read it; no process has it open, and the write-ahead log is empty.
    Immutable,
}

/// The file of a catalog, and how it is opened.
#[derive(Debug, Clone)]
pub(super) struct CatalogFile {
    pub(super) path: PathBuf,
    pub(super) access: Access,
}

impl CatalogFile {
    /// Makes the catalog of a folder if it is missing, and migrates one of an earlier format.
    pub(super) fn to_write(config: &LocalConfig) -> Result<(Self, Connection)> {
        let path = migration::catalog_of(&config.data_dir);
        wait_for_migration(config)?;
        make(&path, config)?;
        let place = Self { path, access: Access::ReadWrite };
        let mut connection = place.connect_plainly()?;
        if migration::found(&connection)? == Found::Older {
            drop(connection);
            if !config.migrate {
                return Err(not_migrated());
            }
            let (folder, catalog) = (&config.data_dir, place.path.as_path());
            let (files, watch) = (&config.files, &config.migration);
            Migration { folder, catalog, files, watch }.run()?;
            connection = place.connect_plainly()?;
        }
        place.configure(&connection)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if migration::found(&transaction)? == Found::Empty {
            check_not_lost(config)?;
            transaction.execute_batch(schema::CREATE)?;
            transaction.execute_batch(healthimaging_jobs_sqlite::CREATE)?;
            transaction.pragma_update(None, "user_version", schema::FORMAT)?;
        }
        transaction.commit()?;
        Ok((place, connection))
    }

    /// Opens the catalog of a folder that cannot be written to.
    ///
    /// Fails if the write-ahead log is not empty and no process that may write has the catalog open: only such a
    /// process can move the log into the catalog.
    pub(super) fn to_read(config: &LocalConfig) -> Result<(Self, Connection)> {
        let path = migration::catalog_of(&config.data_dir);
        let log =
            fs::metadata(path.with_extension("sqlite-wal")).map_or(None, |log| Some(log.len()));
        let live = Self { path: path.clone(), access: Access::ReadOnly };
        if log.is_some()
            && let Ok(connection) = live.connect()
            && migration::user_version(&connection).is_ok()
        {
            return checked(live, connection);
        }
        if log.is_some_and(|length| length > 0) {
            return Err(Error::conflict(
                "the folder of the local store cannot be written to, and what was written last is still in \
                 the write-ahead log of the catalog: open the store once where it can be written to, \
                 then try again",
            )
            .into());
        }
        let place = Self { path, access: Access::Immutable };
        let connection = place.connect()?;
        checked(place, connection)
    }

    /// One more connection.
    pub(super) fn connect(&self) -> Result<Connection> {
        let connection = self.connect_plainly()?;
        self.configure(&connection)?;
        Ok(connection)
    }

    /// A connection without the settings of this format.
    fn connect_plainly(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = match self.access {
            Access::ReadWrite => {
                let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE;
                Connection::open_with_flags(&self.path, flags)?
            }
            Access::ReadOnly => {
                let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY;
                Connection::open_with_flags(uri(&self.path, "readonly_shm=1"), flags)?
            }
            Access::Immutable => {
                let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY;
                Connection::open_with_flags(uri(&self.path, "immutable=1"), flags)?
            }
        };
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    }

    fn configure(&self, connection: &Connection) -> Result<()> {
        let is_writer = self.access == Access::ReadWrite;
        connection.execute_batch(if is_writer {
            schema::SETTINGS
        } else {
            schema::READ_SETTINGS
        })?;
        // Without it, statements are planned anew for each value that a partial index might be about.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(())
    }

    /// Identity of the file, which differs from that of a file that replaces it.
    pub(super) fn identity(&self) -> Result<Option<(u64, u64)>> {
        let data = fs::metadata(&self.path).map_err(StoreError::file("read", &self.path))?;
        Ok(identity(&data))
    }
}

fn checked(place: CatalogFile, connection: Connection) -> Result<(CatalogFile, Connection)> {
    match migration::found(&connection)? {
        Found::Current => Ok((place, connection)),
        Found::Older => Err(not_migrated()),
        Found::Empty => Err(Error::not_found("the folder holds no local store yet").into()),
    }
}

fn not_migrated() -> StoreError {
    Error::conflict(format!(
        "the local store has an earlier format, or its migration is not finished: open it once where it can be \
         written to, without --read-only, to migrate it to format {}",
        schema::FORMAT
    ))
    .into()
}

/// Waits while another process migrates the catalog.
fn wait_for_migration(config: &LocalConfig) -> Result<()> {
    let lock = migration::lock_of(&config.data_dir);
    if lock.exists() && FileLock::try_acquire(&config.files, &lock)?.is_none() {
        tracing::info!("another process migrates the store; waiting for it");
        drop(FileLock::acquire(&config.files, &lock)?);
    }
    Ok(())
}

/// Makes the file of a catalog, readable by its owner only; SQLite gives the files beside it the same permissions.
fn make(path: &Path, config: &LocalConfig) -> Result<()> {
    if !path.exists() {
        check_not_lost(config)?;
        match config.files.make(path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => drop(made.map_err(StoreError::file("make", path))?),
        }
    }
    Ok(())
}

/// Fails if there are packs of a catalog that is missing: with an empty one they would be removed as unused.
fn check_not_lost(config: &LocalConfig) -> Result<()> {
    let packs = config.data_dir.join("packs");
    let folders = config.files.list(&packs).map_err(StoreError::file("list", &packs))?;
    for folder in folders {
        let path = folder.path();
        if path.is_dir() {
            let listed = config.files.list(&path).map_err(StoreError::file("list", &path))?;
            if listed.iter().any(|file| file.path().extension().is_some_and(|end| end == "pack")) {
                return Err(StoreError::LostCatalog);
            }
        }
    }
    Ok(())
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn identity(data: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((data.dev(), data.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<(u64, u64)> {
    None
}
