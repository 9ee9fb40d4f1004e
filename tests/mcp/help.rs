//! What helps a client along: completion of arguments, and data stores that say how much they hold.

use healthimaging_phantoms::{Archive, write_to};
use serde_json::{Value, json};

use crate::program;
use crate::wire::{Wire, request};

const ARCHIVE: Archive =
    Archive { patients: 1, studies: 1, series: 2, instances: 2, size: 32, seed: 7, noise: 18.0 };

async fn call(wire: &mut Wire, tool: &str, arguments: Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    let mut answer = wire.ask(request(1, "tools/call", &params)).await;
    assert_eq!(answer["result"]["isError"], false, "{tool}: {answer}");
    answer["result"]["structuredContent"].take()
}

/// A data store with two image sets and a copy, which is not primary.
async fn filled(wire: &mut Wire) -> (Value, Value) {
    let asked = json!({ "datastore_name": "ward", "wait_seconds": 60 });
    let store = call(wire, "create_datastore", asked).await["datastore_id"].take();
    let scans = wire.folder.path().join("scans");
    write_to(&scans, ARCHIVE.files()).unwrap();
    call(wire, "store_dicom_instances", json!({ "paths": [scans] })).await;
    let found = call(wire, "search_image_sets", json!({})).await;
    let set = found["image_sets_metadata_summaries"][0]["image_set_id"].clone();
    let copy = json!({
        "source_image_set_id": set,
        "copy_image_set_information": { "sourceImageSet": { "latestVersionId": "1" } },
        "wait_seconds": 60
    });
    call(wire, "copy_image_set", copy).await;
    (store, set)
}

#[tokio::test]
async fn arguments_of_templates_are_completed() {
    let folder = tempfile::tempdir().unwrap();
    let command = program(folder.path());
    let mut wire = Wire::over(folder, command);
    wire.initialize().await;
    let (store, set) = filled(&mut wire).await;
    let listed = wire.ask(request(2, "resources/templates/list", &json!({}))).await;
    let templates = listed["result"]["resourceTemplates"].as_array().unwrap().clone();
    let read = call(&mut wire, "get_image_set_metadata", json!({ "image_set_id": set })).await;
    let series = read["metadata"]["Study"]["Series"].as_object().unwrap();
    let instances = series.values().next().unwrap()["Instances"].as_object().unwrap();
    let frames: Vec<&Value> =
        instances.values().map(|instance| &instance["ImageFrames"][0]["ID"]).collect();
    let known = json!({ "datastore_id": store, "image_set_id": set });
    let mut completed = 0;
    for template in &templates {
        let uri = template["uriTemplate"].as_str().unwrap();
        for (name, begun, wanted) in [
            ("datastore_id", &store.as_str().unwrap()[..4], json!([store])),
            ("image_set_id", &set.as_str().unwrap()[..8], json!([set])),
            ("version_id", "", json!(["1"])),
            ("image_frame_id", frames[1].as_str().unwrap(), json!([frames[1]])),
            ("format", "p", json!(["png"])),
        ] {
            if !uri.contains(name) {
                continue;
            }
            let params = json!({
                "ref": { "type": "ref/resource", "uri": uri },
                "argument": { "name": name, "value": begun },
                "context": { "arguments": known }
            });
            let answer = wire.ask(request(3, "completion/complete", &params)).await;
            assert_eq!(answer["result"]["completion"]["values"], wanted, "{uri}: {name}");
            completed += 1;
        }
    }
    // Seven templates: one, two, four with three, and one with four of these arguments.
    assert_eq!(completed, 19);
    wire.hang_up().await;
}

#[tokio::test]
async fn a_data_store_counts_its_image_sets() {
    let folder = tempfile::tempdir().unwrap();
    let command = program(folder.path());
    let mut wire = Wire::over(folder, command);
    wire.initialize().await;
    let (store, set) = filled(&mut wire).await;
    let uri = format!("healthimaging://datastores/{}", store.as_str().unwrap());
    let read = |answer: &Value| -> Value {
        let text = answer["result"]["contents"][0]["text"].as_str().unwrap();
        serde_json::from_str(text).unwrap()
    };
    let asked = request(2, "resources/read", &json!({ "uri": uri }));
    let found = read(&wire.ask(asked.clone()).await);
    assert_eq!(found["datastore_name"], "ward");
    let counts = json!({ "image_sets": 3, "primary_image_sets": 2 });
    assert_eq!(found["counts"], counts);
    let mut delete = json!({ "datastore_id": store, "image_set_id": set, "wait_seconds": 60 });
    let plan = call(&mut wire, "delete_image_set", delete.clone()).await;
    delete["confirmation_token"] = plan["confirmation_token"].clone();
    call(&mut wire, "delete_image_set", delete).await;
    let counts = json!({ "image_sets": 2, "primary_image_sets": 1 });
    assert_eq!(read(&wire.ask(asked).await)["counts"], counts);
    wire.hang_up().await;
}
