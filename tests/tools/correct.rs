//! Correcting patients and studies.

use dicom_dictionary_std::tags;
use healthimaging_phantoms::{Phantom, PhantomFile, VR};
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
        (study(json!({ "NoSuchKeyword": "7" })), "keyword of the DICOM standard"),
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

/// A slice of a series.
fn of_series(number: u32, laterality: &str) -> PhantomFile {
    let phantom = Phantom::ct()
        .size(16, 16)
        .patient("DOE^JANE", "MRN-1")
        .study_uid("2.25.81")
        .series_uid("2.25.82")
        .sop_uid(&format!("2.25.83.{number}"))
        .instance_number(number)
        .with(tags::LATERALITY, VR::CS, laterality);
    PhantomFile { relative_path: format!("{number}.dcm").into(), bytes: phantom.build() }
}

async fn document(rig: &Rig, datastore: &str, set: &Value) -> Value {
    let asked = json!({ "datastore_id": datastore, "image_set_id": set["image_set_id"] });
    rig.call("get_image_set_metadata", asked).await["metadata"].take()
}

/// What documents of one series differ in, beside their IDs.
fn without_ids(mut document: Value) -> Value {
    document["ImageSetID"].take();
    let instances = document["Study"]["Series"]["2.25.82"]["Instances"].as_object_mut().unwrap();
    for instance in instances.values_mut() {
        for frame in instance["ImageFrames"].as_array_mut().unwrap() {
            frame["ID"].take();
        }
    }
    document
}

/// A series with a primary image set, and with a copy of it that is not.
async fn twice(rig: &Rig) -> (String, Value) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, (1..=3).map(|number| of_series(number, "R"))).await;
    let set = all(rig, &datastore).await[0].clone();
    let copy = json!({
        "datastore_id": datastore, "source_image_set_id": set["image_set_id"], "wait_seconds": 60,
        "copy_image_set_information": { "sourceImageSet": { "latestVersionId": "1" } }
    });
    rig.call("copy_image_set", copy).await;
    (datastore, set)
}

fn series(datastore: &str, values: &Value) -> Value {
    json!({
        "datastore_id": datastore, "series_instance_uid": "2.25.82", "metadata_updates": values,
        "wait_seconds": 60
    })
}

