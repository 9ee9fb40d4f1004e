//! Colour of three samples a pixel.

use healthimaging_image::PixelRepresentation;

use super::bits::{Cut, samples};
use super::{byte, float};
use crate::error::CodecError;
use crate::shape::{FrameShape, zeroed};

/// Red, green and blue of all pixels, interleaved.
pub(super) fn rgb(shape: &FrameShape, pixels: &[u8]) -> Result<Vec<u8>, CodecError> {
    match shape.bytes_per_sample() {
        1 if shape.bits_stored == 8 => Ok(pixels.to_vec()),
        1 => scaled(shape, samples::<1>(pixels)),
        2 => scaled(shape, samples::<2>(pixels)),
        _ => scaled(shape, samples::<4>(pixels)),
    }
}

/// The same, of luminance and chrominance.
pub(super) fn from_ybr(shape: &FrameShape, pixels: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut shown = rgb(shape, pixels)?;
    for pixel in shown.as_chunks_mut().0 {
        *pixel = convert(*pixel);
    }
    Ok(shown)
}

/// Samples of any width as levels from 0 to 255.
fn scaled(shape: &FrameShape, samples: impl Iterator<Item = u32>) -> Result<Vec<u8>, CodecError> {
    let cut =
        Cut::of(&FrameShape { representation: PixelRepresentation::Unsigned, ..*shape }, None)?;
    let greatest = float((1_i64 << shape.bits_stored) - 1);
    let mut levels = zeroed(usize::try_from(shape.samples()).unwrap_or(usize::MAX))?;
    for (level, sample) in levels.iter_mut().zip(samples) {
        *level = byte(float(cut.value(sample)) * 255.0 / greatest);
    }
    Ok(levels)
}

/// PS3.3 §C.7.6.3.1.2, turned round.
fn convert([y, blue, red]: [u8; 3]) -> [u8; 3] {
    let y = f64::from(y);
    let (blue, red) = (f64::from(blue) - 128.0, f64::from(red) - 128.0);
    [
        byte(y + 1.402 * red),
        byte(y - 0.344_136_286 * blue - 0.714_136_286 * red),
        byte(y + 1.772 * blue),
    ]
}
