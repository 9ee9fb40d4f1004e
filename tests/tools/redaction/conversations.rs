//! Conversations by tokens.

use serde_json::json;

use super::{Veil, of_conversations};
use crate::conversations::{filled, patient};
use crate::erase::tag;
use crate::rig::{Rig, uri};

pub(crate) async fn conversations_by_tokens_show_nothing_and_do_their_work(rig: Rig) {
    let rig = rig.confirming();
    let datastore = filled(&rig).await;
    let veil = Veil::new(&rig, false, of_conversations());
    // Without redaction, what is looked for is there.
    let plain = rig.call("search_image_sets", json!({})).await;
    assert!(veil.found(&plain.to_string()).is_some());
    let of_patient = |id: &str| patient(&veil.token("PatientID", id));

    let chest =
        json!({ "search_criteria": of_patient("MRN-1"), "modality": "CT", "text": "chest" });
    let found = veil.call("search_image_sets", chest).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap().clone();
    assert_eq!(sets.len(), 3, "{found}");
    let set = sets.iter().find(|set| tag(set, "DICOMSeriesInstanceUID") == veil.uid("2.25.100.1"));
    let set = set.unwrap()["image_set_id"].clone();
    let asked = json!({ "image_set_id": set, "slice": "middle", "format": "jpeg" });
    let frame = veil.call("get_image_frame", asked).await;
    assert_eq!(frame["picture"]["sop_instance_uid"], veil.uid("2.25.100.1.2").as_str(), "{frame}");

    let study = veil.uid("2.25.100");
    let asked = json!({ "study_instance_uid": study, "text": "motion" });
    let found = veil.call("get_study_series", asked).await;
    assert_eq!(found["series"][0]["series_instance_uid"], veil.uid("2.25.100.2").as_str());

    let asked = json!({
        "modality": "SR", "attributes": ["PatientID"], "content": ["113838"], "group_by": ["PatientID"]
    });
    let found = veil.call("tabulate_attributes", asked).await;
    assert_eq!(found["rows"][0][3], 150.75, "{found}");

    let asked = json!({ "by_study": true, "lacks_modality": "SR" });
    let found = veil.call("search_image_sets", asked).await;
    assert_eq!(found["studies"].as_array().unwrap().len(), 5, "{found}");
    let found = veil.call("summarize_datastore", json!({})).await;
    assert!(found.to_string().contains(&veil.token("PatientID", "MRN-1")), "{found}");

    let found =
        veil.call("search_image_sets", json!({ "search_criteria": of_patient("MRN-4") })).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    let by_primary = |wanted: bool| {
        sets.iter().find(|set| set["is_primary"] == wanted).unwrap()["image_set_id"].clone()
    };
    let asked = json!({ "image_set_id": by_primary(false) });
    let found = veil.call("compare_image_sets", asked).await;
    assert_eq!(found["not_primary"]["conflicts"][0]["attribute"], "AccessionNumber", "{found}");
    let document =
        json!({ "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "SKULL" } } });
    let change = json!({
        "datastore_id": datastore, "image_set_id": by_primary(true), "latest_version_id": "1",
        "wait_seconds": 60,
        "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": document } }
    });
    veil.call("update_image_set_metadata", change).await;
    let asked = json!({ "image_set_id": by_primary(true), "version_id": "1" });
    let found = veil.call("compare_image_sets", asked).await;
    let row = &found["attributes"][0];
    assert_eq!((&row["old"], &row["new"]), (&json!("HEAD"), &json!("SKULL")), "{found}");

    moving(&veil, &datastore).await;
    changing(&veil, &datastore).await;
}