pub(crate) async fn a_series_gets_values_in_an_update_or_in_a_copy(rig: Rig) {
    let rig = rig.confirming();
    let (datastore, old) = twice(&rig).await;
    let before = document(&rig, &datastore, &old).await;
    // Attributes of instances need no consent: there is a new version, and the older one keeps what there was.
    let mut asked = series(&datastore, &json!({ "ImageComments": "LEFT" }));
    asked["sop_instance_uid"] = json!("2.25.83.2");
    let done = rig.call("update_series_metadata", asked.clone()).await;
    assert_eq!((&done["items_done"], &done["items_failed"]), (&json!(2), &json!(0)), "{done}");
    let sets = all(&rig, &datastore).await;
    assert!(sets.iter().all(|set| set["version"] == 2), "{sets:?}");
    let mut wanted = without_ids(before.clone());
    let of = "/Study/Series/2.25.82/Instances/2.25.83.2/DICOM";
    wanted.pointer_mut(of).unwrap()["ImageComments"] = json!("LEFT");
    assert_eq!(without_ids(document(&rig, &datastore, &old).await), wanted);
    // Nothing is done twice.
    let done = rig.call("update_series_metadata", asked).await;
    assert_eq!(done["outcomes"][0]["result"], "unchanged", "{done}");
    // The Series level of the primary image set is set in a copy.
    let asked = series(&datastore, &json!({ "Laterality": "L", "SeriesDescription": "LEFT KNEE" }));
    let planned = rig.call("update_series_metadata", asked.clone()).await;
    let plan = &planned["plan"];
    assert_eq!(plan["cannot_be_undone"], true, "{plan}");
    let notes = plan["notes"].to_string();
    assert!(notes.contains("older versions") && notes.contains("new id"), "{plan}");
    let change = |name: &str| {
        let changes = plan["changes"].as_array().unwrap();
        changes.iter().find(|one| one["attribute"] == name).unwrap().clone()
    };
    assert_eq!(
        (&change("Laterality")["from"], &change("Laterality")["to"]),
        (&json!(["R"]), &json!("L"))
    );
    let actions: Vec<&str> = plan["image_sets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| set["action"].as_str().unwrap())
        .collect();
    assert!(actions.contains(&"copy_change_and_delete") && actions.contains(&"update"), "{plan}");
    assert!(all(&rig, &datastore).await.iter().all(|set| set["version"] == 2));
    let mut confirmed = asked.clone();
    confirmed["confirmation_token"] = planned["confirmation_token"].clone();
    let done = rig.call("update_series_metadata", confirmed).await;
    assert_eq!(
        (&done["job_status"], &done["items_failed"]),
        (&json!("COMPLETED"), &json!(0)),
        "{done}"
    );
    assert_eq!(done["report"]["without_the_values"]["image_sets"], 0, "{done}");
    assert_eq!(done["report"]["replaced_by_changed_copy"]["versions_erased"], 2, "{done}");
    let sets = all(&rig, &datastore).await;
    assert_eq!(sets.len(), 2, "{sets:?}");
    assert!(sets.iter().all(|set| set["image_set_id"] != old["image_set_id"]));
    let levels = wanted.pointer_mut("/Study/Series/2.25.82/DICOM").unwrap();
    levels["Laterality"] = json!("L");
    levels["SeriesDescription"] = json!("LEFT KNEE");
    let primary = sets.iter().find(|set| set["is_primary"] == true).unwrap();
    let found = document(&rig, &datastore, primary).await;
    assert_eq!(without_ids(found.clone()), wanted);
    for number in 1..=3 {
        let instance =
            &found["Study"]["Series"]["2.25.82"]["Instances"][format!("2.25.83.{number}")];
        let asked = json!({
            "datastore_id": datastore, "image_set_id": primary["image_set_id"],
            "image_frame_information": { "imageFrameId": instance["ImageFrames"][0]["ID"] }
        });
        assert_eq!(rig.answer("get_image_frame", asked).await.unwrap().images.len(), 1);
    }
    // What is there already needs no consent.
    let done = rig.call("update_series_metadata", asked).await;
    assert!(
        done["outcomes"].as_array().unwrap().iter().all(|one| one["result"] == "unchanged"),
        "{done}"
    );
}

pub(crate) async fn what_a_series_cannot_get_is_refused(rig: Rig) {
    let (datastore, _) = twice(&rig).await;
    for (values, words) in [
        (json!({}), "nothing to set"),
        (json!({ "PatientName": "X" }), "update_patient_study_metadata"),
        (json!({ "StudyDate": "20200101" }), "update_patient_study_metadata"),
        (json!({ "SOPInstanceUID": "1.2" }), "stays as it is"),
        (json!({ "TransferSyntaxUID": "1.2.840.10008.1.2" }), "as it was received"),
        (json!({ "BitsStored": 8 }), "how pixels"),
        (json!({ "Laterality": "left" }), "VR CS"),
        (json!({ "SeriesNumber": "x" }), "integer"),
        (json!({ "Laterality": ["L", "R"] }), "one value"),
        (json!({ "PixelPaddingValue": "x" }), "VR"),
        (json!({ "00091001": "x" }), "no keyword"),
    ] {
        let asked = series(&datastore, &values);
        let message = rig.refusal("update_series_metadata", asked, "validation_error").await;
        assert!(message.contains(words), "{values}: {message}");
    }
    let mut other = series(&datastore, &json!({ "Laterality": "L" }));
    other["series_instance_uid"] = json!("2.25.9");
    rig.refusal("update_series_metadata", other, "not_found").await;
    let mut other = series(&datastore, &json!({ "ImageComments": "L" }));
    other["sop_instance_uid"] = json!("2.25.9");
    rig.refusal("update_series_metadata", other, "not_found").await;
    assert!(all(&rig, &datastore).await.iter().all(|set| set["version"] == 1));
    // Where nothing may be deleted, a copy takes no image set's place, and instances are updated.
    let rig = rig.without_deletions();
    let laterality = series(&datastore, &json!({ "Laterality": "L" }));
    let message = rig.refusal("update_series_metadata", laterality, "auth_error").await;
    assert!(message.contains("--no-delete"), "{message}");
    let comments = series(&datastore, &json!({ "ImageComments": "LEFT" }));
    assert_eq!(rig.call("update_series_metadata", comments).await["items_failed"], 0);
    let sets = all(&rig, &datastore).await;
    assert!(sets.iter().all(|set| set["version"] == 2), "{sets:?}");
}

pub(crate) async fn instances_with_values_of_their_own_get_the_value_of_the_series(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, [of_series(1, "R"), of_series(2, "L"), of_series(3, "R")]).await;
    let done =
        rig.call("update_series_metadata", series(&datastore, &json!({ "Laterality": "R" }))).await;
    assert_eq!(done["items_failed"], 0, "{done}");
    let sets = all(&rig, &datastore).await;
    let found = document(&rig, &datastore, &sets[0]).await;
    let series = &found["Study"]["Series"]["2.25.82"];
    assert_eq!((sets.len(), &series["DICOM"]["Laterality"]), (1, &json!("R")));
    for instance in series["Instances"].as_object().unwrap().values() {
        assert!(instance["DICOM"].get("Laterality").is_none(), "{instance}");
    }
}

pub(crate) async fn a_series_whose_copy_could_not_be_primary_stays(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, (1..=2).map(|number| of_series(number, "R"))).await;
    let other = Phantom::ct().size(16, 16).patient("DOE^JANE", "MRN-1").study_uid("2.25.81");
    let bytes = other.series_uid("2.25.84").sop_uid("2.25.84.1").build();
    // An update of one image set makes two primary ones of a study disagree.
    rig.import(&datastore, [PhantomFile { relative_path: "4.dcm".into(), bytes }]).await;
    let sets = all(&rig, &datastore).await;
    let set = sets.iter().find(|set| tag(set, "DICOMSeriesInstanceUID") == "2.25.84").unwrap();
    let document =
        json!({ "SchemaVersion": "1.1", "Study": { "DICOM": { "AccessionNumber": "OTHER" } } });
    let change = json!({
        "datastore_id": datastore, "image_set_id": set["image_set_id"], "latest_version_id": "1",
        "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": document } },
        "wait_seconds": 60
    });
    rig.call("update_image_set_metadata", change).await;
    let asked = series(&datastore, &json!({ "Laterality": "L" }));
    let message = rig.refusal("update_series_metadata", asked, "service_error").await;
    assert!(message.contains("AccessionNumber"), "{message}");
    assert_eq!(all(&rig, &datastore).await.len(), 2);
}
