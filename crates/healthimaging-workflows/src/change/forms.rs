//! The form of values that an update sets: a file with others breaks the standard, whatever the service accepts.

use std::borrow::Cow;

use bytes::Bytes;
use dicom_core::VR;
use dicom_core::dictionary::{
    DataDictionary as _, DataDictionaryEntry, DataDictionaryEntryRef, VirtualVr,
};
use dicom_dictionary_std::StandardDataDictionary;
use serde_json::Value;

use healthimaging::model::MetadataUpdates;
use healthimaging::{Error, Result, is_value_token};
use healthimaging_dicom::{allows_several_values, has_form};

use super::Object;
use crate::document;

/// Attributes that say how pixels (PS3.3 C.7.6.3) and text are stored. The stored pixels do not change with them.
pub(super) const STORED_FORM: [&str; 33] = [
    "SpecificCharacterSet",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "PixelPaddingRangeLimit",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "AlphaPaletteColorLookupTableDescriptor",
    "PaletteColorLookupTableUID",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "AlphaPaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "SegmentedAlphaPaletteColorLookupTableData",
    "PixelDataProviderURL",
    "EncapsulatedDocument",
    "EncapsulatedDocumentLength",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
];

/// How closely values are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// They must be within the length of their value representation.
    Length,
    /// They must also have its form.
    Form,
}

/// Refuses values that are longer than their value representation allows (`PS3.5` Table 6.2-1) or, unless the update is
/// forced, do not have its form, or are of attributes that say how an object is stored.
///
/// Errors, `Validation`: such a value, which is named by its keyword, or a document that is not an object.
pub fn check(updates: &MetadataUpdates, is_forced: bool) -> Result<()> {
    let MetadataUpdates::DicomUpdates { updatable_attributes, removable_attributes } = updates
    else {
        return Ok(());
    };
    check_content([updatable_attributes, removable_attributes].into_iter().flatten())?;
    let Some(document) = updatable_attributes else { return Ok(()) };
    let document: Object = serde_json::from_slice(document)
        .map_err(|_| Error::validation("updatableAttributes must be a JSON object"))?;
    check_levels(&document, if is_forced { Strictness::Length } else { Strictness::Form })
}

/// Refuses attributes that say what an object is and how its pixels and texts are stored: neither changes with them, so that
/// what is retrieved afterwards may not be readable.
fn check_meaning(attributes: &Object) -> Result<()> {
    for name in attributes.keys() {
        let Some(keyword) = entry(name)?.map(DataDictionaryEntry::alias) else { continue };
        if keyword == "SOPClassUID" || STORED_FORM.contains(&keyword) {
            return Err(Error::validation(format!(
                "{name} says how the object, its pixels or its texts are stored, which does not change with it: retrieval \
                 could fail. Set force if the value is wrong"
            )));
        }
    }
    Ok(())
}

/// Refuses documents that name nothing: such an update makes a version that is the same as the one before.
fn check_content<'a>(documents: impl Iterator<Item = &'a Bytes>) -> Result<()> {
    for document in documents {
        // What is no object is refused by its reader.
        let Ok(document) = serde_json::from_slice::<Object>(document) else { return Ok(()) };
        let of_level =
            |level: &str, name: &str| document.get(level).and_then(|level| level.get(name));
        let named = [("Patient", "DICOM"), ("Study", "DICOM"), ("Study", "Series")];
        let is_named = named.iter().any(|(level, name)| match of_level(level, name) {
            Some(Value::Object(members)) => !members.is_empty(),
            other => other.is_some(),
        });
        // A misplaced member is refused by the service, with its name.
        let is_known =
            |name: &String| ["SchemaVersion", "Patient", "Study"].contains(&name.as_str());
        if is_named || !document.keys().all(is_known) {
            return Ok(());
        }
    }
    Err(Error::validation(
        "update_image_set_metadata_updates: the documents name no attribute, series or instance, so that nothing \
         would change",
    ))
}

/// Whether a document has a token in place of a value, which no rule for values applies to.
pub(super) fn has_token(document: &[u8]) -> bool {
    fn is_in(value: &Value) -> bool {
        match value {
            Value::String(text) => is_value_token(text),
            Value::Array(parts) => parts.iter().any(is_in),
            Value::Object(members) => members.values().any(is_in),
            _ => false,
        }
    }
    serde_json::from_slice::<Value>(document).is_ok_and(|value| is_in(&value))
}

/// Goes through the levels of a document to their attributes.
fn check_levels(level: &Object, strictness: Strictness) -> Result<()> {
    for (name, inner) in level {
        let Value::Object(inner) = inner else { continue };
        if name == "DICOM" {
            if strictness == Strictness::Form {
                check_meaning(inner)?;
            }
            check_attributes(inner, strictness)?;
        } else {
            check_levels(inner, strictness)?;
        }
    }
    Ok(())
}

