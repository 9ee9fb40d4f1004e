//! Elements that are US or SS by Pixel Representation (PS3.5 §A.1), where the file does not say.

use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use crate::data_set::{DataSet, Value};

use super::PixelRepresentation;
use super::header::Encoding;

/// Gives elements that are US or SS their VR, in a data set in implicit VR.
pub(super) fn resolve(data_set: &mut DataSet, encoding: Encoding) {
    if encoding == Encoding::ImplicitLittle {
        resolve_within(data_set, PixelRepresentation::Unsigned);
    }
}

/// Items without a Pixel Representation of their own have that of the data set around them.
fn resolve_within(data_set: &mut DataSet, inherited: PixelRepresentation) {
    let representation = match data_set.integer(tags::PIXEL_REPRESENTATION) {
        Some(0) => PixelRepresentation::Unsigned,
        Some(_) => PixelRepresentation::Signed,
        None => inherited,
    };
    for (tag, element) in &mut data_set.elements {
        match &mut element.value {
            Value::Items(items) => {
                items
                    .iter_mut()
                    .for_each(|item| resolve_within(item, representation));
            }
            Value::Unsigned(numbers) if representation == PixelRepresentation::Signed => {
                let entry = StandardDataDictionary.by_tag(*tag);
                if entry.is_some_and(|entry| entry.vr() == VirtualVr::Xs) {
                    let signed = |&number: &u64| {
                        let [low, high, ..] = number.to_le_bytes();
                        i64::from(i16::from_le_bytes([low, high]))
                    };
                    element.value = Value::Signed(numbers.iter().map(signed).collect());
                    element.vr = VR::SS;
                }
            }
            _ => {}
        }
    }
}
