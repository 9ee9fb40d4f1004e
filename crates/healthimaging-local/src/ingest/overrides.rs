//! Header values that an import takes from DICOM JSON files (`PS3.18 Annex F`) instead of the DICOM
//! files: those of a study for all its instances, those of a series over those of the study.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging::{Error, Uid};
use healthimaging_dicom::{DataSet, Element, Value};
use serde_json::{Map, Value as Json};

use super::outcome::Refusal;

/// UIDs, which stay.
const UIDS: [Tag; 4] = [
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
];

/// The overrides of a job.
#[derive(Debug, Default)]
pub(crate) struct Overrides(Vec<Override>);

#[derive(Debug)]
struct Override {
    study: Uid,
    series: Option<Uid>,
    /// One, or one an instance, which then names its SOP Instance UID.
    values: Vec<DataSet>,
}

impl Overrides {
    /// Adds a file; `Validation` says what is wrong with it, without its values.
    pub(crate) fn add(
        &mut self,
        study: Uid,
        series: Option<Uid>,
        json: &[u8],
    ) -> healthimaging::Result<()> {
        let json: Json = serde_json::from_slice(json)
            .map_err(|error| wrong(&format!("is not JSON, at line {}", error.line())))?;
        let values = match &json {
            Json::Array(all) => all.iter().map(read).collect::<Result<_, _>>()?,
            one => vec![read(one)?],
        };
        self.0.push(Override {
            study,
            series,
            values,
        });
        // Applied in this order: a study's first.
        self.0.sort_by_key(|one| one.series.is_some());
        Ok(())
    }

    /// Puts the values over those of a file.
    pub(super) fn apply(&self, data_set: &mut DataSet) -> Result<(), Refusal> {
        let uid = |data_set: &DataSet, tag| data_set.text(tag).unwrap_or_default().to_owned();
        let study = uid(data_set, tags::STUDY_INSTANCE_UID);
        let series = uid(data_set, tags::SERIES_INSTANCE_UID);
        let instance = uid(data_set, tags::SOP_INSTANCE_UID);
        for one in &self.0 {
            let for_series = one.series.as_ref().is_none_or(|uid| uid.as_str() == series);
            if one.study.as_str() != study || !for_series {
                continue;
            }
            let values = one.values.iter().filter(|values| {
                let named = values.text(tags::SOP_INSTANCE_UID);
                named.is_none_or(|named| named == instance)
            });
            for values in values {
                put(values, data_set)?;
            }
        }
        Ok(())
    }
}

fn put(values: &DataSet, over: &mut DataSet) -> Result<(), Refusal> {
    for (tag, element) in &values.elements {
        if UIDS.contains(tag) && values.text(*tag) != over.text(*tag) {
            return Err(Refusal::invalid(
                "the metadata that overrides the file's would change a UID",
            ));
        }
        over.elements.insert(*tag, element.clone());
    }
    Ok(())
}

fn wrong(what: &str) -> Error {
    Error::validation(format!(
        "a metadata file of the import configuration {what}"
    ))
}

fn read(json: &Json) -> healthimaging::Result<DataSet> {
    let values = data_set(json)?;
    let describes_pixels = |tag: &Tag| {
        matches!(tag.group(), 0x0002 | 0x7FE0)
            || (tag.group() == 0x0028 && (0x0002..=0x0103).contains(&tag.element()))
    };
    match values.elements.keys().find(|tag| describes_pixels(tag)) {
        Some(tag) => Err(wrong(&format!(
            "may not change {tag}, which describes the pixels"
        ))),
        None => Ok(values),
    }
}

fn data_set(json: &Json) -> healthimaging::Result<DataSet> {
    let attributes = json
        .as_object()
        .ok_or_else(|| wrong("is not in the DICOM JSON Model"))?;
    let mut found = DataSet::default();
    for (key, attribute) in attributes {
        let tag =
            tag(key).ok_or_else(|| wrong("has a key that is not eight hexadecimal digits"))?;
        let (vr, value) = element(attribute).ok_or_else(|| {
            wrong(&format!(
                "has a value of {tag} that is not in the DICOM JSON Model"
            ))
        })??;
        found.elements.insert(tag, Element { vr, value });
    }
    Ok(found)
}

fn tag(hex: &str) -> Option<Tag> {
    let number = (hex.len() == 8).then(|| u32::from_str_radix(hex, 16).ok())??;
    let [a, b, c, d] = number.to_be_bytes();
    Some(Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// VR and value of an attribute; `None` when they do not fit one another.
fn element(attribute: &Json) -> Option<healthimaging::Result<(VR, Value)>> {
    let attribute = attribute.as_object()?;
    let vr: VR = attribute.get("vr")?.as_str()?.parse().ok()?;
    if let Some(binary) = attribute.get("InlineBinary") {
        let bytes = BASE64.decode(binary.as_str()?).ok()?;
        return Some(Ok((vr, Value::Bytes(bytes))));
    }
    if attribute.contains_key("BulkDataURI") {
        return Some(Err(wrong("names bulk data, which is not supported")));
    }
    let values = match attribute.get("Value") {
        Some(Json::Array(values)) if !values.is_empty() => values,
        Some(Json::Array(_)) | None => return Some(Ok((vr, Value::Empty))),
        Some(_) => return None,
    };
    if vr == VR::SQ {
        let items: healthimaging::Result<Vec<_>> = values.iter().map(data_set).collect();
        return Some(items.map(|items| (vr, Value::Items(items))));
    }
    Some(Ok((vr, plain(vr, values)?)))
}

fn plain(vr: VR, values: &[Json]) -> Option<Value> {
    match vr {
        VR::AT => {
            let tags = values.iter().map(|value| tag(value.as_str()?));
            tags.collect::<Option<_>>().map(Value::Tags)
        }
        VR::US | VR::UL | VR::UV => {
            let numbers = values.iter().map(Json::as_u64);
            numbers.collect::<Option<_>>().map(Value::Unsigned)
        }
        VR::SS | VR::SL | VR::SV => {
            let numbers = values.iter().map(Json::as_i64);
            numbers.collect::<Option<_>>().map(Value::Signed)
        }
        VR::FD => {
            let numbers = values.iter().map(Json::as_f64);
            numbers.collect::<Option<_>>().map(Value::Double)
        }
        VR::FL => {
            #[expect(clippy::cast_possible_truncation, reason = "FL is of single precision")]
            let numbers = values.iter().map(|value| Some(value.as_f64()? as f32));
            numbers.collect::<Option<_>>().map(Value::Float)
        }
        VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN => None,
        _ => {
            let texts: Option<Vec<String>> = values.iter().map(|value| text(vr, value)).collect();
            Some(Value::Text(texts?.join("\\")))
        }
    }
}

fn text(vr: VR, value: &Json) -> Option<String> {
    match value {
        Json::Null => Some(String::new()),
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => matches!(vr, VR::DS | VR::IS).then(|| number.to_string()),
        Json::Object(name) if vr == VR::PN => Some(name_groups(name)),
        _ => None,
    }
}

/// The groups of a name, joined as in a file (`PS3.5 §6.2`).
fn name_groups(name: &Map<String, Json>) -> String {
    let groups = ["Alphabetic", "Ideographic", "Phonetic"];
    let groups = groups.map(|group| name.get(group).and_then(Json::as_str).unwrap_or_default());
    groups.join("=").trim_end_matches('=').to_owned()
}
