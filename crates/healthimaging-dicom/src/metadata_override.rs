//! Metadata with which an import job overrides that of the files: the DICOM JSON Model
//! (`PS3.18 Annex F`), read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging::{Error, Result};
use serde_json::{Map, Value as Json};

use crate::data_set::{DataSet, Element, Value};
use crate::document::dictionary;
use crate::document::rebuild::plain_value;

/// UIDs, which stay.
const UIDS: [Tag; 4] = [
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
];

/// A file of `dicomJsonMetadataImportConfiguration`: values that replace those of instances.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataOverride {
    /// One, or one an instance, which then names its SOP Instance UID.
    data_sets: Vec<DataSet>,
}

impl MetadataOverride {
    /// Reads one data set, or an array of them. Group lengths are passed over.
    ///
    /// Errors, all `Validation` and without values: not JSON; not the DICOM JSON Model; a value that does
    /// not fit its VR; one that is only named by a `BulkDataURI`; group 0002, pixel data, or what describes
    /// it.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let parsed: Json = serde_json::from_slice(json).map_err(|error| {
            // The reader's own words may quote the file.
            let (line, column) = (error.line(), error.column());
            refused(&format!("is not JSON: see line {line}, column {column}"))
        })?;
        let data_sets = match &parsed {
            Json::Array(objects) => objects.iter().map(without_pixels).collect::<Result<_>>()?,
            one => vec![without_pixels(one)?],
        };
        Ok(Self { data_sets })
    }

    /// Replaces the values of the file, in the order of the data sets. One that names a SOP Instance UID is for
    /// that instance alone. `Validation` when it would change a UID of study, series, class or instance.
    pub fn apply(&self, instance: &mut DataSet) -> Result<()> {
        for values in &self.data_sets {
            let named = values.text(tags::SOP_INSTANCE_UID);
            if named.is_some() && named != instance.text(tags::SOP_INSTANCE_UID) {
                continue;
            }
            for (tag, element) in &values.elements {
                if UIDS.contains(tag) {
                    if values.text(*tag) != instance.text(*tag) {
                        let message = "the metadata that overrides the file's would change a UID";
                        return Err(Error::validation(message));
                    }
                    continue;
                }
                instance.elements.insert(*tag, element.clone());
            }
        }
        Ok(())
    }
}

fn without_pixels(object: &Json) -> Result<DataSet> {
    let values = data_set(object)?;
    let describes_pixels = |tag: &&Tag| {
        matches!(tag.group(), 0x0002 | 0x7FE0)
            || (tag.group() == 0x0028 && (0x0002..=0x0103).contains(&tag.element()))
    };
    match values.elements.keys().find(describes_pixels) {
        Some(tag) => {
            Err(refused(&format!("may not change {tag}, which describes the pixels or the file")))
        }
        None => Ok(values),
    }
}

fn data_set(object: &Json) -> Result<DataSet> {
    let object = object
        .as_object()
        .ok_or_else(|| refused("is not in the DICOM JSON Model: a data set is an object"))?;
    let mut read = DataSet::default();
    for (key, attribute) in object {
        let tag = dictionary::tag(key).filter(|tag| dictionary::hex(*tag) == key.to_uppercase());
        let tag =
            tag.ok_or_else(|| refused("has a key that is not a tag of eight hexadecimal digits"))?;
        if tag.element() == 0 {
            continue;
        }
        let attribute = attribute.as_object();
        if attribute.is_some_and(|attribute| attribute.contains_key("BulkDataURI")) {
            return Err(refused("names bulk data, which is not supported"));
        }
        let element = attribute.and_then(|attribute| element(attribute).transpose());
        let element = element.unwrap_or_else(|| {
            Err(refused(&format!("has no VR of {tag}, or a value that does not fit it")))
        })?;
        read.elements.insert(tag, element);
    }
    Ok(read)
}

/// `None` when VR and value do not go together; an error when something inside it is wrong.
fn element(attribute: &Map<String, Json>) -> Result<Option<Element>> {
    let vr = attribute.get("vr").and_then(Json::as_str);
    let Some(vr) = vr.and_then(|vr| vr.parse::<VR>().ok()) else {
        return Ok(None);
    };
    let value = match (attribute.get("InlineBinary"), attribute.get("Value")) {
        (Some(Json::String(binary)), None) if dictionary::is_bytes(vr) => {
            BASE64.decode(binary).ok().map(Value::Bytes)
        }
        (None, Some(Json::Array(items))) if vr == VR::SQ => {
            let items = items.iter().map(data_set).collect::<Result<_>>()?;
            Some(Value::Items(items))
        }
        (None, Some(Json::Array(values))) => values_of(vr, values),
        (None, None) if vr == VR::SQ => Some(Value::Items(Vec::new())),
        (None, None) => Some(Value::Empty),
        _ => None,
    };
    Ok(value.map(|value| Element { vr, value }))
}

fn values_of(vr: VR, values: &[Json]) -> Option<Value> {
    let plain: Option<Vec<Json>> = match vr {
        VR::PN => values.iter().map(person_name).collect(),
        _ => Some(values.to_vec()),
    };
    match plain?.as_slice() {
        [] => Some(Value::Empty),
        plain => plain_value(vr, &Json::Array(plain.to_vec())),
    }
}

/// The component groups of a name, joined (`PS3.5 §6.2.1`).
fn person_name(value: &Json) -> Option<Json> {
    let groups = match value {
        Json::Null => return Some(Json::from("")),
        value => value.as_object()?,
    };
    let named = ["Alphabetic", "Ideographic", "Phonetic"];
    let known =
        groups.iter().all(|(name, group)| named.contains(&name.as_str()) && group.is_string());
    let of = |name: &str| groups.get(name).and_then(Json::as_str).unwrap_or_default();
    let joined = named.map(of).join("=");
    known.then(|| Json::from(joined.trim_end_matches('=')))
}

fn refused(what: &str) -> Error {
    Error::validation(format!("a metadata file of the import configuration {what}"))
}
