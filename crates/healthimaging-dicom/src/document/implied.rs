//! Which VR a keyword, its value and its surroundings imply (`PS3.5 Annex A`, `PS3.6 §6`).

use dicom_core::dictionary::VirtualVr;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use serde_json::Value as Json;

use super::{Attributes, Instance, dictionary};
use crate::data_set::{DataSet, Value};

/// What decides a VR beside the tag: whether pixel values are signed, in the nearest data set that
/// says so.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Context {
    signed: bool,
}

impl Context {
    /// The context inside `data_set`.
    pub(crate) fn within(self, data_set: &DataSet) -> Self {
        let representation = data_set.elements.get(&tags::PIXEL_REPRESENTATION);
        match representation.map(|element| &element.value) {
            Some(Value::Unsigned(values)) => Self { signed: values.first() == Some(&1) },
            _ => self,
        }
    }

    /// The context inside attributes of the document.
    pub(crate) fn within_attributes(self, attributes: &Attributes) -> Self {
        match attributes.get("PixelRepresentation").and_then(Json::as_u64) {
            Some(representation) => Self { signed: representation == 1 },
            None => self,
        }
    }
}

impl Instance {
    /// The context of its attributes and of the levels above.
    pub(crate) fn context(&self) -> Context {
        Context::default().within_attributes(&self.attributes)
    }
}

/// The VR of a standard element whose value is `value`; `UN` for tags that are not in the dictionary.
pub(crate) fn implied_vr(tag: Tag, value: &Json, context: Context) -> VR {
    match dictionary::vr(tag) {
        Some(VirtualVr::Exact(vr)) => vr,
        Some(VirtualVr::Xs) if context.signed => VR::SS,
        Some(VirtualVr::Xs) => VR::US,
        Some(VirtualVr::Lt) if has_numbers(value) => VR::US,
        Some(_) => VR::OW,
        None => VR::UN,
    }
}

fn has_numbers(value: &Json) -> bool {
    match value {
        Json::Array(values) => values.first().is_some_and(Json::is_number),
        value => value.is_number(),
    }
}
