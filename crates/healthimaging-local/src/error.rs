//! What can go wrong inside, and the one border where it becomes [`healthimaging::Error`].

use std::io;
use std::path::PathBuf;

use healthimaging::Error;

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
            StoreError::Random(_) => "the system gave no random bytes for an id".to_owned(),
        };
        match error {
            StoreError::Told(told) => told,
            StoreError::Catalogue(_)
            | StoreError::File { .. }
            | StoreError::Damaged(_)
            | StoreError::NewerFormat { .. }
            | StoreError::Task(_)
            | StoreError::Random(_) => Self::internal(message, error),
        }
    }
}

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
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => FULL,
        Some(ErrorCode::ReadOnly) => {
            "the folder of the local store cannot be written to; check its permissions and the disk, then \
             try again"
        }
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
