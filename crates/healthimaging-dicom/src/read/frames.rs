//! Which bytes of the pixel data are which frame.

use std::io::{Read, Seek, Write};
use std::ops::Range;

use dicom_core::VR;

use crate::data_set::DataSet;

use super::description::{ByteOrder, declared_frames};
use super::pixel_data::{Encapsulation, ExtendedOffsets, Fragment, PixelData, PixelLayout};
use super::stream::Stream;
use super::{FrameError, PixelDescription, ReadError};

/// Location of each frame.
#[derive(Debug)]
pub(super) enum FrameTable {
    /// One after another, each of so many bits.
    Native {
        frame_bits: u64,
        frames: usize,
        bytes: ByteSequence,
        /// Where there are other whole frames than Number of Frames says.
        mismatch: Option<FrameError>,
    },
    /// Fragments of each frame.
    Encapsulated {
        spans: Vec<Span>,
        /// What is wrong with an offset table that was not needed.
        mismatch: Option<FrameError>,
    },
}

/// How the bytes of native pixel data follow one another in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteSequence {
    AsTheyAre,
    /// Samples of at most 8 bits in the words of OW, which big endian turns: each pair of bytes of the
    /// whole value is swapped, whatever the frames are (PS3.5 §8.1.1, §A.3).
    SwappedPairs,
}

/// The fragments of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    first: usize,
    fragments: usize,
    /// Length in bytes where a table gives it, less than that of the fragments by the padding.
    length: Option<u64>,
}

impl Span {
    fn of(first: usize, fragments: usize) -> Self {
        Self { first, fragments, length: None }
    }
}

impl FrameTable {
    pub(super) fn of<S: Read + Seek>(
        data_set: &DataSet,
        pixels: Option<&PixelData>,
        transfer_syntax: &str,
        byte_order: ByteOrder,
        stream: &mut Stream<S>,
    ) -> Result<Self, FrameError> {
        let pixels = pixels.ok_or(FrameError::NoPixelData)?;
        match &pixels.layout {
            PixelLayout::Native if pixels.length == 0 => Err(FrameError::NoPixelData),
            PixelLayout::Native => native(data_set, byte_order, pixels),
            PixelLayout::Encapsulated(_) if pixels.missing > 0 => {
                let found = pixels.length;
                Err(FrameError::Short { needed: found.saturating_add(pixels.missing), found })
            }
            PixelLayout::Encapsulated(found) => {
                let declared = declared_frames(data_set);
                let frames = usize::try_from(declared).unwrap_or(0);
                if is_video(transfer_syntax) && !found.fragments.is_empty() {
                    let spans = vec![Span::of(0, found.fragments.len())];
                    return Ok(Self::Encapsulated { spans, mismatch: None });
                }
                if frames == 0 && found.fragments.len() == 1 {
                    // As of native pixel data: there is a frame, whatever the number says.
                    let mismatch = Some(FrameError::CountMismatch { declared, found: 1 });
                    return Ok(Self::Encapsulated { spans: vec![Span::of(0, 1)], mismatch });
                }
                if frames == 0 || found.fragments.len() < frames {
                    let found = found.fragments.len() as u64;
                    return Err(FrameError::CountMismatch { declared, found });
                }
                let (spans, mismatch) = spans(found, frames, transfer_syntax, stream)?;
                Ok(Self::Encapsulated { spans, mismatch })
            }
        }
    }

    /// How Number of Frames or an offset table differs from the frames that there are.
    pub(super) fn mismatch(&self) -> Option<&FrameError> {
        match self {
            Self::Native { mismatch, .. } | Self::Encapsulated { mismatch, .. } => {
                mismatch.as_ref()
            }
        }
    }

