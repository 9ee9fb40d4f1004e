//! `import`: what goes in, and how it is told.

use healthimaging_phantoms::Phantom;
use serde_json::json;

use crate::rig::{Rig, stderr, text};

#[test]
fn import_makes_the_data_store_and_says_what_it_did() {
    let rig = Rig::new();
    let output = rig.run(&["import", text(&rig.scans()), "--datastore", "research"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stdout.is_empty(), "stdout is for results");
    let said = stderr(&output);
    assert!(said.contains("6 files seen, 6 imported, 0 refused"), "{said}");
    assert!(said.contains("2 image sets in data store research"), "{said}");

    let stores = rig.call("list_datastores", &json!({}));
    assert_eq!(stores["datastore_summaries"][0]["datastore_name"], "research");
    let found = rig.call("search_image_sets", &json!({}));
    assert_eq!(found["image_sets_metadata_summaries"].as_array().unwrap().len(), 2);
    assert_eq!(rig.run(&["verify"]).status.code(), Some(0));
}

#[test]
fn several_paths_and_the_only_data_store_will_do() {
    let rig = Rig::new();
    let one = rig.path("one.dcm");
    std::fs::write(&one, Phantom::mr().size(16, 16).build()).unwrap();
    let output = rig.run(&["import", text(&one), text(&rig.scans())]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("7 imported"));
    assert!(stderr(&output).contains("data store default"));
    let again = rig.run(&["import", text(&one)]);
    assert_eq!(again.status.code(), Some(0));
    let stores = rig.call("list_datastores", &json!({}));
    assert_eq!(stores["datastore_summaries"].as_array().unwrap().len(), 1);
}

#[test]
fn import_exit_codes_tell_refusals_from_errors() {
    let rig = Rig::new();
    let scans = rig.scans();
    std::fs::write(scans.join("notes.txt"), "no DICOM").unwrap();
    let partly = rig.run(&["import", text(&scans)]);
    assert_eq!(partly.status.code(), Some(3), "{}", stderr(&partly));
    assert!(stderr(&partly).contains("notes.txt: not a DICOM Part 10 file"));
    assert!(stderr(&partly).contains("6 imported, 1 refused"));

    let missing = rig.run(&["import", text(&rig.path("nowhere"))]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("nowhere cannot be read"));
    let forbidden = rig.run(&["--read-only", "import", text(&scans)]);
    assert_eq!(forbidden.status.code(), Some(1));
}
