//! Writing a pack.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::PathBuf;

use healthimaging::ImageFrameId;

use crate::blob::{BlobKind, BlobLocation, PackId};
use crate::error::{Error, Result};
use crate::files::StoreFile;
use crate::folder::{MAGIC, PackFolder, RECORD_HEADER};

/// Small blobs are collected up to here; a larger one is written from where it is.
const BUFFER: usize = 64 << 10;

/// Writes one pack, holding its lock until it is dropped: keep it until something refers to the pack.
#[derive(Debug)]
pub struct PackWriter {
    packs: PackFolder,
    id: PackId,
    path: PathBuf,
    file: BufWriter<StoreFile>,
    length: u64,
    /// Whether the pack has its place already.
    pub(crate) is_placed: bool,
}

impl PackWriter {
    pub(crate) fn create(packs: &PackFolder, id: PackId) -> Result<Self> {
        let file = packs.begin(&id)?;
        let mut writer = Self {
            packs: packs.clone(),
            path: packs.incoming_path(&id),
            id,
            file: BufWriter::with_capacity(BUFFER, file),
            length: 0,
            is_placed: false,
        };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    /// Appends a blob. Blocks.
    pub fn append(
        &mut self,
        id: &ImageFrameId,
        kind: BlobKind,
        transfer_syntax: Option<&str>,
        bytes: &[u8],
    ) -> Result<BlobLocation> {
        let crc32 = crc32fast::hash(bytes);
        let length = bytes.len() as u64;
        self.put(&record_header(length, crc32, id))?;
        let offset = self.length;
        self.put(bytes)?;
        Ok(BlobLocation {
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
    pub fn append_from<E>(
        &mut self,
        id: &ImageFrameId,
        kind: BlobKind,
        transfer_syntax: Option<&str>,
        write: impl FnOnce(&mut dyn Write) -> std::result::Result<(), E>,
    ) -> Result<std::result::Result<BlobLocation, E>> {
        let start = self.length;
        self.put(&record_header(0, 0, id))?;
        let offset = self.length;
        let mut pieces = Pieces::to(&mut self.file);
        let written = write(&mut pieces);
        let Pieces { length, crc32, error, .. } = pieces;
        self.length += length;
        if let Some(error) = error {
            return Err(Error::file("write", &self.path)(error));
        }
        if let Err(error) = written {
            self.go_back(start).map_err(Error::file("write", &self.path))?;
            return Ok(Err(error));
        }
        let crc32 = crc32.finalize();
        let rewritten = self.rewrite(start, &record_header(length, crc32, id));
        rewritten.map_err(Error::file("write", &self.path))?;
        Ok(Ok(BlobLocation {
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

    /// Makes the pack durable, at its place. Blocks.
    pub fn finish(&mut self) -> Result<PackId> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync());
        synced.map_err(Error::file("write", &self.path))?;
        if !self.is_placed {
            self.packs.place(&self.id)?;
            self.is_placed = true;
        }
        Ok(self.id.clone())
    }

    /// Removes the pack, to which nothing refers. Blocks.
    pub fn discard(self) {
        self.packs.discard(&self.id);
    }

    /// Ends the pack's time as a new one: something refers to it. Blocks.
    pub fn keep(&self) {
        self.packs.keep(&self.id);
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::file("write", &self.path))?;
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

/// The header of the record of a blob.
pub(crate) fn record_header(length: u64, crc32: u32, id: &ImageFrameId) -> [u8; RECORD_HEADER] {
    let mut header = [0; RECORD_HEADER];
    header[..8].copy_from_slice(&length.to_le_bytes());
    header[8..12].copy_from_slice(&crc32.to_le_bytes());
    // An id has 32 ASCII characters: the rule of its type.
    for (to, from) in header[12..].iter_mut().zip(id.as_str().bytes()) {
        *to = from;
    }
    header
}
