//! What the pixels are: the attributes of a data set, for the one description of all crates.

use dicom_core::Tag;
use healthimaging_image::{
    Attribute, DescriptionError, ImageAttributes, number_of_frames, whole_number,
};

use crate::data_set::{DataSet, Value};

use super::ReadError;

pub(super) use healthimaging_image::ByteOrder;

impl ImageAttributes for DataSet {
    fn integer(&self, attribute: Attribute) -> Option<i64> {
        match self.value(tag(attribute))? {
            Value::Unsigned(numbers) => numbers.first().and_then(|&number| number.try_into().ok()),
            Value::Signed(numbers) => numbers.first().copied(),
            Value::Float(numbers) => whole_number(&numbers.first()?.to_string()),
            Value::Double(numbers) => whole_number(&numbers.first()?.to_string()),
            Value::Text(text) => whole_number(text.split('\\').next()?),
            _ => None,
        }
    }

    fn text(&self, attribute: Attribute) -> Option<&str> {
        Self::text(self, tag(attribute))
    }
}

/// Number of Frames as it is declared, 1 where absent or not a number.
pub(super) fn declared_frames(data_set: &DataSet) -> i64 {
    number_of_frames(data_set)
}

fn tag(attribute: Attribute) -> Tag {
    let (group, element) = attribute.tag;
    Tag(group, element)
}

impl From<DescriptionError> for ReadError {
    fn from(error: DescriptionError) -> Self {
        Self::Attribute { keyword: error.keyword, problem: error.problem }
    }
}
