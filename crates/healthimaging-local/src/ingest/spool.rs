//! Instances that arrive as streams are spooled to disk, in one file without a name, so that nothing is left
//! of them when the process dies.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures::TryStreamExt;
use healthimaging::Body;
use healthimaging_packs::StoreFile;

use crate::error::{Result, StoreError};
use crate::shared::Shared;
use crate::sync::locked;

/// The folder for bytes that are on their way into the store.
pub(crate) fn folder(shared: &Shared) -> Result<PathBuf> {
    let folder = shared.config.data_dir.join("incoming");
    let made = shared.config.files.make_folders(&folder);
    made.map_err(StoreError::file("make", &folder))?;
    Ok(folder)
}

/// A file that streams are appended to.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    file: Arc<Mutex<StoreFile>>,
    length: u64,
}

impl Spool {
    /// An empty spool. Blocks.
    pub(crate) fn new(shared: &Shared) -> Result<Self> {
        let folder = folder(shared)?;
        let made = shared.config.files.make_unnamed(&folder);
        let file = made.map_err(StoreError::file("make a file in", &folder))?;
        Ok(Self { folder, file: Arc::new(Mutex::new(file)), length: 0 })
    }

    /// Appends bytes. Blocks.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<Section> {
        let start = self.length;
        {
            let mut file = locked(&self.file);
            let written = file.seek(SeekFrom::Start(start)).and_then(|_| file.write_all(bytes));
            written.map_err(StoreError::file("write a file in", &self.folder))?;
        }
        self.length += bytes.len() as u64;
        let length = bytes.len() as u64;
        Ok(Section { file: Arc::clone(&self.file), start, length, position: 0 })
    }

    /// Appends a body; the outer error is the store's, the inner one the sender's.
    pub(crate) async fn add(&mut self, body: Body) -> Result<healthimaging::Result<Section>> {
        let start = self.length;
        let mut pieces = body.into_stream();
        loop {
            let piece = match pieces.try_next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            };
            let (file, at) = (Arc::clone(&self.file), self.length);
            self.length += piece.len() as u64;
            let written = tokio::task::spawn_blocking(move || {
                let mut file = locked(&file);
                file.seek(SeekFrom::Start(at))?;
                file.write_all(&piece)
            });
            written.await?.map_err(StoreError::file("write a file in", &self.folder))?;
        }
        Ok(Ok(Section {
            file: Arc::clone(&self.file),
            start,
            length: self.length - start,
            position: 0,
        }))
    }
}

/// A part of a spool, read as a file of its own.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    file: Arc<Mutex<StoreFile>>,
    start: u64,
    length: u64,
    position: u64,
}

impl Section {
    /// The same part from its beginning.
    pub(crate) fn again(&self) -> Self {
        Self { position: 0, ..self.clone() }
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.position);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let mut file = locked(&self.file);
        file.seek(SeekFrom::Start(self.start + self.position))?;
        let read = file.read(buffer.get_mut(..wanted).unwrap_or_default())?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Section {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(from) => self.length.checked_add_signed(from),
            SeekFrom::Current(from) => self.position.checked_add_signed(from),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
