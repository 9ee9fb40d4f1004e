//! Files of the ledger: for their owner alone, and on disk when a call returns.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use healthimaging::{Error, Result};

/// The error of a file that cannot be used; the log sees which.
pub(super) fn unusable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |cause| {
        let cause = io::Error::new(cause.kind(), format!("{}: {cause}", path.display()));
        Error::internal(
            "the ledger of jobs cannot be used; look whether the data folder can be written and \
             its disk has room",
            cause,
        )
    }
}

/// A folder that only its owner can read, with those above it.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path).map_err(unusable(path))
}

/// A file that only its owner can read, made when it is missing.
pub(super) fn open_own(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map_err(unusable(path))
}

/// Writes a file whole, or not at all; it is on disk afterwards.
pub(super) fn write_durably<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = whole(folder, value)?;
    file.as_file_mut().sync_all().map_err(unusable(path))?;
    file.persist(path).map_err(|failed| unusable(path)(failed.error))?;
    sync_folder(folder)
}

/// Writes a file whole, or not at all, without waiting for the disk: for what is only shown.
pub(super) fn write_lightly<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    whole(folder, value)?.persist(path).map_err(|failed| unusable(path)(failed.error))?;
    Ok(())
}

fn whole<T: Serialize>(folder: &Path, value: &T) -> Result<tempfile::NamedTempFile> {
    let json = serde_json::to_vec(value)
        .map_err(|cause| Error::internal("a job could not be written as JSON", cause))?;
    // Temporary files are for their owner alone on every system.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(unusable(folder))?;
    file.write_all(&json).map_err(unusable(folder))?;
    Ok(file)
}

/// Reads a file written whole; `None` when there is none.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let json = match fs::read(path) {
        Ok(json) => json,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
        Err(other) => return Err(unusable(path)(other)),
    };
    serde_json::from_slice(&json).map(Some).map_err(|cause| {
        let cause = io::Error::other(format!("{}: {cause}", path.display()));
        Error::internal("what is written down about this job cannot be read", cause)
    })
}

/// Puts names made or changed in a folder on disk.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    // Other systems open no folders, and need not.
    #[cfg(unix)]
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(unusable(folder))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Removes a file; one that is missing is removed already.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(path)(error)),
        _ => Ok(()),
    }
}

/// A lock that dies with its process: who holds a job's lease runs it.
#[derive(Debug)]
pub(super) struct Lease {
    _file: File,
}

impl Lease {
    /// Takes the lease; `None` when somebody holds it, or the job is gone.
    pub(super) fn try_take(path: &Path) -> Result<Option<Self>> {
        if !path.parent().is_some_and(Path::is_dir) {
            return Ok(None);
        }
        let file = open_own(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(unusable(path)(error)),
        }
    }

    /// Waits for the lease: for what is held for moments only.
    pub(super) fn take(path: &Path) -> Result<Self> {
        let file = open_own(path)?;
        file.lock().map_err(unusable(path))?;
        Ok(Self { _file: file })
    }
}
