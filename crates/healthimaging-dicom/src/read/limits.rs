//! How much of a file may be kept in memory.

use dicom_core::Tag;

use super::values::Shape;
use crate::document::dictionary;

/// Memory of an element besides its value, in the document: its place in a map that grows, its key, and
/// the allocations of both.
const ELEMENT_COST: u64 = 200;
/// What more an element takes that has no keyword: its VR is in a map of the instance.
const UNNAMED_COST: u64 = 150;
/// Memory of an item besides its elements: about 500 bytes for a node of the data set's map, of which one
/// element is counted.
const ITEM_COST: u64 = 300;
/// Memory of a fragment.
const FRAGMENT_COST: u64 = 32;

/// A value that would take more memory in the document is bulk data.
const LARGE: u64 = 16 << 20;
/// Once values that stay take so much memory, larger ones than [`SMALL`] are bulk data: binary ones, and
/// others, which viewers look for in the metadata.
const BINARY_INLINE: u64 = 16 << 20;
const OTHERS_INLINE: u64 = 96 << 20;
const SMALL: u64 = 4 << 10;

/// What a file may cost at most; more is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of memory of all elements, items and values together, where they take most: in the data set,
    /// or in the document that is made of it.
    pub header_bytes: u64,
    /// Bytes of one value kept in memory; a larger one stays [`crate::Value::Bulk`], where its VR may be
    /// that of bulk data (PS3.18 Annex F.2.2).
    pub value_bytes: u64,
    /// Sequences within sequences.
    pub depth: usize,
    /// Elements, items and fragments.
    pub elements: usize,
    /// Bytes that a deflated data set may inflate to.
    pub inflated_bytes: u64,
    /// How many times larger a deflated data set may become, once it is over 16 MiB. Deflate ends at
    /// about 1030; sparse segmentations come to some hundreds.
    pub inflation: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            header_bytes: 256 << 20,
            value_bytes: 1 << 20,
            depth: 128,
            elements: 2_000_000,
            inflated_bytes: 1 << 30,
            inflation: 500,
        }
    }
}

/// What is left of the limits while a file is read.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: u64,
    elements: usize,
    /// Bytes of binary values and of others that stay.
    inline: [u64; 2],
    limits: ReadLimits,
}

impl Budget {
    pub(super) fn new(limits: &ReadLimits) -> Self {
        let (bytes, elements) = (limits.header_bytes, limits.elements);
        Self { bytes, elements, inline: [BINARY_INLINE, OTHERS_INLINE], limits: *limits }
    }

    pub(super) fn limits(&self) -> &ReadLimits {
        &self.limits
    }

    /// Bytes that were taken.
    pub(super) fn taken(&self) -> u64 {
        self.limits.header_bytes.saturating_sub(self.bytes)
    }

    /// Takes an element.
    pub(super) fn take_element(&mut self, tag: Tag) -> Result<(), super::ReadError> {
        let is_named = dictionary::keyword(tag).is_some();
        self.take_one(if is_named { ELEMENT_COST } else { ELEMENT_COST + UNNAMED_COST })
    }

    /// Takes an item.
    pub(super) fn take_item(&mut self) -> Result<(), super::ReadError> {
        self.take_one(ITEM_COST)
    }

    /// Takes a fragment.
    pub(super) fn take_fragment(&mut self) -> Result<(), super::ReadError> {
        self.take_one(FRAGMENT_COST)
    }

    fn take_one(&mut self, cost: u64) -> Result<(), super::ReadError> {
        let limit = self.limits.elements;
        self.elements =
            self.elements.checked_sub(1).ok_or(super::ReadError::TooManyElements { limit })?;
        self.take_bytes(cost)
    }

    /// Takes memory for values.
    pub(super) fn take_bytes(&mut self, count: u64) -> Result<(), super::ReadError> {
        let limit = self.limits.header_bytes;
        self.bytes = self.bytes.checked_sub(count).ok_or(super::ReadError::TooLarge { limit })?;
        Ok(())
    }

    /// Returns memory that a value does not take after all.
    pub(super) fn give_back(&mut self, count: u64) {
        self.bytes = self.bytes.saturating_add(count).min(self.limits.header_bytes);
    }

    /// Whether a value of `length` bytes that takes `cost` bytes of memory is better bulk data.
    pub(super) fn is_bulk(&self, shape: Shape, length: u64, cost: u64) -> bool {
        let [binary, others] = self.inline;
        let left = if shape == Shape::Binary { binary } else { others };
        length > self.limits.value_bytes || cost > LARGE || (length > SMALL && cost > left)
    }

    /// Notes a value that stays and takes `cost` bytes of memory.
    pub(super) fn note_inline(&mut self, shape: Shape, cost: u64) {
        let [binary, others] = &mut self.inline;
        let left = if shape == Shape::Binary { binary } else { others };
        *left = left.saturating_sub(cost);
    }
}
