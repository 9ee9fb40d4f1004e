//! Bytes that are read again: small ones in memory, others in a file of the data folder that has no name, so that nothing
//! of it stays behind.

use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use futures::TryStreamExt as _;
use tempfile::SpooledTempFile;

use healthimaging::{Body, Error, Result};

use super::instance::blocking;

/// Bytes in memory; more are written to disk.
const IN_MEMORY: usize = 1 << 20;

/// Creates an empty spool.
pub(super) fn new(folder: &Path) -> SpooledTempFile {
    tempfile::spooled_tempfile_in(IN_MEMORY, folder)
}

/// A spool that is read; clones share its position.
#[derive(Clone)]
pub(crate) struct Source(Arc<Mutex<SpooledTempFile>>);

impl Source {
    pub(super) fn of(spool: SpooledTempFile) -> Self {
        Self(Arc::new(Mutex::new(spool)))
    }

    /// Reads a body to its end into a spool.
    ///
    /// # Errors
    /// Those of the body, and of writing.
    pub(crate) async fn spooled(body: Body, folder: &Path) -> Result<Self> {
        of(body, folder).await
    }

    fn spool(&self) -> MutexGuard<'_, SpooledTempFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Source {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.spool().read(to)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.spool().seek(to)
    }
}

/// Reads a body to its end.
pub(super) async fn of(body: Body, folder: &Path) -> Result<Source> {
    let mut spool = new(folder);
    let mut pieces = body.into_stream();
    let mut waiting = BytesMut::new();
    while let Some(piece) = pieces.try_next().await? {
        waiting.extend_from_slice(&piece);
        if waiting.len() >= IN_MEMORY {
            let some = waiting.split().freeze();
            spool = blocking(move || {
                spool.write_all(&some).map_err(unspooled)?;
                Ok(spool)
            })
            .await?;
        }
    }
    blocking(move || {
        spool.write_all(&waiting).map_err(unspooled)?;
        spool.rewind().map_err(unspooled)?;
        Ok(Source::of(spool))
    })
    .await
}

pub(crate) fn unspooled(cause: io::Error) -> Error {
    Error::internal(
        "an instance could not be written to a temporary file in the data folder; check whether its disk has room",
        cause,
    )
}
