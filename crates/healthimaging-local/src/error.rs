//! What can go wrong inside, and the one border where it becomes [`healthimaging::Error`].

use std::io;
use std::path::PathBuf;

use healthimaging::Error;
use rusqlite::ErrorCode;

/// The result of work inside the store.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What can go wrong inside.
///
/// Sources may name files of the store, never what they hold; messages for the caller name neither.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Already in words for the caller.
    #[error(transparent)]
    Told(#[from] Error),
    /// The catalogue failed.
    #[error("the catalogue failed")]
    Catalogue(#[from] rusqlite::Error),
    /// A file of the store could not be used.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried, such as `open`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something that the store itself wrote cannot be understood.
    #[error("{0}")]
    Damaged(String),
    /// The store was written by a newer program.
    #[error("store format {found}, this program knows {known}")]
    NewerFormat {
        /// Format of the store.
        found: i64,
        /// Newest format that this program knows.
        known: i64,
    },
    /// The folder cannot be written to.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// There are packs, but no catalog.
    #[error("the catalog is missing")]
    LostCatalog,
    /// The store was migrated while it was open here.
    #[error("store format {found} while it was open, this program knows {known}")]
    Migrated {
        /// Format of the store now.
        found: i64,
        /// Newest format that this program knows.
        known: i64,
    },
    /// Work was lost because a thread failed.
    #[error("a background task failed")]
    Task(#[from] tokio::task::JoinError),
    /// The system gave no random bytes.
    #[error("no random bytes")]
    Random(getrandom::Error),
}

impl StoreError {
    /// What is damaged, when this says that something is.
    pub(crate) fn damage(&self) -> Option<&str> {
        match self {
            Self::Damaged(what) => Some(what),
            Self::Catalogue(error) => {
                Some(catalogue_message(error)).filter(|message| *message == DAMAGED_CATALOGUE)
            }
            _ => None,
        }
    }

    /// Whether the disk is full.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::File { source, .. } => is_full(source),
            Self::Catalogue(error) => {
                error.sqlite_error_code() == Some(ErrorCode::DiskFull)
                    || error.sqlite_error().is_some_and(|error| error.extended_code == SHM_SIZE)
            }
            _ => false,
        }
    }

    /// Whether the system does not let this process write there.
    pub(crate) fn is_forbidden(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self, Self::File { source, .. }
            if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
    }

    /// For `map_err`: a file could not be used.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let message = match &error {
            StoreError::Told(_) => String::new(),
            StoreError::Catalogue(error) => catalogue_message(error).to_owned(),
            StoreError::Task(_) => "the local store failed; the log says why".to_owned(),
            StoreError::File { source, .. } if is_full(source) => FULL.to_owned(),
            StoreError::File { action, source, .. } => format!(
                "the local store could not {action} one of its files: {source}; check the disk, then try \
                 again"
            ),
            StoreError::Damaged(what) => format!("{what}; run verify"),
            StoreError::NewerFormat { found, known } => format!(
                "the local store has format {found}, but this program knows formats up to {known}; \
                 use the newer program that made it"
            ),
            StoreError::LostCatalog => "the catalog of the local store (catalogue.sqlite) is missing from the data folder, which holds \
                 packs of frames: restore the catalog from a backup, or name another folder"
                .to_owned(),
            StoreError::ReadOnly => READ_ONLY.to_owned(),
            StoreError::Migrated { found, known } => format!(
                "the local store was migrated to format {found} while it was open here; this program knows \
                 formats up to {known}: restart it, and use the newer program"
            ),
            StoreError::Random(_) => "the system gave no random bytes for an id".to_owned(),
        };
        match error {
            StoreError::Told(told) => told,
            StoreError::Catalogue(_)
            | StoreError::File { .. }
            | StoreError::Damaged(_)
            | StoreError::NewerFormat { .. }
            | StoreError::Migrated { .. }
            | StoreError::ReadOnly
            | StoreError::LostCatalog
            | StoreError::Task(_)
            | StoreError::Random(_) => Self::internal(message, error),
        }
    }
}

/// The index of the write-ahead log could not grow (<https://sqlite.org/rescode.html#ioerr_shmsize>).
const SHM_SIZE: i32 = 4874;
const READ_ONLY: &str = "the folder of the local store cannot be written to, so it is open for reading only; check its \
     permissions and the disk, then start this program again";
const FULL: &str = "the disk of the local store is full; free space, then try again";
/// What is told of a catalogue that cannot be understood: to SQLite a sector that cannot be read is such.
pub(crate) const DAMAGED_CATALOGUE: &str = "the catalogue of the local store is damaged or cannot be read; check the disk, then try again or \
     restore it from a backup";

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn catalogue_message(error: &rusqlite::Error) -> &'static str {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => FULL,
        Some(ErrorCode::ReadOnly) => READ_ONLY,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "the local store is busy with another program's work; try again"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => DAMAGED_CATALOGUE,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
            "the local store could not use the file of its catalogue; check the disk and its free \
             space, then try again"
        }
        None if matches!(
            error,
            FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..)
                | Utf8Error(..)
        ) =>
        {
            DAMAGED_CATALOGUE
        }
        _ => "the local store failed; the log says why",
    }
}
