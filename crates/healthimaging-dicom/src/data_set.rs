//! A data set in memory: elements by tag, values decoded, pixel data left out.

use std::collections::BTreeMap;

use dicom_core::{Tag, VR};

/// A data set: its elements in the order of their tags, without pixel data and group lengths.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DataSet {
    /// The elements.
    pub elements: BTreeMap<Tag, Element>,
}

/// An element: how its value is represented, and the value.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Value representation, as in the file, or by the dictionary where the file does not say.
    pub vr: VR,
    /// The value.
    pub value: Value,
}

/// A value, independent of byte order and character set.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Empty,
    /// Text in Unicode, as stored: padding spaces kept, trailing NULs dropped, components still joined
    /// by `\`.
    Text(String),
    /// Unsigned integers (US, UL, UV).
    Unsigned(Vec<u64>),
    /// Signed integers (SS, SL, SV).
    Signed(Vec<i64>),
    /// Single precision (FL).
    Float(Vec<f32>),
    /// Double precision (FD).
    Double(Vec<f64>),
    /// Tags (AT).
    Tags(Vec<Tag>),
    /// Bytes in little endian (OB, OW, OF, OD, OL, OV, UN).
    Bytes(Vec<u8>),
    /// A value too large to keep in memory: where it lies in the source, or in what the data set
    /// inflates to. [`crate::Part10::read_bulk`] gives it in little endian.
    Bulk {
        /// First byte, from the start of the source.
        offset: u64,
        /// Length in bytes.
        length: u64,
    },
    /// Items of a sequence, possibly none.
    Items(Vec<DataSet>),
}

impl DataSet {
    /// The value of an element.
    pub fn value(&self, tag: Tag) -> Option<&Value> {
        self.elements.get(&tag).map(|element| &element.value)
    }

    /// Text without padding; `None` when it is absent, empty or no text.
    pub fn text(&self, tag: Tag) -> Option<&str> {
        match self.value(tag)? {
            Value::Text(text) => {
                Some(text.trim_matches([' ', '\0'])).filter(|text| !text.is_empty())
            }
            _ => None,
        }
    }

    /// The first number, also of a number in text (IS); `None` when it is absent or no whole number.
    pub fn integer(&self, tag: Tag) -> Option<i64> {
        match self.value(tag)? {
            Value::Unsigned(numbers) => numbers.first().and_then(|&number| number.try_into().ok()),
            Value::Signed(numbers) => numbers.first().copied(),
            Value::Text(text) => text.split('\\').next()?.trim_matches([' ', '\0']).parse().ok(),
            _ => None,
        }
    }
}
