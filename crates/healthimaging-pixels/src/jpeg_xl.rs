//! JPEG XL (ISO/IEC 18181-1), lossy and lossless, by `jxl-oxide`.

use std::error::Error;

use jxl_oxide::image::BitDepth;
use jxl_oxide::{AllocTracker, JxlImage};

use crate::decode::SourceFrame;
use crate::error::CodecError;
use crate::samples::widen;
use crate::shape::{FrameShape, StreamShape};

/// Memory of the decoder per pixel; lossy gray pictures took 24 bytes, since they are decoded in color.
const BYTES_A_PIXEL: u64 = 48;
/// Memory for tables, and for the last groups of pixels, which extend beyond the picture.
const BYTES_BESIDE: u64 = 64 << 20;
/// Number of bits that a 32-bit float holds exactly.
const MOST_BITS: u32 = 16;

/// Decodes to interleaved little-endian samples.
pub(crate) fn decode(source: &SourceFrame<'_>) -> Result<Vec<u8>, CodecError> {
    let shape = &source.shape;
    shape.checked_length()?;
    let pixels = u64::from(shape.rows).saturating_mul(shape.columns.into());
    let memory = pixels.saturating_mul(BYTES_A_PIXEL).saturating_add(BYTES_BESIDE);
    let memory = AllocTracker::with_limit(usize::try_from(memory).unwrap_or(usize::MAX));
    let image = JxlImage::builder()
        .alloc_tracker(memory)
        .read(source.data)
        .map_err(|error| refusal(shape, &*error))?;
    let precision = agree(&image, shape)?;
    if !image.is_loading_done() {
        return Err(CodecError::malformed("JPEG XL: the stream is cut short"));
    }
    let rendered = image.render_frame(0).map_err(|error| refusal(shape, &*error))?;
    let rendered = rendered.image_all_channels();
    let top = f32::from(u16::MAX >> (MOST_BITS - precision));
    let samples = rendered.buf().iter().map(|part| to_integer(*part, top));
    let decoded = if precision <= 8 {
        samples.map(|sample| sample.to_le_bytes()[0]).collect()
    } else {
        samples.flat_map(u16::to_ne_bytes).collect()
    };
    widen(shape, decoded, precision)
}

/// Compares the stream's header with the attributes; the bits of a sample of the stream.
fn agree(image: &JxlImage, shape: &FrameShape) -> Result<u32, CodecError> {
    let metadata = &image.image_header().metadata;
    let colors = if image.pixel_format().is_grayscale() { 1 } else { 3 };
    let BitDepth::IntegerSample { bits_per_sample } = metadata.bit_depth else {
        return Err(CodecError::unsupported("JPEG XL of floating point samples"));
    };
    shape.agree(&StreamShape {
        rows: image.height().into(),
        columns: image.width().into(),
        components: colors + metadata.ec_info.len(),
        depth: bits_per_sample,
    })?;
    if bits_per_sample > MOST_BITS {
        return Err(CodecError::unsupported(format!("JPEG XL of {bits_per_sample} bits")));
    }
    Ok(bits_per_sample)
}

/// A part of the range as a number up to `top`. Lossy streams go beyond the range; that is cut off.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0.5 to `top` and a half; what is no number becomes 0"
)]
fn to_integer(part: f32, top: f32) -> u16 {
    part.clamp(0.0, 1.0).mul_add(top, 0.5) as u16
}

/// Returns the error: damage of the stream, or memory that the decoder may not take.
fn refusal(shape: &FrameShape, error: &dyn Error) -> CodecError {
    let words = error.to_string();
    if words.contains("failed to allocate") {
        return CodecError::OutOfMemory(shape.byte_length());
    }
    CodecError::malformed(format!("JPEG XL: {words}"))
}
