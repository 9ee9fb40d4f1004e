//! Deleting and removing, wherever it is.

use serde_json::{Value, json};

use crate::rig::{ARCHIVE, Rig, uri};

/// Every image set of a data store, as a search returns it.
pub(crate) async fn all(rig: &Rig, datastore: &str) -> Vec<Value> {
    let asked = json!({ "datastore_id": datastore, "max_results": 100 });
    let found = rig.call("search_image_sets", asked).await;
    assert!(found.get("next_token").is_none(), "more than a hundred");
    found["image_sets_metadata_summaries"].as_array().unwrap().clone()
}

pub(crate) fn tag<'a>(set: &'a Value, name: &str) -> &'a str {
    set["dicom_tags"][name].as_str().unwrap()
}

async fn metadata(rig: &Rig, datastore: &str, set: &Value) -> Value {
    let asked = json!({ "datastore_id": datastore, "image_set_id": set["image_set_id"] });
    let found = rig.call("get_image_set_metadata", asked).await;
    found["metadata"].clone()
}

/// The instances of the only series of a document.
fn instances(document: &Value) -> Vec<String> {
    let series = document["Study"]["Series"].as_object().unwrap();
    let only = series.values().next().unwrap();
    only["Instances"].as_object().unwrap().keys().cloned().collect()
}

fn ended(answer: &Value) {
    assert_eq!(answer["job_status"], "COMPLETED", "{answer}");
    assert_eq!(answer["items_failed"], 0, "{answer}");
}

pub(crate) async fn a_patient_goes_and_the_others_stay(rig: Rig) {
    let datastore = rig.filled().await;
    let before = all(&rig, &datastore).await;
    let patient = tag(&before[0], "DICOMPatientId").to_owned();
    let answer = rig
        .call(
            "delete_patient_studies",
            json!({ "datastore_id": datastore, "patient_id": patient, "wait_seconds": 120 }),
        )
        .await;
    ended(&answer);
    assert_eq!(answer["items_done"], 4);
    assert_eq!(answer["report"]["remaining"]["image_sets"], 0, "{answer}");
    assert_eq!(answer["report"]["call"]["arguments"]["patient_id"], patient);
    // These rigs have no disk to scan; that of AWS has none.
    let certificate = &answer["report"]["certificate"];
    assert_eq!(certificate["verdict"], "erased", "{answer}");
    let id = certificate["certificate_id"].as_str().unwrap();
    assert_eq!(id, answer["job_id"]);
    assert!(
        answer["summary"].as_str().unwrap().contains(&format!("Certificate {id}: ")),
        "{answer}"
    );
    let left = all(&rig, &datastore).await;
    assert_eq!(left.len(), 4);
    assert!(left.iter().all(|set| tag(set, "DICOMPatientId") != patient));
    // The report counts what was erased.
    let again = json!({ "datastore_id": datastore, "patient_id": patient });
    rig.refusal("delete_patient_studies", again, "not_found").await;
}

pub(crate) async fn an_erased_patient_is_not_named_in_the_job(rig: Rig) {
    let datastore = rig.filled().await;
    let patient = tag(&all(&rig, &datastore).await[0], "DICOMPatientId").to_owned();
    let asked = json!({ "datastore_id": datastore, "patient_id": patient, "wait_seconds": 120 });
    ended(&rig.call("delete_patient_studies", asked).await);
    for file in rig.ledger_files() {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(&patient), "{} names it", file.display());
    }
}

