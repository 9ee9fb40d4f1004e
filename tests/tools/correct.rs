//! Correcting patients and studies.

use healthimaging_phantoms::{Phantom, PhantomFile};
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

/// A slice of a study of its own, of this patient.
fn of_patient(number: u32, id: &str, name: &str, born: &str, sex: &str) -> PhantomFile {
    let phantom = Phantom::ct()
        .size(16, 16)
        .patient(name, id)
        .born(born, sex)
        .study_uid(&format!("2.25.61.{number}"))
        .series_uid(&format!("2.25.62.{number}"))
        .sop_uid(&format!("2.25.63.{number}"));
    PhantomFile { relative_path: format!("{number}.dcm").into(), bytes: phantom.build() }
}

/// Patient ID, name, birth date and sex of each image set of a study or patient.
async fn identities(rig: &Rig, datastore: &str, tool: &str, key: &str, value: &str) -> Vec<Value> {
    let mut asked = json!({ "datastore_id": datastore });
    asked[key] = json!(value);
    let found = rig.call(tool, asked).await;
    let mut identities = Vec::new();
    for set in found["image_sets_metadata_summaries"].as_array().unwrap() {
        let asked = json!({
            "datastore_id": datastore, "image_set_id": set["image_set_id"], "level": "PATIENT"
        });
        let read = rig.call("get_image_set_metadata", asked).await;
        let patient = &read["metadata"]["Patient"]["DICOM"];
        let names = ["PatientID", "PatientName", "PatientBirthDate", "PatientSex"];
        identities.push(json!(names.map(|name| patient[name].clone())));
    }
    identities
}

