//! The folder of packs, and reading them.
//!
//! A pack starts with [`MAGIC`]; then come records: length of the bytes (u64), their CRC-32 (u32), both
//! little endian, the id (32 ASCII digits), the bytes. A pack lies in `packs/ab/ab….pack`, and in `incoming`
//! beside that folder until it is announced. A copied image set may refer to a hard link.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::blob::{BlobLocation, PackId};
use crate::error::{Error, Result};
use crate::files::{Files, StoreFile};
use crate::verify::{self, PackCheck};
use crate::writer::{PackWriter, record_header};
use crate::{PackStore, References, sweep};

/// First bytes of a pack: its kind and the version of its format.
pub(crate) const MAGIC: &[u8; 8] = b"HIPACK\x00\x01";
/// Bytes of a record before those of the blob.
pub(crate) const RECORD_HEADER: usize = 8 + 4 + 32;
/// Bytes of a blob that are read at once where it is not read whole.
const PIECE: usize = 256 << 10;

/// A folder of pack files.
#[derive(Debug, Clone)]
pub struct PackFolder {
    pub(crate) files: Files,
    folder: PathBuf,
}

/// A stored blob that has been checked, read piece by piece.
#[derive(Debug)]
pub struct BlobReader {
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

/// Keeps a sweep away from a pack that nothing refers to yet.
#[derive(Debug)]
pub struct PackGuard {
    packs: PackFolder,
    id: PackId,
    _file: StoreFile,
}

impl PackGuard {
    /// Ends the pack's time as a new one: something refers to it.
    pub fn keep(self) {
        self.packs.keep(&self.id);
    }
}

impl PackStore for PackFolder {
    fn create(&self, id: PackId) -> Result<PackWriter> {
        PackWriter::create(self, id)
    }

    fn read(&self, at: &BlobLocation) -> Result<Bytes> {
        let path = self.path(&at.pack);
        let mut file = self.open_at(at, &path)?;
        let size = usize::try_from(at.length).ok().and_then(|l| l.checked_add(RECORD_HEADER));
        let mut record = vec![0; size.ok_or_else(Error::damaged_blob)?];
        file.read_exact(&mut record).map_err(Error::file("read", &path))?;
        let mut record = Bytes::from(record);
        let found = record.split_to(RECORD_HEADER);
        let expected = record_header(at.length, at.crc32, &at.id);
        if found[..] != expected[..] || crc32fast::hash(&record) != at.crc32 {
            return Err(Error::damaged_blob());
        }
        Ok(record)
    }

    fn open(&self, at: &BlobLocation) -> Result<BlobReader> {
        let path = self.path(&at.pack);
        let unreadable = || Error::file("read", &path);
        let mut file = self.open_at(at, &path)?;
        let mut found = [0; RECORD_HEADER];
        file.read_exact(&mut found).map_err(unreadable())?;
        let expected = record_header(at.length, at.crc32, &at.id);
        let mut crc32 = crc32fast::Hasher::new();
        let mut piece = vec![0; PIECE];
        let mut left = at.length;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let bytes = piece.get_mut(..wanted).unwrap_or_default();
            file.read_exact(bytes).map_err(unreadable())?;
            crc32.update(bytes);
            left -= wanted as u64;
        }
        if found != expected || crc32.finalize() != at.crc32 {
            return Err(Error::damaged_blob());
        }
        file.seek(SeekFrom::Start(at.offset)).map_err(unreadable())?;
        Ok(BlobReader { file, left: at.length })
    }

    fn verify(&self, pack: &PackId, blobs: &[BlobLocation]) -> PackCheck {
        verify::verify(self, pack, blobs)
    }

    fn sweep<R: References>(&self, references: &R) -> Result<usize, R::Error> {
        sweep::sweep(self, references)
    }
}

impl PackFolder {
    /// The packs in `folder`; new ones are written beside it, in `incoming`.
    pub fn new(files: &Files, folder: &Path) -> Self {
        Self { files: files.clone(), folder: folder.to_owned() }
    }

    /// Makes the folders that are missing.
    pub fn make_folders(&self) -> Result<()> {
        for folder in [&self.folder, &self.incoming()] {
            self.files.make_folders(folder).map_err(Error::file("make", folder))?;
        }
        Ok(())
    }

    /// Fails unless the folder of packs can be read.
    pub fn check(&self) -> Result<()> {
        self.files.list(&self.folder).map(drop).map_err(Error::file("list", &self.folder))
    }

