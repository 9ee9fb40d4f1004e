//! The bytes of a value to a value.

use dicom_core::VR;

use crate::charset::{CharacterSets, Decoded};
use crate::data_set::Value;

use super::binary::{numbers, tags, to_little_endian, unit};
use super::description::ByteOrder;

/// How the value of a VR is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Binary,
    Number,
    Text,
}

/// How the value of `vr` is held.
pub(super) fn shape(vr: VR) -> Shape {
    match vr {
        VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN => Shape::Binary,
        VR::AT | VR::FD | VR::FL | VR::SL | VR::SS | VR::SV | VR::UL | VR::US | VR::UV => {
            Shape::Number
        }
        _ => Shape::Text,
    }
}

/// Memory that a value of `length` bytes takes once decoded.
pub(super) fn cost(vr: VR, length: u64) -> u64 {
    let bytes_each: u64 = match vr {
        VR::US | VR::SS | VR::UL | VR::SL => 8,
        _ => return length,
    };
    (length / unit(vr) as u64).saturating_mul(bytes_each)
}

/// Whether the bytes said what they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fidelity {
    Exact,
    /// The length is no multiple of the unit.
    Remainder,
    /// The text is not in its character set.
    Guessed,
}

/// Decodes the value of an element with `vr`, which is not SQ.
pub(super) fn decode(
    vr: VR,
    mut bytes: Vec<u8>,
    order: ByteOrder,
    character_sets: &CharacterSets,
) -> (Value, Fidelity) {
    let whole = bytes.len().is_multiple_of(unit(vr));
    match shape(vr) {
        Shape::Text => {
            let Decoded { text, faithful } = character_sets.decode(vr, trim_nul(&bytes));
            let fidelity = if faithful { Fidelity::Exact } else { Fidelity::Guessed };
            (if text.is_empty() { Value::Empty } else { Value::Text(text) }, fidelity)
        }
        Shape::Binary => {
            if order == ByteOrder::Big {
                to_little_endian(vr, &mut bytes);
            }
            (if bytes.is_empty() { Value::Empty } else { Value::Bytes(bytes) }, Fidelity::Exact)
        }
        Shape::Number if bytes.len() < unit(vr) => {
            (Value::Empty, if whole { Fidelity::Exact } else { Fidelity::Remainder })
        }
        Shape::Number => {
            (number(vr, &bytes, order), if whole { Fidelity::Exact } else { Fidelity::Remainder })
        }
    }
}

fn number(vr: VR, bytes: &[u8], order: ByteOrder) -> Value {
    match vr {
        VR::US => Value::Unsigned(numbers(bytes, order, |b| u16::from_le_bytes(b).into())),
        VR::UL => Value::Unsigned(numbers(bytes, order, |b| u32::from_le_bytes(b).into())),
        VR::UV => Value::Unsigned(numbers(bytes, order, u64::from_le_bytes)),
        VR::SS => Value::Signed(numbers(bytes, order, |b| i16::from_le_bytes(b).into())),
        VR::SL => Value::Signed(numbers(bytes, order, |b| i32::from_le_bytes(b).into())),
        VR::SV => Value::Signed(numbers(bytes, order, i64::from_le_bytes)),
        VR::FL => Value::Float(numbers(bytes, order, f32::from_le_bytes)),
        VR::FD => Value::Double(numbers(bytes, order, f64::from_le_bytes)),
        _ => Value::Tags(tags(bytes, order)),
    }
}

fn trim_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}
