//! From a decoder's numbers to samples of Bits Allocated.

use crate::error::CodecError;
use crate::shape::{FrameShape, zeroed};

/// Cuts a decoder's number to `precision` bits and extends it as Pixel Representation says.
///
/// Streams often carry the other signedness than the image attributes, and JPEG carries none;
/// the attributes win.
fn settle(value: i32, precision: u32, signed: bool) -> i32 {
    let unused = 32 - precision.clamp(1, 32);
    if signed {
        value << unused >> unused
    } else {
        (value.cast_unsigned() << unused >> unused).cast_signed()
    }
}

/// Writes one component's numbers to their places in interleaved pixels.
///
/// `shape` has 8, 16 or 32 Bits Allocated; `precision` does not exceed it.
pub(crate) fn write_component(
    shape: &FrameShape,
    pixels: &mut [u8],
    component: usize,
    precision: u32,
    values: impl Iterator<Item = i32>,
) {
    let signed = shape.is_signed();
    let sample = shape.bytes_per_sample();
    let start = component * sample;
    let places = pixels.chunks_exact_mut(sample * shape.samples_in_a_pixel());
    let settled = values.map(|value| settle(value, precision, signed).to_le_bytes());
    match sample {
        1 => places.zip(settled).for_each(|(pixel, [low, ..])| {
            if let Some(to) = pixel.get_mut(start) {
                *to = low;
            }
        }),
        2 => places.zip(settled).for_each(|(pixel, [low, high, ..])| {
            if let Some([first, second]) = pixel.get_mut(start..start + 2) {
                (*first, *second) = (low, high);
            }
        }),
        _ => places.zip(settled).for_each(|(pixel, bytes)| {
            if let Some(to) = pixel.get_mut(start..start + 4) {
                to.copy_from_slice(&bytes);
            }
        }),
    }
}

/// Widens interleaved samples of one byte (precision up to 8) or two native bytes to `shape`.
pub(crate) fn widen(
    shape: &FrameShape,
    decoded: Vec<u8>,
    precision: u32,
) -> Result<Vec<u8>, CodecError> {
    let length = shape.checked_length()?;
    let samples = length / shape.bytes_per_sample();
    let from_bytes = decoded.len() / samples;
    if from_bytes * samples != decoded.len() || !matches!(from_bytes, 1 | 2) {
        return Err(CodecError::malformed(format!(
            "{} bytes were decoded for {samples} samples",
            decoded.len()
        )));
    }
    let settled = !shape.is_signed() || precision == u32::from(shape.bits_allocated);
    let same_layout = from_bytes == 1 || cfg!(target_endian = "little");
    if settled && same_layout && from_bytes == shape.bytes_per_sample() {
        return Ok(decoded);
    }
    let mut pixels = zeroed(length)?;
    // One "component" of a "pixel" per sample: the layout is interleaved on both sides.
    let flat = FrameShape { samples_per_pixel: 1, ..*shape };
    if from_bytes == 1 {
        write_component(&flat, &mut pixels, 0, precision, decoded.iter().map(|&v| v.into()));
    } else {
        let (words, _) = decoded.as_chunks();
        let values = words.iter().map(|&word| u16::from_ne_bytes(word).into());
        write_component(&flat, &mut pixels, 0, precision, values);
    }
    Ok(pixels)
}
