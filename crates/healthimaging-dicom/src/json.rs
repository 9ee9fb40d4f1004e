//! The DICOM JSON Model (`PS3.18 Annex F`), as DICOMweb shows metadata.

use std::fmt;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD as BASE64;
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use healthimaging::{Error, Result};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::Number;

use crate::data_set::Value;
use crate::document::rebuild::{LazyDataSet, LazyElement, LazyItems, LazyValue, Path};
use crate::document::split::decimal;
use crate::document::{BulkValue, Document, Instance, dictionary, index};

/// JPEG 2000 arranges the components itself, so Planar Configuration is 0 (`PS3.5 §8.2.4`), and decoded
/// frames are interleaved. The document keeps the value of the file.
const PLANES_ARE_IRRELEVANT: [&str; 5] = [
    uids::JPEG2000_LOSSLESS,
    uids::JPEG2000,
    uids::HTJ2K_LOSSLESS,
    uids::HTJ2K_LOSSLESS_RPCL,
    uids::HTJ2K,
];

/// Returns the URI of a value that is stored as bulk data.
type Bulk<'a> = dyn Fn(&BulkValue) -> String + 'a;

/// Metadata of an instance: tag as eight hexadecimal digits → `{"vr": …, "Value": …}`, in the order of
/// the tags, without pixel data.
///
/// Of group 0002 only `TransferSyntaxUID` is shown, and it is the stored one; explicit VR little endian
/// for instances without pixel data. `PlanarConfiguration` is that of the stored frames.
///
/// Elements and items are made one at a time while it is written.
pub struct InstanceJson<'a> {
    data_set: LazyDataSet<'a>,
    of: Source<'a>,
}

/// What is known beside the data set.
#[derive(Clone, Copy)]
struct Source<'a> {
    instance: &'a Instance,
    bulk: &'a Bulk<'a>,
}

impl<'a> InstanceJson<'a> {
    /// Of an instance of a document; `NotFound` when the document does not hold it.
    pub fn of(
        document: &'a Document,
        series_uid: &str,
        sop_uid: &str,
        bulk: &'a Bulk<'a>,
    ) -> Result<Self> {
        let instance = document.instance(series_uid, sop_uid);
        let data_set = document.lazy_data_set(series_uid, sop_uid);
        let (Some(instance), Some(mut data_set)) = (instance, data_set) else {
            return Err(Error::not_found("the image set does not hold this instance"));
        };
        data_set.retain(|tag| tag.group() > 0x0002);
        let stored = instance.stored_transfer_syntax.as_deref();
        let stored = stored.unwrap_or(uids::EXPLICIT_VR_LITTLE_ENDIAN).to_owned();
        if PLANES_ARE_IRRELEVANT.contains(&stored.as_str())
            && index::integer::<u16>(&instance.attributes, "SamplesPerPixel") > Some(1)
        {
            data_set.set(tags::PLANAR_CONFIGURATION, VR::US, Value::Unsigned(vec![0]));
        }
        data_set.set(tags::TRANSFER_SYNTAX_UID, VR::UI, Value::Text(stored));
        if let Some(reason) = instance.warning_reason() {
            let value = Value::Unsigned(vec![u64::from(reason)]);
            data_set.set(tags::WARNING_REASON, VR::US, value);
        }
        let of = Source { instance, bulk };
        Ok(Self { data_set, of })
    }

    /// Leaves out the attributes that are not requested, by their tags in eight hexadecimal digits.
    pub fn retain(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.data_set.retain(|tag| is_wanted(&dictionary::hex(tag)));
    }
}

impl fmt::Debug for InstanceJson<'_> {
    /// Leaves the attributes out: they are patient data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceJson").finish_non_exhaustive()
    }
}

impl Serialize for InstanceJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let data_set = DataSetJson { data_set: &self.data_set, of: self.of, path: &Path::Root };
        data_set.serialize(serializer)
    }
}

/// One attribute whose value is text, as [`InstanceJson`] shows it.
pub fn text_attribute(vr: VR, text: &str) -> serde_json::Value {
    let shown = TextAttribute { vr, text };
    // The keys are texts, and numbers are finite.
    serde_json::to_value(shown).unwrap_or_default()
}

struct TextAttribute<'a> {
    vr: VR,
    text: &'a str,
}

impl Serialize for TextAttribute<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut shown = begun(serializer, self.vr)?;
        let value = TextValues { vr: self.vr, text: self.text };
        if !value.is_empty() {
            shown.serialize_entry("Value", &value)?;
        }
        shown.end()
    }
}

struct DataSetJson<'a> {
    data_set: &'a LazyDataSet<'a>,
    of: Source<'a>,
    path: &'a Path<'a>,
}

impl Serialize for DataSetJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut attributes = serializer.serialize_map(Some(self.data_set.len()))?;
        for (tag, element) in self.data_set.elements(self.path) {
            if tag == tags::SPECIFIC_CHARACTER_SET {
                // JSON is UTF-8, whatever the file or the item was in.
                let is_empty = matches!(element.value, LazyValue::Plain(Value::Empty));
                let shown =
                    TextAttribute { vr: VR::CS, text: if is_empty { "" } else { "ISO_IR 192" } };
                attributes.serialize_entry(&dictionary::hex(tag), &shown)?;
                continue;
            }
            let path = &Path::Into(self.path, tag);
            let shown = ElementJson { element: &element, of: self.of, path };
            attributes.serialize_entry(&dictionary::hex(tag), &shown)?;
        }
        attributes.end()
    }
}

