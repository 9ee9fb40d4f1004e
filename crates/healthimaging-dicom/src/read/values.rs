//! The bytes of a value to a value.

use dicom_core::VR;

use crate::charset::{CharacterSets, Decoded};
use crate::data_set::Value;
use crate::document::dictionary;

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

/// Memory of a number in the document.
const NUMBER_COST: u64 = 80;
/// Memory of one text among several in the document, besides its characters.
const TEXT_COST: u64 = 104;

/// Memory that a value of `length` bytes takes in the document at least: texts take more when they are
/// several.
pub(super) fn cost(vr: VR, length: u64) -> u64 {
    match shape(vr) {
        // Base64.
        Shape::Binary => length.saturating_add(length / 3),
        Shape::Text => length,
        Shape::Number => {
            let each = if vr == VR::AT { TEXT_COST } else { NUMBER_COST };
            (length / unit(vr) as u64).saturating_mul(each)
        }
    }
}

/// Memory that a text takes in the document besides its characters.
pub(super) fn cost_of_parts(vr: VR, value: &Value) -> u64 {
    match value {
        Value::Text(text) if dictionary::splits_at_backslash(vr) => {
            let separators = text.bytes().filter(|&byte| byte == b'\\').count() as u64;
            separators.saturating_mul(TEXT_COST)
        }
        _ => 0,
    }
}

/// Whether a value of this VR may be bulk data (PS3.18 Annex F.2.2). Texts to which Specific Character Set
/// applies may so if they are in Unicode.
pub(super) fn may_be_bulk(vr: VR) -> bool {
    let of_numbers = matches!(vr, VR::DS | VR::IS) || (shape(vr) == Shape::Number && vr != VR::AT);
    shape(vr) == Shape::Binary || of_numbers || has_character_set(vr)
}

/// Whether Specific Character Set applies to a VR that may be that of bulk data.
pub(super) fn has_character_set(vr: VR) -> bool {
    matches!(vr, VR::LT | VR::ST | VR::UC | VR::UT)
}

/// Whether the bytes had the expected value.
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
