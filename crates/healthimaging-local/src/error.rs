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
    /// For `map_err`: a file could not be used.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let message = match &error {
            StoreError::Told(_) => String::new(),
            StoreError::Catalogue(rusqlite::Error::SqliteFailure(failure, _)) => {
                catalogue_message(failure.code).to_owned()
            }
            StoreError::Catalogue(_) | StoreError::Task(_) => {
                "the local store failed; the log says why".to_owned()
            }
            StoreError::File { action, source, .. } => format!(
                "the local store could not {action} one of its files: {}",
                source.kind()
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

fn catalogue_message(code: rusqlite::ErrorCode) -> &'static str {
    match code {
        rusqlite::ErrorCode::DiskFull => "the disk of the local store is full",
        rusqlite::ErrorCode::ReadOnly => "the folder of the local store cannot be written to",
        rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked => {
            "the local store is busy with another program's work; try again"
        }
        rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase => {
            "the catalogue of the local store is damaged; restore it from a backup"
        }
        _ => "the local store failed; the log says why",
    }
}
