//! Clients that give their model only a part of an answer: the text, or the structured content. Each is
//! enough for a whole conversation.

use healthimaging_phantoms::{Archive, write_to};
use serde_json::{Value, json};

use crate::program;
use crate::wire::{Wire, request};

const ARCHIVE: Archive =
    Archive { patients: 2, studies: 1, series: 2, instances: 2, size: 32, seed: 7, noise: 18.0 };

/// What a model gets of a result.
type Reader = fn(&Value) -> Value;

/// All text blocks, as most clients hand them on.
fn by_text(result: &Value) -> Value {
    let first = &result["content"][0];
    assert_eq!(first["type"], "text");
    serde_json::from_str(first["text"].as_str().unwrap()).unwrap()
}

fn by_structure(result: &Value) -> Value {
    result["structuredContent"].clone()
}

async fn converse(arguments: &[&str], read: Reader) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command.args(arguments);
    let mut wire = Wire::over(folder, command);
    wire.initialize().await;
    let mut asked = 0;
    let mut call = async |wire: &mut Wire, tool: &str, arguments: Value| {
        asked += 1;
        let params = json!({ "name": tool, "arguments": arguments });
        let answer = wire.ask(request(asked, "tools/call", &params)).await;
        assert_eq!(answer["result"]["isError"], false, "{tool}: {answer}");
        read(&answer["result"])
    };
    let made = json!({ "datastore_name": "ward", "wait_seconds": 60 });
    call(&mut wire, "create_datastore", made).await;
    let scans = wire.folder.path().join("scans");
    write_to(&scans, ARCHIVE.files()).unwrap();
    let stored = call(&mut wire, "store_dicom_instances", json!({ "paths": [scans] })).await;
    assert_eq!(stored["stored"], 8, "{stored}");

    // Find.
    let listed = call(&mut wire, "list_datastores", json!({})).await;
    let store = listed["datastore_summaries"][0]["datastore_id"].clone();
    let found = call(&mut wire, "search_image_sets", json!({ "datastore_id": store })).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    assert_eq!(sets.len(), 4);
    let patient = sets[0]["dicom_tags"]["DICOMPatientId"].clone();
    let one = json!({ "datastore_id": store, "image_set_id": sets[0]["image_set_id"] });
    let read_set = call(&mut wire, "get_image_set_metadata", one).await;
    assert_eq!(read_set["metadata"]["Patient"]["DICOM"]["PatientID"], patient);
    // Plan.
    let mut erase = json!({ "datastore_id": store, "patient_id": patient, "wait_seconds": 60 });
    let planned = call(&mut wire, "delete_patient_studies", erase.clone()).await;
    assert_eq!(planned["plan"]["image_sets_total"], 2, "{planned}");
    assert_eq!(planned["plan"]["studies"][0]["patient_id"], patient);
    // Confirm.
    erase["confirmation_token"] = planned["confirmation_token"].clone();
    let done = call(&mut wire, "delete_patient_studies", erase).await;
    assert_eq!(done["job_status"], "COMPLETED", "{done}");
    // Prove.
    assert_eq!(done["report"]["remaining"]["image_sets"], 0, "{done}");
    let job = call(&mut wire, "get_job", json!({ "job_id": done["job_id"] })).await;
    assert_eq!(job["outcomes"].as_array().unwrap().len(), 2);
    let left = json!({ "datastore_id": store, "patient_id": patient });
    let left = call(&mut wire, "search_by_patient_id", left).await;
    assert_eq!(left["image_sets_metadata_summaries"], json!([]));
    let rest = call(&mut wire, "search_image_sets", json!({ "datastore_id": store })).await;
    assert_eq!(rest["image_sets_metadata_summaries"].as_array().unwrap().len(), 2);
    wire.hang_up().await;
}

#[tokio::test]
async fn the_text_alone_is_enough() {
    converse(&[], by_text).await;
    converse(&["--result", "text"], by_text).await;
}

#[tokio::test]
async fn the_structured_content_alone_is_enough() {
    converse(&[], by_structure).await;
    converse(&["--result", "structured"], by_structure).await;
}
