//! Correcting patients and studies.

use serde_json::{Value, json};

use crate::erase::{all, tag};
use crate::rig::Rig;

/// Level, attribute and value of every image set of a study.
async fn of_study(rig: &Rig, datastore: &str, study: &str, path: [&str; 2]) -> Vec<Value> {
    let mut values = Vec::new();
    for set in all(rig, datastore).await {
        if tag(&set, "DICOMStudyInstanceUID") == study {
            let asked = json!({ "datastore_id": datastore, "image_set_id": set["image_set_id"] });
            let found = rig.call("get_image_set_metadata", asked).await;
            values.push(found["metadata"][path[0]]["DICOM"][path[1]].clone());
        }
    }
    values
}

pub(crate) async fn a_study_is_corrected_in_one_piece(rig: Rig) {
    let datastore = rig.filled().await;
    let sets = all(&rig, &datastore).await;
    let study = tag(&sets[0], "DICOMStudyInstanceUID").to_owned();
    let asked = json!({
        "datastore_id": datastore, "study_instance_uid": study, "wait_seconds": 120,
        "patient_updates": { "PatientName": "NEW^NAME" },
        "study_updates": { "StudyDescription": "CORRECTED" }
    });
    let answer = rig.call("update_patient_study_metadata", asked).await;
    assert_eq!(answer["job_status"], "COMPLETED", "{answer}");
    assert_eq!(answer["items_failed"], 0, "{answer}");
    let names = of_study(&rig, &datastore, &study, ["Patient", "PatientName"]).await;
    assert_eq!(names, [json!("NEW^NAME"), json!("NEW^NAME")]);
    let texts = of_study(&rig, &datastore, &study, ["Study", "StudyDescription"]).await;
    assert_eq!(texts, [json!("CORRECTED"), json!("CORRECTED")]);
    let other =
        sets.iter().map(|set| tag(set, "DICOMStudyInstanceUID")).find(|uid| *uid != study).unwrap();
    let untouched = of_study(&rig, &datastore, other, ["Study", "StudyDescription"]).await;
    assert!(untouched.iter().all(|text| text != "CORRECTED"));
}

pub(crate) async fn a_patient_is_corrected_in_all_studies(rig: Rig) {
    let datastore = rig.filled().await;
    let sets = all(&rig, &datastore).await;
    let patient = tag(&sets[0], "DICOMPatientId").to_owned();
    let asked = json!({
        "datastore_id": datastore, "patient_id": patient, "wait_seconds": 120,
        "metadata_updates": { "PatientName": "NEW^NAME" }
    });
    let answer = rig.call("bulk_update_patient_metadata", asked).await;
    assert_eq!(answer["job_status"], "COMPLETED", "{answer}");
    assert_eq!(answer["items_failed"], 0, "{answer}");
    for set in all(&rig, &datastore).await {
        let is_theirs = tag(&set, "DICOMPatientId") == patient;
        assert_eq!(tag(&set, "DICOMPatientName") == "NEW^NAME", is_theirs);
    }
}

pub(crate) async fn what_cannot_be_set_is_refused_before_anything_changes(rig: Rig) {
    let datastore = rig.filled().await;
    let before = all(&rig, &datastore).await;
    let study = tag(&before[0], "DICOMStudyInstanceUID");
    for updates in [
        json!({}),
        json!({ "patient_updates": { "NoSuchKeyword": "x" } }),
        json!({ "patient_updates": { "StudyDescription": "at the wrong level" } }),
        json!({ "study_updates": { "StudyInstanceUID": "1.2.3" } }),
    ] {
        let mut asked = json!({ "datastore_id": datastore, "study_instance_uid": study });
        for (key, value) in updates.as_object().unwrap() {
            asked[key] = value.clone();
        }
        rig.refusal("update_patient_study_metadata", asked, "validation_error").await;
    }
    let missing = json!({
        "datastore_id": datastore, "patient_id": "UNKNOWN",
        "metadata_updates": { "PatientName": "X" }
    });
    rig.refusal("bulk_update_patient_metadata", missing, "not_found").await;
    let versions =
        |sets: &[Value]| -> Vec<Value> { sets.iter().map(|set| set["version"].clone()).collect() };
    assert_eq!(versions(&all(&rig, &datastore).await), versions(&before));
}