async fn moving(veil: &Veil<'_>, datastore: &str) {
    let rig = veil.rig;
    for deidentify in [Some(json!({ "profile": "basic" })), None] {
        let mut asked = json!({
            "output_s3_uri": uri(&rig.allowed().join(if deidentify.is_some() { "a" } else { "b" })),
            "study_instance_uid": veil.uid("2.25.100"), "wait_seconds": 120
        });
        if let Some(deidentify) = deidentify {
            asked["deidentify"] = deidentify;
        }
        let job = veil.call("start_dicom_export_job", asked).await;
        assert_eq!(
            (&job["job_status"], &job["files_done"]),
            (&json!("COMPLETED"), &json!(7)),
            "{job}"
        );
        for tool in ["get_dicom_export_job", "get_job"] {
            veil.call(tool, json!({ "job_id": job["job_id"] })).await;
        }
    }
    // Files are named by the UIDs of the store, and not by tokens.
    assert!(rig.allowed().join("b/2.25.100").is_dir());

    let folder = rig.allowed().join("incoming");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("DOE JANE.txt"), "not DICOM").unwrap();
    let outcome = tempfile::tempdir_in(rig.allowed()).unwrap();
    let asked = json!({
        "datastore_id": datastore, "input_s3_uri": uri(&folder), "output_s3_uri": uri(outcome.path()),
        "wait_seconds": 120, "data_access_role_arn": "arn:aws:iam::000000000000:role/import"
    });
    let job = veil.call("start_dicom_import_job", asked).await;
    assert_eq!(job["outcome"]["files_failed"], 1, "{job}");
    let job = json!({ "datastore_id": datastore, "job_id": job["job_id"] });
    let found = veil.call("get_dicom_import_job", job).await;
    // The token of a folder is an argument as the folder is.
    let input = found["job_properties"]["input_s3_uri"].as_str().unwrap().to_owned();
    assert!(input.starts_with("phi-path-"), "{found}");
    let again = json!({
        "datastore_id": datastore, "input_s3_uri": input, "output_s3_uri": uri(outcome.path()),
        "wait_seconds": 120, "data_access_role_arn": "arn:aws:iam::000000000000:role/import"
    });
    let job = veil.call("start_dicom_import_job", again).await;
    assert_eq!(job["outcome"]["files_failed"], 1, "{job}");

    let other = json!({ "datastore_name": "research", "wait_seconds": 60 });
    let other = rig.call("create_datastore", other).await["datastore_id"].clone();
    let asked = json!({
        "from_datastore": datastore, "to_datastore": other, "wait_seconds": 120,
        "criteria": { "patient_id": veil.token("PatientID", "MRN-20") }
    });
    let job = veil.call("transfer_studies", asked).await;
    assert_eq!(job["report"]["instances_transferred"], 3, "{job}");
    let found = rig.call("search_image_sets", json!({ "datastore_id": other })).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    assert!(sets.iter().all(|set| tag(set, "DICOMPatientId") == "MRN-20"), "{found}");
}

async fn changing(veil: &Veil<'_>, datastore: &str) {
    let id = |id: &str| veil.token("PatientID", id);
    let rig = veil.rig;
    let asked = json!({
        "datastore_id": datastore, "study_instance_uid": veil.uid("2.25.101"),
        "to_patient_id": id("MRN-2"), "wait_seconds": 60
    });
    veil.confirmed("reassign_study", asked).await;
    let asked = json!({
        "datastore_id": datastore, "patient_id": id("MRN-20"), "all_studies": true,
        "to_patient_id": id("MRN-2"), "wait_seconds": 60
    });
    veil.confirmed("reassign_study", asked).await;
    let asked = json!({ "datastore_id": datastore, "patient_id": id("MRN-2") });
    let found = veil.call("get_patient_studies", asked).await;
    assert_eq!(found["studies"].as_array().unwrap().len(), 3, "{found}");
    // What is stored are values: no token, no shifted date.
    let asked = json!({ "datastore_id": datastore, "search_criteria": patient("MRN-2") });
    let found = rig.call("search_image_sets", asked).await;
    for set in found["image_sets_metadata_summaries"].as_array().unwrap() {
        assert_eq!(tag(set, "DICOMPatientName"), "ROE^MARY", "{set}");
        assert_eq!(tag(set, "DICOMPatientBirthDate"), "19600202", "{set}");
    }

    let asked = json!({
        "datastore_id": datastore, "study_instance_uid": veil.uid("2.25.100"), "wait_seconds": 60,
        "study_updates": { "AccessionNumber": veil.token("AccessionNumber", "A9") }
    });
    veil.confirmed("update_patient_study_metadata", asked).await;
    let study = json!({ "datastore_id": datastore, "study_instance_uid": "2.25.100" });
    let found = rig.call("search_by_study_uid", study).await;
    let set = &found["image_sets_metadata_summaries"][0];
    assert_eq!(tag(set, "DICOMAccessionNumber"), "A9", "{set}");

    let asked = json!({
        "datastore_id": datastore, "patient_id": id("MRN-4"), "erase_older_versions": true,
        "wait_seconds": 60
    });
    veil.confirmed("delete_patient_studies", asked).await;
    let asked = json!({ "datastore_id": datastore, "search_criteria": patient("MRN-4") });
    let found = rig.call("search_image_sets", asked).await;
    assert_eq!(found["image_sets_metadata_summaries"], json!([]), "{found}");
}
