//! Pack files: frames and other large values back to back, append-only.
//!
//! A pack starts with [`MAGIC`]; then come records: length of the bytes (u64), their CRC-32 (u32), both
//! little endian, the id (32 ASCII digits), the bytes. A pack is written once, by one writer, in
//! `incoming`; when it is durable the catalogue is told of it, and only then it gets its place in
//! `packs/ab`. The writer holds a lock on the file until the pack has an owner. So whatever a crash
//! leaves behind is either in `incoming` and not locked, or known to the catalogue and owned by
//! nobody: [`sweep`] removes both. A copied set may own a hard link.

mod check;
mod sweep;
mod writer;

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::{Result, StoreError};
use crate::files::{Files, StoreFile};
use crate::index::packs::{self, BlobPlace, PackId};
use crate::shared::Shared;

pub(crate) use sweep::sweep;
pub(crate) use writer::PackWriter;

/// First bytes of a pack: its kind and the version of its format.
const MAGIC: &[u8; 8] = b"HIPACK\x00\x01";
/// Bytes of a record before those of the blob.
const RECORD_HEADER: usize = 8 + 4 + 32;
/// Bytes of a blob that are read at once where it is not read whole.
const PIECE: usize = 256 << 10;

/// The folder of pack files: `ab/ab….pack`.
#[derive(Debug, Clone)]
pub(crate) struct Packs {
    files: Files,
    folder: PathBuf,
}

/// A stored blob that has been checked, read piece by piece.
#[derive(Debug)]
pub(crate) struct BlobReader {
    file: StoreFile,
    left: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(buffer.get_mut(..wanted).unwrap_or_default())?;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Keeps a sweep away from a pack that the catalogue does not name yet.
#[derive(Debug)]
pub(crate) struct PackGuard {
    _file: StoreFile,
}

impl Packs {
    /// The packs in a folder.
    pub(crate) fn open(files: &Files, folder: &Path) -> Self {
        Self { files: files.clone(), folder: folder.to_owned() }
    }

    /// Makes the folder of packs that are being written.
    pub(crate) fn make_folder(&self) -> Result<()> {
        let unfinished = self.unfinished();
        let made = self.files.make_folders(&unfinished);
        made.map_err(StoreError::file("make", &unfinished))
    }

    /// Fails unless the folder of packs can be read.
    pub(crate) fn check_folder(&self) -> Result<()> {
        self.files.list(&self.folder).map(drop).map_err(StoreError::file("list", &self.folder))
    }

    /// Where packs are until the catalogue knows them.
    fn unfinished(&self) -> PathBuf {
        self.folder.with_file_name("incoming")
    }

    fn unfinished_path(&self, id: &PackId) -> PathBuf {
        self.unfinished().join(format!("{}.pack", id.0))
    }

    fn path(&self, id: &PackId) -> PathBuf {
        let first_digits = id.0.get(..2).unwrap_or("00");
        self.folder.join(first_digits).join(format!("{}.pack", id.0))
    }

    /// Reads a blob and checks it; damaged bytes are an error. Blocks.
    pub(crate) fn read(&self, place: &BlobPlace) -> Result<Bytes> {
        let path = self.path(&place.pack);
        let mut file = self.open_at(place, &path)?;
        let size = usize::try_from(place.length).ok().and_then(|l| l.checked_add(RECORD_HEADER));
        let mut record = vec![0; size.ok_or_else(damaged)?];
        file.read_exact(&mut record).map_err(StoreError::file("read", &path))?;
        let mut record = Bytes::from(record);
        let found = record.split_to(RECORD_HEADER);
        let expected = writer::record_header(place.length, place.crc32, &place.id);
        if found[..] != expected[..] || crc32fast::hash(&record) != place.crc32 {
            return Err(damaged());
        }
        Ok(record)
    }

