//! Bytes in the pieces in which they arrived, read as one file: nothing is copied to be joined.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

/// Shorter pieces are joined, so that the number of pieces is bounded by the number of bytes.
const SHORT: usize = 16 << 10;

/// Takes in pieces.
#[derive(Debug, Default)]
pub(super) struct RopeBuilder {
    /// Each with the number of bytes before it.
    pieces: Vec<(u64, Bytes)>,
    /// Short pieces, joined.
    short: BytesMut,
    length: u64,
}

impl RopeBuilder {
    /// Number of bytes.
    pub(super) const fn len(&self) -> u64 {
        self.length
    }

    /// Appends a piece.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.length += piece.len() as u64;
        if piece.len() < SHORT {
            self.short.extend_from_slice(&piece);
            return;
        }
        self.end_short(self.length - piece.len() as u64);
        self.pieces.push((self.length - piece.len() as u64, piece));
    }

    /// All bytes in pieces, in their order.
    pub(super) fn into_pieces(mut self) -> impl Iterator<Item = Bytes> {
        self.end_short(self.length);
        self.pieces.into_iter().map(|(_, piece)| piece)
    }

    /// All bytes as a file, at its start.
    pub(super) fn finish(mut self) -> Rope {
        self.end_short(self.length);
        Rope { pieces: self.pieces.into(), length: self.length, position: 0, current: 0 }
    }

    fn end_short(&mut self, end: u64) {
        if !self.short.is_empty() {
            let joined = self.short.split().freeze();
            self.pieces.push((end - joined.len() as u64, joined));
        }
    }
}

/// A file in pieces.
#[derive(Debug, Clone)]
pub(super) struct Rope {
    pieces: Arc<[(u64, Bytes)]>,
    length: u64,
    position: u64,
    /// The piece that was read last.
    current: usize,
}

impl Rope {
    /// The same file, at its start.
    pub(super) fn again(&self) -> Self {
        Self { position: 0, current: 0, ..self.clone() }
    }

    /// The bytes at the position, up to the end of their piece.
    fn rest(&mut self) -> &[u8] {
        let within = |(start, piece): &(u64, Bytes)| {
            let offset = self.position.checked_sub(*start)?;
            usize::try_from(offset).ok().filter(|offset| *offset < piece.len())
        };
        let next = self.current + 1;
        let found = [self.current, next]
            .into_iter()
            .find(|number| self.pieces.get(*number).is_some_and(|piece| within(piece).is_some()));
        self.current = found.unwrap_or_else(|| {
            self.pieces.partition_point(|(start, _)| *start <= self.position).saturating_sub(1)
        });
        let piece = self.pieces.get(self.current);
        let rest = piece.and_then(|piece| piece.1.get(within(piece)?..));
        rest.unwrap_or_default()
    }
}

impl Read for Rope {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.rest();
        let length = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), rest.get(..length)) {
            to.copy_from_slice(from);
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Rope {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn rope(bytes: &[u8], lengths: &[usize]) -> RopeBuilder {
        let (mut left, mut builder) = (bytes, RopeBuilder::default());
        for length in lengths.iter().cycle() {
            if left.is_empty() {
                break;
            }
            let (piece, rest) = left.split_at((*length).min(left.len()));
            builder.push(Bytes::copy_from_slice(piece));
            left = rest;
        }
        builder
    }

    #[test]
    fn a_rope_reads_and_seeks_as_its_bytes_in_one() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        for lengths in [&[200_000][..], &[1], &[40_000, 3, 16_384, 0, 900], &[16_383, 16_385]] {
            let mut rope = rope(&bytes, lengths).finish();
            let mut one = Cursor::new(&bytes);
            let mut whole = Vec::new();
            rope.read_to_end(&mut whole).unwrap();
            assert!(whole == bytes);
            for (seek, length) in [
                (SeekFrom::Start(39_990), 20),
                (SeekFrom::Current(-15), 60_000),
                (SeekFrom::End(-7), 7),
                (SeekFrom::Start(0), 1),
                (SeekFrom::Current(150_000), 17_000),
            ] {
                assert_eq!(rope.seek(seek).unwrap(), one.seek(seek).unwrap());
                let (mut read, mut expected) = (vec![0; length], vec![0; length]);
                rope.read_exact(&mut read).unwrap();
                one.read_exact(&mut expected).unwrap();
                assert!(read == expected, "{seek:?}");
            }
            assert_eq!(rope.seek(SeekFrom::End(5)).unwrap(), 200_005);
            assert_eq!(rope.read(&mut [0; 4]).unwrap(), 0);
            assert!(rope.seek(SeekFrom::Current(-300_000)).is_err());
            assert_eq!(rope.again().read(&mut [0; 4]).unwrap(), 4);
        }
    }

    #[test]
    fn short_pieces_are_joined() {
        let builder = rope(&vec![7; 100_000], &[1]);
        assert_eq!(builder.len(), 100_000);
        assert!(builder.into_pieces().count() <= 7);
    }
}
