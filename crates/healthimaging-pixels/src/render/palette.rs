//! Palettes, segmented ones too.

use super::bits::{Cut, samples};
use super::table::{Descriptor, LookupTable, MOST_ENTRIES, words};
use super::{Rendering, float};
use crate::error::CodecError;
use crate::shape::FrameShape;

/// The palette of a `PALETTE COLOR` image (PS3.3 §C.7.6.3.1.5).
#[derive(Debug, Clone)]
pub struct Palette {
    first: i64,
    colours: Vec<[u8; 3]>,
}

/// The table of one colour as the file has it, in little endian.
#[derive(Debug, Clone)]
pub enum PaletteData {
    /// Palette Color Lookup Table Data, entry by entry.
    Plain(Vec<u8>),
    /// Segmented Palette Color Lookup Table Data (PS3.3 §C.7.9.2).
    Segmented(Vec<u8>),
}

impl Palette {
    /// The palette of the descriptors and tables of red, green and blue.
    ///
    /// # Errors
    /// [`CodecError::Shape`] when a table is not as long as its descriptor says, when tables differ in
    /// length, and when segments make no sense.
    pub fn new(tables: [([i64; 3], PaletteData); 3]) -> Result<Self, CodecError> {
        let [red, green, blue] = tables.map(|(numbers, data)| table(numbers, &data));
        let (first, red) = red?.into_levels();
        let ((_, green), (_, blue)) = (green?.into_levels(), blue?.into_levels());
        if red.len() != green.len() || red.len() != blue.len() {
            return Err(CodecError::Shape("the tables of a palette differ in length".to_owned()));
        }
        let others = green.into_iter().zip(blue);
        let colours = red.into_iter().zip(others);
        Ok(Self {
            first,
            colours: colours.map(|(red, (green, blue))| [red, green, blue]).collect(),
        })
    }

    fn at(&self, value: i64) -> [u8; 3] {
        let last = self.colours.len().saturating_sub(1);
        let index = usize::try_from(value - self.first).unwrap_or(0).min(last);
        self.colours.get(index).copied().unwrap_or_default()
    }
}

fn table(numbers: [i64; 3], data: &PaletteData) -> Result<LookupTable, CodecError> {
    let data = match data {
        PaletteData::Plain(data) => return LookupTable::new(numbers, false, data),
        PaletteData::Segmented(data) => data,
    };
    let descriptor = Descriptor::of(numbers, false)?;
    let segments: Vec<u16> = if descriptor.bits <= 8 {
        data.iter().map(|&entry| entry.into()).collect()
    } else {
        words(data).collect()
    };
    let bytes_an_entry = if descriptor.bits <= 8 { 1 } else { 2 };
    let entries = expand(&segments, bytes_an_entry)?;
    if entries.len() != descriptor.entries {
        return Err(CodecError::Shape(format!(
            "the segments of a palette of {} entries make {}",
            descriptor.entries,
            entries.len()
        )));
    }
    Ok(LookupTable::of_entries(descriptor, entries))
}

/// Colours of all pixels.
pub(super) fn colour(
    shape: &FrameShape,
    pixels: &[u8],
    rendering: &Rendering,
) -> Result<Vec<u8>, CodecError> {
    let palette = rendering
        .palette
        .as_ref()
        .ok_or_else(|| CodecError::Shape("PALETTE COLOR without a palette".to_owned()))?;
    let cut = Cut::of(shape, rendering.high_bit)?;
    let colours = |sample| palette.at(cut.value(sample));
    Ok(match shape.bytes_per_sample() {
        1 => samples::<1>(pixels).flat_map(colours).collect(),
        2 => samples::<2>(pixels).flat_map(colours).collect(),
        _ => samples::<4>(pixels).flat_map(colours).collect(),
    })
}

/// Entries of all segments (PS3.3 §C.7.9.2).
fn expand(segments: &[u16], bytes_an_entry: usize) -> Result<Vec<u16>, CodecError> {
    let mut entries = Vec::new();
    let mut rest = segments;
    while let [code, count, tail @ ..] = rest {
        // A pad byte behind entries of 8 bits cannot begin a segment, as it has nothing behind it.
        rest = match (code, tail) {
            (2, tail) => {
                let width = 4 / bytes_an_entry;
                let (offset, tail) = tail.split_at_checked(width).ok_or_else(cut_short)?;
                let offset = offset.iter().rev().fold(0_usize, |offset, &part| {
                    offset << (8 * bytes_an_entry) | usize::from(part)
                });
                let mut copied = segments.get(offset / bytes_an_entry..).ok_or_else(cut_short)?;
                for _ in 0..*count {
                    copied = direct(copied, &mut entries)?;
                }
                tail
            }
            _ => direct(rest, &mut entries)?,
        };
    }
    Ok(entries)
}

/// Adds the entries of a discrete or a linear segment; what is left lies behind it.
fn direct<'a>(segments: &'a [u16], entries: &mut Vec<u16>) -> Result<&'a [u16], CodecError> {
    let [code, count, tail @ ..] = segments else {
        return Err(cut_short());
    };
    let length = usize::from(*count);
    if entries.len() + length > MOST_ENTRIES {
        return Err(CodecError::Shape(format!(
            "the segments of a palette make more than {MOST_ENTRIES} entries"
        )));
    }
    match code {
        0 => {
            let (values, tail) = tail.split_at_checked(length).ok_or_else(cut_short)?;
            entries.extend(values);
            Ok(tail)
        }
        1 => {
            let (Some(&start), [end, tail @ ..]) = (entries.last(), tail) else {
                return Err(cut_short());
            };
            let (start, rise) = (f64::from(start), f64::from(*end) - f64::from(start));
            let steps = f64::from(*count);
            entries.extend((1..=*count).map(|step| word(start + rise * f64::from(step) / steps)));
            Ok(tail)
        }
        _ => Err(CodecError::Shape(format!(
            "the segments of a palette have an operation {code} where only 0 and 1 make sense"
        ))),
    }
}

fn cut_short() -> CodecError {
    CodecError::Shape("the segments of a palette are cut short".to_owned())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lies between two words"
)]
fn word(value: f64) -> u16 {
    value.round().clamp(0.0, float(0xffff)) as u16
}
