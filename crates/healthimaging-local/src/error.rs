//! Errors inside the store, and the one place where they become a [`healthimaging::Error`].

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use healthimaging::Error;

use crate::catalog::{self, Fault};

/// The result of work inside the store.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// An error inside the store.
///
/// Sources may name files of the store, never what they hold; messages for the caller name neither.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// An error of the contract, with a message for the caller.
    #[error(transparent)]
    Public(#[from] Error),
    /// The catalog failed.
    #[error("the catalog failed")]
    Catalog(#[from] catalog::Error),
    /// A file of the store could not be used.
    #[error("cannot {action} {path}")]
    File {
        /// The call, such as `open`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
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
        /// Newest format that this program supports.
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
        /// Newest format that this program supports.
        known: i64,
    },
    /// A write was lost with another one of its transaction.
    #[error("the transaction failed")]
    Lost,
    /// Work was lost because a thread failed.
    #[error("a background task failed")]
    Task(#[from] tokio::task::JoinError),
}

impl StoreError {
    /// Description of the damage, if this is an error of damaged data.
    pub(crate) fn damage(&self) -> Option<&str> {
        match self {
            Self::Damaged(what) => Some(what),
            Self::Catalog(error) => (Fault::of(error) == Fault::Damaged).then_some(DAMAGED_CATALOG),
            _ => None,
        }
    }

    /// Whether the disk is full.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::File { source, .. } => is_full(source),
            Self::Catalog(error) => Fault::of(error) == Fault::Full,
            // An error of a stream that was written, such as that of a large file.
            Self::Public(error) => {
                std::iter::successors(StdError::source(error), |&one| one.source())
                    .filter_map(|one| one.downcast_ref::<io::Error>())
                    .any(is_full)
            }
            _ => false,
        }
    }

    /// Whether this process lacks the permission to write there.
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

impl From<healthimaging_packs::Error> for StoreError {
    fn from(error: healthimaging_packs::Error) -> Self {
        match error {
            healthimaging_packs::Error::Damaged(what) => Self::Damaged(what),
            healthimaging_packs::Error::File { action, path, source } => {
                Self::File { action, path, source }
            }
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let message = match error {
            StoreError::Public(error) => return error,
            StoreError::Catalog(ref error) => catalog_message(error).to_owned(),
            StoreError::Task(_) | StoreError::Lost => "the local store failed; see the log".to_owned(),
            StoreError::File { ref source, .. } if is_full(source) => FULL.to_owned(),
            StoreError::File { action, ref source, .. } => format!(
                "the local store could not {action} one of its files: {source}; check the disk, then try \
                 again"
            ),
            StoreError::Damaged(ref what) => format!("{what}; run verify"),
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
        };
        Self::internal(message, error)
    }
}

const READ_ONLY: &str = "the folder of the local store cannot be written to, so it is open for reading only; check its \
     permissions and the disk, then start this program again";
const FULL: &str = "the disk of the local store is full; free space, then try again";
/// Message for a damaged catalog.
pub(crate) const DAMAGED_CATALOG: &str = "the catalog of the local store is damaged or cannot be read; check the disk, then try again or \
     restore it from a backup";

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn catalog_message(error: &catalog::Error) -> &'static str {
    match Fault::of(error) {
        Fault::Full => FULL,
        Fault::ReadOnly => READ_ONLY,
        Fault::Busy => "the local store is busy with another program's work; try again",
        Fault::Damaged => DAMAGED_CATALOG,
        Fault::Unusable => {
            "the local store could not use the file of its catalog; check the disk and its free space, \
             then try again"
        }
        Fault::Other => "the local store failed; see the log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_recognized_behind_other_errors() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let inner = StoreError::file("write", "pack")(full());
        assert!(inner.is_full());
        assert!(StoreError::Public(inner.into()).is_full());
        assert!(StoreError::Public(Error::internal("a stream failed", full())).is_full());
        let other = io::Error::from(io::ErrorKind::NotFound);
        assert!(!StoreError::Public(Error::internal("a stream failed", other)).is_full());
    }
}
