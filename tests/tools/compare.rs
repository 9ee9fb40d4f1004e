//! Comparisons: versions, image sets, the primary one, data stores.

use healthimaging_phantoms::{Phantom, PhantomFile};
use serde_json::{Value, json};

use crate::erase::{all, tag};
use crate::rig::{ARCHIVE, Rig};

/// A slice of one series, of this accession number.
fn slice(number: u32, accession: &str) -> PhantomFile {
    let phantom = Phantom::ct()
        .size(16, 16)
        .patient("DOE^JANE", "MRN-1")
        .study_uid("2.25.71")
        .series_uid("2.25.72")
        .sop_uid(&format!("2.25.73.{number}"))
        .accession_number(accession)
        .instance_number(number);
    PhantomFile { relative_path: format!("{number}.dcm").into(), bytes: phantom.build() }
}

fn of(datastore: &str, set: &Value) -> Value {
    json!({ "datastore_id": datastore, "image_set_id": set["image_set_id"] })
}

/// What differs, without where: level, attribute, old, new.
fn rows(found: &Value) -> Vec<Value> {
    let rows = found["attributes"].as_array().cloned().unwrap_or_default();
    let row = |row: &Value| json!([row["level"], row["attribute"], row["old"], row["new"]]);
    rows.iter().map(row).collect()
}

