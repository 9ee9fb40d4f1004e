//! Pixels to a stored frame, verified by decoding it again.

use crate::error::CodecError;
use crate::facts::{FrameFacts, stored_range};
use crate::shape::FrameShape;
use crate::transfer_syntax::LosslessFormat;
use crate::{openjpeg, openjph};

/// Maximum number of components of a frame: the most of DICOM's photometric interpretations.
const MOST_SAMPLES_PER_PIXEL: u16 = 4;

/// A frame ready to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// A raw codestream, without file boxes.
    pub bytes: Vec<u8>,
    /// Facts for the metadata document.
    pub facts: FrameFacts,
}

impl std::fmt::Debug for EncodedFrame {
    /// Leaves the bytes out: they are patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncodedFrame")
            .field("bytes", &self.bytes.len())
            .field("facts", &self.facts)
            .finish()
    }
}

/// Whether the codestream decorrelates its first three components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColorTransform {
    None,
    /// RCT (T.800 §G.2), which every decoder undoes by itself.
    Reversible,
}

impl ColorTransform {
    /// RCT is defined on RGB; other color is stored component by component (PS3.5 §8.2.4).
    fn suited_to(shape: &FrameShape, photometric: &str) -> Self {
        if shape.samples_per_pixel == 3 && photometric == "RGB" {
            Self::Reversible
        } else {
            Self::None
        }
    }
}

/// Encodes a frame without loss, decodes the result and compares it byte for byte.
///
/// The codestream's bit depth is Bits Stored when every sample fits, otherwise Bits Allocated, so
/// that bits above Bits Stored survive; in JPEG 2000 also where noise of few bits leaves the encoder
/// no room. With 16 bits allocated it is at least 9, because decoders return one byte a sample for
/// up to 8: what they return has the length, and the checksum, that Bits Allocated promises. RGB gets the reversible color transform; whatever the photometric interpretation, the
/// stream decodes to the samples that came in.
///
/// # Errors
/// [`CodecError::Unsupported`] when the format cannot hold the shape exactly (Bits Allocated
/// other than 8 and 16, more than 4 samples per pixel), [`CodecError::Shape`] when `pixels` has
/// another length than `shape` says, [`CodecError::NotLossless`] when the comparison fails.
pub fn encode(
    format: LosslessFormat,
    shape: &FrameShape,
    photometric: &str,
    pixels: &[u8],
) -> Result<EncodedFrame, CodecError> {
    let length = shape.checked_length()?;
    if !matches!(shape.bits_allocated, 8 | 16) || shape.samples_per_pixel > MOST_SAMPLES_PER_PIXEL {
        return Err(CodecError::unsupported(format!(
            "lossless encoding of {} samples per pixel of {} bits allocated",
            shape.samples_per_pixel, shape.bits_allocated
        )));
    }
    if pixels.len() != length {
        return Err(CodecError::Shape(format!(
            "the image attributes require {length} bytes, the frame has {}",
            pixels.len()
        )));
    }

    let (bit_depth, facts) = survey(shape, pixels);
    let color = ColorTransform::suited_to(shape, photometric);
    let bytes = match format {
        LosslessFormat::Htj2k => {
            let bytes = openjph::encode(shape, bit_depth, color, pixels)?;
            openjph::verify_own(shape, &bytes, pixels)?;
            bytes
        }
        LosslessFormat::Jpeg2000 => {
            let bytes = openjpeg::encode(shape, bit_depth, color, pixels)?;
            if openjpeg::decode(shape, &bytes)? != pixels {
                return Err(CodecError::NotLossless);
            }
            bytes
        }
    };
    Ok(EncodedFrame { bytes, facts })
}

/// The smallest bit depth for which decoders return samples of Bits Allocated.
fn fewest_bits(shape: &FrameShape) -> u16 {
    if shape.bits_allocated > 8 { 9 } else { 1 }
}

/// Bit depth that holds every sample, and the facts.
fn survey(shape: &FrameShape, pixels: &[u8]) -> (u16, FrameFacts) {
    let whole = stored_range(shape, pixels, shape.bits_allocated);
    let bits = u32::from(shape.bits_stored);
    let (least, most) = if shape.is_signed() {
        (-(1_i64 << (bits - 1)), (1_i64 << (bits - 1)) - 1)
    } else {
        (0, (1_i64 << bits) - 1)
    };
    let fits = whole.0 >= least && whole.1 <= most;
    let (bit_depth, (min, max)) = if fits {
        (shape.bits_stored.max(fewest_bits(shape)), whole)
    } else {
        (shape.bits_allocated, stored_range(shape, pixels, shape.bits_stored))
    };
    (bit_depth, FrameFacts { crc32: crc32fast::hash(pixels), min, max })
}
