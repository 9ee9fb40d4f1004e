//! RLE Lossless (PS3.5 Annex G).
//!
//! Unpacked here, not by `dicom-transfer-syntax-registry` 0.10: its reader panics on segments
//! that are too short, refuses 32 bits, and refuses frames that shrink to less than 1/32, which
//! blank frames do.

use crate::decode::SourceFrame;
use crate::error::CodecError;
use crate::shape::zeroed;

/// Number of segments, then 15 offsets (PS3.5 §G.5).
const HEADER_LENGTH: usize = 64;
const MOST_SEGMENTS: usize = 15;
/// Two packed bytes hold at most 128.
const GREATEST_RATIO: usize = 64;

/// Decodes to interleaved little-endian samples.
pub(crate) fn decode(source: &SourceFrame<'_>) -> Result<Vec<u8>, CodecError> {
    let shape = &source.shape;
    let length = shape.checked_length()?;
    let sample = shape.bytes_per_sample();
    let pixel = sample * shape.samples_in_a_pixel();
    let segments = segments(source.data)?;
    if segments.len() != pixel {
        return Err(CodecError::Disagreement(format!(
            "the image attributes require {pixel} RLE segments, the frame has {}",
            segments.len()
        )));
    }
    if source.data.len().saturating_mul(GREATEST_RATIO) < length {
        return Err(CodecError::malformed("the RLE segments are too short for the image"));
    }

    let mut pixels = zeroed(length)?;
    for (index, segment) in segments.into_iter().enumerate() {
        // Segments come most significant byte first (PS3.5 §G.2).
        let (component, byte) = (index / sample, sample - 1 - index % sample);
        let start = component * sample + byte;
        let places = pixels.get_mut(start..).unwrap_or_default().iter_mut().step_by(pixel);
        unpack(segment, places)?;
    }
    Ok(pixels)
}

/// As [`decode`], as far as the segments go; missing samples are 0.
pub(crate) fn decode_partly(source: &SourceFrame<'_>) -> Result<Vec<u8>, CodecError> {
    let shape = &source.shape;
    let length = shape.checked_length()?;
    let sample = shape.bytes_per_sample();
    let pixel = sample * shape.samples_in_a_pixel();
    let mut pixels = zeroed(length)?;
    for (index, segment) in segments(source.data)?.into_iter().take(pixel).enumerate() {
        let (component, byte) = (index / sample, sample - 1 - index % sample);
        let places = pixels.get_mut(component * sample + byte..).unwrap_or_default();
        // The error says that it is short, which is known.
        let _ = unpack(segment, places.iter_mut().step_by(pixel));
    }
    Ok(pixels)
}

/// The unpacked bytes of a frame of one segment, at most so many.
pub(crate) fn only_segment(data: &[u8], most: usize) -> Result<Vec<u8>, CodecError> {
    let segments = segments(data)?;
    let [segment] = segments[..] else {
        return Err(CodecError::Disagreement(format!(
            "samples of less than 8 bits need one RLE segment, the frame has {}",
            segments.len()
        )));
    };
    let mut bytes = Vec::new();
    let mut rest = segment;
    while let ([control, after @ ..], true) = (rest, bytes.len() < most) {
        let room = most - bytes.len();
        rest = match (*control, after) {
            (0..=127, after) => {
                let count = (usize::from(*control) + 1).min(after.len());
                let (literal, after) = after.split_at(count);
                bytes.extend(literal.iter().take(room));
                after
            }
            (129..=255, [value, after @ ..]) => {
                let count = 257 - usize::from(*control);
                bytes.extend(std::iter::repeat_n(*value, count.min(room)));
                after
            }
            (_, after) => after,
        };
    }
    Ok(bytes)
}

fn segments(data: &[u8]) -> Result<Vec<&[u8]>, CodecError> {
    let damaged = || CodecError::malformed("the RLE header is damaged");
    let (header, _) = data.split_at_checked(HEADER_LENGTH).ok_or_else(damaged)?;
    let (words, _) = header.as_chunks::<4>();
    let mut words = words.iter().map(|&word| u32::from_le_bytes(word) as usize);
    let count = words.next().filter(|count| *count <= MOST_SEGMENTS).ok_or_else(damaged)?;
    let offsets: Vec<usize> = words.take(count).collect();
    let ends = offsets.iter().copied().skip(1).chain([data.len()]);
    offsets
        .iter()
        .zip(ends)
        .map(|(&start, end)| {
            if start < HEADER_LENGTH {
                return Err(damaged());
            }
            data.get(start..end).ok_or_else(damaged)
        })
        .collect()
}

/// Unpacks one segment into `places`, all of which it must fill; what is left over is padding. What a
/// segment that is cut has is unpacked before that is an error.
fn unpack<'a>(
    segment: &[u8],
    mut places: impl ExactSizeIterator<Item = &'a mut u8>,
) -> Result<(), CodecError> {
    let short = || CodecError::malformed("an RLE segment is too short");
    let mut rest = segment;
    while places.len() > 0 {
        let (&control, after) = rest.split_first().ok_or_else(short)?;
        rest = match control {
            0..=127 => {
                let count = usize::from(control) + 1;
                let (literal, after) = after.split_at(count.min(after.len()));
                // The source must be the first of the zip: the other side would lose a place.
                for (from, to) in literal.iter().zip(&mut places) {
                    *to = *from;
                }
                after
            }
            128 => after,
            129..=255 => {
                let (value, after) = after.split_first().ok_or_else(short)?;
                for to in places.by_ref().take(257 - usize::from(control)) {
                    *to = *value;
                }
                after
            }
        };
    }
    Ok(())
}
