//! Whether a file changed since it was read.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A file that changed more recently than this is read again, since times of files are coarse.
const SETTLED: Duration = Duration::from_secs(2);

/// What changes with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    identity: (u64, u64),
    /// Permissions, on Unix.
    pub(crate) mode: u32,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let (identity, mode) = {
            use std::os::unix::fs::MetadataExt as _;
            ((metadata.dev(), metadata.ino()), metadata.mode())
        };
        #[cfg(not(unix))]
        let (identity, mode) = ((0, 0), 0);
        Self { modified: metadata.modified().ok(), length: metadata.len(), identity, mode }
    }

    /// Returns that of the file at a path, if there is one.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::of(&metadata))
    }

    /// Whether a later change would have another stamp.
    pub(crate) fn is_settled(&self) -> bool {
        let age = self.modified.and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age > SETTLED)
    }
}
