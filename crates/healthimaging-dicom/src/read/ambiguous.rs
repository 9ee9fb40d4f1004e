//! Elements that are US or SS by Pixel Representation (PS3.5 §A.1), if the file does not define it.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use crate::charset::CharacterSets;
use crate::data_set::{DataSet, Element, Value};
use crate::document::dictionary;

use super::PixelRepresentation;
use super::description::ByteOrder;
use super::values;

/// Whether the dictionary leaves it to Pixel Representation.
pub(super) fn is_us_or_ss(tag: Tag) -> bool {
    let entry = StandardDataDictionary.by_tag(tag);
    !dictionary::is_private(tag) && entry.is_some_and(|entry| entry.vr() == VirtualVr::Xs)
}

/// Gives elements that were read as UN because they are US or SS their VR.
pub(super) fn resolve(data_set: &mut DataSet) {
    resolve_within(data_set, PixelRepresentation::Unsigned);
}

/// Items without a Pixel Representation of their own have that of the data set around them.
fn resolve_within(data_set: &mut DataSet, inherited: PixelRepresentation) {
    let representation = match data_set.integer(tags::PIXEL_REPRESENTATION) {
        Some(0) => PixelRepresentation::Unsigned,
        Some(_) => PixelRepresentation::Signed,
        None => inherited,
    };
    for (tag, Element { vr, value }) in &mut data_set.elements {
        match value {
            Value::Items(items) => {
                for item in items {
                    resolve_within(item, representation);
                }
            }
            Value::Bytes(_) | Value::Empty if *vr == VR::UN && is_us_or_ss(*tag) => {
                *vr = match representation {
                    PixelRepresentation::Unsigned => VR::US,
                    PixelRepresentation::Signed => VR::SS,
                };
                if let Value::Bytes(bytes) = value {
                    let bytes = std::mem::take(bytes);
                    let sets = CharacterSets::default();
                    (*value, _) = values::decode(*vr, bytes, ByteOrder::Little, &sets);
                }
            }
            _ => {}
        }
    }
}
