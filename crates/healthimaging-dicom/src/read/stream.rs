//! The bytes of a file: buffered, with a known position and end, inflated where need be.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use flate2::bufread::DeflateDecoder;
use tempfile::SpooledTempFile;

use super::{ReadError, ReadLimits};

/// Headers of most files fit, and files that are only looked at cost one read.
const BUFFER: usize = 16 << 10;

/// Inflated data sets up to here stay in memory, and up to here any ratio is accepted.
const INFLATED_IN_MEMORY: u64 = 16 << 20;

/// The source given, or what it inflated to.
#[derive(Debug)]
pub(super) enum Source<S> {
    Given(S),
    Inflated(SpooledTempFile),
}

impl<S: Read> Read for Source<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Given(source) => source.read(buffer),
            Self::Inflated(file) => file.read(buffer),
        }
    }
}

impl<S: Seek> Seek for Source<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Given(source) => source.seek(to),
            Self::Inflated(file) => file.seek(to),
        }
    }
}

/// A source with a buffer, its position and its length.
#[derive(Debug)]
pub(super) struct Stream<S> {
    inner: BufReader<Source<S>>,
    position: u64,
    length: u64,
}

impl<S: Read + Seek> Stream<S> {
    pub(super) fn new(source: S) -> io::Result<Self> {
        Self::over(Source::Given(source))
    }

    fn over(mut source: Source<S>) -> io::Result<Self> {
        let length = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(0))?;
        Ok(Self { inner: BufReader::with_capacity(BUFFER, source), position: 0, length })
    }

    /// Next byte to be read, from the start of the source.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Length of the source.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes from here to the end of the source.
    pub(super) fn left(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    pub(super) fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(buffer)?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    /// Reads `length` bytes, which the caller has checked to be there.
    pub(super) fn read_vec(&mut self, length: u64) -> io::Result<Vec<u8>> {
        if length > self.left() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // What is longer than the buffer is read past it, straight to its place.
        bytes.resize(length, 0);
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes `length` bytes to `out`.
    pub(super) fn copy_to(&mut self, length: u64, out: &mut dyn Write) -> io::Result<()> {
        let copied = io::copy(&mut self.inner.by_ref().take(length), out)?;
        self.position += copied;
        if copied < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Moves to a byte of the source; cheap within the buffer.
    pub(super) fn seek_to(&mut self, position: u64) -> io::Result<()> {
        match i64::try_from(i128::from(position) - i128::from(self.position)) {
            Ok(offset) => self.inner.seek_relative(offset)?,
            Err(_) => {
                self.inner.seek(SeekFrom::Start(position))?;
            }
        }
        self.position = position;
        Ok(())
    }

    /// The next bytes, left where they are; `None` when there are not so many.
    pub(super) fn peek<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        if self.left() < N as u64 {
            return Ok(None);
        }
        let start = self.position;
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        self.seek_to(start)?;
        Ok(Some(bytes))
    }

    /// Eight bytes anywhere, with the position left where it is; `None` where there are not so many.
    /// Cheap in the buffer, which is kept.
    pub(super) fn glance(&mut self, at: u64) -> io::Result<Option<[u8; 8]>> {
        if at.checked_add(8).is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        let ahead = at.checked_sub(self.position).and_then(|ahead| usize::try_from(ahead).ok());
        let buffered = ahead.and_then(|ahead| self.inner.buffer().get(ahead..)?.first_chunk());
        if let Some(bytes) = buffered {
            return Ok(Some(*bytes));
        }
        // The buffer was filled up to here.
        let source = self.inner.get_mut();
        let filled = source.stream_position()?;
        source.seek(SeekFrom::Start(at))?;
        let mut bytes = [0; 8];
        source.read_exact(&mut bytes)?;
        source.seek(SeekFrom::Start(filled))?;
        Ok(Some(bytes))
    }

    /// Inflates from here on (PS3.5 §A.5) and goes on with what comes out, from its first byte.
    pub(super) fn inflate(self, limits: &ReadLimits) -> Result<Self, ReadError> {
        let compressed = self.left();
        let limit = INFLATED_IN_MEMORY
            .max(compressed.saturating_mul(limits.inflation))
            .min(limits.inflated_bytes);
        let in_memory = usize::try_from(INFLATED_IN_MEMORY).unwrap_or(usize::MAX);
        let mut inflated = SpooledTempFile::new(in_memory);
        let decoder = DeflateDecoder::new(self.inner);
        // Reading in pieces separates errors of the decoder from those of the temporary file; the kind separates them
        // from those of the source.
        let mut decoder = decoder.take(limit + 1);
        let mut piece = vec![0; BUFFER];
        let mut total = 0;
        loop {
            let read = decoder.read(&mut piece).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidInput
                | io::ErrorKind::InvalidData
                | io::ErrorKind::UnexpectedEof => ReadError::Deflate,
                _ => ReadError::Io(error),
            })?;
            let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            inflated.write_all(bytes)?;
            total += read as u64;
        }
        if total > limit {
            return Err(ReadError::Inflates { limit });
        }
        Ok(Self::over(Source::Inflated(inflated))?)
    }
}

/// Whether bytes are the header of zlib (RFC 1950). What they could be without is a stored block of
/// deflate, whose length comes twice (RFC 1951 §3.2.4).
pub(super) fn is_zlib([method, flags, a, b, c]: [u8; 5]) -> bool {
    let header = u16::from_be_bytes([method, flags]);
    let is_header = method & 0x0F == 8 && header.is_multiple_of(31) && flags & 0x20 == 0;
    is_header && u16::from_le_bytes([flags, a]) != !u16::from_le_bytes([b, c])
}

impl<S: Read> Read for Stream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}
