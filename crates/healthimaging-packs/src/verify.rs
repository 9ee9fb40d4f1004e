//! Rereading whole packs, with the records that nothing refers to.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use healthimaging::ImageFrameId;

use crate::PackStore;
use crate::blob::{BlobLocation, PackId};
use crate::error::{Error, Result};
use crate::files::StoreFile;
use crate::folder::{MAGIC, PackFolder, RECORD_HEADER};

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// The result of verifying a pack.
#[derive(Debug, Default)]
pub struct PackCheck {
    /// Blobs that are referred to and unchanged since they were written.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong, and with which blob.
    pub damaged: Vec<(Option<ImageFrameId>, String)>,
}

pub(crate) fn verify(packs: &PackFolder, id: &PackId, blobs: &[BlobLocation]) -> PackCheck {
    let mut check = PackCheck::default();
    for blob in blobs {
        match packs.open(blob) {
            Ok(_) => {
                check.blobs += 1;
                check.bytes += blob.length;
            }
            Err(error) => check.damaged.push((Some(blob.id.clone()), unreadable(error))),
        }
    }
    match check_between(packs, id, blobs) {
        Ok(false) => check.damage("a file with stored frames is damaged outside of its frames"),
        // Each blob has it already, but for a pack without blobs.
        Err(Error::Damaged(what)) if blobs.is_empty() => check.damage(&what),
        Ok(true) | Err(Error::Damaged(_)) => {}
        Err(error) => check.damage(&unreadable(error)),
    }
    check
}

/// Rereads what lies before, between and behind blobs: the head, and records that nothing refers to
/// because their file was refused in the end.
fn check_between(packs: &PackFolder, id: &PackId, blobs: &[BlobLocation]) -> Result<bool> {
    let path = packs.path(id);
    let file = packs.files.open(&path);
    let file = file.map_err(|error| Error::opening(error, &path))?;
    let length = file.length().map_err(Error::file("read", &path))?;
    let mut gaps = Gaps { file: BufReader::with_capacity(PIECE, file) };
    let walked = gaps.walk(length, blobs);
    walked.map_err(Error::file("read", &path))
}

impl PackCheck {
    fn damage(&mut self, what: &str) {
        self.damaged.push((None, what.to_owned()));
    }
}

/// The description of bytes that cannot be read.
fn unreadable(error: Error) -> String {
    match error {
        Error::Damaged(what) => what,
        Error::File { .. } => "a file with stored frames cannot be read".to_owned(),
    }
}

struct Gaps {
    file: BufReader<StoreFile>,
}

impl Gaps {
    fn walk(&mut self, length: u64, blobs: &[BlobLocation]) -> io::Result<bool> {
        let mut magic = [0; MAGIC.len()];
        if length < magic.len() as u64 {
            return Ok(false);
        }
        self.file.read_exact(&mut magic)?;
        let mut sound = magic == *MAGIC;
        let mut position = magic.len() as u64;
        for blob in blobs {
            let Some(start) = blob.offset.checked_sub(RECORD_HEADER as u64) else {
                return Ok(false);
            };
            sound &= self.records(position, start.min(length))?;
            position = blob.offset.saturating_add(blob.length);
        }
        Ok(self.records(position, length)? && sound)
    }

    /// Whether there are whole records from one position to another, and nothing else.
    fn records(&mut self, mut position: u64, end: u64) -> io::Result<bool> {
        let mut header = [0; RECORD_HEADER];
        while position < end {
            if end - position < header.len() as u64 {
                return Ok(false);
            }
            self.file.seek(SeekFrom::Start(position))?;
            self.file.read_exact(&mut header)?;
            let (length, crc32) = (number(&header[..8]), number(&header[8..12]));
            position += header.len() as u64;
            if length > end - position {
                return Ok(false);
            }
            if u64::from(self.crc32(length)?) != crc32 {
                return Ok(false);
            }
            position += length;
        }
        Ok(position == end)
    }

    fn crc32(&mut self, length: u64) -> io::Result<u32> {
        let mut hasher = crc32fast::Hasher::new();
        let mut left = length;
        while left > 0 {
            let piece = self.file.fill_buf()?;
            let read = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            hasher.update(piece.get(..read).unwrap_or_default());
            self.file.consume(read);
            left -= read as u64;
        }
        Ok(hasher.finalize())
    }
}

/// Little endian.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    let digits = bytes.iter().rev();
    digits.fold(0, |number, byte| number << 8 | u64::from(*byte))
}
