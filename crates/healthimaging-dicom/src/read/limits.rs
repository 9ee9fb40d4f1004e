//! How much of a file may be kept in memory.

/// What a file may cost at most; more is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of all values kept in memory together, as decoded; an item of a sequence counts as 500.
    pub header_bytes: u64,
    /// Bytes of one binary value (OB, OD, OF, OL, OV, OW, UN) kept in memory; a larger one stays
    /// [`crate::Value::Apart`].
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
    limits: ReadLimits,
}

impl Budget {
    pub(super) fn new(limits: &ReadLimits) -> Self {
        Self { bytes: limits.header_bytes, elements: limits.elements, limits: *limits }
    }

    pub(super) fn limits(&self) -> &ReadLimits {
        &self.limits
    }

    /// Takes one element, item or fragment.
    pub(super) fn take_element(&mut self) -> Result<(), super::ReadError> {
        let limit = self.limits.elements;
        self.elements =
            self.elements.checked_sub(1).ok_or(super::ReadError::TooManyElements { limit })?;
        Ok(())
    }

    /// Takes memory for values.
    pub(super) fn take_bytes(&mut self, count: u64) -> Result<(), super::ReadError> {
        let limit = self.limits.header_bytes;
        self.bytes = self.bytes.checked_sub(count).ok_or(super::ReadError::TooLarge { limit })?;
        Ok(())
    }
}