pub(crate) async fn older_versions_that_name_a_patient_go_with_a_consent_of_their_own(rig: Rig) {
    let datastore = rig.filled().await;
    let before = all(&rig, &datastore).await;
    let patient = tag(&before[0], "DICOMPatientId").to_owned();
    let study = tag(&before[0], "DICOMStudyInstanceUID").to_owned();
    // A study was filed under the wrong patient, and corrected.
    let corrected = json!({
        "datastore_id": datastore, "study_instance_uid": study, "wait_seconds": 120,
        "patient_updates": { "PatientID": "RIGHT" }
    });
    ended(&rig.call("update_patient_study_metadata", corrected).await);
    let of_study = |sets: Vec<Value>| -> Vec<Value> {
        sets.into_iter().filter(|set| tag(set, "DICOMStudyInstanceUID") == study).collect()
    };
    let moved = of_study(all(&rig, &datastore).await);
    assert_eq!(moved.len(), 2);
    let mut contents = Vec::new();
    for set in &moved {
        contents.push(instances(&metadata(&rig, &datastore, set).await));
    }
    contents.sort();

    let mut asked =
        json!({ "datastore_id": datastore, "patient_id": patient, "wait_seconds": 120 });
    let answer = rig.call("delete_patient_studies", asked.clone()).await;
    ended(&answer);
    assert_eq!(answer["items_done"], 2, "{answer}");
    let known = |sets: &[Value]| -> Vec<(Value, Value)> {
        sets.iter().map(|set| (set["image_set_id"].clone(), set["version"].clone())).collect()
    };
    let left = of_study(all(&rig, &datastore).await);
    assert_eq!(known(&left), known(&moved), "nothing of another patient is touched");
    let notes = answer["notes"].to_string();
    if notes.contains("those of other studies") {
        // A service that cannot search older versions: the study is not one of the patient's any more.
        asked["erase_older_versions"] = json!(true);
        let message = rig.refusal("delete_patient_studies", asked, "not_found").await;
        assert!(message.contains("were not examined"), "{message}");
        return;
    }
    assert!(notes.contains("erase_older_versions"), "{answer}");
    let message = rig.refusal("delete_patient_studies", asked.clone(), "not_found").await;
    assert!(message.contains("older versions of 2 image sets"), "{message}");

    asked["erase_older_versions"] = json!(true);
    let answer = rig.call("delete_patient_studies", asked.clone()).await;
    ended(&answer);
    let replaced = &answer["report"]["replaced_by_latest_version"];
    assert_eq!(replaced["image_sets"], 2, "{answer}");
    let now = of_study(all(&rig, &datastore).await);
    assert_eq!(now.len(), 2);
    let mut held = Vec::new();
    for set in &now {
        assert!(moved.iter().all(|old| old["image_set_id"] != set["image_set_id"]));
        assert_eq!((tag(set, "DICOMPatientId"), &set["is_primary"]), ("RIGHT", &json!(true)));
        assert_eq!(set["version"], 1, "{set}");
        held.push(instances(&metadata(&rig, &datastore, set).await));
    }
    held.sort();
    assert_eq!(held, contents, "every instance of the other patient is there");
    let message = rig.refusal("delete_patient_studies", asked, "not_found").await;
    assert!(!message.contains("not examined"), "every version was read: {message}");
}

pub(crate) async fn files_that_name_an_erased_patient_are_named(rig: Rig) {
    let datastore = rig.filled().await;
    let before = all(&rig, &datastore).await;
    let patient = tag(&before[0], "DICOMPatientId").to_owned();
    let other = before.iter().map(|set| tag(set, "DICOMPatientId")).find(|id| *id != patient);
    let other = other.unwrap().to_owned();
    let out = uri(&rig.allowed());
    let study_of = |patient: &str| {
        let of = before.iter().find(|set| tag(set, "DICOMPatientId") == patient).unwrap();
        tag(of, "DICOMStudyInstanceUID").to_owned()
    };
    let mut jobs = Vec::new();
    for study in [study_of(&patient), study_of(&other)] {
        let asked = json!({
            "datastore_id": datastore, "study_instance_uid": study, "output_s3_uri": out, "wait_seconds": 120
        });
        let job = rig.call("start_dicom_export_job", asked).await;
        assert_eq!(job["job_status"], "COMPLETED", "{job}");
        jobs.push(job["job_id"].as_str().unwrap().to_owned());
    }
    let imports = rig.call("list_dicom_import_jobs", json!({ "datastore_id": datastore })).await;
    let import = imports["job_summaries"][0]["job_id"].as_str().unwrap();
    let asked = json!({ "datastore_id": datastore, "patient_id": patient, "wait_seconds": 120 });
    let answer = rig.call("delete_patient_studies", asked).await;
    let notes = answer["notes"].to_string();
    assert!(notes.contains(&jobs[0]), "the export of this patient: {answer}");
    assert!(!notes.contains(&jobs[1]), "the export of another: {answer}");
    // The folder of its outcomes is gone.
    assert!(notes.contains(import) && notes.contains("could not be read"), "{answer}");
}