/// Refuses attributes with such values.
pub(super) fn check_attributes(attributes: &Object, strictness: Strictness) -> Result<()> {
    attributes.iter().try_for_each(|(name, value)| check_value(name, value, strictness))
}

fn check_value(name: &str, value: &Value, strictness: Strictness) -> Result<()> {
    let parts = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let known = keyword_and_vr(name)?;
    if known.is_none_or(|(_, vr)| vr == VR::SQ) {
        for item in parts.iter().filter_map(Value::as_object) {
            check_attributes(item, strictness)?;
        }
    }
    let Some((keyword, vr)) = known else { return Ok(()) };
    if parts.iter().any(|part| part.is_boolean() || (part.is_object() && vr != VR::SQ)) {
        return Err(Error::validation(format!(
            "{name}: the value must be text, a number, or a list"
        )));
    }
    if value.is_array() && vr != VR::SQ && !allows_several_values(keyword) {
        return Err(Error::validation(format!("{name}: the attribute has one value, not a list")));
    }
    if !is_number(vr) && parts.iter().any(Value::is_number) {
        return Err(Error::validation(format!(
            "{name}: a value of VR {} is text, so it stands in quotation marks",
            vr.to_string()
        )));
    }
    for text in parts.iter().filter_map(|part| written(vr, part)) {
        let text = text.as_ref();
        // The token of a value; its length and form are not those of the value.
        if is_value_token(text) {
            continue;
        }
        let is_text = matches!(vr, VR::LT | VR::ST | VR::UT | VR::UR);
        if !is_text && text.contains('\\') && !allows_several_values(keyword) {
            return Err(Error::validation(format!(
                "{name}: the attribute has one value, and a backslash separates values"
            )));
        }
        for one in values(vr, text) {
            let wrong = if !is_within(vr, one) {
                longest(vr).map(|(longest, unit)| format!("at most {longest} {unit}"))
            } else if strictness == Strictness::Form && !one.is_empty() && !has_form(vr, one) {
                Some(form(vr).to_owned())
            } else {
                None
            };
            if let Some(right) = wrong {
                let vr = vr.to_string();
                return Err(Error::validation(format!("{name}: a value of VR {vr} has {right}")));
            }
        }
    }
    Ok(())
}

/// The text of a value: of numbers in the VRs that keep them as text, too.
fn written(vr: VR, value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Number(number) if matches!(vr, VR::DS | VR::IS) => Some(number.to_string().into()),
        _ => None,
    }
}

/// Whether a value of this VR may be written as a number.
fn is_number(vr: VR) -> bool {
    use VR::{DS, FD, FL, IS, SL, SS, SV, UL, US, UV};
    matches!(vr, DS | FD | FL | IS | SL | SS | SV | UL | US | UV)
}

/// Whether a value is within the length of its VR.
fn is_within(vr: VR, value: &str) -> bool {
    let Some((longest, _)) = longest(vr) else { return true };
    match vr {
        VR::PN => value.split('=').all(|group| group.chars().count() <= longest),
        _ => value.chars().count() <= longest,
    }
}

/// The form of a VR in words (`PS3.5` Table 6.2-1).
fn form(vr: VR) -> &'static str {
    match vr {
        VR::AS => "the form nnnD, nnnW, nnnM or nnnY",
        VR::CS => "capital letters, digits, spaces and underscores only",
        VR::DA => "the form YYYYMMDD, and is a day of the calendar",
        VR::DS => "the form of a decimal number",
        VR::DT => "the form YYYYMMDDHHMMSS.FFFFFF&ZZXX, or a beginning of it",
        VR::IS => "the form of an integer from -2147483648 to 2147483647",
        VR::PN => "at most 5 components in each of at most 3 groups",
        VR::TM => "the form HHMMSS.FFFFFF, or a beginning of it",
        VR::UI => "the form of a UID: digits and periods",
        _ => "no control characters",
    }
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

/// What the standard says of an attribute; `None` of those that it does not have, such as private ones.
///
/// Errors, `Validation`: the name is no keyword and no tag.
fn entry(name: &str) -> Result<Option<&'static DataDictionaryEntryRef<'static>>> {
    if let Some(tag) = document::tag(name) {
        return Ok(StandardDataDictionary.by_tag(tag));
    }
    let entry = StandardDataDictionary.by_name(name);
    entry.map(Some).ok_or_else(|| Error::validation(document::unknown(name)))
}

