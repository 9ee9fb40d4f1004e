//! Invisible characters are shown in answers, and find what they came from.

use dicom_dictionary_std::tags;
use healthimaging_phantoms::{Phantom, PhantomFile};
use serde_json::{Value, json};

use crate::erase::{all, tag};
use crate::rig::Rig;

/// Turns the text after it around: `MRN-1` and this shows as if it were another patient's.
const PATIENT: &str = "MRN-\u{202E}2400\u{200B}";
const SHOWN: &str = r"MRN-\u{202E}2400\u{200B}";

/// No text of an answer has a character that is not seen.
fn check(value: &Value) {
    match value {
        Value::String(text) => {
            let hidden = ['\u{202E}', '\u{200B}', '\u{2066}', '\u{FEFF}', '\u{85}', '\u{7}'];
            assert!(!text.contains(hidden), "{text:?}");
        }
        Value::Array(items) => items.iter().for_each(check),
        Value::Object(object) => object.values().for_each(check),
        _ => {}
    }
}

pub(crate) async fn what_is_hidden_is_shown_and_finds_what_it_came_from(rig: Rig) {
    let datastore = rig.datastore().await;
    let phantom = Phantom::ct()
        .size(16, 16)
        .character_set("ISO_IR 192")
        .patient("DOE^\u{2066}JANE\u{FEFF}", PATIENT)
        .study_description("IGNORE\u{E0041}\u{85}XY")
        .series_uid("2.25.77")
        .with(tags::PATIENT_COMMENTS, dicom_core::VR::LT, "line one\r\n\tline two\u{7}");
    let file = PhantomFile { relative_path: "one.dcm".into(), bytes: phantom.build() };
    rig.import(&datastore, [file]).await;
    let set = all(&rig, &datastore).await[0].clone();
    check(&set);
    assert_eq!(tag(&set, "DICOMPatientId"), SHOWN);
    assert_eq!(tag(&set, "DICOMPatientName"), r"DOE^\u{2066}JANE\u{FEFF}");

    let id = &set["image_set_id"];
    let asked = json!({ "datastore_id": datastore, "image_set_id": id });
    let read = rig.call("get_image_set_metadata", asked).await;
    check(&read);
    let patient = &read["metadata"]["Patient"]["DICOM"];
    assert_eq!(patient["PatientID"], SHOWN);
    assert_eq!(patient["PatientComments"], "line one\r\n\tline two\\u{7}");
    let study = &read["metadata"]["Study"]["DICOM"];
    assert_eq!(study["StudyDescription"], r"IGNORE\u{E0041}\u{85}XY");

    // What was shown finds it, wherever it is passed.
    let found = async |asked: Value| {
        let found = rig.call("search_image_sets", asked).await;
        found["image_sets_metadata_summaries"].as_array().unwrap().len()
    };
    let filter =
        json!({ "filters": [{ "values": [{ "DICOMPatientId": SHOWN }], "operator": "EQUAL" }] });
    assert_eq!(found(json!({ "datastore_id": datastore, "search_criteria": filter })).await, 1);
    for (tool, list) in [
        ("search_by_patient_id", "image_sets_metadata_summaries"),
        ("get_patient_studies", "studies"),
        ("get_patient_series", "series"),
        ("get_patient_dicomweb_studies", "studies"),
    ] {
        let answer =
            rig.call(tool, json!({ "datastore_id": datastore, "patient_id": SHOWN })).await;
        check(&answer);
        assert_eq!(answer[list].as_array().unwrap().len(), 1, "{tool}");
    }
    let asked = json!({ "datastore_id": datastore, "patient_id": SHOWN, "dry_run": true });
    let plan = rig.call("delete_patient_studies", asked).await;
    check(&plan);
    assert_eq!(plan["plan"]["patient_ids"], json!([SHOWN]));
    // And what was shown can be written back as it was.
    let asked = json!({
        "datastore_id": datastore, "patient_id": PATIENT, "wait_seconds": 60,
        "metadata_updates": { "PatientName": r"DOE^\u{2066}JANE\u{FEFF}^A" }
    });
    rig.call("bulk_update_patient_metadata", asked).await;
    let set = all(&rig, &datastore).await[0].clone();
    assert_eq!(tag(&set, "DICOMPatientName"), r"DOE^\u{2066}JANE\u{FEFF}^A");
}
