//! Locks of jobs in the data folder.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use healthimaging::{Error, Result};

/// The error of a file that cannot be used; the log has its name.
pub(super) fn unusable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |cause| {
        let cause = io::Error::new(cause.kind(), format!("{}: {cause}", path.display()));
        Error::internal(
            "the ledger of jobs cannot be used; check whether the data folder can be written and its disk \
             has room",
            cause,
        )
    }
}

/// A lock that dies with its process: the process that holds the lease of a job runs it.
#[derive(Debug)]
pub(crate) struct Lease {
    path: PathBuf,
    _file: File,
}

impl Lease {
    /// Takes the lease of this name in a folder, which is made; `None` when another process holds it.
    pub(crate) fn try_take(folder: &Path, name: &str) -> Result<Option<Self>> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(unusable(folder))?;
        Self::of_file(folder.join(format!("{name}.lock")))
    }

    /// The same by the path of its file, whose folder is there.
    pub(super) fn of_file(path: PathBuf) -> Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(unusable(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { path, _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(unusable(&path)(error)),
        }
    }

    /// Gives the lease up and removes its file: for jobs that have ended.
    pub(crate) fn remove(self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(unusable(&self.path)(error))
            }
            _ => Ok(()),
        }
    }
}
