//! Storing local files, and copying from another data store.

use healthimaging_phantoms::{Phantom, PhantomFile, write_to};
use serde_json::{Value, json};

use crate::rig::{ARCHIVE, Rig};

fn slice(number: u32) -> Phantom {
    Phantom::ct()
        .size(16, 16)
        .study_uid("2.25.1")
        .series_uid("2.25.1.1")
        .sop_uid(&format!("2.25.1.1.{number}"))
        .instance_number(number)
}

fn file(name: &str, phantom: Phantom) -> PhantomFile {
    PhantomFile { relative_path: name.into(), bytes: phantom.build() }
}

async fn image_sets(rig: &Rig, datastore: &str) -> Vec<Value> {
    let asked = json!({ "datastore_id": datastore, "max_results": 100 });
    let found = rig.call("search_image_sets", asked).await;
    found["image_sets_metadata_summaries"].as_array().unwrap().clone()
}

async fn instances(rig: &Rig, datastore: &str, set: &Value) -> Vec<String> {
    let asked = json!({ "datastore_id": datastore, "image_set_id": set });
    let found = rig.call("get_image_set_metadata", asked).await;
    let series = found["metadata"]["Study"]["Series"].as_object().unwrap();
    let instances = series.values().map(|one| one["Instances"].as_object().unwrap());
    instances.flat_map(|all| all.keys().cloned()).collect()
}

pub(crate) async fn files_and_folders_are_stored_and_each_has_its_outcome(rig: Rig) {
    let datastore = rig.datastore().await;
    let folder = rig.allowed().join("scans");
    write_to(&folder, ARCHIVE.files()).unwrap();
    std::fs::write(folder.join("notes.txt"), "not DICOM").unwrap();
    let one = rig.allowed().join("one");
    write_to(&one, [file("1.dcm", slice(1))]).unwrap();
    let asked = json!({
        "datastore_id": datastore,
        "paths": [folder, one.join("1.dcm"), folder],
    });
    let answer = rig.call("store_dicom_instances", asked).await;
    assert_eq!(answer["stored"], 25, "{answer}");
    assert_eq!(answer["failed"], 1);
    assert_eq!(answer["not_tried"], 0);
    let failed = answer["failures"][0]["item"].as_str().unwrap();
    assert_eq!(failed, folder.join("notes.txt").to_str().unwrap());
    let instances: u64 = answer["image_sets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| set["instances"].as_u64().unwrap())
        .sum();
    assert_eq!(instances, 25);
    assert_eq!(image_sets(&rig, &datastore).await.len(), 9);
}

pub(crate) async fn what_may_not_be_read_is_not_stored(rig: Rig) {
    let datastore = rig.datastore().await;
    let store = "store_dicom_instances";
    let asked = |path: &str| json!({ "datastore_id": datastore, "paths": [path] });
    let message = rig.refusal(store, asked("/etc"), "auth_error").await;
    assert!(message.contains("--allow-path"), "{message}");
    rig.refusal(store, asked("scans"), "validation_error").await;
    let missing = rig.allowed().join("missing");
    rig.refusal(store, asked(missing.to_str().unwrap()), "not_found").await;
    let empty = rig.allowed().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let message = rig.refusal(store, asked(empty.to_str().unwrap()), "validation_error").await;
    assert!(message.contains("nothing to store"), "{message}");
    let none = json!({ "datastore_id": datastore, "paths": [] });
    rig.refusal(store, none, "validation_error").await;
    write_to(&rig.allowed().join("one"), [file("1", slice(1))]).unwrap();
    let nowhere = json!({
        "datastore_id": "0123456789abcdef0123456789abcdef", "paths": [rig.allowed().join("one")],
    });
    rig.refusal(store, nowhere, "not_found").await;
    assert!(image_sets(&rig, &datastore).await.is_empty());
}

pub(crate) async fn an_image_set_is_copied_into_another_data_store(rig: Rig) {
    let from = rig.datastore().await;
    rig.import(&from, [file("1", slice(1)), file("2", slice(2))]).await;
    let to = rig.datastore().await;
    let source = image_sets(&rig, &from).await[0]["image_set_id"].clone();
    let asked = json!({
        "datastore_id": to, "source_datastore_id": from, "source_image_set_id": source,
        "copy_image_set_information": { "sourceImageSet": { "latestVersionId": "1" } },
    });
    let answer = rig.answer("copy_image_set", asked.clone()).await.unwrap();
    let summary = answer.summary();
    assert!(summary.contains("Retrieved from data store"), "{summary}");
    let copied = Value::Object(answer.structured);
    assert_eq!(copied["datastore_id"], to.as_str());
    assert_eq!(copied["source_image_set_properties"]["image_set_id"], source);
    assert_eq!(copied["across_data_stores"]["stored"], 2);
    let destination = &copied["destination_image_set_properties"]["image_set_id"];
    assert_ne!(destination, &source);
    let held = ["2.25.1.1.1", "2.25.1.1.2"];
    assert_eq!(instances(&rig, &to, destination).await, held);
    assert_eq!(instances(&rig, &from, &source).await, held, "the source stays");

    let mut stale = asked.clone();
    stale["copy_image_set_information"]["sourceImageSet"]["latestVersionId"] = json!("7");
    let message = rig.refusal("copy_image_set", stale, "service_error").await;
    assert!(message.contains("latest version"), "{message}");
    let mut into = asked.clone();
    into["copy_image_set_information"]["destinationImageSet"] =
        json!({ "imageSetId": destination, "latestVersionId": "1" });
    let message = rig.refusal("copy_image_set", into, "validation_error").await;
    assert!(message.contains("destinationImageSet"), "{message}");
    let mut forced = asked;
    forced["force"] = json!(true);
    rig.refusal("copy_image_set", forced, "validation_error").await;
}

pub(crate) async fn a_part_of_an_image_set_is_copied_into_another_data_store(rig: Rig) {
    let from = rig.datastore().await;
    let files = (1..=3).map(|number| file(&number.to_string(), slice(number)));
    rig.import(&from, files).await;
    let to = rig.datastore().await;
    let source = image_sets(&rig, &from).await[0]["image_set_id"].clone();
    let asked = |sop: &str| {
        let part = json!({ "SchemaVersion": "1.1", "Study": { "Series": { "2.25.1.1": {
            "Instances": { sop: {} } } } } });
        json!({
            "datastore_id": to, "source_datastore_id": from, "source_image_set_id": source,
            "copy_image_set_information": { "sourceImageSet": { "latestVersionId": "1",
                "DICOMCopies": { "copiableAttributes": part.to_string() } } },
        })
    };
    let copied = rig.call("copy_image_set", asked("2.25.1.1.2")).await;
    let destination = &copied["destination_image_set_properties"]["image_set_id"];
    assert_eq!(instances(&rig, &to, destination).await, ["2.25.1.1.2"]);
    let message = rig.refusal("copy_image_set", asked("2.25.9"), "validation_error").await;
    assert!(message.contains("does not hold"), "{message}");
}
