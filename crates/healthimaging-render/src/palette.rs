//! Palettes (PS3.3 §C.7.6.3.1.5), segmented ones too (§C.7.9.2).

use crate::attributes::{Attributes, bytes, integers};
use crate::grayscale::byte;
use crate::lookup_table::{Descriptor, MOST_ENTRIES, words};

/// A palette: red, green and blue of stored values.
#[derive(Debug, Clone)]
pub struct Palette {
    first: i64,
    channels: [Vec<u8>; 3],
}

/// The table of one color as the file has it, in little endian.
#[derive(Debug, Clone)]
pub enum PaletteData {
    /// Palette Color Lookup Table Data, entry by entry.
    Plain(Vec<u8>),
    /// Segmented Palette Color Lookup Table Data.
    Segmented(Vec<u8>),
}

impl Palette {
    /// The palette of the descriptors and tables of red, green and blue; `None` when one has no entry.
    ///
    /// `signed`: stored values are signed, and so is the first value of the descriptors, whatever it
    /// was read as. Tables that are longer or shorter than described, or that differ in length, are
    /// used as they are; values beyond a table have its last entry.
    #[must_use]
    pub fn new(tables: [([i64; 3], PaletteData); 3], signed: bool) -> Option<Self> {
        let [red, green, blue] = tables.map(|(numbers, data)| {
            let descriptor = Descriptor::of(numbers, signed);
            (descriptor, entries(&descriptor, &data))
        });
        let first = red.0.first;
        let channels = [red.1, green.1, blue.1];
        if channels.iter().any(|(entries, _)| entries.is_empty()) {
            return None;
        }
        // Entries of 16 bits that never exceed 8 are entries of 8 bits: the picture would be black.
        let greatest = channels.iter().flat_map(|(entries, _)| entries).max().copied();
        let all_low = greatest.is_some_and(|greatest| greatest <= 0xff);
        Some(Self {
            first,
            channels: channels.map(|(entries, bits)| {
                let bits = if all_low && bits == 16 { 8 } else { bits };
                let most = f64::from(u16::MAX >> (16 - bits));
                entries.iter().map(|&entry| byte(f64::from(entry) * 255.0 / most)).collect()
            }),
        })
    }

    /// The palette of an instance, where it has a usable one.
    pub(crate) fn of(attributes: &Attributes, signed: bool) -> Option<Self> {
        let table = |color: &str| {
            let keyword = format!("{color}PaletteColorLookupTableDescriptor");
            let descriptor = integers(&attributes.own, &keyword).try_into().ok()?;
            let segmented =
                bytes(&attributes.own, &format!("Segmented{color}PaletteColorLookupTableData"));
            let plain = || bytes(&attributes.own, &format!("{color}PaletteColorLookupTableData"));
            let data = segmented
                .map(PaletteData::Segmented)
                .or_else(|| plain().map(PaletteData::Plain))?;
            Some((descriptor, data))
        };
        Self::new([table("Red")?, table("Green")?, table("Blue")?], signed)
    }

    /// The first stored value that the palette is for.
    pub(crate) fn first(&self) -> i64 {
        self.first
    }

    /// The color of a stored value.
    pub(crate) fn at(&self, value: i64) -> [u8; 3] {
        let index = usize::try_from(value - self.first).unwrap_or(0);
        [0, 1, 2].map(|channel| {
            let levels = self.channels.get(channel).map_or(&[][..], Vec::as_slice);
            levels.get(index).or(levels.last()).copied().unwrap_or(0)
        })
    }
}

/// The entries of a table and how many bits they have.
fn entries(descriptor: &Descriptor, data: &PaletteData) -> (Vec<u16>, u16) {
    let data = match data {
        PaletteData::Plain(data) => return descriptor.read(data),
        PaletteData::Segmented(data) => data,
    };
    let bits = descriptor.bits.unwrap_or(16);
    if bits <= 8 {
        let segments: Vec<u16> = data.iter().map(|&entry| entry.into()).collect();
        return (expand(&segments, 1), bits);
    }
    (expand(&words(data).collect::<Vec<_>>(), 2), bits)
}

/// Entries of all segments, up to the first that makes no sense.
fn expand(segments: &[u16], bytes_an_entry: usize) -> Vec<u16> {
    let mut entries = Vec::new();
    let mut rest = segments;
    // A pad byte behind entries of 8 bits cannot begin a segment, as it has nothing behind it.
    while let [code, count, tail @ ..] = rest {
        let next = match code {
            2 => indirect(segments, *count, tail, bytes_an_entry, &mut entries),
            _ => direct(rest, &mut entries),
        };
        match next {
            Some(next) => rest = next,
            None => break,
        }
    }
    entries
}

/// Adds the entries of an indirect segment: so many segments from an offset in bytes, which lies in
/// as many entries as make 32 bits, least significant first.
fn indirect<'a>(
    segments: &'a [u16],
    count: u16,
    tail: &'a [u16],
    bytes_an_entry: usize,
    entries: &mut Vec<u16>,
) -> Option<&'a [u16]> {
    let (offset, tail) = tail.split_at_checked(4 / bytes_an_entry)?;
    let offset = offset
        .iter()
        .rev()
        .fold(0_usize, |offset, &part| offset << (8 * bytes_an_entry) | usize::from(part));
    let mut copied = segments.get(offset / bytes_an_entry..)?;
    for _ in 0..count {
        copied = direct(copied, entries)?;
    }
    Some(tail)
}

/// Adds the entries of a discrete or a linear segment; what is left lies behind it.
fn direct<'a>(segments: &'a [u16], entries: &mut Vec<u16>) -> Option<&'a [u16]> {
    let [code, count, tail @ ..] = segments else {
        return None;
    };
    let length = usize::from(*count);
    if entries.len() + length > MOST_ENTRIES {
        return None;
    }
    match code {
        0 => {
            let (values, tail) = tail.split_at_checked(length)?;
            entries.extend(values);
            Some(tail)
        }
        1 => {
            let (&start, [end, tail @ ..]) = (entries.last()?, tail) else {
                return None;
            };
            let (start, rise) = (f64::from(start), f64::from(*end) - f64::from(start));
            let steps = f64::from(*count);
            entries.extend((1..=*count).map(|step| word(start + rise * f64::from(step) / steps)));
            Some(tail)
        }
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lies between two words"
)]
fn word(value: f64) -> u16 {
    value.round().clamp(0.0, f64::from(u16::MAX)) as u16
}
