//! How long values may be: a file with longer ones breaks the standard, whatever the service takes.

use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;
use serde_json::Value;

use healthimaging::model::MetadataUpdates;
use healthimaging::{Error, Result};

use super::Object;
use crate::document;

/// Refuses values that are longer than their value representation allows (`PS3.5` Table 6.2-1).
///
/// Errors, `Validation`: such a value, which is named by its keyword, or a document that is not an object.
pub fn check(updates: &MetadataUpdates) -> Result<()> {
    let MetadataUpdates::DicomUpdates { updatable_attributes: Some(document), .. } = updates else {
        return Ok(());
    };
    let document: Object = serde_json::from_slice(document)
        .map_err(|_| Error::validation("updatableAttributes must be a JSON object"))?;
    check_levels(&document)
}

/// Goes through the levels of a document to their attributes.
fn check_levels(level: &Object) -> Result<()> {
    for (name, inner) in level {
        let Value::Object(inner) = inner else { continue };
        if name == "DICOM" {
            check_attributes(inner)?;
        } else {
            check_levels(inner)?;
        }
    }
    Ok(())
}

/// Refuses attributes with values that are too long.
pub(super) fn check_attributes(attributes: &Object) -> Result<()> {
    attributes.iter().try_for_each(|(name, value)| check_value(name, value))
}

fn check_value(name: &str, value: &Value) -> Result<()> {
    let parts = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    for item in parts.iter().filter_map(Value::as_object) {
        check_attributes(item)?;
    }
    let Some(vr) = vr(name) else { return Ok(()) };
    let Some((longest, unit)) = longest(vr) else { return Ok(()) };
    for text in parts.iter().filter_map(Value::as_str) {
        for one in values(vr, text) {
            let is_within = match vr {
                VR::PN => one.split('=').all(|group| group.chars().count() <= longest),
                // Their repertoire is ASCII, so that bytes are characters.
                _ => one.chars().count() <= longest,
            };
            if !is_within {
                return Err(Error::validation(format!(
                    "{name}: a value of VR {} has at most {longest} {unit}",
                    vr.to_string()
                )));
            }
        }
    }
    Ok(())
}

/// The values of a text, without the spaces that pad them.
fn values(vr: VR, text: &str) -> Vec<&str> {
    let is_one = matches!(vr, VR::LT | VR::ST);
    let parts = if is_one { vec![text] } else { text.split('\\').collect() };
    parts.into_iter().map(|part| part.trim_end_matches([' ', '\0'])).collect()
}

/// `PS3.5` Table 6.2-1.
fn longest(vr: VR) -> Option<(usize, &'static str)> {
    Some(match vr {
        VR::AE | VR::CS | VR::SH | VR::DS => (16, "characters"),
        VR::AS => (4, "characters"),
        VR::DA => (8, "characters"),
        VR::DT => (26, "characters"),
        VR::IS => (12, "characters"),
        VR::LO | VR::UI => (64, "characters"),
        VR::LT => (10_240, "characters"),
        VR::PN => (64, "characters in each component group"),
        VR::ST => (1_024, "characters"),
        VR::TM => (14, "characters"),
        _ => return None,
    })
}

fn vr(name: &str) -> Option<VR> {
    let tag = document::tag(name);
    let entry = match tag {
        Some(tag) => StandardDataDictionary.by_tag(tag),
        None => StandardDataDictionary.by_name(name),
    };
    match entry?.vr() {
        VirtualVr::Exact(vr) => Some(vr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn refusal(level: &str, dicom: &Value) -> Option<String> {
        let document = json!({ "SchemaVersion": "1.1", level: { "DICOM": dicom } });
        let updates = MetadataUpdates::DicomUpdates {
            removable_attributes: None,
            updatable_attributes: Some(Bytes::from(document.to_string())),
        };
        check(&updates).err().map(|error| error.message().to_owned())
    }

    #[test]
    fn each_representation_has_its_length() {
        for (keyword, longest) in [
            ("PatientID", 64),
            ("AccessionNumber", 16),
            ("PatientSex", 16),
            ("FrameOfReferenceUID", 64),
            ("StudyDate", 8),
            ("PatientAge", 4),
            ("StationAETitle", 16),
            ("SeriesNumber", 12),
            ("PatientWeight", 16),
            ("AdditionalPatientHistory", 10_240),
            ("InstitutionAddress", 1_024),
            ("PatientName", 64),
        ] {
            let text = |length: usize| json!({ keyword: "1".repeat(length) });
            assert_eq!(refusal("Patient", &text(longest)), None, "{keyword}");
            // Padding does not count.
            assert_eq!(refusal("Patient", &json!({ keyword: "1".repeat(longest) + " " })), None);
            let message = refusal("Patient", &text(longest + 1)).unwrap();
            assert!(
                message.contains(keyword) && message.contains(&longest.to_string()),
                "{message}"
            );
            assert!(!message.contains("11111"), "{message}");
        }
        // Characters, not bytes; unlimited text; component groups and values one by one.
        let umlauts = "ü".repeat(64);
        for fine in [
            json!({ "PatientID": umlauts }),
            json!({ "PatientName": format!("{umlauts}={umlauts}={umlauts}") }),
            json!({ "OtherPatientNames": [umlauts, umlauts] }),
            json!({ "Allergies": format!("{umlauts}\\{umlauts}") }),
            json!({ "TextValue": "x".repeat(100_000) }),
            json!({ "00091001": "x".repeat(1_000) }),
            json!({ "PatientWeight": 70.5 }),
        ] {
            assert_eq!(refusal("Study", &fine), None);
        }
        let long = "x".repeat(65);
        for wrong in [
            json!({ "00100020": long }),
            json!({ "OtherPatientNames": ["A", long] }),
            json!({ "ProcedureCodeSequence": [{ "CodeMeaning": long }] }),
        ] {
            assert!(refusal("Study", &wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn series_and_instances_are_checked_too() {
        let dicom = json!({ "DICOM": { "SeriesDescription": "x".repeat(65) } });
        for series in [dicom.clone(), json!({ "Instances": { "1.2.3": dicom } })] {
            let study = json!({ "Series": { "1.2": series } });
            let document = json!({ "SchemaVersion": "1.1", "Study": study });
            let updates = MetadataUpdates::DicomUpdates {
                removable_attributes: None,
                updatable_attributes: Some(Bytes::from(document.to_string())),
            };
            assert!(check(&updates).is_err());
        }
    }
}