pub(crate) async fn two_versions_differ_in_what_was_changed(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, [slice(1, "A1"), slice(2, "A1")]).await;
    let set = all(&rig, &datastore).await[0].clone();
    let change = async |version: &str, what: &str, document: Value| {
        let mut asked = of(&datastore, &set);
        asked["latest_version_id"] = json!(version);
        asked["update_image_set_metadata_updates"] = json!({ "DICOMUpdates": { what: document } });
        asked["wait_seconds"] = json!(60);
        rig.call("update_image_set_metadata", asked).await;
    };
    let study =
        json!({ "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "OTHER" } } });
    change("1", "updatableAttributes", study).await;
    let gone = json!({ "SchemaVersion": "1.1", "Study": { "Series": { "2.25.72": {
        "Instances": { "2.25.73.2": {} }
    } } } });
    change("2", "removableAttributes", gone).await;

    let mut asked = of(&datastore, &set);
    asked["version_id"] = json!("1");
    let found = rig.call("compare_image_sets", asked.clone()).await;
    assert_eq!(found["new"]["version_id"], "3");
    assert_eq!(found["attributes_total"], 1, "{found}");
    let row = &rows(&found)[0];
    assert_eq!(
        (&row[0], &row[1], &row[3]),
        (&json!("STUDY"), &json!("StudyDescription"), &json!("OTHER"))
    );
    let counts = &found["counts"];
    assert_eq!(
        (&counts["instances_in_both"], &counts["instances_removed"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&counts["removed"], &counts["instances_added"]),
        (&json!(["2.25.73.2"]), &json!(0))
    );
    assert_eq!((&counts["frames_equal"], &counts["frames_different"]), (&json!(1), &json!(0)));
    // The other way around.
    asked["version_id"] = json!("3");
    asked["other_version_id"] = json!("2");
    let found = rig.call("compare_image_sets", asked.clone()).await;
    assert_eq!(
        (&found["attributes_total"], &found["counts"]["instances_added"]),
        (&json!(0), &json!(1))
    );
    asked["other_version_id"] = json!("9");
    rig.refusal("compare_image_sets", asked, "not_found").await;
    // A primary image set has nothing to explain.
    let message = rig.refusal("compare_image_sets", of(&datastore, &set), "validation_error").await;
    assert!(message.contains("is primary"), "{message}");
}

pub(crate) async fn what_keeps_an_image_set_from_being_primary_is_named_and_resolved(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, [slice(1, "A1")]).await;
    rig.import(&datastore, [slice(2, "A2"), slice(3, "A2")]).await;
    let sets = all(&rig, &datastore).await;
    let is_primary = |set: &&Value| set["is_primary"] == true;
    let primary = sets.iter().find(is_primary).unwrap();
    let other = sets.iter().find(|set| !is_primary(set)).unwrap();
    let found = rig.call("compare_image_sets", of(&datastore, other)).await;
    let why = &found["not_primary"];
    assert_eq!(why["primary_image_set_id"], primary["image_set_id"], "{found}");
    assert_eq!(
        why["conflicts"],
        json!([{
            "level": "STUDY", "attribute": "AccessionNumber", "value": "A2", "primary_value": "A1"
        }])
    );
    assert_eq!(why["instances_in_both"], 0);
    assert!(found["summary"].as_str().unwrap().contains("AccessionNumber"));
    assert_eq!(rows(&found), [json!(["STUDY", "AccessionNumber", "A2", "A1"])]);
    let made = resolved(&rig, &datastore, other).await;
    assert_eq!(made["image_set_id"], primary["image_set_id"]);
    assert_eq!(made["dicom_tags"]["DICOMNumberOfStudyRelatedInstances"], 3);
    // A copy agrees in everything.
    let copy = copied(&rig, &datastore, &made).await;
    let found = rig.call("compare_image_sets", of(&datastore, &copy)).await;
    assert_eq!(found["not_primary"]["conflicts"], json!([]));
    assert_eq!(found["not_primary"]["instances_in_both"], 3);
    assert_eq!(found["attributes_total"], 0, "{found}");
    let made = resolved(&rig, &datastore, &copy).await;
    assert_eq!(made["dicom_tags"]["DICOMNumberOfStudyRelatedInstances"], 3);
    // If the primary one is gone, the copy takes its place.
    let copy = copied(&rig, &datastore, &made).await;
    let mut gone = of(&datastore, &made);
    gone["wait_seconds"] = json!(60);
    rig.call("delete_image_set", gone).await;
    let made = resolved(&rig, &datastore, &copy).await;
    assert_eq!(made["dicom_tags"]["DICOMNumberOfStudyRelatedInstances"], 3);
}

/// A copy of an image set, which is not primary.
async fn copied(rig: &Rig, datastore: &str, set: &Value) -> Value {
    let copy = json!({
        "datastore_id": datastore, "source_image_set_id": set["image_set_id"],
        "copy_image_set_information": {
            "sourceImageSet": { "latestVersionId": set["version"].to_string() }
        },
        "wait_seconds": 60
    });
    rig.call("copy_image_set", copy).await["destination_image_set_properties"].clone()
}

/// Executes what is proposed for an image set that is not primary; returns the only image set that there is then, which
/// is primary.
async fn resolved(rig: &Rig, datastore: &str, set: &Value) -> Value {
    let found = rig.call("compare_image_sets", of(datastore, set)).await;
    let calls = found["not_primary"]["calls"].as_array().unwrap();
    assert!(!calls.is_empty(), "{found}");
    for call in calls {
        rig.call(call["tool"].as_str().unwrap(), call["arguments"].clone()).await;
    }
    let sets = all(rig, datastore).await;
    assert_eq!(sets.len(), 1, "{sets:?}");
    assert_eq!(sets[0]["is_primary"], true);
    sets[0].clone()
}

/// The image sets of a data store: the primary one, and the first other one.
async fn both(rig: &Rig, datastore: &str) -> (Value, Value) {
    let sets = all(rig, datastore).await;
    let of = |primary: bool| sets.iter().find(|set| set["is_primary"] == primary).unwrap().clone();
    (of(true), of(false))
}

pub(crate) async fn another_patient_is_reassigned_and_no_value_of_that_patient_stays(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, [slice(1, "A1")]).await;
    // Another patient, and an instance that the primary image set has too.
    let others = [(1, "A1"), (2, "A2"), (3, "A2")].map(|(number, accession)| {
        let phantom = Phantom::ct()
            .size(16, 16)
            .patient("ROE^RICHARD", "MRN-2")
            .study_uid("2.25.71")
            .series_uid("2.25.72")
            .sop_uid(&format!("2.25.73.{number}"))
            .accession_number(accession)
            .instance_number(number);
        PhantomFile { relative_path: format!("{number}.dcm").into(), bytes: phantom.build() }
    });
    let [again, rest @ ..] = others;
    rig.import(&datastore, rest).await;
    let (primary, other) = both(&rig, &datastore).await;
    let found = rig.call("compare_image_sets", of(&datastore, &other)).await;
    let why = &found["not_primary"];
    assert_eq!(why["patient_differs_in"], json!(["PatientID", "PatientName"]), "{found}");
    let tools: Vec<&str> = why["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["tool"].as_str().unwrap())
        .collect();
    assert_eq!(
        tools,
        ["reassign_study", "update_image_set_metadata", "copy_image_set", "delete_image_set"]
    );
    let made = resolved(&rig, &datastore, &other).await;
    assert_eq!(made["image_set_id"], primary["image_set_id"]);
    assert_eq!(made["dicom_tags"]["DICOMNumberOfStudyRelatedInstances"], 3);
    let text = rig.call("get_image_set_metadata", of(&datastore, &made)).await.to_string();
    assert!(text.contains("DOE^JANE") && !text.contains("ROE^"), "{text}");
    assert!(text.contains("MRN-1") && !text.contains("MRN-2"), "{text}");
    // All instances are in the primary one: what is left is to delete the other one.
    rig.import(&datastore, [again]).await;
    let (_, other) = both(&rig, &datastore).await;
    let found = rig.call("compare_image_sets", of(&datastore, &other)).await;
    assert_eq!(found["not_primary"]["instances_in_both"], 1);
    assert_eq!(found["not_primary"]["calls"].as_array().unwrap().len(), 1, "{found}");
    let made = resolved(&rig, &datastore, &other).await;
    assert_eq!(made["dicom_tags"]["DICOMNumberOfStudyRelatedInstances"], 3);
    // With other pixels, one of the two may be an image of the other patient.
    let different = Phantom::ct()
        .size(16, 16)
        .seed(77)
        .patient("ROE^RICHARD", "MRN-2")
        .study_uid("2.25.71")
        .series_uid("2.25.72")
        .sop_uid("2.25.73.1")
        .accession_number("A1")
        .instance_number(1);
    let bytes = different.build();
    rig.import(&datastore, [PhantomFile { relative_path: "1.dcm".into(), bytes }]).await;
    let (_, other) = both(&rig, &datastore).await;
    let found = rig.call("compare_image_sets", of(&datastore, &other)).await;
    assert_eq!(found["not_primary"]["calls"], json!([]), "{found}");
    let reason = found["not_primary"]["reason"].as_str().unwrap();
    assert!(reason.contains("other pixels"), "{reason}");
}

pub(crate) async fn what_the_primary_image_set_has_is_kept_and_the_rest_joins_it(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, [slice(1, "A1"), slice(2, "A1")]).await;
    rig.import(&datastore, [slice(2, "A2"), slice(3, "A2")]).await;
    let (_, other) = both(&rig, &datastore).await;
    let found = rig.call("compare_image_sets", of(&datastore, &other)).await;
    assert_eq!(found["not_primary"]["instances_in_both"], 1);
    let made = resolved(&rig, &datastore, &other).await;
    assert_eq!(made["dicom_tags"]["DICOMNumberOfStudyRelatedInstances"], 3);
    assert_eq!(made["dicom_tags"]["DICOMAccessionNumber"], "A1");
}