    /// Makes `to` the same bytes as `from`, durably: a hard link, or a copy where links are not possible. Blocks.
    ///
    /// Hold the guard until something refers to the pack.
    pub fn link(&self, from: &PackId, to: &PackId) -> Result<PackGuard> {
        let (source, target) = (self.path(from), self.incoming_path(to));
        let mut file = self.files.open(&source).map_err(|error| Error::opening(error, &source))?;
        // A link is the same file, so this lock is its lock too.
        file.lock_shared().map_err(Error::file("lock", &source))?;
        if self.files.link(&source, &target).is_err() {
            let mut copy = self.begin(to)?;
            let copied = io::copy(&mut file, &mut copy).and_then(|_| copy.sync());
            copied.map_err(Error::file("copy", &source))?;
            file = copy;
        }
        self.place(to)?;
        Ok(PackGuard { packs: self.clone(), id: to.clone(), _file: file })
    }

    /// Makes new packs that have their places, durably: with one sync for those of one folder, so that each takes
    /// only that of its file later. None where links are not possible. Blocks.
    pub fn prepare(&self, ids: Vec<PackId>) -> Result<Vec<PackWriter>> {
        let (mut folders, mut writers) = (BTreeSet::new(), Vec::new());
        for id in ids {
            folders.insert(self.make_shelf(&id)?);
            let mut writer = PackWriter::create(self, id.clone())?;
            if self.files.link(&self.incoming_path(&id), &self.path(&id)).is_err() {
                writer.discard();
                break;
            }
            writer.is_placed = true;
            writers.push(writer);
        }
        for folder in folders {
            self.sync_folder(&folder)?;
        }
        Ok(writers)
    }

    /// Where packs have a name until something refers to them.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.folder.with_file_name("incoming")
    }

    pub(crate) fn incoming_path(&self, id: &PackId) -> PathBuf {
        self.incoming().join(format!("{}.pack", id.0))
    }

    pub(crate) fn path(&self, id: &PackId) -> PathBuf {
        let first_digits = id.0.get(..2).unwrap_or("00");
        self.folder.join(first_digits).join(format!("{}.pack", id.0))
    }

    /// Opens a pack at the record of a blob, which lies within the file.
    fn open_at(&self, at: &BlobLocation, path: &Path) -> Result<StoreFile> {
        let mut file = self.files.open(path).map_err(|error| Error::opening(error, path))?;
        let end = at.offset.checked_add(at.length);
        let length = file.length().map_err(Error::file("read", path))?;
        let start = at.offset.checked_sub(RECORD_HEADER as u64);
        let start = start.filter(|_| end.is_some_and(|end| end <= length));
        let start = start.ok_or_else(Error::damaged_blob)?;
        file.seek(SeekFrom::Start(start)).map_err(Error::file("read", path))?;
        Ok(file)
    }

    /// Makes an empty, locked file for a new pack.
    pub(crate) fn begin(&self, id: &PackId) -> Result<StoreFile> {
        let path = self.incoming_path(id);
        loop {
            let made = self.files.make(&path);
            let file = made.map_err(Error::file("make", &path))?;
            file.lock().map_err(Error::file("lock", &path))?;
            // A sweep may have removed it before it was locked.
            if path.exists() {
                return Ok(file);
            }
        }
    }

    /// Gives a durable pack its place, beside its name in `incoming`: a copy where links are not possible.
    pub(crate) fn place(&self, id: &PackId) -> Result<()> {
        let (from, to) = (self.incoming_path(id), self.path(id));
        let folder = self.make_shelf(id)?;
        if self.files.link(&from, &to).is_err() {
            let copied = self.files.open(&from).and_then(|mut file| {
                let mut copy = self.files.make(&to)?;
                io::copy(&mut file, &mut copy)?;
                copy.sync()
            });
            copied.map_err(Error::file("copy", &from))?;
        }
        self.sync_folder(&folder)
    }

    /// Removes a pack to which nothing refers. What fails is left to a sweep.
    pub(crate) fn discard(&self, id: &PackId) {
        let removed = self.files.remove(&self.path(id));
        if let Err(error) = removed.and_then(|()| self.files.remove(&self.incoming_path(id))) {
            tracing::warn!(%error, "a pack that nothing refers to could not be removed");
        }
    }

    /// Removes the name in `incoming` of a pack that something refers to. What fails is left to a sweep.
    pub(crate) fn keep(&self, id: &PackId) {
        if let Err(error) = self.files.remove(&self.incoming_path(id)) {
            tracing::warn!(%error, "the first name of a pack could not be removed");
        }
    }

    /// Makes the folder that a pack lies in, durably.
    fn make_shelf(&self, id: &PackId) -> Result<PathBuf> {
        let folder = self.path(id).parent().unwrap_or(&self.folder).to_owned();
        match self.files.make_folder(&folder) {
            Ok(()) => self.sync_folder(&self.folder)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::file("make", &folder)(error)),
        }
        Ok(folder)
    }

    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<()> {
        self.files.sync_folder(folder).map_err(Error::file("sync", folder))
    }
}