pub(crate) async fn imports_whose_outcomes_name_an_erased_patient_are_named(rig: Rig) {
    let datastore = rig.filled().await;
    let patient = tag(&all(&rig, &datastore).await[0], "DICOMPatientId").to_owned();
    let mut jobs = Vec::new();
    for folder in [patient.as_str(), "elsewhere"] {
        let input = rig.allowed().join("received").join(folder);
        std::fs::create_dir_all(&input).unwrap();
        std::fs::write(input.join("damaged.dcm"), b"not DICOM").unwrap();
        let output = rig.allowed().join("outcomes").join(folder);
        std::fs::create_dir_all(&output).unwrap();
        let asked = json!({
            "datastore_id": datastore, "wait_seconds": 120,
            "input_s3_uri": format!("{}/", uri(&rig.allowed().join("received"))),
            "output_s3_uri": uri(&output),
            "data_access_role_arn": "arn:aws:iam::000000000000:role/import"
        });
        let job = rig.call("start_dicom_import_job", asked).await;
        jobs.push(job["job_id"].as_str().unwrap().to_owned());
        std::fs::remove_dir_all(rig.allowed().join("received")).unwrap();
    }
    let asked = json!({ "datastore_id": datastore, "patient_id": patient, "wait_seconds": 120 });
    let answer = rig.call("delete_patient_studies", asked).await;
    let notes = answer["notes"].to_string();
    assert!(notes.contains(&jobs[0]), "a file that failed was in the patient's folder: {answer}");
    assert!(!notes.contains(&jobs[1]), "its files and image sets name no patient: {answer}");
}

pub(crate) async fn a_study_goes_and_the_others_stay(rig: Rig) {
    let datastore = rig.filled().await;
    let study = tag(&all(&rig, &datastore).await[0], "DICOMStudyInstanceUID").to_owned();
    let asked =
        json!({ "datastore_id": datastore, "study_instance_uid": study, "wait_seconds": 120 });
    ended(&rig.call("delete_study", asked).await);
    let left = all(&rig, &datastore).await;
    assert_eq!(left.len(), 6);
    assert!(left.iter().all(|set| tag(set, "DICOMStudyInstanceUID") != study));
}

pub(crate) async fn a_series_goes_and_the_others_stay(rig: Rig) {
    let datastore = rig.filled().await;
    let series = tag(&all(&rig, &datastore).await[0], "DICOMSeriesInstanceUID").to_owned();
    let asked =
        json!({ "datastore_id": datastore, "series_instance_uid": series, "wait_seconds": 120 });
    ended(&rig.call("delete_series_by_uid", asked).await);
    let left = all(&rig, &datastore).await;
    assert_eq!(left.len(), 7);
    assert!(left.iter().all(|set| tag(set, "DICOMSeriesInstanceUID") != series));
}

pub(crate) async fn an_instance_is_removed_and_the_last_one_takes_the_image_set(rig: Rig) {
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let study = tag(&set, "DICOMStudyInstanceUID");
    let series = tag(&set, "DICOMSeriesInstanceUID");
    let held = instances(&metadata(&rig, &datastore, &set).await);
    assert_eq!(held.len(), 3);
    let first = json!({
        "datastore_id": datastore, "study_instance_uid": study,
        "sop_instance_uid": held[0], "wait_seconds": 120
    });
    let answer = rig.call("delete_instance_in_study", first.clone()).await;
    ended(&answer);
    let removed = json!({ "image_sets": 1, "series": 0, "instances": 1 });
    assert_eq!(answer["report"]["removed_from_latest_version"], removed, "{answer}");
    assert!(answer["report"].get("deleted").is_none(), "{answer}");
    let summary = answer["summary"].as_str().unwrap();
    assert!(summary.contains("No latest version of an image set holds"), "{summary}");
    assert!(
        answer.to_string().contains("older"),
        "the older versions still hold it, which has to be said: {answer}"
    );
    let left = instances(&metadata(&rig, &datastore, &set).await);
    assert_eq!(left, held[1..]);
    rig.refusal("delete_instance_in_study", first, "not_found").await;

    let second = json!({
        "datastore_id": datastore, "series_instance_uid": series,
        "sop_instance_uid": held[1], "wait_seconds": 120
    });
    ended(&rig.call("delete_instance_in_series", second).await);
    assert_eq!(instances(&metadata(&rig, &datastore, &set).await), held[2..]);

    let third = json!({
        "datastore_id": datastore, "image_set_id": set["image_set_id"],
        "series_instance_uid": series, "sop_instance_uid": held[2], "wait_seconds": 120
    });
    ended(&rig.call("remove_instance_from_image_set", third).await);
    assert_eq!(all(&rig, &datastore).await.len(), 7);
}

