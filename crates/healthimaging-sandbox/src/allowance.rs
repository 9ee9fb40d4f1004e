//! Limits of memory and time for decoding a frame, generous for regular ones.

use std::time::Duration;

use healthimaging_pixels::FrameShape;

/// Memory of a child before its first frame, with room for the tables of a codec.
const BASE_MEMORY: u64 = 256 << 20;

/// Bytes a sample: codecs hold whole numbers of 4 bytes, often twice, and the pixels come to that.
const MEMORY_PER_SAMPLE: u64 = 24;

/// Copies of the frame as received: the one that came, and one that a codec mends.
const MEMORY_PER_BYTE: u64 = 4;

/// Samples a second, some ten times fewer than the slowest codec takes on a slow machine.
const SAMPLES_PER_SECOND: u64 = 1 << 20;

/// Memory above which a child ends after the frame, to return it.
const LARGE: u64 = 512 << 20;

/// Limits for decoding a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Bytes of memory of the whole child.
    pub(crate) memory: u64,
    /// Seconds, beside those that any frame may take.
    pub(crate) seconds: u64,
}

impl Allowance {
    /// Returns the limits for a frame of a shape and a number of bytes as received.
    pub(crate) fn of(shape: &FrameShape, data_length: u64) -> Self {
        let samples = u64::from(shape.rows)
            .saturating_mul(u64::from(shape.columns))
            .saturating_mul(u64::from(shape.samples_per_pixel));
        Self {
            memory: BASE_MEMORY
                .saturating_add(samples.saturating_mul(MEMORY_PER_SAMPLE))
                .saturating_add(data_length.saturating_mul(MEMORY_PER_BYTE)),
            seconds: samples / SAMPLES_PER_SECOND,
        }
    }

    /// Returns the limits for reading a PDF document of a number of bytes.
    pub(crate) fn of_pdf(data_length: u64) -> Self {
        let memory = LARGE.saturating_add(data_length.saturating_mul(MEMORY_PER_BYTE));
        Self { memory, seconds: 0 }
    }

    /// Whether the child should end after the frame.
    pub(crate) fn is_large(&self) -> bool {
        self.memory > LARGE
    }

    /// As [`Self::seconds`].
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