/// An attribute; without its value when that is empty.
struct ElementJson<'a> {
    element: &'a LazyElement<'a>,
    of: Source<'a>,
    path: &'a Path<'a>,
}

impl Serialize for ElementJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let LazyElement { vr, value } = self.element;
        let mut shown = begun(serializer, *vr)?;
        let value = match value {
            LazyValue::Plain(value) => value,
            LazyValue::Items(items) => {
                if !items.is_empty() {
                    shown.serialize_entry("Value", &Items { items: *items, of: self })?;
                }
                return shown.end();
            }
        };
        match value {
            Value::Bytes(bytes) => {
                shown.serialize_entry("InlineBinary", &Base64(bytes))?;
            }
            Value::Bulk { .. } => {
                let stored = self.of.instance.details.bulk_data.get(&self.path.text());
                if let Some(stored) = stored {
                    shown.serialize_entry("BulkDataURI", &(self.of.bulk)(stored))?;
                }
            }
            Value::Text(text) => {
                let value = TextValues { vr: *vr, text };
                if !value.is_empty() {
                    shown.serialize_entry("Value", &value)?;
                }
            }
            value => {
                let numbers = Numbers(value);
                if !numbers.is_empty() {
                    shown.serialize_entry("Value", &numbers)?;
                }
            }
        }
        shown.end()
    }
}

fn begun<S: Serializer>(serializer: S, vr: VR) -> std::result::Result<S::SerializeMap, S::Error> {
    let mut shown = serializer.serialize_map(None)?;
    shown.serialize_entry("vr", vr.to_string())?;
    Ok(shown)
}

struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &BASE64))
    }
}

struct Items<'a> {
    items: LazyItems<'a>,
    of: &'a ElementJson<'a>,
}

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_seq(Some(self.items.len()))?;
        for (number, data_set) in self.items.iter().enumerate() {
            shown.serialize_element(&DataSetJson {
                data_set: &data_set,
                of: self.of.of,
                path: &Path::Item(self.of.path, number),
            })?;
        }
        shown.end()
    }
}

/// Values that are no text.
struct Numbers<'a>(&'a Value);

impl Numbers<'_> {
    fn is_empty(&self) -> bool {
        match self.0 {
            Value::Unsigned(numbers) => numbers.is_empty(),
            Value::Signed(numbers) => numbers.is_empty(),
            Value::Float(numbers) => numbers.is_empty(),
            Value::Double(numbers) => numbers.is_empty(),
            Value::Tags(tags) => tags.is_empty(),
            _ => true,
        }
    }
}

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0 {
            Value::Unsigned(numbers) => serializer.collect_seq(numbers),
            Value::Signed(numbers) => serializer.collect_seq(numbers),
            Value::Float(numbers) => {
                serializer.collect_seq(numbers.iter().map(|number| decimal(f64::from(*number))))
            }
            Value::Double(numbers) => {
                serializer.collect_seq(numbers.iter().map(|number| decimal(*number)))
            }
            Value::Tags(tags) => {
                serializer.collect_seq(tags.iter().map(|tag| dictionary::hex(*tag)))
            }
            _ => serializer.collect_seq([(); 0]),
        }
    }
}

/// Values in one text.
struct TextValues<'a> {
    vr: VR,
    text: &'a str,
}

impl TextValues<'_> {
    fn parts(&self) -> impl Iterator<Item = TextValue<'_>> {
        let vr = self.vr;
        let parts = dictionary::splits_at_backslash(vr).then(|| self.text.split('\\'));
        let whole = parts.is_none().then_some(self.text);
        let all = parts.into_iter().flatten().chain(whole);
        all.map(move |text| TextValue {
            vr,
            text: match vr {
                // Leading spaces count in these (`PS3.5 §6.2`).
                VR::LT | VR::ST | VR::UT | VR::UC | VR::UR => text.trim_end_matches([' ', '\0']),
                _ => text.trim_matches([' ', '\0']),
            },
        })
    }

    /// Whether there is but one, and it is empty.
    fn is_empty(&self) -> bool {
        let mut parts = self.parts();
        parts.next().is_none_or(|first| first.text.is_empty()) && parts.next().is_none()
    }
}

impl Serialize for TextValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.parts())
    }
}

/// One value; an empty one among several is null (`PS3.18 §F.2.5`).
struct TextValue<'a> {
    vr: VR,
    text: &'a str,
}

impl Serialize for TextValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.vr {
            _ if self.text.is_empty() => serializer.serialize_none(),
            VR::PN => serializer.collect_map(groups_of_name(self.text)),
            VR::DS | VR::IS => match number(self.text) {
                Some(number) => number.serialize(serializer),
                None => serializer.serialize_str(self.text),
            },
            _ => serializer.serialize_str(self.text),
        }
    }
}

/// The component groups of a name (`PS3.18 §F.2.2`).
fn groups_of_name(text: &str) -> impl Iterator<Item = (&'static str, &str)> {
    let groups = ["Alphabetic", "Ideographic", "Phonetic"];
    let named = groups.into_iter().zip(text.split('='));
    named.filter(|(_, group)| !group.is_empty())
}

fn number(text: &str) -> Option<Number> {
    match text.parse::<i64>() {
        Ok(integer) => Some(integer.into()),
        Err(_) => Number::from_f64(text.parse().ok()?),
    }
}
