//! An attribute as callers name it, and as documents name it.

use std::borrow::Cow;

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use healthimaging::{Error, Result};

/// An attribute, named by keyword (`PatientID`) or tag (`00100020`, `(0010,0020)`), or `ImageFrames`, the
/// list of frames, or `DICOMVRs`, the value representations.
///
/// A keyword must be one of the dictionary (`PS3.6 §6`); a tag need not, so that private attributes
/// can be named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Attribute {
    tag: Option<Tag>,
    keyword: Option<String>,
}

/// Members of an instance beside its attributes.
const BESIDE: [&str; 2] = ["ImageFrames", "DICOMVRs"];

impl Attribute {
    /// Whether a key of a document means this attribute: its keyword, or eight hexadecimal digits.
    pub fn is_named(&self, key: &str) -> bool {
        self.keyword.as_deref() == Some(key) || self.tag.is_some() && tag(key) == self.tag
    }

    /// The value representation of the dictionary (`PS3.6 §6`), if there is one and only one.
    pub(crate) fn vr(&self) -> Option<VR> {
        match StandardDataDictionary.by_tag(self.tag?)?.vr() {
            VirtualVr::Exact(vr) => Some(vr),
            _ => None,
        }
    }
}

impl TryFrom<String> for Attribute {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let text = text.trim();
        if BESIDE.contains(&text) {
            return Ok(Self { tag: None, keyword: Some(text.to_owned()) });
        }
        if let Some(tag) = tag(text) {
            let entry = StandardDataDictionary.by_tag(tag);
            let keyword = entry.map(|entry| entry.alias().to_owned());
            return Ok(Self { tag: Some(tag), keyword });
        }
        match StandardDataDictionary.by_name(text) {
            Some(entry) => {
                Ok(Self { tag: Some(entry.tag()), keyword: Some(entry.alias().to_owned()) })
            }
            None => Err(Error::validation(unknown(text))),
        }
    }
}

impl From<Attribute> for String {
    fn from(attribute: Attribute) -> Self {
        match (attribute.keyword, attribute.tag) {
            (Some(keyword), _) => keyword,
            (None, Some(Tag(group, element))) => format!("{group:04X}{element:04X}"),
            (None, None) => Self::new(),
        }
    }
}

/// A tag written as `GGGGEEEE`, `GGGG,EEEE` or `(GGGG,EEEE)`.
pub(crate) fn tag(text: &str) -> Option<Tag> {
    let inner = text.strip_prefix('(').map_or(Some(text), |rest| rest.strip_suffix(')'))?;
    let (group, element) = match inner.split_once(',') {
        Some(parts) => parts,
        None => inner.split_at_checked(4)?,
    };
    let number = |digits: &str| {
        let is_hex = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
    };
    Some(Tag(number(group)?, number(element)?))
}

/// The tag of a key of a document: a keyword, or eight hexadecimal digits.
pub(crate) fn tag_of(key: &str) -> Option<Tag> {
    StandardDataDictionary.by_name(key).map(DataDictionaryEntry::tag).or_else(|| tag(key))
}

/// Names a keyword, where it can be one: what else a caller wrote is not repeated.
pub(crate) fn unknown(text: &str) -> String {
    const LONGEST_KEYWORD: usize = 64;
    let is_word = text.len() <= LONGEST_KEYWORD
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let named = if is_word { text } else { "this" };
    format!(
        "{named} is not an attribute; name it by its DICOM keyword, such as PatientID, or its tag, \
         such as 00100020"
    )
}

impl JsonSchema for Attribute {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Attribute".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}
