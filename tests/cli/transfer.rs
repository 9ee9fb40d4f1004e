//! `transfer`: what it prints, what it refuses, and its exit codes.

use dicom_dictionary_std::tags;
use healthimaging_phantoms::{Phantom, PhantomFile, VR, write_to};
use serde_json::{Value, json};

use crate::rig::{Rig, stderr, stdout, text};

/// A store with the data stores `ward`, which holds two series of three slices, and `research`, which is empty.
fn filled() -> Rig {
    let rig = Rig::new();
    let imported = rig.run(&["import", text(&rig.scans()), "--datastore", "ward"]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    make(&rig, "research");
    rig
}

fn make(rig: &Rig, name: &str) {
    rig.call("create_datastore", &json!({ "datastore_name": name, "wait_seconds": 60 }));
}

fn transfer(rig: &Rig, to: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let mut words = vec!["transfer", "--from", "ward", "--to", to];
    words.extend(more);
    let output = rig.run(&words);
    (output.status.code(), stdout(&output), stderr(&output))
}

fn object(printed: &str) -> Value {
    let [line] = printed.lines().collect::<Vec<_>>()[..] else { panic!("{printed}") };
    serde_json::from_str(line).unwrap()
}

#[test]
fn the_result_is_printed_for_people_or_as_json() {
    let rig = filled();
    let (code, printed, said) = transfer(&rig, "research", &["--all", "--dry-run", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(object(&printed)["instances"], 6);
    let (code, printed, said) = transfer(&rig, "research", &["--all"]);
    assert_eq!((code, printed.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("6 instances transferred") && said.contains("0 failed"), "{said}");
    // What is there already is not sent again.
    let (code, printed, said) = transfer(&rig, "research", &["--all", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let done = object(&printed);
    assert_eq!(
        (&done["outcome"], &done["instances_there_before"], &done["reasons"]),
        (&json!("done"), &json!(6), &json!([]))
    );
}

#[test]
fn what_matches_nothing_or_cannot_be_read_is_refused() {
    let rig = filled();
    for (more, code, words) in [
        (&["--study", "1.2.3"][..], 1, "nothing is transferred"),
        (&["--study", "1.2.3", "--dry-run"], 1, "nothing is transferred"),
        (&["--patient", "NOBODY"], 1, "nothing is transferred"),
        (&["--study", "not a uid"], 2, "a UID has digits and periods"),
        (&["--criteria", r#"{"patient_idd": "DOE"}"#], 1, "unknown member"),
        (&["--criteria", r#"{"patient_id": 7}"#], 1, "expected text"),
        (&["--criteria", "{"], 1, "it is not JSON"),
        (&["--criteria", "{}"], 1, "--all"),
        (&[], 2, "--study"),
    ] {
        let (found, printed, said) = transfer(&rig, "research", more);
        assert_eq!(found, Some(code), "{more:?}: {said}");
        assert!(said.contains(words), "{more:?}: {said}");
        assert!(printed.is_empty(), "{more:?}");
    }
    let (code, _, said) = transfer(&rig, "foo:research", &["--all"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("--to: only aws: and local: may precede"), "{said}");
    // The data store that is empty has nothing either.
    let output = rig.run(&["transfer", "--from", "research", "--to", "ward", "--all"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nothing is transferred"), "{}", stderr(&output));
}

/// Slices of one series with this description.
fn slices(rig: &Rig, folder: &str, numbers: std::ops::Range<u32>, description: &str) {
    let file = |number: u32| {
        let phantom = Phantom::ct()
            .size(16, 16)
            .study_uid("2.25.6")
            .series_uid("2.25.6.1")
            .sop_uid(&format!("2.25.6.1.{number}"))
            .study_description(description);
        PhantomFile { relative_path: format!("{number}.dcm").into(), bytes: phantom.build() }
    };
    write_to(&rig.path(folder), numbers.map(file)).unwrap();
}

#[test]
fn reasons_are_counted_and_the_exit_code_says_whether_anything_arrived() {
    let rig = Rig::new();
    slices(&rig, "own", 1..4, "OWN");
    slices(&rig, "other", 1..4, "OTHER");
    for (folder, datastore) in [("own", "ward"), ("other", "research")] {
        let imported = rig.run(&["import", text(&rig.path(folder)), "--datastore", datastore]);
        assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    }
    // All three UIDs are taken by other instances.
    let (code, printed, said) = transfer(&rig, "research", &["--all", "--json"]);
    assert_eq!(code, Some(1), "{said}");
    let reason = "3 instances: the destination has another instance of this UID, which stays; it differs in \
                  StudyDescription";
    assert!(said.contains(reason), "{said}");
    let done = object(&printed);
    assert_eq!((&done["outcome"], &done["instances_failed"]), (&json!("failed"), &json!(3)));
    assert_eq!(done["reasons"][0]["instances"], 3, "{done}");
    // A fourth one arrives.
    slices(&rig, "more", 4..5, "OWN");
    let imported = rig.run(&["import", text(&rig.path("more")), "--datastore", "ward"]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let (code, _, said) = transfer(&rig, "research", &["--all"]);
    assert_eq!(code, Some(3), "{said}");
}

#[test]
fn instances_are_deidentified_and_those_at_risk_held_back() {
    let rig = Rig::new();
    let capture = Phantom::ct()
        .size(8, 10)
        .bits(8, 8)
        .unsigned()
        .pixels(vec![200; 80])
        .patient("SECRET^NAME", "SECRET-MRN")
        .study_uid("2.25.7")
        .series_uid("2.25.7.1")
        .sop_uid("2.25.7.1.1")
        .with(tags::MODALITY, VR::CS, "OT");
    let slice = Phantom::ct()
        .size(16, 16)
        .patient("SECRET^NAME", "SECRET-MRN")
        .study_uid("2.25.7")
        .series_uid("2.25.7.2")
        .sop_uid("2.25.7.2.1");
    let file = |name: &str, phantom: Phantom| PhantomFile {
        relative_path: name.into(),
        bytes: phantom.build(),
    };
    write_to(&rig.path("scans"), [file("1.dcm", capture), file("2.dcm", slice)]).unwrap();
    let imported = rig.run(&["import", text(&rig.path("scans")), "--datastore", "ward"]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    make(&rig, "research");
    let (code, printed, said) =
        transfer(&rig, "research", &["--all", "--deidentify", "basic", "--json"]);
    assert_eq!(code, Some(3), "{said}");
    let done = object(&printed);
    assert_eq!(
        (&done["instances_transferred"], &done["instances_held_back"]),
        (&json!(1), &json!(1)),
        "{done}"
    );
    assert!(said.contains("1 instance: held back: "), "{said}");
    let found = rig.call("search_image_sets", &json!({ "datastore_id": "research" }));
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    assert_eq!(sets.len(), 1);
    assert!(!found.to_string().contains("SECRET"), "{found}");
}
