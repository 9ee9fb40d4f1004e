//! Metadata that an import job puts in place of what the files say: the DICOM JSON Model
//! (`PS3.18 Annex F`), read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging::{Error, Result};
use serde_json::{Map, Value as Json};

use crate::data_set::{DataSet, Element, Value};
use crate::document::dictionary;
use crate::document::implied::{Context, implied_vr};
use crate::document::index::trimmed;
use crate::document::rebuild::plain_value;
use crate::document::split::is_pixel_data;

const IDENTIFIERS: [Tag; 3] = [
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::SOP_INSTANCE_UID,
];

/// A file of `dicomJsonMetadataImportConfiguration`: values that replace those of the instances they
/// are meant for.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataOverride {
    data_sets: Vec<DataSet>,
}

impl MetadataOverride {
    /// Reads one data set, or an array of them. Group 0002 and values that are only named by a
    /// `BulkDataURI` are passed over.
    ///
    /// Errors, all `Validation`: not JSON; not the DICOM JSON Model; a value that does not fit its VR;
    /// pixel data.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let parsed: Json = serde_json::from_slice(json).map_err(|error| {
            // The reader's own words may quote the file.
            let (line, column) = (error.line(), error.column());
            refused(&format!("it is not JSON: see line {line}, column {column}"))
        })?;
        let objects = match parsed {
            Json::Array(objects) => objects,
            one => vec![one],
        };
        let data_sets = objects.iter().map(data_set).collect::<Result<_>>()?;
        Ok(Self { data_sets })
    }

    /// Replaces what the file says, in the order of the data sets. One that names a study, series or
    /// instance is for that alone; these UIDs themselves never change.
    pub fn apply(&self, instance: &mut DataSet) {
        for data_set in &self.data_sets {
            if !IDENTIFIERS
                .iter()
                .all(|tag| agrees(data_set, instance, *tag))
            {
                continue;
            }
            for (tag, element) in &data_set.elements {
                if !IDENTIFIERS.contains(tag) {
                    instance.elements.insert(*tag, element.clone());
                }
            }
        }
    }
}

fn agrees(wanted: &DataSet, instance: &DataSet, tag: Tag) -> bool {
    match (uid(wanted, tag), uid(instance, tag)) {
        (Some(wanted), found) => found == Some(wanted),
        (None, _) => true,
    }
}

fn uid(data_set: &DataSet, tag: Tag) -> Option<&str> {
    match &data_set.elements.get(&tag)?.value {
        Value::Text(text) => Some(trimmed(text)),
        _ => None,
    }
}

fn data_set(object: &Json) -> Result<DataSet> {
    let object = object
        .as_object()
        .ok_or_else(|| refused("a data set must be a JSON object"))?;
    let mut elements = BTreeMap::new();
    for (key, attribute) in object {
        let tag = dictionary::tag(key).filter(|tag| dictionary::hex(*tag) == key.to_uppercase());
        let tag = tag.ok_or_else(|| refused("keys must be tags of eight hexadecimal digits"))?;
        if is_pixel_data(tag) {
            return Err(refused("pixel data cannot be replaced"));
        }
        let is_named_only = attribute.get("BulkDataURI").is_some();
        if tag.group() == 0x0002 || is_named_only {
            continue;
        }
        let attribute = attribute.as_object();
        let element = attribute.and_then(|attribute| element(tag, attribute).transpose());
        let element = element.unwrap_or_else(|| {
            Err(refused(&format!(
                "{key} has no VR, or a value that does not fit it"
            )))
        })?;
        elements.insert(tag, element);
    }
    Ok(DataSet { elements })
}

/// `None` when VR and value do not go together; an error when something inside it is wrong.
fn element(tag: Tag, attribute: &Map<String, Json>) -> Result<Option<Element>> {
    let told = attribute.get("vr").and_then(Json::as_str);
    let vr = match told {
        Some(told) => told.parse::<VR>().ok(),
        None => dictionary::vr(tag).map(|_| implied_vr(tag, &Json::Null, Context::default())),
    };
    let Some(vr) = vr else { return Ok(None) };
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
    let known = groups
        .iter()
        .all(|(name, group)| named.contains(&name.as_str()) && group.is_string());
    let of = |name: &str| groups.get(name).and_then(Json::as_str).unwrap_or_default();
    let joined = named.map(of).join("=");
    known.then(|| Json::from(joined.trim_end_matches('=')))
}

fn refused(why: &str) -> Error {
    Error::validation(format!(
        "the metadata file is not a data set of the DICOM JSON Model: {why}"
    ))
}
