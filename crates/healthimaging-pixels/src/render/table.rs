//! Lookup tables as DICOM writes them: a descriptor of three numbers, and the entries.

use crate::error::CodecError;

/// Most entries of a table: the first number of the descriptor has 16 bits, and 0 stands for one more.
pub(super) const MOST_ENTRIES: usize = 1 << 16;

/// A lookup table (PS3.3 §C.11.1.1, §C.11.2.1.1 and §C.7.6.3.1.5).
#[derive(Debug, Clone)]
pub struct LookupTable {
    first: i64,
    bits: u16,
    entries: Vec<u16>,
}

/// The three numbers that describe a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptor {
    pub(super) entries: usize,
    pub(super) first: i64,
    pub(super) bits: u16,
}

impl Descriptor {
    /// `signed`: the second number is one of 16 bits in two's complement, whatever it was read as.
    pub(super) fn of(numbers: [i64; 3], signed: bool) -> Result<Self, CodecError> {
        let [count, first, bits] = numbers;
        let count = usize::try_from(count & 0xffff).unwrap_or(0);
        let first =
            if signed && (0x8000..=0xffff).contains(&first) { first - 0x1_0000 } else { first };
        let bits = u16::try_from(bits).ok().filter(|bits| (1..=16).contains(bits));
        Ok(Self {
            entries: if count == 0 { MOST_ENTRIES } else { count },
            first,
            bits: bits.ok_or_else(|| {
                CodecError::Shape("a lookup table has entries of 1 to 16 bits".to_owned())
            })?,
        })
    }
}

impl LookupTable {
    /// A table of a LUT Descriptor and the bytes of its LUT Data, in little endian.
    ///
    /// `signed`: the table is looked up with signed values. Entries of up to 8 bits may fill a byte or
    /// a word each; the length tells.
    ///
    /// # Errors
    /// [`CodecError::Shape`] when the data is not as long as the descriptor says.
    pub fn new(descriptor: [i64; 3], signed: bool, data: &[u8]) -> Result<Self, CodecError> {
        let descriptor = Descriptor::of(descriptor, signed)?;
        let count = descriptor.entries;
        let entries: Vec<u16> = if data.len() == 2 * count {
            words(data).collect()
        } else if descriptor.bits <= 8 && (data.len() == count || data.len() == count + 1) {
            data.iter().take(count).map(|&entry| entry.into()).collect()
        } else {
            return Err(CodecError::Shape(format!(
                "a lookup table of {count} entries has {} bytes of data",
                data.len()
            )));
        };
        Ok(Self::of_entries(descriptor, entries))
    }

    /// At least one entry.
    pub(super) fn of_entries(descriptor: Descriptor, entries: Vec<u16>) -> Self {
        Self { first: descriptor.first, bits: descriptor.bits, entries }
    }

    /// The entry of a value; values outside of the table have its first or last entry.
    pub(super) fn at(&self, value: f64) -> u16 {
        let last = self.entries.len().saturating_sub(1);
        let index = (value - super::float(self.first)).floor();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "negative numbers become 0, large ones the largest"
        )]
        let index = (index as usize).min(last);
        self.entries.get(index).copied().unwrap_or(0)
    }

    /// The entry of a value, as a level from 0 to 255.
    pub(super) fn level(&self, value: f64) -> f64 {
        let greatest = f64::from(u16::MAX >> (16 - self.bits));
        f64::from(self.at(value)) * 255.0 / greatest
    }

    /// All entries as levels from 0 to 255. Entries of 8 bits that fill words up are cut to 8.
    pub(super) fn into_levels(self) -> (i64, Vec<u8>) {
        let bits = if self.bits <= 8 && self.entries.iter().any(|&entry| entry > 255) {
            16
        } else {
            self.bits
        };
        let greatest = f64::from(u16::MAX >> (16 - bits));
        let level = |&entry: &u16| super::byte(f64::from(entry) * 255.0 / greatest);
        (self.first, self.entries.iter().map(level).collect())
    }
}

/// Little-endian words.
pub(super) fn words(data: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let (words, _) = data.as_chunks();
    words.iter().map(|&word| u16::from_le_bytes(word))
}
