//! A piece of work from an empty store to an empty store.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthimaging_client::{Client, ToolAnswer};
use healthimaging_phantoms::{Archive, write_to};
use serde_json::{Value, json};

use crate::program;

/// Patient, series and slices of the archive that is imported.
const ARCHIVE: Archive =
    Archive { patients: 1, studies: 1, series: 2, instances: 3, size: 64, seed: 7, noise: 18.0 };

pub(crate) struct Assistant(pub(crate) Client);

impl Assistant {
    pub(crate) async fn try_call(&self, tool: &str, arguments: Value) -> ToolAnswer {
        let Value::Object(arguments) = arguments else {
            panic!("not an object");
        };
        self.0.call_tool(tool, arguments).await.unwrap()
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.try_call(tool, arguments).await;
        assert!(!answer.is_error, "{tool}: {}", answer.text);
        answer.structured
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn import_search_read_correct_and_delete() {
    let folder = tempfile::tempdir().unwrap();
    let scans = folder.path().join("scans");
    write_to(&scans, ARCHIVE.files()).unwrap();
    let assistant = Assistant(Client::spawn(program(folder.path())).await.unwrap());

    let made = assistant
        .call("create_datastore", json!({ "datastore_name": "ward", "wait_seconds": 60 }))
        .await;
    let store = text(&made["datastore_id"]);
    let import = json!({
        "datastore_id": store,
        "input_s3_uri": format!("file://{}/", scans.display()),
        "wait_seconds": 300
    });
    let job = assistant.call("start_dicom_import_job", import).await;
    assert_eq!(job["job_status"], "COMPLETED", "{job}");

    let found = assistant.call("search_image_sets", json!({})).await;
    assert_eq!(found["datastore_id"], json!(store));
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap().clone();
    assert_eq!(sets.len(), 2, "one image set a series");
    let set = text(&sets[0]["image_set_id"]);

    let read = assistant.call("get_image_set_metadata", json!({ "image_set_id": set })).await;
    let metadata = &read["metadata"];
    assert_eq!(metadata["SchemaVersion"], "1.1");
    let series = metadata["Study"]["Series"].as_object().unwrap().clone();
    assert_eq!(series.len(), 1);
    let instances = series.values().next().unwrap()["Instances"].as_object().unwrap().clone();
    assert_eq!(instances.len(), 3);
    let frame = &instances.values().next().unwrap()["ImageFrames"][0]["ID"];
    let input = json!({
        "image_set_id": set, "image_frame_information": { "imageFrameId": frame }, "format": "stored"
    });
    let frame = assistant.call("get_image_frame", input).await;
    let bytes = STANDARD.decode(text(&frame["image_frame_blob"])).unwrap();
    // The signature box of a JP2 file: ISO/IEC 15444-1 §I.5.1.
    assert_eq!(bytes[..12], *b"\0\0\0\x0CjP  \r\n\x87\n");

    let correction = json!({
        "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "CORRECTED" } }
    });
    let input = json!({
        "image_set_id": set,
        "latest_version_id": "1",
        "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": correction } },
        "wait_seconds": 60
    });
    let updated = assistant.call("update_image_set_metadata", input).await;
    assert_eq!(updated["latest_version_id"], "2", "{updated}");
    assert_eq!(updated["image_set_workflow_status"], "UPDATED", "{updated}");
    let input = json!({
        "image_set_id": set, "level": "STUDY", "attributes": ["StudyDescription"]
    });
    let read = assistant.call("get_image_set_metadata", input).await;
    assert_eq!(read["metadata"]["Study"]["DICOM"], json!({ "StudyDescription": "CORRECTED" }));
    let versions = assistant.call("list_image_set_versions", json!({ "image_set_id": set })).await;
    let versions = versions["image_set_properties_list"].as_array().unwrap().clone();
    assert_eq!(versions.iter().map(|one| text(&one["version_id"])).collect::<Vec<_>>(), ["2", "1"]);

    delete_all(&assistant, &store, &sets).await;
    assistant.0.close().await.unwrap();
}

async fn delete_all(assistant: &Assistant, store: &str, sets: &[Value]) {
    let refused = assistant.try_call("delete_datastore", json!({ "datastore_id": store })).await;
    assert!(refused.is_error);
    assert_eq!(refused.structured["type"], "service_error");
    for set in sets {
        let mut input = json!({ "datastore_id": store, "image_set_id": set["image_set_id"], "wait_seconds": 60 });
        let planned = assistant.call("delete_image_set", input.clone()).await;
        assert_eq!(planned["plan"]["image_sets"][0]["instances"], 3);
        input["confirmation_token"] = planned["confirmation_token"].clone();
        let deleted = assistant.call("delete_image_set", input.clone()).await;
        assert_eq!(deleted["image_set_workflow_status"], "DELETED");
        let again = assistant.try_call("delete_image_set", input).await;
        assert!(again.is_error, "a token is good for one plan");
    }
    let left = assistant.call("search_image_sets", json!({ "datastore_id": store })).await;
    assert_eq!(left["image_sets_metadata_summaries"], json!([]));
}

#[tokio::test]
async fn folders_that_were_not_allowed_stay_closed() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    write_to(elsewhere.path(), ARCHIVE.files().take(1)).unwrap();
    let assistant = Assistant(Client::spawn(program(folder.path())).await.unwrap());
    let made = assistant
        .call("create_datastore", json!({ "datastore_name": "ward", "wait_seconds": 60 }))
        .await;
    let import = json!({
        "datastore_id": made["datastore_id"],
        "input_s3_uri": format!("file://{}/", elsewhere.path().display()),
        "wait_seconds": 60
    });
    let job = assistant.call("start_dicom_import_job", import).await;
    assert_eq!(job["job_status"], "FAILED");
    let message = job["message"].as_str().unwrap();
    assert!(message.contains("--allow-path"), "{message}");
    let found = assistant.call("search_image_sets", json!({})).await;
    assert_eq!(found["image_sets_metadata_summaries"], json!([]));
    assistant.0.close().await.unwrap();
}