    /// Number of frames.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Native { frames, .. } => *frames,
            Self::Encapsulated { spans, .. } => spans.len(),
        }
    }

    pub(super) fn read<S: Read + Seek>(
        &self,
        index: usize,
        limit: u64,
        pixels: Option<&PixelData>,
        stream: &mut Stream<S>,
    ) -> Result<Vec<u8>, FrameError> {
        match self.located(index, pixels)? {
            Located::Native(pixels, bits, bytes) => read_native(stream, pixels, bits, bytes, limit),
            Located::Fragments(found, span) => {
                let mut frame = Vec::new();
                copy_fragments(stream, found, span, limit, &mut frame)?;
                Ok(frame)
            }
        }
    }

    /// Writes a frame, and returns its length in bytes.
    pub(super) fn copy<S: Read + Seek>(
        &self,
        index: usize,
        limit: u64,
        pixels: Option<&PixelData>,
        stream: &mut Stream<S>,
        out: &mut dyn Write,
    ) -> Result<u64, FrameError> {
        match self.located(index, pixels)? {
            Located::Native(pixels, bits, bytes) => {
                let frame = read_native(stream, pixels, bits, bytes, limit)?;
                out.write_all(&frame)?;
                Ok(frame.len() as u64)
            }
            Located::Fragments(found, span) => copy_fragments(stream, found, span, limit, out),
        }
    }

    fn located<'a>(
        &self,
        index: usize,
        pixels: Option<&'a PixelData>,
    ) -> Result<Located<'a>, FrameError> {
        let pixels = pixels.ok_or(FrameError::NoPixelData)?;
        let frames = self.len();
        if index >= frames {
            return Err(FrameError::NoSuchFrame { index, frames });
        }
        match (self, &pixels.layout) {
            (Self::Native { frame_bits, bytes, .. }, _) => {
                let bits = *frame_bits * index as u64..*frame_bits * (index as u64 + 1);
                Ok(Located::Native(pixels, bits, *bytes))
            }
            (Self::Encapsulated { spans, .. }, PixelLayout::Encapsulated(found)) => {
                let span = spans.get(index).ok_or(FrameError::NoSuchFrame { index, frames })?;
                Ok(Located::Fragments(found, *span))
            }
            (Self::Encapsulated { .. }, PixelLayout::Native) => Err(FrameError::NoPixelData),
        }
    }
}

/// Location of a frame.
enum Located<'a> {
    /// Bits of the value.
    Native(&'a PixelData, Range<u64>, ByteSequence),
    Fragments(&'a Encapsulation, Span),
}

/// Maximum number of frames that are accepted without being declared: wrong Rows and Columns make many.
const MOST_UNDECLARED: u64 = 1 << 16;

fn native(
    data_set: &DataSet,
    byte_order: ByteOrder,
    pixels: &PixelData,
) -> Result<FrameTable, FrameError> {
    let found = pixels.length;
    let description = PixelDescription::of(data_set)
        .map_err(|error| FrameError::Undescribed(ReadError::from(error).message()))?;
    let frame_bits = description.native_frame_bits();
    let declared = declared_frames(data_set);
    let whole = (found * 8).checked_div(frame_bits).unwrap_or(0);
    let mismatch = FrameError::CountMismatch { declared, found: whole };
    let positive = u32::try_from(declared).ok().filter(|&frames| frames > 0);
    let needed = positive.map(|frames| {
        let bits = u128::from(frame_bits) * u128::from(frames);
        u64::try_from(bits.div_ceil(8)).unwrap_or(u64::MAX)
    });
    // A value may be longer by its padding, or by what some devices leave there; not by frames.
    let fits = needed.is_some_and(|needed| {
        found >= needed && (found - needed).saturating_mul(8) < frame_bits.max(16)
    });
    let (frames, mismatch) = match (positive, needed) {
        (Some(frames), _) if fits => (u64::from(frames), None),
        (Some(1), Some(needed)) if found < needed => {
            return Err(FrameError::Short { needed, found });
        }
        // Whole frames, if not so many as declared, are frames nevertheless; a byte may pad them.
        _ if (1..=MOST_UNDECLARED).contains(&whole)
            && found - (frame_bits * whole).div_ceil(8) <= found % 2 + 1 =>
        {
            (whole, Some(mismatch))
        }
        (Some(_), Some(needed)) if found < needed => {
            return Err(FrameError::Short { needed, found });
        }
        _ => return Err(mismatch),
    };
    let frames = usize::try_from(frames).unwrap_or(usize::MAX);
    let in_words = pixels.vr == VR::OW && description.bits_allocated <= 8;
    let bytes = match byte_order {
        ByteOrder::Big if in_words => ByteSequence::SwappedPairs,
        ByteOrder::Big | ByteOrder::Little => ByteSequence::AsTheyAre,
    };
    Ok(FrameTable::Native { frame_bits, frames, bytes, mismatch })
}

fn read_native<S: Read + Seek>(
    stream: &mut Stream<S>,
    pixels: &PixelData,
    bits: Range<u64>,
    sequence: ByteSequence,
    limit: u64,
) -> Result<Vec<u8>, FrameError> {
    let frame_bits = bits.end - bits.start;
    let length = frame_bits.div_ceil(8);
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    // Frames of single bits follow one another without padding (PS3.5 §8.1.1).
    let shift = u32::try_from(bits.start % 8).unwrap_or(0);
    let (first, last) = (bits.start / 8, bits.end.div_ceil(8));
    let mut bytes = match sequence {
        ByteSequence::AsTheyAre => {
            stream.seek_to(pixels.offset + first)?;
            stream.read_vec(last - first)?
        }
        ByteSequence::SwappedPairs => {
            let start = first - first % 2;
            let end = last.next_multiple_of(2).min(pixels.length);
            stream.seek_to(pixels.offset + start)?;
            let mut pairs = stream.read_vec(end - start)?;
            pairs.chunks_exact_mut(2).for_each(<[u8]>::reverse);
            pairs.drain(..usize::from(start < first));
            pairs.truncate(usize::try_from(last - first).unwrap_or(usize::MAX));
            pairs
        }
    };
    if !frame_bits.is_multiple_of(8) || shift > 0 {
        align(&mut bytes, shift, frame_bits);
    }
    Ok(bytes)
}

/// Moves bits down by `shift`, and clears those after the last.
fn align(bytes: &mut Vec<u8>, shift: u32, bits: u64) {
    let mut above = 0;
    for byte in bytes.iter_mut().rev() {
        let pair = u16::from_le_bytes([*byte, above]);
        above = *byte;
        [*byte, _] = (pair >> shift).to_le_bytes();
    }
    bytes.truncate(usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX));
    if let (Some(last), used @ 1..) = (bytes.last_mut(), bits % 8) {
        *last &= u8::MAX >> (8 - used);
    }
}

