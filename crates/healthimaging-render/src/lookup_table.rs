//! Lookup tables as DICOM writes them: a descriptor of three numbers, and the entries.

use crate::attributes::{Object, bytes, integers};

/// Most entries of a table: the first number of the descriptor has 16 bits, and 0 stands for one more.
pub(crate) const MOST_ENTRIES: usize = 1 << 16;

/// A modality or VOI lookup table (PS3.3 §C.11.1.1, §C.11.2.1.1).
#[derive(Debug, Clone)]
pub struct LookupTable {
    first: i64,
    bits: u16,
    entries: Vec<u16>,
}

/// The three numbers that describe a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptor {
    pub(crate) entries: usize,
    pub(crate) first: i64,
    /// Bits of an entry, 1 to 16; `None` when the descriptor has another number.
    pub(crate) bits: Option<u16>,
}

impl Descriptor {
    /// `signed`: the second number is one of 16 bits in two's complement, whatever it was read as.
    pub(crate) fn of(numbers: [i64; 3], signed: bool) -> Self {
        let [count, first, bits] = numbers;
        let count = usize::try_from(count & 0xffff).unwrap_or(0);
        let is_negative = signed && (0x8000..=0xffff).contains(&first);
        Self {
            entries: if count == 0 { MOST_ENTRIES } else { count },
            first: if is_negative { first - 0x1_0000 } else { first },
            bits: u16::try_from(bits).ok().filter(|bits| (1..=16).contains(bits)),
        }
    }

    /// The entries in the bytes of the data, as many as there are, and how many bits they have.
    ///
    /// Each entry fills a word, or a byte: where there are no more bytes than entries. Tables that are
    /// longer or shorter than described are used as they are, as dcmtk does.
    pub(crate) fn read(&self, data: &[u8]) -> (Vec<u16>, u16) {
        let pad = data.len() == self.entries + 1 && self.entries % 2 == 1;
        let is_short = self.bits.is_some_and(|bits| bits <= 8) && data.len() < 2 * self.entries;
        let in_bytes = self.entries > 1 && (data.len() == self.entries || pad || is_short);
        let (entries, declared): (Vec<u16>, u16) = if in_bytes {
            let count = data.len() - usize::from(pad);
            let of_bytes = data.iter().take(count.min(MOST_ENTRIES)).map(|&entry| entry.into());
            (of_bytes.collect(), self.bits.map_or(8, |bits| bits.min(8)))
        } else {
            (words(data).take(MOST_ENTRIES).collect(), self.bits.unwrap_or(16))
        };
        let greatest = entries.iter().copied().max().unwrap_or(0);
        let needed = u16::try_from(u16::BITS - greatest.leading_zeros()).unwrap_or(16);
        // Entries of 8 bits may fill up words, in the upper byte as well.
        let bits = if declared >= needed { declared } else { needed.next_multiple_of(8) };
        (entries, bits)
    }
}

impl LookupTable {
    /// A table of a LUT Descriptor and the bytes of its LUT Data, in little endian; `None` when there
    /// is not a single entry.
    ///
    /// `signed`: the table is looked up with signed values.
    #[must_use]
    pub fn new(descriptor: [i64; 3], signed: bool, data: &[u8]) -> Option<Self> {
        let descriptor = Descriptor::of(descriptor, signed);
        let (entries, bits) = descriptor.read(data);
        (!entries.is_empty()).then_some(Self { first: descriptor.first, bits, entries })
    }

    /// The table of an item of a Modality LUT Sequence or VOI LUT Sequence.
    pub(crate) fn of_item(item: &Object, signed: bool) -> Option<Self> {
        let descriptor = integers(item, "LUTDescriptor").try_into().ok()?;
        Self::new(descriptor, signed, &bytes(item, "LUTData")?)
    }

    /// The entry of a value; values outside of the table have its first or last entry.
    pub(crate) fn at(&self, value: f64) -> u16 {
        let last = self.entries.len().saturating_sub(1);
        #[expect(clippy::cast_precision_loss, reason = "16 bits")]
        let index = (value - self.first as f64).floor();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "negative numbers become 0, large ones the largest"
        )]
        let index = (index as usize).min(last);
        self.entries.get(index).copied().unwrap_or(0)
    }

    /// The entry of a value, as a level from 0 to 255.
    pub(crate) fn level(&self, value: f64) -> f64 {
        let greatest = f64::from(u16::MAX >> (16 - self.bits));
        f64::from(self.at(value)) * 255.0 / greatest
    }
}

/// Little-endian words.
pub(crate) fn words(data: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let (words, _) = data.as_chunks();
    words.iter().map(|&word| u16::from_le_bytes(word))
}
