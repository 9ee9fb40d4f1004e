//! From drawn values to the bytes of Pixel Data.

use dicom_core::value::PrimitiveValue;

use crate::anatomy::Anatomy;
use crate::plane::Plane;

/// Whether stored values have a sign, PS3.3 §C.7.6.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Unsigned,
    Signed,
}

/// Planar Configuration (PS3.3 §C.7.6.3.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planar {
    Interleaved,
    Planes,
}

/// The attributes that define how pixels are stored.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) frames: u32,
    pub(crate) samples: u16,
    pub(crate) bits_allocated: u16,
    pub(crate) bits_stored: u16,
    pub(crate) sign: Sign,
    pub(crate) planar: Planar,
    pub(crate) photometric: String,
}

/// How drawn values become stored ones: `stored = drawn * gain + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub(crate) gain: f64,
    pub(crate) offset: f64,
    low: f64,
    high: f64,
}

impl Scale {
    /// Drawn values are kept where they fit, else moved, else squeezed.
    pub(crate) fn new(anatomy: Anatomy, shape: &Shape) -> Self {
        let (from, to) = anatomy.range();
        let (from, to) = (f64::from(from), f64::from(to));
        let states = 2f64.powi(i32::from(shape.bits_stored));
        let low = if shape.sign == Sign::Signed { -states / 2.0 } else { 0.0 };
        let high = low + states - 1.0;
        let (gain, offset) = if low <= from && to <= high {
            (1.0, 0.0)
        } else if to - from <= high - low {
            (1.0, low.max(0.0) - from)
        } else {
            let gain = (high - low) / (to - from);
            (gain, low - from * gain)
        };
        Self { gain, offset, low, high }
    }

    #[expect(clippy::cast_possible_truncation, reason = "clamped to the stored range first")]
    fn apply(&self, drawn: f32) -> i64 {
        (f64::from(drawn) * self.gain + self.offset).round().clamp(self.low, self.high) as i64
    }
}

/// The stored values of the frames, each given as its sample planes.
pub(crate) fn store(frames: &[Vec<Plane>], shape: &Shape, scale: Scale) -> PrimitiveValue {
    let values = frames.iter().flat_map(move |planes| samples(planes, shape.planar));
    let stored = values.map(|drawn| scale.apply(drawn));
    match shape.bits_allocated {
        1 => packed_bits(stored),
        8 => PrimitiveValue::U8(even(stored.map(|v| v.to_le_bytes()[0]).collect()).into()),
        16 => PrimitiveValue::U16(
            stored.map(|v| u16::from_le_bytes([v.to_le_bytes()[0], v.to_le_bytes()[1]])).collect(),
        ),
        _ => {
            let bytes = usize::from(shape.bits_allocated.div_ceil(8)).min(8);
            let all: Vec<u8> =
                stored.flat_map(|v| v.to_le_bytes().into_iter().take(bytes)).collect();
            PrimitiveValue::U8(even(all).into())
        }
    }
}

/// The samples of one frame in the order of the planar configuration.
fn samples(planes: &[Plane], planar: Planar) -> Vec<f32> {
    match planar {
        Planar::Planes => planes.iter().flat_map(|p| p.values.iter().copied()).collect(),
        Planar::Interleaved => {
            let pixels = planes.first().map_or(0, |p| p.values.len());
            (0..pixels).flat_map(|i| planes.iter().map(move |p| p.values[i])).collect()
        }
    }
}

/// One bit a pixel, the first pixel in the lowest bit (PS3.5 §8.1.1).
fn packed_bits(stored: impl Iterator<Item = i64>) -> PrimitiveValue {
    let bits: Vec<bool> = stored.map(|v| v != 0).collect();
    let bytes = bits
        .chunks(8)
        .map(|eight| eight.iter().rev().fold(0u8, |byte, bit| byte << 1 | u8::from(*bit)))
        .collect();
    PrimitiveValue::U8(even(bytes).into())
}

/// Pads to an even length with a zero byte (PS3.5 §8.1.1).
pub(crate) fn even(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}