pub(crate) async fn erasing_an_instance_leaves_no_version_that_holds_it(rig: Rig) {
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let series = tag(&set, "DICOMSeriesInstanceUID");
    let held = instances(&metadata(&rig, &datastore, &set).await);
    let asked = json!({
        "datastore_id": datastore, "series_instance_uid": series,
        "sop_instance_uid": held[0], "erase": true, "wait_seconds": 120
    });
    let answer = rig.call("delete_instance_in_series", asked).await;
    ended(&answer);
    let report = &answer["report"];
    let replaced = json!({
        "image_sets": 1, "series_erased": 0, "instances_erased": 1, "versions_erased": 1
    });
    assert_eq!(report["replaced_by_rest"], replaced, "{answer}");
    assert!(report.get("deleted").is_none(), "no whole image set is deleted: {answer}");
    assert_eq!(report["still_holding"]["image_sets"], 0, "{answer}");
    let sets = all(&rig, &datastore).await;
    let of_series: Vec<&Value> =
        sets.iter().filter(|set| tag(set, "DICOMSeriesInstanceUID") == series).collect();
    let [now] = of_series[..] else {
        panic!("{} image sets of the series", of_series.len());
    };
    assert_eq!(now["is_primary"], true);
    assert_ne!(now["image_set_id"], set["image_set_id"]);
    assert_eq!(instances(&metadata(&rig, &datastore, now).await), held[1..]);
    let gone = json!({
        "datastore_id": datastore, "image_set_id": set["image_set_id"], "version_id": "1"
    });
    rig.refusal("get_image_set_metadata", gone, "not_found").await;
}

pub(crate) async fn the_plan_of_a_removal_names_what_is_removed(rig: Rig) {
    let rig = rig.confirming();
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let series = tag(&set, "DICOMSeriesInstanceUID");
    let held = instances(&metadata(&rig, &datastore, &set).await);
    for erase in [false, true] {
        let asked = json!({
            "datastore_id": datastore, "image_set_id": set["image_set_id"],
            "series_instance_uid": series, "sop_instance_uid": held[1], "erase": erase
        });
        let planned = rig.call("remove_instance_from_image_set", asked).await;
        let plan = &planned["plan"];
        assert_eq!(plan["removes"]["sop_instance_uid"], held[1], "{plan}");
        assert_eq!(plan["removes"]["series_instance_uid"], series, "{plan}");
        assert_eq!(plan["removes"]["modality"], "CT", "{plan}");
        assert_eq!(plan["image_sets"][0]["instances"], 1, "one of three: {plan}");
        assert_eq!(plan["studies"][0]["instances"], 1, "{plan}");
    }
}

pub(crate) async fn removing_the_only_series_deletes_the_image_set(rig: Rig) {
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let asked = json!({
        "datastore_id": datastore, "image_set_id": set["image_set_id"],
        "series_instance_uid": tag(&set, "DICOMSeriesInstanceUID"), "wait_seconds": 120
    });
    ended(&rig.call("remove_series_from_image_set", asked).await);
    let left = all(&rig, &datastore).await;
    assert!(left.iter().all(|one| one["image_set_id"] != set["image_set_id"]));
}

pub(crate) async fn a_bulk_deletion_takes_what_matches_and_keeps_its_ceiling(rig: Rig) {
    let datastore = rig.filled().await;
    let refused = |criteria: Value, most: i64| json!({ "datastore_id": datastore, "criteria": criteria, "max_deletions": most });
    for (criteria, most) in [
        (json!({}), 100),
        (json!({ "modality": "CT" }), 7),
        (json!({ "colour": "red" }), 100),
        (json!({ "modality": "CT" }), 0),
        (json!({ "study_date_from": "20260231" }), 100),
    ] {
        let asked = refused(criteria, most);
        rig.refusal("bulk_delete_by_criteria", asked, "validation_error").await;
    }
    let none = refused(json!({ "modality": "XA" }), 100);
    rig.refusal("bulk_delete_by_criteria", none, "not_found").await;
    assert_eq!(all(&rig, &datastore).await.len(), 8);
    let patient = tag(&all(&rig, &datastore).await[0], "DICOMPatientId").to_owned();
    let asked = json!({
        "datastore_id": datastore, "wait_seconds": 120,
        "criteria": { "patient_id": patient, "modality": "CT", "is_primary": true }
    });
    ended(&rig.call("bulk_delete_by_criteria", asked).await);
    assert_eq!(all(&rig, &datastore).await.len(), 4);
}

pub(crate) async fn more_than_a_page_is_deleted(rig: Rig) {
    let datastore = rig.datastore().await;
    let archive = healthimaging_phantoms::Archive {
        patients: 1,
        studies: 6,
        series: 10,
        instances: 1,
        size: 16,
        ..ARCHIVE
    };
    rig.import(&datastore, archive.files()).await;
    let patient = tag(&all(&rig, &datastore).await[0], "DICOMPatientId").to_owned();
    let asked = json!({ "datastore_id": datastore, "patient_id": patient, "wait_seconds": 300 });
    let answer = rig.call("delete_patient_studies", asked).await;
    ended(&answer);
    assert_eq!(answer["items_done"], 60);
    assert_eq!(all(&rig, &datastore).await.len(), 0);
}