pub(crate) async fn a_study_moves_to_another_patient_with_all_its_attributes(rig: Rig) {
    let datastore = rig.datastore().await;
    let files = [
        of_patient(1, "MRN-1", "DOE^JANE", "19700101", "F"),
        of_patient(2, "MRN-1", "DOE^JANE", "19700101", "F"),
        of_patient(3, "MRN-2", "ROE^RICHARD", "19600202", "M"),
    ];
    rig.import(&datastore, files).await;
    let asked = |more: Value| {
        let mut asked = json!({ "datastore_id": datastore, "wait_seconds": 60 });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    let one = asked(json!({ "study_instance_uid": "2.25.61.1", "to_patient_id": "MRN-2" }));
    let mut dry = one.clone();
    dry["dry_run"] = json!(true);
    let plan = rig.call("reassign_study", dry).await["plan"].take();
    let notes = plan["notes"].to_string();
    assert!(notes.contains("The patient exists"), "{plan}");
    let conflicts = "differ in PatientBirthDate, PatientName, PatientSex.";
    assert!(notes.contains(conflicts), "{plan}");
    let changes = plan["changes"].as_array().unwrap();
    let change = |name: &str| changes.iter().find(|one| one["attribute"] == name).unwrap();
    assert_eq!(change("PatientID")["to"], "MRN-2");
    assert_eq!(change("PatientBirthDate")["from"], json!(["19700101"]));
    rig.call("reassign_study", one).await;
    let second = json!(["MRN-2", "ROE^RICHARD", "19600202", "M"]);
    let study = ("search_by_study_uid", "study_instance_uid", "2.25.61.1");
    assert_eq!(identities(&rig, &datastore, study.0, study.1, study.2).await, [second]);
    let first = json!(["MRN-1", "DOE^JANE", "19700101", "F"]);
    let patient = ("search_by_patient_id", "patient_id");
    assert_eq!(identities(&rig, &datastore, patient.0, patient.1, "MRN-1").await, [first]);
    // All of a patient, to one that is not there: that has to be described.
    let merge = json!({ "patient_id": "MRN-2", "all_studies": true, "to_patient_id": "MRN-3" });
    let message = rig.refusal("reassign_study", asked(merge.clone()), "validation_error").await;
    assert!(message.contains("PatientName"), "{message}");
    let mut merge = merge;
    merge["patient"] = json!({ "PatientName": "NEW^ONE", "PatientSex": "O" });
    rig.call("reassign_study", asked(merge)).await;
    let third = json!(["MRN-3", "NEW^ONE", null, "O"]);
    assert_eq!(
        identities(&rig, &datastore, patient.0, patient.1, "MRN-3").await,
        [third.clone(), third]
    );
    for (wrong, kind) in [
        (json!({ "to_patient_id": "MRN-1" }), "validation_error"),
        (
            json!({ "study_instance_uid": "2.25.61.1", "to_patient_id": "MRN\\7", "patient": { "PatientName": "A^B" } }),
            "validation_error",
        ),
        (
            json!({ "study_instance_uid": "2.25.61.1", "all_studies": true, "to_patient_id": "MRN-1" }),
            "validation_error",
        ),
        (json!({ "patient_id": "MRN-1", "to_patient_id": "MRN-3" }), "validation_error"),
        (
            json!({ "patient_id": "MRN-1", "all_studies": true, "to_patient_id": "MRN-1" }),
            "validation_error",
        ),
        (json!({ "study_instance_uid": "2.25.61.9", "to_patient_id": "MRN-1" }), "not_found"),
        (
            json!({ "study_instance_uid": "2.25.61.1", "to_patient_id": "MRN-1", "patient": { "StudyDate": "20200101" } }),
            "validation_error",
        ),
        (
            json!({ "study_instance_uid": "2.25.61.1", "to_patient_id": "MRN-1", "patient": { "PatientID": "MRN-2" } }),
            "validation_error",
        ),
    ] {
        rig.refusal("reassign_study", asked(wrong), kind).await;
    }
}

pub(crate) async fn a_plan_that_cannot_succeed_says_so(rig: Rig) {
    let datastore = rig.datastore().await;
    let files = [
        of_patient(1, "MRN-1", "DOE^JANE", "19700101", "F"),
        of_patient(3, "MRN-2", "ROE^RICHARD", "19600202", "M"),
    ];
    rig.import(&datastore, files).await;
    let study = json!({ "datastore_id": datastore, "study_instance_uid": "2.25.61.1" });
    let found = rig.call("search_by_study_uid", study).await;
    let set = &found["image_sets_metadata_summaries"][0]["image_set_id"];
    let update = |document: Value| {
        json!({
            "datastore_id": datastore, "image_set_id": set, "latest_version_id": "1", "dry_run": true,
            "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": document } }
        })
    };
    let patient = |dicom: Value| json!({ "SchemaVersion": "1.1", "Patient": { "DICOM": dicom } });
    let study = |dicom: Value| json!({ "SchemaVersion": "1.1", "Study": { "DICOM": dicom } });
    for (document, why) in [
        (patient(json!({ "PatientID": "MRN-2" })), "PatientID"),
        (study(json!({ "StudyInstanceUID": "2.25.9" })), "StudyInstanceUID"),
        (study(json!({ "StudyID": "7" })), "StudyID"),
        (study(json!({ "NoSuchKeyword": "7" })), "NoSuchKeyword is not an attribute"),
        (study(json!({ "PatientName": "X" })), "PatientName"),
        (study(json!({})), "nothing would change"),
        (json!({ "SchemaVersion": "1.1" }), "nothing would change"),
    ] {
        let asked = update(document);
        let message = rig.refusal("update_image_set_metadata", asked, "validation_error").await;
        assert!(message.contains(why), "{why}: {message}");
    }
    // The whole study may get another patient.
    let mut asked = update(patient(json!({ "PatientID": "MRN-2" })));
    asked["include_study_image_sets"] = json!(true);
    let plan = rig.call("update_image_set_metadata", asked.clone()).await;
    assert!(plan["plan"].is_object(), "{plan}");
    // Nothing is made of an empty document, planned or not.
    let mut empty = update(study(json!({})));
    empty.as_object_mut().unwrap().shift_remove("dry_run");
    rig.refusal("update_image_set_metadata", empty, "validation_error").await;
    let one = json!({ "datastore_id": datastore, "image_set_id": set });
    let versions = rig.call("list_image_set_versions", one).await;
    assert_eq!(versions["image_set_properties_list"].as_array().unwrap().len(), 1);
    // A plan says whether the patient that others are moved to is there.
    for (to, words) in [("MRN-2", "exists, with 1 image set"), ("MRN-9", "holds no image set")] {
        let asked = json!({
            "datastore_id": datastore, "patient_id": "MRN-1", "dry_run": true,
            "metadata_updates": { "PatientID": to }
        });
        let plan = rig.call("bulk_update_patient_metadata", asked).await;
        assert!(plan["plan"]["notes"].to_string().contains(words), "{plan}");
    }
}
