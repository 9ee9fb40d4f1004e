//! Pieces of a gzip member: texts that were compressed one by one, and are served as one.
//!
//! Each piece is raw deflate (RFC 1951) that refers to nothing before it and ends with a full flush, so at
//! a byte. A member is a header, pieces, an empty last block, and the checksum and length of all (RFC 1952).

use crc32fast::Hasher;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// Header of a member: deflate, no name, no time, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// Last block: fixed codes, empty.
const LAST: [u8; 2] = [3, 0];
/// How much longer a text is than its deflate at most (zlib's technical details).
const RATIO: u64 = 1032;

/// Compresses a text as a piece.
pub(crate) fn compress(text: &[u8], effort: Compression) -> Vec<u8> {
    let mut piece = Vec::with_capacity(text.len() / 4 + 64);
    let mut stream = Compress::new(effort, false);
    loop {
        let rest = text.get(consumed(stream.total_in())..).unwrap_or_default();
        // Fails only for streams that have ended.
        let _ = stream.compress_vec(rest, &mut piece, FlushCompress::Full);
        if consumed(stream.total_in()) == text.len() && piece.len() < piece.capacity() {
            return piece;
        }
        piece.reserve(piece.capacity().max(64));
    }
}

fn consumed(total: u64) -> usize {
    usize::try_from(total).unwrap_or(usize::MAX)
}

/// The text of a piece, behind what `to` holds; `None` if it does not have this length and checksum.
pub(crate) fn expand(piece: &[u8], length: u64, crc32: u32, to: &mut Vec<u8>) -> Option<()> {
    let start = to.len();
    if length > (piece.len() as u64).saturating_mul(RATIO) {
        return None;
    }
    let length = usize::try_from(length).ok()?;
    // One more, to find a text that is longer.
    to.reserve_exact(length + 1);
    let mut stream = Decompress::new(false);
    loop {
        let (read, written) = (stream.total_in(), stream.total_out());
        let rest = piece.get(consumed(read)..)?;
        stream.decompress_vec(rest, to, FlushDecompress::None).ok()?;
        if (read, written) == (stream.total_in(), stream.total_out()) {
            break;
        }
    }
    let text = to.get(start..)?;
    (text.len() == length && crc32fast::hash(text) == crc32).then_some(())
}

/// A gzip member that is put together.
pub(crate) struct Member {
    bytes: Vec<u8>,
    sum: Hasher,
    length: u64,
}

impl Member {
    /// An empty one, for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut member = Vec::with_capacity(bytes + HEADER.len() + LAST.len() + 8);
        member.extend(HEADER);
        Self { bytes: member, sum: Hasher::new(), length: 0 }
    }

    /// Adds a piece, with the length and the checksum of its text.
    pub(crate) fn piece(&mut self, piece: &[u8], length: u64, crc32: u32) {
        self.bytes.extend(piece);
        self.sum.combine(&Hasher::new_with_initial_len(crc32, length));
        self.length += length;
    }

    /// Adds a text of some bytes as it is: it is not worth compressing.
    pub(crate) fn stored(&mut self, text: &[u8]) {
        for part in text.chunks(usize::from(u16::MAX)) {
            let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
            self.bytes.push(0);
            self.bytes.extend(length.to_le_bytes());
            self.bytes.extend((!length).to_le_bytes());
            self.bytes.extend(part);
        }
        self.sum.update(text);
        self.length += text.len() as u64;
    }

    /// The member.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend(LAST);
        self.bytes.extend(self.sum.finalize().to_le_bytes());
        // The length modulo 2³².
        let length = self.length.to_le_bytes();
        self.bytes.extend(length.iter().take(4));
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// Longer than a window of deflate, and as compressible as metadata.
    fn text(seed: usize, length: usize) -> Vec<u8> {
        (0..length).map(|i| (i.wrapping_mul(seed) >> 3).to_le_bytes()[0] & 0x3f).collect()
    }

    #[test]
    fn pieces_are_one_member() {
        let texts = [text(7, 0), text(1, 100_000), text(77_777, 70_000), text(7, 1)];
        let mut member = Member::with_capacity(0);
        let mut expected = Vec::new();
        for text in &texts {
            let piece = compress(text, Compression::new(3));
            assert!(piece.ends_with(&[0, 0, 0xff, 0xff]), "ends with a flush");
            member.piece(&piece, text.len() as u64, crc32fast::hash(text));
            member.stored(b",");
            expected.extend(text);
            expected.push(b',');
        }
        let long = text(3, 200_000);
        member.stored(&long);
        expected.extend(long);
        let member = member.finish();
        let mut found = Vec::new();
        // The decoder of one member, which compares checksum and length.
        let mut decoder = GzDecoder::new(&member[..]);
        decoder.read_to_end(&mut found).unwrap();
        assert!(found == expected);
        assert!(decoder.into_inner().is_empty());
    }

    #[test]
    fn a_piece_is_expanded_behind_what_is_there_and_compared() {
        for length in [0, 1, 1000, 200_000] {
            let text = text(12_345, length);
            let piece = compress(&text, Compression::new(3));
            let sum = crc32fast::hash(&text);
            let mut to = b"{".to_vec();
            expand(&piece, length as u64, sum, &mut to).unwrap();
            assert!(to[0] == b'{' && to[1..] == text);
            assert_eq!(expand(&piece, length as u64, !sum, &mut Vec::new()), None);
            assert_eq!(expand(&piece, length as u64 + 1, sum, &mut Vec::new()), None);
            assert_eq!(expand(&piece, u64::MAX, sum, &mut Vec::new()), None, "not allocated");
            if length > 1 {
                assert_eq!(expand(&piece, length as u64 - 1, sum, &mut Vec::new()), None);
                let cut = &piece[..piece.len() / 2];
                assert_eq!(expand(cut, length as u64, sum, &mut Vec::new()), None);
            }
        }
    }
}
