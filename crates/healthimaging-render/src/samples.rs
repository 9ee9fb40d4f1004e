//! Location of the value of a sample.

use healthimaging_image::{PixelDescription, PixelRepresentation, SampleFormat};

/// Turns samples, as they lie in the frame, into stored values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reader {
    /// Bits Stored bits below and including High Bit.
    Integer { left: u32, right: u32, signed: bool },
    /// IEEE 754 single precision.
    Single,
    /// IEEE 754 double precision.
    Double,
}

impl Reader {
    /// The reader for a description; of color, whose samples are unsigned, only when `color`.
    pub(crate) fn of(description: &PixelDescription, color: bool) -> Self {
        match (description.format, description.bits_allocated) {
            (SampleFormat::Float, 32) => return Self::Single,
            (SampleFormat::Float, 64) => return Self::Double,
            _ => {}
        }
        let signed = !color && description.representation == PixelRepresentation::Signed;
        Self::Integer {
            left: 63 - u32::from(description.high_bit.min(63)),
            right: 64 - u32::from(description.bits_stored.clamp(1, 64)),
            signed,
        }
    }

    /// The stored value of a sample. Integers of more than 53 bits are rounded.
    #[expect(clippy::cast_precision_loss, reason = "samples of more than 53 bits are only shown")]
    pub(crate) fn value(self, sample: u64) -> f64 {
        match self {
            Self::Integer { left, right, signed: true } => {
                ((sample << left).cast_signed() >> right) as f64
            }
            Self::Integer { left, right, signed: false } => ((sample << left) >> right) as f64,
            Self::Single => {
                #[expect(clippy::cast_possible_truncation, reason = "the sample has 32 bits")]
                let bits = sample as u32;
                f64::from(f32::from_bits(bits))
            }
            Self::Double => f64::from_bits(sample),
        }
    }

    /// The lowest value that a sample can have.
    pub(crate) fn lowest(self) -> f64 {
        match self {
            Self::Integer { signed: false, .. } => 0.0,
            Self::Integer { right, .. } => -2.0_f64.powi(63 - right.cast_signed()),
            Self::Single | Self::Double => f64::NEG_INFINITY,
        }
    }
}

/// The samples of a frame, as they lie there in little endian.
pub(crate) fn samples<const BYTES: usize>(pixels: &[u8]) -> impl Iterator<Item = u64> + Clone + '_ {
    let (samples, _) = pixels.as_chunks::<BYTES>();
    samples
        .iter()
        .map(|sample| sample.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}
