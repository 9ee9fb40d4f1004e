//! The DICOM JSON Model (`PS3.18 Annex F`), as DICOMweb shows metadata.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use healthimaging::{Error, Result};
use serde_json::{Map, Number, Value as Json};

use crate::data_set::{DataSet, Element, Value};
use crate::document::split::decimal;
use crate::document::{ApartValue, Document, Instance, dictionary};

/// Metadata of an instance: tag as eight hexadecimal digits → `{"vr": …, "Value": …}`, in the order of
/// the tags, without pixel data.
///
/// Of group 0002 only `TransferSyntaxUID` is shown, and it is the stored one; explicit VR little endian
/// for instances without pixel data. `bulk` names the URI of a value that is stored apart. Errors:
/// `NotFound` when the document does not hold the instance.
pub fn dicom_json(
    document: &Document,
    series_uid: &str,
    sop_uid: &str,
    bulk: &dyn Fn(&ApartValue) -> String,
) -> Result<Map<String, Json>> {
    let instance = document.instance(series_uid, sop_uid);
    let data_set = document.data_set(series_uid, sop_uid);
    let (Some(instance), Some(mut data_set)) = (instance, data_set) else {
        return Err(Error::not_found(
            "the image set does not hold this instance",
        ));
    };
    data_set.elements.retain(|tag, _| tag.group() > 0x0002);
    let stored = instance.stored_transfer_syntax.as_deref();
    let stored = stored.unwrap_or(uids::EXPLICIT_VR_LITTLE_ENDIAN).to_owned();
    let (vr, value) = (VR::UI, Value::Text(stored));
    data_set
        .elements
        .insert(tags::TRANSFER_SYNTAX_UID, Element { vr, value });
    if let Some(reason) = instance.details.warning_reason {
        let (vr, value) = (VR::US, Value::Unsigned(vec![u64::from(reason)]));
        data_set
            .elements
            .insert(tags::WARNING_REASON, Element { vr, value });
    }
    let mut writer = JsonWriter {
        instance,
        bulk,
        path: Vec::new(),
    };
    Ok(writer.data_set(&data_set))
}

/// One attribute whose value is text, as [`dicom_json`] shows it.
pub fn text_attribute(vr: VR, text: &str) -> Json {
    let values = values(vr, &Value::Text(text.to_owned()));
    attribute(vr, "Value", Json::Array(values))
}

/// An attribute; without its value when that is empty.
fn attribute(vr: VR, key: &str, value: Json) -> Json {
    let is_empty = match &value {
        Json::Array(values) => matches!(values[..], [] | [Json::Null]),
        value => value.is_null(),
    };
    let mut shown = Map::with_capacity(2);
    shown.insert("vr".to_owned(), vr.to_string().into());
    if !is_empty {
        shown.insert(key.to_owned(), value);
    }
    Json::Object(shown)
}

struct JsonWriter<'a> {
    instance: &'a Instance,
    bulk: &'a dyn Fn(&ApartValue) -> String,
    path: Vec<Step>,
}

/// A step from the root to an element.
enum Step {
    Into(Tag),
    Item(usize),
}

impl JsonWriter<'_> {
    fn data_set(&mut self, data_set: &DataSet) -> Map<String, Json> {
        let mut attributes = Map::with_capacity(data_set.elements.len());
        for (tag, element) in &data_set.elements {
            self.path.push(Step::Into(*tag));
            let shown = if *tag == tags::SPECIFIC_CHARACTER_SET {
                character_set(element)
            } else {
                self.element(element)
            };
            attributes.insert(dictionary::hex(*tag), shown);
            self.path.pop();
        }
        attributes
    }

    fn element(&mut self, element: &Element) -> Json {
        let vr = element.vr;
        let (key, value) = match &element.value {
            Value::Bytes(bytes) => ("InlineBinary", Json::from(BASE64.encode(bytes))),
            Value::Apart { .. } => {
                let stored = self.instance.details.apart.get(&self.place());
                (
                    "BulkDataURI",
                    stored.map(|stored| (self.bulk)(stored)).into(),
                )
            }
            Value::Items(items) => ("Value", self.items(items)),
            value => ("Value", Json::Array(values(vr, value))),
        };
        attribute(vr, key, value)
    }

    /// Where the element is, as the details name it.
    fn place(&self) -> String {
        let steps = self.path.iter().map(|step| match step {
            Step::Into(tag) => dictionary::hex(*tag),
            Step::Item(number) => number.to_string(),
        });
        steps.collect::<Vec<_>>().join("/")
    }

    fn items(&mut self, items: &[DataSet]) -> Json {
        let mut shown = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            self.path.push(Step::Item(number));
            shown.push(Json::Object(self.data_set(item)));
            self.path.pop();
        }
        Json::Array(shown)
    }
}

/// JSON is UTF-8, whatever the file was in.
fn character_set(element: &Element) -> Json {
    match element.value {
        Value::Empty => text_attribute(VR::CS, ""),
        _ => text_attribute(VR::CS, "ISO_IR 192"),
    }
}

fn values(vr: VR, value: &Value) -> Vec<Json> {
    match value {
        Value::Text(text) if dictionary::splits_at_backslash(vr) => {
            text.split('\\').map(|part| text_value(vr, part)).collect()
        }
        Value::Text(text) => vec![text_value(vr, text)],
        Value::Unsigned(numbers) => numbers.iter().copied().map(Json::from).collect(),
        Value::Signed(numbers) => numbers.iter().copied().map(Json::from).collect(),
        Value::Float(numbers) => numbers
            .iter()
            .map(|number| decimal(f64::from(*number)))
            .collect(),
        Value::Double(numbers) => numbers.iter().map(|number| decimal(*number)).collect(),
        Value::Tags(tags) => tags
            .iter()
            .map(|tag: &Tag| dictionary::hex(*tag).into())
            .collect(),
        Value::Empty | Value::Bytes(_) | Value::Apart { .. } | Value::Items(_) => Vec::new(),
    }
}

/// One value; an empty one among several is null (`PS3.18 §F.2.5`).
fn text_value(vr: VR, text: &str) -> Json {
    let text = match vr {
        // Leading spaces count in these (`PS3.5 §6.2`).
        VR::LT | VR::ST | VR::UT | VR::UC | VR::UR => text.trim_end_matches([' ', '\0']),
        _ => text.trim_matches([' ', '\0']),
    };
    match vr {
        _ if text.is_empty() => Json::Null,
        VR::PN => person_name(text),
        VR::DS | VR::IS => number(text).map_or_else(|| Json::from(text), Json::Number),
        _ => Json::from(text),
    }
}

/// The component groups of a name (`PS3.18 §F.2.2`).
fn person_name(text: &str) -> Json {
    let groups = ["Alphabetic", "Ideographic", "Phonetic"];
    let named = groups.into_iter().zip(text.split('='));
    let named = named.filter(|(_, group)| !group.is_empty());
    Json::Object(
        named
            .map(|(name, group)| (name.to_owned(), Json::from(group)))
            .collect(),
    )
}

fn number(text: &str) -> Option<Number> {
    match text.parse::<i64>() {
        Ok(integer) => Some(integer.into()),
        Err(_) => Number::from_f64(text.parse().ok()?),
    }
}
