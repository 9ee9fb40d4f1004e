//! Lower resolutions of HTJ2K frames, without decoding the higher ones.
//!
//! A frame in the progression RPCL with a tile-part for each resolution (PS3.5 §8.2.10) begins with its lower resolutions. The
//! first tile-parts, below a main header of the smaller size, are a codestream of their own (ITU-T T.800 Annexes A and B):
//! every decoder decodes it to the wavelet's low-pass picture. Nothing here is decoded or trusted: streams of another form are
//! left to the decoding of the whole frame.

use crate::jp2::codestream_of;
use crate::shape::FrameShape;
use crate::transfer_syntax as uid;

const SOC: u16 = 0xFF4F;
const CAP: u16 = 0xFF50;
const SIZ: u16 = 0xFF51;
const COD: u16 = 0xFF52;
const TLM: u16 = 0xFF55;
const QCD: u16 = 0xFF5C;
const COM: u16 = 0xFF64;
const SOT: u16 = 0xFF90;
const SOD: u16 = 0xFF93;
const EOC: u16 = 0xFFD9;

/// Progression order of COD: resolution, position, component, layer.
const RPCL: u8 = 2;

/// Length of an SOT segment with its marker.
const SOT_LENGTH: usize = 12;

/// Most resolutions of a codestream (T.800 Table A.15).
const MOST_LEVELS: u8 = 32;

/// Returns the codestream of the lowest resolution of a frame that has at least these rows and columns, with its shape; `None`
/// if that is the whole frame, or the frame is not HTJ2K in RPCL with a tile-part for each resolution.
#[must_use]
pub fn lower_resolution(
    transfer_syntax: &str,
    shape: &FrameShape,
    bytes: &[u8],
    (least_rows, least_columns): (u32, u32),
) -> Option<(FrameShape, Vec<u8>)> {
    if !matches!(transfer_syntax, uid::HTJ2K_LOSSLESS_RPCL | uid::HTJ2K_LOSSLESS | uid::HTJ2K) {
        return None;
    }
    let stream = Stream::read(codestream_of(bytes).ok()?)?;
    if (stream.columns, stream.rows) != (shape.columns, shape.rows) {
        return None;
    }
    let dropped = (1..=stream.levels).rev().find(|levels| {
        reduced(shape.rows, *levels) >= least_rows
            && reduced(shape.columns, *levels) >= least_columns
    })?;
    let (rows, columns) = (reduced(shape.rows, dropped), reduced(shape.columns, dropped));
    Some((FrameShape { rows, columns, ..*shape }, stream.without(dropped)?))
}

/// A length after so many decompositions (T.800 §B.5).
fn reduced(length: u32, levels: u8) -> u32 {
    let side = (u64::from(length)).div_ceil(1 << levels);
    u32::try_from(side).unwrap_or(u32::MAX)
}

/// A codestream of one tile whose tile-parts are its resolutions.
struct Stream<'a> {
    rows: u32,
    columns: u32,
    levels: u8,
    /// Segments of the main header with their markers, TLM and COM left out.
    header: Vec<(u16, &'a [u8])>,
    /// Tile-parts with their SOT segments, the lowest resolution first.
    parts: Vec<&'a [u8]>,
}