pub(crate) async fn a_study_whose_primary_image_sets_disagree_has_no_call_that_resolves_it(
    rig: Rig,
) {
    let datastore = rig.datastore().await;
    let other_series = Phantom::ct()
        .size(16, 16)
        .patient("DOE^JANE", "MRN-1")
        .study_uid("2.25.71")
        .series_uid("2.25.74")
        .sop_uid("2.25.74.1")
        .accession_number("A1");
    let other_series =
        PhantomFile { relative_path: "other.dcm".into(), bytes: other_series.build() };
    rig.import(&datastore, [slice(1, "A1"), other_series]).await;
    rig.import(&datastore, [slice(2, "A2")]).await;
    let (primary, other) = both(&rig, &datastore).await;
    let mut asked = of(&datastore, &primary);
    asked["latest_version_id"] = json!("1");
    asked["update_image_set_metadata_updates"] = json!({ "DICOMUpdates": { "updatableAttributes": {
        "SchemaVersion": "1.1", "Study": { "DICOM": { "AccessionNumber": "A3" } }
    } } });
    asked["wait_seconds"] = json!(60);
    rig.call("update_image_set_metadata", asked).await;
    let found = rig.call("compare_image_sets", of(&datastore, &other)).await;
    let why = &found["not_primary"];
    assert_eq!(why["calls"], json!([]), "{found}");
    assert!(
        why["reason"].as_str().unwrap().contains("disagree with each other in AccessionNumber")
    );
    // What the reason names resolves it.
    let update = json!({
        "datastore_id": datastore, "study_instance_uid": "2.25.71", "wait_seconds": 60,
        "study_updates": { "AccessionNumber": "A1" }
    });
    rig.call("update_patient_study_metadata", update).await;
    let found = rig.call("compare_image_sets", of(&datastore, &other)).await;
    for call in found["not_primary"]["calls"].as_array().unwrap() {
        rig.call(call["tool"].as_str().unwrap(), call["arguments"].clone()).await;
    }
    let sets = all(&rig, &datastore).await;
    assert!(sets.len() == 2 && sets.iter().all(|set| set["is_primary"] == true), "{sets:?}");
}

