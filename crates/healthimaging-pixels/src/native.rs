//! Native (uncompressed) frames: byte order, planes and subsampled color put right.

use std::borrow::Cow;

use healthimaging_image::{ByteOrder, PlanarConfiguration};

use crate::decode::{DecodedFrame, SourceFrame};
use crate::error::CodecError;
use crate::shape::{FrameShape, zeroed};
use crate::transfer_syntax::byte_order;

/// Returns the pixels of a native frame that are stored as [`decode`] returns them; `None` if they are not, or the frame is
/// wrong.
pub(crate) fn unchanged<'a>(source: &SourceFrame<'a>) -> Option<&'a [u8]> {
    let is_whole =
        !matches!(source.photometric, "YBR_FULL_422" | "YBR_PARTIAL_422" | "YBR_PARTIAL_420");
    let is_interleaved =
        source.shape.samples_per_pixel == 1 || source.planar == PlanarConfiguration::Interleaved;
    if !(is_whole && is_interleaved && is_little_endian(source)) {
        return None;
    }
    take(source.data, source.shape.checked_length().ok()?).ok()
}

/// Decodes a native frame.
pub(crate) fn decode(source: &SourceFrame<'_>) -> Result<DecodedFrame, CodecError> {
    let length = source.shape.checked_length()?;
    match source.photometric {
        // Some writers declare subsampling and store full color; the length shows it.
        "YBR_FULL_422" if !fits(source.data, length) => subsampled(source, length, "YBR_FULL"),
        "YBR_FULL_422" => full(source, length, "YBR_FULL"),
        "YBR_PARTIAL_422" | "YBR_PARTIAL_420" => {
            Err(CodecError::unsupported(format!("native {}", source.photometric)))
        }
        photometric => full(source, length, photometric),
    }
}

fn full(
    source: &SourceFrame<'_>,
    length: usize,
    photometric: &str,
) -> Result<DecodedFrame, CodecError> {
    let stored = little_endian(source, take(source.data, length)?)?;
    let pixels = match source.planar {
        PlanarConfiguration::Planes if source.shape.samples_per_pixel > 1 => {
            interleave(&source.shape, &stored)?
        }
        PlanarConfiguration::Planes | PlanarConfiguration::Interleaved => stored.into_owned(),
    };
    Ok(DecodedFrame { pixels, photometric: photometric.to_owned() })
}

/// Horizontally halved chrominance, `Y Y Cb Cr` for two pixels (PS3.3 §C.7.6.3.1.2).
///
/// The last pixel of a row of odd Columns has a pair of its own, whose second luminance belongs to no
/// pixel; some writers let the pairs run on over the ends of rows, which the length shows.
fn subsampled(
    source: &SourceFrame<'_>,
    length: usize,
    photometric: &str,
) -> Result<DecodedFrame, CodecError> {
    let shape = &source.shape;
    if shape.samples_per_pixel != 3 {
        return Err(CodecError::Shape(format!(
            "YBR_FULL_422 needs 3 Samples per Pixel, not {}",
            shape.samples_per_pixel
        )));
    }
    let sample = shape.bytes_per_sample();
    let (rows, columns) = (shape.rows as usize, shape.columns as usize);
    let running_on = (rows * columns).div_ceil(2) * 4 * sample;
    let by_row = rows * columns.div_ceil(2) * 4 * sample;
    let (line, expected) = match running_on {
        length if fits(source.data, length) => (rows * columns, length),
        _ => (columns, by_row),
    };
    let stored = little_endian(source, take(source.data, expected)?)?;
    let mut pixels = zeroed(length)?;
    let lines = pixels.chunks_exact_mut(line * 3 * sample);
    for (to, from) in lines.zip(stored.chunks_exact(line.div_ceil(2) * 4 * sample)) {
        for (pair, from) in to.chunks_mut(6 * sample).zip(from.chunks_exact(4 * sample)) {
            let (luminance, chrominance) = from.split_at(2 * sample);
            let pixels = pair.chunks_exact_mut(3 * sample);
            for (pixel, y) in pixels.zip(luminance.chunks_exact(sample)) {
                let (first, rest) = pixel.split_at_mut(sample);
                first.copy_from_slice(y);
                rest.copy_from_slice(chrominance);
            }
        }
    }
    Ok(DecodedFrame { pixels, photometric: photometric.to_owned() })
}

/// Whether `data` is a frame of `length` bytes, give or take the byte that pads to an even length.
fn fits(data: &[u8], length: usize) -> bool {
    data.len() == length || (length % 2 == 1 && data.len() == length + 1)
}

fn take(data: &[u8], length: usize) -> Result<&[u8], CodecError> {
    if !fits(data, length) {
        return Err(CodecError::Disagreement(format!(
            "the image attributes require {length} bytes, the frame has {}",
            data.len()
        )));
    }
    Ok(data.get(..length).unwrap_or(data))
}

fn little_endian<'a>(
    source: &SourceFrame<'_>,
    data: &'a [u8],
) -> Result<Cow<'a, [u8]>, CodecError> {
    if is_little_endian(source) {
        return Ok(Cow::Borrowed(data));
    }
    let sample = source.shape.bytes_per_sample();
    let mut swapped = zeroed(data.len())?;
    for (to, from) in swapped.chunks_exact_mut(sample).zip(data.chunks_exact(sample)) {
        to.copy_from_slice(from);
        to.reverse();
    }
    Ok(Cow::Owned(swapped))
}

fn is_little_endian(source: &SourceFrame<'_>) -> bool {
    byte_order(source.transfer_syntax) == ByteOrder::Little || source.shape.bytes_per_sample() == 1
}

/// Turns planes of whole samples into samples interleaved by pixel.
pub(crate) fn interleave(shape: &FrameShape, planes: &[u8]) -> Result<Vec<u8>, CodecError> {
    let sample = shape.bytes_per_sample();
    let count = shape.samples_in_a_pixel();
    let mut pixels = zeroed(planes.len())?;
    let plane_length = (planes.len() / count).max(1);
    for (index, plane) in planes.chunks_exact(plane_length).enumerate() {
        let whole = pixels.chunks_exact_mut(sample * count);
        for (pixel, from) in whole.zip(plane.chunks_exact(sample)) {
            if let Some(to) = pixel.get_mut(index * sample..(index + 1) * sample) {
                to.copy_from_slice(from);
            }
        }
    }
    Ok(pixels)
}
