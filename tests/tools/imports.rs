//! Import jobs: their counts, and the outcome of each file.

use healthimaging_phantoms::write_to;
use serde_json::{Value, json};

use crate::rig::{ARCHIVE, Rig, uri};

/// Files of the archive: two patients, two studies each, two series each, three slices each.
const FILES: u64 = 24;

pub(crate) async fn an_import_says_what_failed_and_why(rig: Rig) {
    let datastore = rig.datastore().await;
    let folder = rig.allowed().join("scans");
    write_to(&folder, ARCHIVE.files()).unwrap();
    for number in 0..12 {
        std::fs::write(folder.join(format!("notes-{number:02}.txt")), "not DICOM").unwrap();
    }
    let outcome = rig.allowed().join("outcome");
    std::fs::create_dir(&outcome).unwrap();
    let asked = json!({
        "datastore_id": datastore,
        "input_s3_uri": uri(&folder),
        "output_s3_uri": uri(&outcome),
        "data_access_role_arn": "arn:aws:iam::000000000000:role/import",
        "wait_seconds": 120
    });
    let job = rig.call("start_dicom_import_job", asked).await;
    let counts = &job["outcome"];
    assert_eq!(counts["files_total"], FILES + 12, "{job}");
    assert_eq!((&counts["files_imported"], &counts["files_failed"]), (&json!(FILES), &json!(12)));
    assert_eq!((&counts["image_sets"], &counts["non_primary_image_sets"]), (&json!(8), &json!(0)));
    assert_eq!(counts["failure_reasons"][0]["files"], 12, "{job}");
    assert_eq!(job["failures"].as_array().unwrap().len(), 10);
    assert!(job["summary"].as_str().unwrap().contains("12 failed"), "{job}");

    let mut asked = json!({
        "datastore_id": datastore, "job_id": job["job_id"], "max_results": 5
    });
    let mut files = Vec::new();
    loop {
        let page = rig.call("get_dicom_import_job", asked.clone()).await;
        assert_eq!(&page["outcome"], counts);
        files.extend(page["files"].as_array().unwrap().clone());
        match page.get("next_token") {
            Some(token) => asked["next_token"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(files.len(), 12);
    for (number, file) in files.iter().enumerate() {
        let name = file["file"].as_str().unwrap();
        assert!(name.ends_with(&format!("notes-{number:02}.txt")), "{name}");
        assert!(!file["messages"][0].as_str().unwrap().is_empty(), "{file}");
    }
    // A token belongs to one list.
    asked["list"] = json!("SUCCESS");
    asked["next_token"] =
        rig.call("get_dicom_import_job", first(&asked)).await["next_token"].take();
    asked["list"] = json!("FAILURE");
    rig.refusal("get_dicom_import_job", asked, "validation_error").await;

    let asked = json!({
        "datastore_id": datastore, "job_id": job["job_id"], "list": "SUCCESS", "max_results": 100
    });
    let found = rig.call("get_dicom_import_job", asked).await;
    let files = found["files"].as_array().unwrap();
    assert_eq!(files.len() as u64, FILES);
    assert!(files.iter().all(|file| file["image_set_id"].is_string()), "{found}");

    // The outcome is the owner's, who may remove it.
    std::fs::remove_dir_all(&outcome).unwrap();
    let asked = json!({ "datastore_id": datastore, "job_id": job["job_id"] });
    let found = rig.call("get_dicom_import_job", asked).await;
    assert!(found.get("outcome").is_none(), "{found}");
    assert!(found["notes"][0].as_str().unwrap().contains("no manifest"), "{found}");
}

/// The same call without a token.
fn first(asked: &Value) -> Value {
    let mut first = asked.clone();
    first.as_object_mut().unwrap().shift_remove("next_token");
    first
}