    /// Checks a blob, and opens it to be read piece by piece: twice from the disk, and never in memory as a
    /// whole. Blocks.
    pub(crate) fn open_blob(&self, place: &BlobPlace) -> Result<BlobReader> {
        let path = self.path(&place.pack);
        let unreadable = || StoreError::file("read", &path);
        let mut file = self.open_at(place, &path)?;
        let mut found = [0; RECORD_HEADER];
        file.read_exact(&mut found).map_err(unreadable())?;
        let expected = writer::record_header(place.length, place.crc32, &place.id);
        let mut crc32 = crc32fast::Hasher::new();
        let mut piece = vec![0; PIECE];
        let mut left = place.length;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let bytes = piece.get_mut(..wanted).unwrap_or_default();
            file.read_exact(bytes).map_err(unreadable())?;
            crc32.update(bytes);
            left -= wanted as u64;
        }
        if found != expected || crc32.finalize() != place.crc32 {
            return Err(damaged());
        }
        file.seek(SeekFrom::Start(place.offset)).map_err(unreadable())?;
        Ok(BlobReader { file, left: place.length })
    }

    /// Opens a pack at the record of a blob, which lies within the file.
    fn open_at(&self, place: &BlobPlace, path: &Path) -> Result<StoreFile> {
        let mut file = self.files.open(path).map_err(|error| missing_or(error, path))?;
        let end = place.offset.checked_add(place.length);
        let length = file.length().map_err(StoreError::file("read", path))?;
        let start = place.offset.checked_sub(RECORD_HEADER as u64);
        let start = start.filter(|_| end.is_some_and(|end| end <= length)).ok_or_else(damaged)?;
        file.seek(SeekFrom::Start(start)).map_err(StoreError::file("read", path))?;
        Ok(file)
    }

    /// Makes `to` the same bytes as `from`: a hard link, or a copy where links are not possible. It is
    /// durable, and announced in the catalogue. Blocks.
    ///
    /// Hold the guard until the catalogue has its owner.
    pub(crate) fn link(&self, shared: &Shared, from: &PackId, to: &PackId) -> Result<PackGuard> {
        let (source, target) = (self.path(from), self.unfinished_path(to));
        let mut file = self.files.open(&source).map_err(|error| missing_or(error, &source))?;
        // A link is the same file, so this lock is its lock too.
        file.lock_shared().map_err(StoreError::file("lock", &source))?;
        if self.files.link(&source, &target).is_err() {
            let mut copy = self.begin(to)?;
            let copied = io::copy(&mut file, &mut copy).and_then(|_| copy.sync());
            copied.map_err(StoreError::file("copy", &source))?;
            file = copy;
        }
        self.publish(shared, to)?;
        Ok(PackGuard { _file: file })
    }

    /// Makes an empty, locked file for a new pack.
    fn begin(&self, id: &PackId) -> Result<StoreFile> {
        let path = self.unfinished_path(id);
        loop {
            let made = self.files.make(&path);
            let file = made.map_err(StoreError::file("make", &path))?;
            file.lock().map_err(StoreError::file("lock", &path))?;
            // A sweep may have taken it away before it was locked.
            if path.exists() {
                return Ok(file);
            }
        }
    }

    /// Tells the catalogue of a pack that is durable, and gives it its place.
    fn publish(&self, shared: &Shared, id: &PackId) -> Result<()> {
        let at = shared.now();
        shared.catalogue.write_blocking(|transaction| packs::announce(transaction, id, at))?;
        let (from, to) = (self.unfinished_path(id), self.path(id));
        let folder = self.make_shelf(id)?;
        self.files.rename(&from, &to).map_err(StoreError::file("move", &from))?;
        self.sync_folder(&folder)
    }

    /// Makes the folder that a pack lies in, durably.
    fn make_shelf(&self, id: &PackId) -> Result<PathBuf> {
        let folder = self.path(id).parent().unwrap_or(&self.folder).to_owned();
        match self.files.make_folder(&folder) {
            Ok(()) => self.sync_folder(&self.folder)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(StoreError::file("make", &folder)(error)),
        }
        Ok(folder)
    }

    fn sync_folder(&self, folder: &Path) -> Result<()> {
        let synced = self.files.sync_folder(folder);
        synced.map_err(StoreError::file("sync", folder))
    }
}

fn damaged() -> StoreError {
    StoreError::Damaged("a stored frame is damaged".to_owned())
}

fn missing_or(error: io::Error, path: &Path) -> StoreError {
    if error.kind() == io::ErrorKind::NotFound {
        return StoreError::Damaged("a file with stored frames is missing".to_owned());
    }
    StoreError::file("open", path)(error)
}
