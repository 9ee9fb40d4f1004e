//! The main header of JPEG 2000 and HTJ2K codestreams (ITU-T T.800 Annex A), checked before a
//! decoder is trusted with it.

use std::borrow::Cow;

use crate::error::CodecError;
use crate::shape::{FrameShape, StreamShape};

const SOC_SIZ: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
const SOT: u16 = 0xFF90;
const TLM: u16 = 0xFF55;
/// Capabilities, eight 32-bit sizes and offsets, the number of components (T.800 §A.5.1).
const SIZ_FIXED: usize = 36;
/// A tile-part is at least an SOT segment and an SOD marker.
const SMALLEST_TILE_PART: u64 = 14;

/// Refuses a codestream whose image and tile sizes do not fit the image attributes.
pub(crate) fn agree(data: &[u8], shape: &FrameShape) -> Result<(), CodecError> {
    let size = Size::read(data)
        .ok_or_else(|| CodecError::malformed("the JPEG 2000 main header is damaged"))?;
    shape.agree(&StreamShape {
        rows: size.rows,
        columns: size.columns,
        components: size.components.len(),
        depth: size.depth(),
    })?;
    if size.subsampled {
        return Err(CodecError::unsupported("JPEG 2000 with subsampled components"));
    }
    // Decoders keep kilobytes for each tile that the header declares.
    if size.tiles.saturating_mul(SMALLEST_TILE_PART) > data.len() as u64 {
        return Err(CodecError::malformed("the codestream declares more tiles than it can hold"));
    }
    Ok(())
}

/// The SIZ marker segment (T.800 §A.5.1).
pub(crate) struct Size {
    pub(crate) columns: u64,
    pub(crate) rows: u64,
    tiles: u64,
    /// Bits less one of each component, with the sign in bit 7.
    pub(crate) components: Vec<u8>,
    subsampled: bool,
}

impl Size {
    /// Bits of the deepest component.
    fn depth(&self) -> u32 {
        self.components.iter().map(|&bits| u32::from(bits & 0x7F) + 1).max().unwrap_or_default()
    }

    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let (_, segment) = next_segment(data.strip_prefix(&SOC_SIZ[..2])?)?;
        data.strip_prefix(&SOC_SIZ)?;
        let (fixed, components) = segment.split_at_checked(SIZ_FIXED)?;
        let (words, _) = fixed.get(2..34)?.as_chunks::<4>();
        let words: Vec<u64> = words.iter().map(|&w| u32::from_be_bytes(w).into()).collect();
        let &[right, bottom, left, top, tile_width, tile_height, tiles_left, tiles_top] =
            words.as_slice()
        else {
            return None;
        };
        let count = u16::from_be_bytes(*fixed.last_chunk()?);
        let (components, _) = components.as_chunks::<3>();
        if components.is_empty() || components.len() != usize::from(count) {
            return None;
        }
        let tiles = |end: u64, start: u64, size: u64| {
            Some(end.checked_sub(start)?.checked_add(size.checked_sub(1)?)? / size)
        };
        Some(Self {
            columns: right.checked_sub(left)?,
            rows: bottom.checked_sub(top)?,
            tiles: tiles(right, tiles_left, tile_width)?.checked_mul(tiles(
                bottom,
                tiles_top,
                tile_height,
            )?)?,
            components: components.iter().map(|&[bits, ..]| bits).collect(),
            subsampled: components.iter().any(|&[_, dx, dy]| (dx, dy) != (1, 1)),
        })
    }
}

/// The codestream without the TLM segments of its main header, which are only hints.
///
/// `OpenJPEG` 2.5.3 and 2.5.4 write beyond their tile-part index when a TLM segment names fewer
/// tile-parts than follow (uclouvain/openjpeg#1652).
pub(crate) fn without_tile_part_lengths(codestream: &[u8]) -> Cow<'_, [u8]> {
    let mut kept = Cow::Borrowed(codestream);
    let mut at = 2;
    while let Some((length, _)) = kept.get(at..).and_then(next_segment) {
        match kept.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(&marker) if u16::from_be_bytes(marker) == TLM => {
                kept.to_mut().drain(at..at + length);
            }
            Some(&marker) if u16::from_be_bytes(marker) == SOT => break,
            _ => at += length,
        }
    }
    kept
}

/// Whole length of the marker segment at the start of `data`, and what follows its length field.
fn next_segment(data: &[u8]) -> Option<(usize, &[u8])> {
    let (&[0xFF, _, l0, l1], _) = data.split_first_chunk::<4>()? else {
        return None;
    };
    let whole = usize::from(u16::from_be_bytes([l0, l1])) + 2;
    Some((whole, data.get(4..whole)?))
}

/// Number of wavelet decompositions: enough that the lowest resolution is at most 64 on each side
/// (PS3.5 §10.18), but never so many that a side of it would fall under one sample.
pub(crate) fn decompositions(shape: &FrameShape) -> u32 {
    let most = shape.rows.min(shape.columns).checked_ilog2().unwrap_or(0);
    let wanted = shape.rows.max(shape.columns).div_ceil(64).max(1).next_power_of_two().ilog2();
    most.min(wanted)
}
