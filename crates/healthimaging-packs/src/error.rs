//! Why packs cannot be read or written.

use std::io;
use std::path::{Path, PathBuf};

/// The result of work on packs.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a pack cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stored bytes are not those that were written.
    #[error("{0}")]
    Damaged(String),
    /// A call of the file system failed.
    #[error("cannot {action} {path}")]
    File {
        /// The call, such as `open`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: the error of a call on a file.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn damaged_blob() -> Self {
        Self::Damaged("a stored frame is damaged".to_owned())
    }

    /// The error of opening a pack, which is damage where the file is missing.
    pub(crate) fn opening(error: io::Error, path: &Path) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            return Self::Damaged("a file with stored frames is missing".to_owned());
        }
        Self::file("open", path)(error)
    }
}