pub(crate) async fn two_data_stores_are_compared_series_by_series(rig: Rig) {
    let (one, other) = (rig.filled().await, {
        let made = json!({ "datastore_name": "other", "wait_seconds": 60 });
        let made = rig.call("create_datastore", made).await;
        made["datastore_id"].as_str().unwrap().to_owned()
    });
    // All but the last series, and one that the first has not.
    rig.import(&other, ARCHIVE.files().take(21)).await;
    rig.import(&other, [slice(1, "A1")]).await;
    let asked = json!({ "datastore_id": one, "other_datastore_id": other });
    let counted = "Series: 7 in both, 1 only in the old data store, 1 only in the new one.";
    let found = rig.call("compare_image_sets", asked.clone()).await;
    assert!(found["summary"].as_str().unwrap().contains(counted), "{found}");
    let states = |found: &Value| -> Vec<String> {
        let mut states: Vec<String> = found["series"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["state"].as_str().unwrap().to_owned())
            .collect();
        states.sort();
        states
    };
    assert_eq!(states(&found), ["added", "removed"]);
    let listed = "listed here: 0 different, 2 in one data store only";
    assert!(found["summary"].as_str().unwrap().contains(listed), "{found}");
    let absent = json!({
        "datastore_id": one, "other_datastore_id": other, "study_instance_uid": "2.25.404"
    });
    rig.refusal("compare_image_sets", absent, "not_found").await;
    // One study is corrected.
    let study = tag(&all(&rig, &other).await[0], "DICOMStudyInstanceUID").to_owned();
    let update = json!({
        "datastore_id": other, "study_instance_uid": study, "wait_seconds": 60,
        "study_updates": { "StudyDescription": "OTHER" }
    });
    rig.call("update_patient_study_metadata", update).await;
    let mut asked = asked;
    asked["study_instance_uid"] = json!(study);
    let found = rig.call("compare_image_sets", asked.clone()).await;
    let different: Vec<&Value> = found["series"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["state"] == "different")
        .collect();
    for one in &different {
        assert_eq!(one["attributes"], json!(["StudyDescription"]));
        assert_eq!(one["counts"]["frames_different"], 0);
        assert_eq!(one["study_instance_uid"], study);
    }
    // Page by page, the same.
    asked["max_results"] = json!(1);
    asked.as_object_mut().unwrap().shift_remove("study_instance_uid");
    let mut paged = Vec::new();
    loop {
        let found = rig.call("compare_image_sets", asked.clone()).await;
        paged.extend(found.get("series").and_then(Value::as_array).into_iter().flatten().cloned());
        match found.get("next_token") {
            Some(token) => asked["next_token"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(paged.len(), different.len() + 2, "{paged:?}");
}