fn copy_fragments<S: Read + Seek>(
    stream: &mut Stream<S>,
    found: &Encapsulation,
    span: Span,
    limit: u64,
    out: &mut dyn Write,
) -> Result<u64, FrameError> {
    let fragments = found.fragments.iter().skip(span.first).take(span.fragments);
    let joined: u64 = fragments.clone().map(|fragment| fragment.length).sum();
    let length = span.length.unwrap_or(joined).min(joined);
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    let mut left = length;
    for fragment in fragments {
        let part = fragment.length.min(left);
        stream.seek_to(fragment.offset)?;
        stream.copy_to(part, out)?;
        left -= part;
    }
    Ok(length)
}

/// Fragments of each frame, and what is wrong with the offset table; there are at least as many
/// fragments as frames.
///
/// A table that makes no sense is left alone where each fragment is a frame.
fn spans<S: Read + Seek>(
    found: &Encapsulation,
    frames: usize,
    transfer_syntax: &str,
    stream: &mut Stream<S>,
) -> Result<(Vec<Span>, Option<FrameError>), FrameError> {
    let by_table = match &found.extended {
        Some(extended) => by_extended_offsets(found, extended, frames),
        None if !found.basic_offsets.is_empty() => by_basic_offsets(found, frames),
        None => {
            let spans = without_table(found, frames, transfer_syntax, stream)?;
            return Ok((spans, None));
        }
    };
    match by_table {
        Err(wrong) if found.fragments.len() == frames => {
            Ok((one_fragment_each(frames), Some(wrong)))
        }
        by_table => by_table.map(|spans| (spans, None)),
    }
}

fn one_fragment_each(frames: usize) -> Vec<Span> {
    (0..frames).map(|first| Span::of(first, 1)).collect()
}

fn without_table<S: Read + Seek>(
    found: &Encapsulation,
    frames: usize,
    transfer_syntax: &str,
    stream: &mut Stream<S>,
) -> Result<Vec<Span>, FrameError> {
    let fragments = found.fragments.len();
    if fragments == frames {
        return Ok(one_fragment_each(frames));
    }
    if frames == 1 {
        return Ok(vec![Span::of(0, fragments)]);
    }
    if !ends_with_marker(transfer_syntax) {
        let declared = i64::try_from(frames).unwrap_or(i64::MAX);
        return Err(FrameError::CountMismatch { declared, found: fragments as u64 });
    }
    let spans = by_end_of_image(found, stream)?;
    if spans.len() == frames {
        Ok(spans)
    } else {
        Err(FrameError::Inseparable { fragments, frames })
    }
}

/// Offset of a fragment's item tag from that of the first, as the tables count.
fn item_offset(found: &Encapsulation, fragment: &Fragment) -> u64 {
    let first = found.fragments.first().map_or(0, |first| first.offset);
    fragment.offset.saturating_sub(first)
}