/// The keyword and the value representation of an attribute that has one.
fn keyword_and_vr(name: &str) -> Result<Option<(&'static str, VR)>> {
    Ok(entry(name)?.and_then(|entry| match entry.vr() {
        VirtualVr::Exact(vr) => Some((entry.alias(), vr)),
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(level: &str, dicom: &Value) -> Option<String> {
        let document = json!({ "SchemaVersion": "1.1", level: { "DICOM": dicom } });
        let updates = MetadataUpdates::DicomUpdates {
            removable_attributes: None,
            updatable_attributes: Some(Bytes::from(document.to_string())),
        };
        check(&updates, false).err().map(|error| error.message().to_owned())
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
            let right = match keyword {
                "PatientAge" => "011Y".to_owned(),
                "SeriesNumber" => "+00000000011".to_owned(),
                _ => "1".repeat(longest),
            };
            assert_eq!(right.len(), longest);
            assert_eq!(refusal("Patient", &json!({ keyword: right })), None, "{keyword}");
            // Padding does not count.
            assert_eq!(refusal("Patient", &json!({ keyword: right + " " })), None);
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
            json!({ "AdditionalPatientHistory": "A\\B", "OtherPatientNames": "A\\B" }),
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
            // A backslash separates values, and these attributes have one.
            json!({ "PatientID": "A\\B" }),
            json!({ "00100010": "A\\B" }),
        ] {
            assert!(refusal("Study", &wrong).is_some(), "{wrong}");
        }
    }

    /// Valid and invalid values of `PS3.5` Table 6.2-1.
    #[test]
    fn each_representation_has_its_form() {
        for (keyword, right, wrong) in [
            ("StudyDate", "20240229", "20230229"),
            ("PatientBirthTime", "235960.000001", "24"),
            ("AcquisitionDateTime", "202402291200+0100", "20240230"),
            ("PatientAge", "003M", "3M"),
            ("PatientSex", "F", "f"),
            ("SeriesNumber", "-7", "1.5"),
            ("PatientWeight", "7.05E1", "70,5"),
            ("FrameOfReferenceUID", "1.2.840", "1.2.a"),
            ("PatientName", "A^B^C^D^E=F=G", "A^B^C^D^E^F"),
            ("StudyDescription", "CT of \u{fc}", "CT\u{1b}"),
        ] {
            assert_eq!(refusal("Study", &json!({ keyword: right })), None, "{keyword}");
            assert_eq!(refusal("Study", &json!({ keyword: "" })), None, "{keyword}");
            for wrong in [json!(wrong), json!([right, wrong]), json!([right])] {
                let message = refusal("Study", &json!({ keyword: wrong })).unwrap();
                assert!(message.starts_with(keyword), "{message}");
            }
        }
        for (keyword, number, is_fine) in [
            ("PatientWeight", json!(70.5), true),
            ("SeriesNumber", json!(7), true),
            ("PregnancyStatus", json!(4), true),
            ("PatientWeight", json!(0.333_333_333_333_333_3), false),
            ("PatientWeight", json!(-1e-20), true),
            ("SeriesNumber", json!(1.5), false),
            ("StudyDescription", json!(true), false),
            ("StudyDescription", json!({ "a": 1 }), false),
            ("PatientName", json!(5), false),
            ("PatientID", json!(12_345), false),
            ("StudyDate", json!(20_240_229), false),
            ("OtherPatientNames", json!(["A", 5]), false),
        ] {
            let message = refusal("Study", &json!({ keyword: number }));
            assert_eq!(message.is_none(), is_fine, "{keyword}: {message:?}");
        }
        for stored in ["Rows", "00280101", "SOPClassUID", "PhotometricInterpretation"] {
            let document = json!({ "Study": { "DICOM": { stored: 5 } } });
            let updates = MetadataUpdates::DicomUpdates {
                removable_attributes: None,
                updatable_attributes: Some(Bytes::from(document.to_string())),
            };
            let refused = check(&updates, false).unwrap_err();
            assert!(refused.message().contains("force"), "{refused}");
        }
        for (unknown, named) in [("PatientNaem", "PatientNaem is not"), ("a name", "this is not")] {
            let message = refusal("Study", &json!({ unknown: "A" })).unwrap();
            assert!(message.contains(named) && message.contains("PatientID"), "{message}");
        }
        let item = json!({ "ProcedureCodeSequence": [{ "ContextGroupVersion": "yesterday" }] });
        assert!(refusal("Study", &item).is_some());
        // What is forced may have any form, within the length.
        let forced = json!({ "Study": { "DICOM": { "StudyDate": "20230229" } } });
        let updates = MetadataUpdates::DicomUpdates {
            removable_attributes: None,
            updatable_attributes: Some(Bytes::from(forced.to_string())),
        };
        check(&updates, true).unwrap();
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
            assert!(check(&updates, false).is_err());
        }
    }
}