impl<'a> Stream<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (marker, mut rest) = word(bytes)?;
        if marker != SOC {
            return None;
        }
        let mut stream =
            Self { rows: 0, columns: 0, levels: 0, header: Vec::new(), parts: Vec::new() };
        while !is(rest, SOT) {
            let (marker, after) = word(rest)?;
            let (length, _) = word(after)?;
            let (segment, following) = after.split_at_checked(length.into())?;
            match marker {
                SIZ => stream.read_size(segment)?,
                COD => stream.read_coding(segment)?,
                CAP | QCD => {}
                TLM | COM => {
                    rest = following;
                    continue;
                }
                // Others describe components, tiles or packets.
                _ => return None,
            }
            stream.header.push((marker, segment));
            rest = following;
        }
        while is(rest, SOT) {
            let length = u32::from_be_bytes(*rest.get(6..)?.first_chunk()?);
            let (part, following) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            let &[tile_high, tile_low] = part.get(4..)?.first_chunk()?;
            let &[number, count] = part.get(10..)?.first_chunk()?;
            let is_next = (tile_high, tile_low) == (0, 0)
                && usize::from(number) == stream.parts.len()
                && (count == 0 || count == stream.levels + 1)
                && is(part.get(SOT_LENGTH..)?, SOD);
            if !is_next {
                return None;
            }
            stream.parts.push(part);
            rest = following;
        }
        let is_whole = stream.columns > 0 && stream.parts.len() == usize::from(stream.levels) + 1;
        is_whole.then_some(stream)
    }

    /// The SIZ segment (§A.5.1): one tile from the origin, no subsampling.
    fn read_size(&mut self, segment: &[u8]) -> Option<()> {
        let (words, _) = segment.get(4..36)?.as_chunks::<4>();
        let words: Vec<u32> = words.iter().map(|word| u32::from_be_bytes(*word)).collect();
        let &[columns, rows, 0, 0, tile_columns, tile_rows, 0, 0] = words.as_slice() else {
            return None;
        };
        let (components, _) = segment.get(38..)?.as_chunks::<3>();
        let is_plain = tile_columns >= columns
            && tile_rows >= rows
            && components.iter().all(|&[_, across, down]| (across, down) == (1, 1));
        (self.columns, self.rows) = (columns, rows);
        is_plain.then_some(())
    }

    /// The COD segment (§A.6.1): RPCL, whole resolutions as precincts, no markers in packets.
    fn read_coding(&mut self, segment: &[u8]) -> Option<()> {
        let &[_, _, style, progression, _, _, _, levels, ..] = segment else { return None };
        self.levels = levels;
        (style == 0 && progression == RPCL && levels < MOST_LEVELS).then_some(())
    }

    /// The codestream without its highest resolutions.
    fn without(&self, dropped: u8) -> Option<Vec<u8>> {
        let levels = self.levels.checked_sub(dropped)?;
        let kept = self.parts.get(..=usize::from(levels))?;
        let mut stream =
            Vec::with_capacity(256 + kept.iter().map(|part| part.len()).sum::<usize>());
        stream.extend(SOC.to_be_bytes());
        for (marker, segment) in &self.header {
            stream.extend(marker.to_be_bytes());
            let start = stream.len();
            stream.extend(*segment);
            let written = stream.get_mut(start..)?;
            match *marker {
                SIZ => {
                    let sides = [reduced(self.columns, dropped), reduced(self.rows, dropped)];
                    for (index, length) in sides.into_iter().enumerate() {
                        let written_length = length.to_be_bytes();
                        // The image, and the tile, which holds all of it.
                        written
                            .get_mut(4 + 4 * index..)?
                            .first_chunk_mut()?
                            .clone_from(&written_length);
                        written
                            .get_mut(20 + 4 * index..)?
                            .first_chunk_mut()?
                            .clone_from(&written_length);
                    }
                }
                COD => *written.get_mut(7)? = levels,
                QCD => {
                    // A step size for each sub-band, the lowest first (§A.6.4): one, or one or two bytes for each.
                    let count = 3 * usize::from(levels) + 1;
                    let length = match segment.get(2)? & 0x1F {
                        0 => 3 + count,
                        1 => segment.len(),
                        _ => 3 + 2 * count,
                    };
                    let length_field = u16::try_from(length).ok()?.to_be_bytes();
                    written.first_chunk_mut()?.clone_from(&length_field);
                    if length > segment.len() {
                        return None;
                    }
                    stream.truncate(start + length);
                }
                _ => {}
            }
        }
        for part in kept {
            let start = stream.len();
            stream.extend(*part);
            *stream.get_mut(start + SOT_LENGTH - 1)? = levels + 1;
        }
        stream.extend(EOC.to_be_bytes());
        Some(stream)
    }
}

fn word(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*word), rest))
}

fn is(bytes: &[u8], marker: u16) -> bool {
    word(bytes).is_some_and(|(found, _)| found == marker)
}