fn by_basic_offsets(found: &Encapsulation, frames: usize) -> Result<Vec<Span>, FrameError> {
    let offsets = &found.basic_offsets;
    if offsets.len() != frames {
        return Err(FrameError::OffsetTable("it has not one entry a frame"));
    }
    if offsets.first() != Some(&0) {
        return Err(FrameError::OffsetTable("its first entry is not 0"));
    }
    let mut starts = Vec::with_capacity(frames);
    let mut wanted = offsets.iter().map(|&offset| u64::from(offset)).peekable();
    for (index, fragment) in found.fragments.iter().enumerate() {
        if wanted.next_if_eq(&item_offset(found, fragment)).is_some() {
            starts.push(index);
        }
    }
    if wanted.next().is_some() {
        return Err(FrameError::OffsetTable("an entry is not where a fragment begins"));
    }
    let ends = starts.iter().skip(1).copied().chain([found.fragments.len()]);
    Ok(starts.iter().zip(ends).map(|(&first, end)| Span::of(first, end - first)).collect())
}

/// Each frame is one fragment then (PS3.3 §C.7.6.3.1.8).
fn by_extended_offsets(
    found: &Encapsulation,
    extended: &ExtendedOffsets,
    frames: usize,
) -> Result<Vec<Span>, FrameError> {
    let ExtendedOffsets { offsets, lengths } = extended;
    if offsets.len() != frames || lengths.len() != frames {
        return Err(FrameError::OffsetTable("the extended one has not one entry a frame"));
    }
    let span = |(&offset, &length): (&u64, &u64)| {
        let first = found
            .fragments
            .binary_search_by_key(&offset, |fragment| item_offset(found, fragment))
            .map_err(|_| FrameError::OffsetTable("an entry is not where a fragment begins"))?;
        let fits = found.fragments.get(first).is_some_and(|fragment| length <= fragment.length);
        if !fits || length == 0 {
            return Err(FrameError::OffsetTable("a length is not that of its fragment"));
        }
        Ok(Span { first, fragments: 1, length: Some(length) })
    };
    offsets.iter().zip(lengths).map(span).collect()
}

/// Ends a frame with each fragment that ends with the end of a JPEG image or JPEG 2000 codestream,
/// FFD9, and up to that many bytes of padding.
fn by_end_of_image<S: Read + Seek>(
    found: &Encapsulation,
    stream: &mut Stream<S>,
) -> Result<Vec<Span>, FrameError> {
    const TAIL: u64 = 10;
    let mut spans = Vec::new();
    let mut first = 0;
    for (index, fragment) in found.fragments.iter().enumerate() {
        let tail = fragment.length.min(TAIL);
        stream.seek_to(fragment.offset + fragment.length - tail)?;
        let bytes = stream.read_vec(tail)?;
        if bytes.windows(2).any(|pair| pair == [0xFF, 0xD9]) {
            spans.push(Span::of(first, index + 1 - first));
            first = index + 1;
        }
    }
    if first < found.fragments.len() {
        spans.push(Span::of(first, found.fragments.len() - first));
    }
    Ok(spans)
}

/// JPEG, JPEG-LS, JPEG 2000 and HTJ2K: .50 to .94 and .201 to .203 of the JPEG branch.
fn ends_with_marker(transfer_syntax: &str) -> bool {
    transfer_syntax
        .strip_prefix("1.2.840.10008.1.2.4.")
        .and_then(|rest| rest.parse::<u16>().ok())
        .is_some_and(|number| matches!(number, 50..=94 | 201..=203))
}

/// MPEG-2, MPEG-4 and HEVC: .100 to .108 of the JPEG branch, and their fragmentable forms.
fn is_video(transfer_syntax: &str) -> bool {
    transfer_syntax
        .strip_prefix("1.2.840.10008.1.2.4.")
        .map(|rest| rest.strip_suffix(".1").unwrap_or(rest))
        .and_then(|rest| rest.parse::<u16>().ok())
        .is_some_and(|number| matches!(number, 100..=108))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_moved_to_the_start_of_a_byte() {
        // 12 bits from bit 4 on: 0xABC0 in the file gives 0x0ABC.
        let mut bytes = vec![0xC0, 0xAB];
        align(&mut bytes, 4, 12);
        assert_eq!(bytes, [0xBC, 0x0A]);
    }
}
