//! Writing a pack.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use healthimaging::ImageFrameId;

use super::{MAGIC, RECORD_HEADER};
use crate::error::{Result, StoreError};
use crate::files::StoreFile;
use crate::index::packs::{BlobKind, BlobPlace, PackId};
use crate::new_id;
use crate::shared::SharedStore;

/// Writes one pack, holding its lock until it is dropped: keep it until the catalogue names the pack.
#[derive(Debug)]
pub(crate) struct PackWriter {
    shared: SharedStore,
    id: PackId,
    path: PathBuf,
    file: BufWriter<StoreFile>,
    length: u64,
}

impl PackWriter {
    /// Makes the file of a new pack. Blocks.
    pub(crate) fn create(shared: &SharedStore) -> Result<Self> {
        let id = PackId(new_id::random_hex()?);
        let file = shared.packs.begin(&id)?;
        let mut writer = Self {
            shared: Arc::clone(shared),
            path: shared.packs.unfinished_path(&id),
            id,
            file: BufWriter::with_capacity(1 << 20, file),
            length: 0,
        };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    /// Appends a blob. Blocks.
    pub(crate) fn append(
        &mut self,
        id: &ImageFrameId,
        kind: BlobKind,
        transfer_syntax: Option<&str>,
        bytes: &[u8],
    ) -> Result<BlobPlace> {
        let crc32 = crc32fast::hash(bytes);
        let length = bytes.len() as u64;
        self.put(&record_header(length, crc32, id))?;
        let offset = self.length;
        self.put(bytes)?;
        Ok(BlobPlace {
            id: id.clone(),
            pack: self.id.clone(),
            offset,
            length,
            crc32,
            kind,
            transfer_syntax: transfer_syntax.map(str::to_owned),
        })
    }

    /// Appends a blob that `write` writes piece by piece. When `write` fails, nothing is appended: that is
    /// the inner error. Blocks.
    pub(crate) fn append_from<E>(
        &mut self,
        id: &ImageFrameId,
        kind: BlobKind,
        transfer_syntax: Option<&str>,
        write: impl FnOnce(&mut dyn Write) -> std::result::Result<(), E>,
    ) -> Result<std::result::Result<BlobPlace, E>> {
        let start = self.length;
        self.put(&record_header(0, 0, id))?;
        let offset = self.length;
        let mut pieces = Pieces::to(&mut self.file);
        let written = write(&mut pieces);
        let Pieces { length, crc32, error, .. } = pieces;
        self.length += length;
        if let Some(error) = error {
            return Err(StoreError::file("write", &self.path)(error));
        }
        if let Err(error) = written {
            self.go_back(start).map_err(StoreError::file("write", &self.path))?;
            return Ok(Err(error));
        }
        let crc32 = crc32.finalize();
        let rewritten = self.rewrite(start, &record_header(length, crc32, id));
        rewritten.map_err(StoreError::file("write", &self.path))?;
        Ok(Ok(BlobPlace {
            id: id.clone(),
            pack: self.id.clone(),
            offset,
            length,
            crc32,
            kind,
            transfer_syntax: transfer_syntax.map(str::to_owned),
        }))
    }

    fn go_back(&mut self, to: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(to))?;
        self.length = to;
        self.file.get_ref().truncate(to)
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)?;
        self.file.seek(SeekFrom::Start(self.length)).map(drop)
    }

    /// Makes the pack durable, and announces it in the catalogue. Blocks.
    pub(crate) fn finish(&mut self) -> Result<PackId> {
        let synced = self.file.flush();
        synced
            .and_then(|()| self.file.get_ref().sync())
            .map_err(StoreError::file("write", &self.path))?;
        self.shared.packs.publish(&self.shared, &self.id)?;
        Ok(self.id.clone())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(StoreError::file("write", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// Counts and checks what is written, and keeps the error that writing ends with.
struct Pieces<'a> {
    to: &'a mut BufWriter<StoreFile>,
    length: u64,
    crc32: crc32fast::Hasher,
    error: Option<io::Error>,
}

impl<'a> Pieces<'a> {
    fn to(to: &'a mut BufWriter<StoreFile>) -> Self {
        Self { to, length: 0, crc32: crc32fast::Hasher::new(), error: None }
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.to.write_all(bytes) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                self.crc32.update(bytes);
                Ok(bytes.len())
            }
            Err(error) => {
                let kind = error.kind();
                self.error.get_or_insert(error);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What stands before the bytes of a blob.
pub(super) fn record_header(length: u64, crc32: u32, id: &ImageFrameId) -> [u8; RECORD_HEADER] {
    let mut header = [0; RECORD_HEADER];
    header[..8].copy_from_slice(&length.to_le_bytes());
    header[8..12].copy_from_slice(&crc32.to_le_bytes());
    // An id has 32 ASCII characters: the rule of its type.
    for (to, from) in header[12..].iter_mut().zip(id.as_str().bytes()) {
        *to = from;
    }
    header
}
