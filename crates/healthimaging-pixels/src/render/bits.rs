//! Where the value of a sample lies, and frames of single bits.

use crate::decode::{DecodedFrame, SourceFrame};
use crate::error::CodecError;
use crate::shape::{FrameShape, zeroed};

/// The bits of a frame of a native binary segmentation as samples of 8 bits; the shape tells.
pub(crate) fn unpack_bits(
    source: &SourceFrame<'_>,
) -> Result<(FrameShape, DecodedFrame), CodecError> {
    let shape = FrameShape { bits_allocated: 8, bits_stored: 1, ..source.shape };
    let length = shape.checked_length()?;
    if source.data.len() < length.div_ceil(8) {
        return Err(CodecError::Disagreement(format!(
            "the image attributes ask for {length} bits, the frame has {} bytes",
            source.data.len()
        )));
    }
    let mut pixels = zeroed(length)?;
    // The first pixel is the lowest bit: PS3.5 §8.1.1.
    for (eight, byte) in pixels.chunks_mut(8).zip(source.data) {
        for (place, pixel) in eight.iter_mut().enumerate() {
            *pixel = byte >> place & 1;
        }
    }
    let photometric = source.photometric.to_owned();
    let decoded = DecodedFrame { pixels, photometric };
    Ok((shape, decoded))
}

/// Cuts the value out of a sample: High Bit and Bits Stored tell where it lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    left: u32,
    right: u32,
    signed: bool,
}

impl Cut {
    /// Where the values of this shape lie. A High Bit that leaves no room for the value is ignored.
    pub(super) fn of(shape: &FrameShape, high_bit: Option<u16>) -> Result<Self, CodecError> {
        if shape.bits_allocated > 32 {
            return Err(CodecError::unsupported(format!(
                "showing samples of {} bits",
                shape.bits_allocated
            )));
        }
        let top = high_bit
            .filter(|&bit| bit < shape.bits_allocated && bit + 1 >= shape.bits_stored)
            .unwrap_or(shape.bits_stored - 1);
        Ok(Self {
            left: 31 - u32::from(top),
            right: 32 - u32::from(shape.bits_stored),
            signed: shape.is_signed(),
        })
    }

    /// The value of a sample.
    pub(super) fn value(self, sample: u32) -> i64 {
        let high = sample << self.left;
        if self.signed {
            i64::from(high.cast_signed() >> self.right)
        } else {
            i64::from(high >> self.right)
        }
    }
}

/// The samples of a frame, as they lie there.
pub(super) fn samples<const BYTES: usize>(pixels: &[u8]) -> impl Iterator<Item = u32> + Clone + '_ {
    let (samples, _) = pixels.as_chunks::<BYTES>();
    samples
        .iter()
        .map(|sample| sample.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte)))
}
