//! Checksum and value range of decoded pixels.

use crate::shape::FrameShape;

/// Facts about the pixels of a frame, for the metadata document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameFacts {
    /// CRC-32 of the decoded pixel bytes, zlib polynomial.
    pub crc32: u32,
    /// Smallest stored value over all samples (before any rescale).
    pub min: i64,
    /// Largest stored value over all samples (before any rescale).
    pub max: i64,
}

/// Checksum of the metadata document: CRC-32, zlib polynomial.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Computes checksum and value range of decoded pixels.
///
/// Values are cut to Bits Stored and, when signed, extended from there, so overlay bits above
/// do not count. For Bits Allocated other than 8, 16 and 32, and for no pixels at all, the range
/// is 0 to 0.
#[must_use]
pub fn facts(shape: &FrameShape, pixels: &[u8]) -> FrameFacts {
    let (min, max) = stored_range(shape, pixels, shape.bits_stored);
    FrameFacts { crc32: checksum(pixels), min, max }
}

/// Smallest and largest value when only the low `bits` of each sample count.
pub(crate) fn stored_range(shape: &FrameShape, pixels: &[u8], bits: u16) -> (i64, i64) {
    let unused = u32::from(shape.bits_allocated.saturating_sub(bits));
    macro_rules! range_of {
        ($sample:ty) => {{
            let unused = unused.min(<$sample>::BITS - 1);
            let (samples, _) = pixels.as_chunks();
            // Shifting up and down again cuts the unused bits and extends the sign in one go.
            range(samples.iter().map(|&bytes| <$sample>::from_le_bytes(bytes) << unused >> unused))
        }};
    }
    match (shape.bits_allocated, shape.is_signed()) {
        (8, false) => range_of!(u8),
        (8, true) => range_of!(i8),
        (16, false) => range_of!(u16),
        (16, true) => range_of!(i16),
        (32, false) => range_of!(u32),
        (32, true) => range_of!(i32),
        _ => (0, 0),
    }
}

/// Folds without branches, so that it becomes vector code.
fn range<T: Copy + Ord + Into<i64>>(mut values: impl Iterator<Item = T>) -> (i64, i64) {
    let Some(first) = values.next() else {
        return (0, 0);
    };
    let (min, max) = values.fold((first, first), |(min, max), v| (min.min(v), max.max(v)));
    (min.into(), max.into())
}
