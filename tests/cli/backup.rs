//! `backup` and `restore`: copies of a store that is in use, and what a kill leaves.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};

use healthimaging_phantoms::{Archive, Phantom, write_to};
use serde_json::{Value, json};

use crate::rig::{Rig, stderr, stdout, text};

/// What the summaries of all image sets of a store have there; it has fewer than 50.
fn all(rig: &Rig, pointer: &str) -> Vec<String> {
    let found = rig.call("search_image_sets", &json!({ "max_results": 50 }));
    let found = found["image_sets_metadata_summaries"].as_array().unwrap();
    found.iter().map(|set| set.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
}

/// The IDs of all image sets of a store.
fn image_sets(rig: &Rig) -> BTreeSet<String> {
    all(rig, "/image_set_id").into_iter().collect()
}

/// Series Instance UIDs of all image sets of a store.
fn series(rig: &Rig) -> Vec<String> {
    all(rig, "/dicom_tags/DICOMSeriesInstanceUID")
}

fn run(rig: &Rig, words: &[&str]) {
    let output = rig.run(words);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {}{}", stdout(&output), stderr(&output));
}

/// The document of an image set, and its first frame as stored.
fn content(rig: &Rig, set: &str) -> (Value, Value) {
    let read = rig.call("get_image_set_metadata", &json!({ "image_set_id": set }));
    let series = read["metadata"]["Study"]["Series"].as_object().unwrap();
    let instances = series.values().next().unwrap()["Instances"].as_object().unwrap();
    let uid = instances.keys().next().unwrap();
    let asked = json!({ "image_set_id": set, "sop_instance_uid": uid, "format": "stored" });
    let frame = rig.call("get_image_frame", &asked);
    (read["metadata"].clone(), frame["image_frame_blob"].clone())
}

/// Writes a file that makes an image set of its own, and returns its path.
fn image(rig: &Rig, number: u32) -> String {
    let path = rig.path(&format!("{number}.dcm"));
    let file = Phantom::mr()
        .size(8, 8)
        .seed(number.into())
        .study_uid(&format!("2.25.{number}"))
        .series_uid(&format!("2.25.{number}.1"))
        .sop_uid(&format!("2.25.{number}.1.1"));
    std::fs::write(&path, file.build()).unwrap();
    text(&path).to_owned()
}

fn started(rig: &Rig, words: &[&str]) -> Child {
    rig.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_backup_of_a_store_in_use_has_all_that_was_acknowledged() {
    let (rig, other) = (Rig::new(), Rig::new());
    run(&rig, &["import", text(&rig.scans())]);
    let before = image_sets(&rig);
    let mut known: BTreeSet<String> = series(&rig).into_iter().collect();
    let backup = rig.path("backup");
    // Imports and a deletion run during the backup.
    let imports: Vec<Child> =
        (1..=6).map(|number| started(&rig, &["import", &image(&rig, number)])).collect();
    let doomed = before.iter().next().unwrap();
    let stores = rig.call("list_datastores", &json!({}));
    let datastore = &stores["datastore_summaries"][0]["datastore_id"];
    let delete = json!({ "datastore_id": datastore, "image_set_id": doomed }).to_string();
    let deletion = started(&rig, &["call", "delete_image_set", &delete, "--yes"]);
    let output = rig.run(&["backup", text(&backup)]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("0 damaged"), "{}", stderr(&output));
    for child in imports.into_iter().chain([deletion]) {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    }
    let after = image_sets(&rig);
    known.extend(series(&rig));

    let restored = other.run(&["restore", text(&backup)]);
    assert_eq!(restored.status.code(), Some(0), "{}", stderr(&restored));
    run(&other, &["verify"]);
    let copied = image_sets(&other);
    let kept: BTreeSet<String> = before.intersection(&after).cloned().collect();
    assert!(copied.is_superset(&kept) && !kept.is_empty(), "{copied:?} {kept:?}");
    // An import that had not ended continues in the copy, where its image set has an ID of its own.
    let found = series(&other);
    let distinct: BTreeSet<String> = found.iter().cloned().collect();
    assert!(distinct.len() == found.len() && distinct.is_subset(&known), "{found:?} {known:?}");
    for set in &kept {
        assert_eq!(content(&other, set), content(&rig, set));
    }
    // The restored store is a store like any other.
    run(&other, &["import", &image(&other, 7)]);
    run(&other, &["verify"]);
}

#[test]
fn nothing_is_overwritten() {
    let rig = Rig::new();
    run(&rig, &["import", &image(&rig, 1)]);
    let (backup, full) = (rig.path("backup"), rig.path("full"));
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("notes.txt"), "").unwrap();
    run(&rig, &["backup", text(&backup)]);
    let inside = rig.path("store/backup");
    for words in [
        ["backup", text(&full)],
        ["backup", text(&backup)],
        ["restore", text(&backup)],
        ["backup", text(&inside)],
    ] {
        let output = rig.run(&words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", stderr(&output));
        let refused = ["is not empty", "lies in the folder of the store"];
        assert!(refused.iter().any(|why| stderr(&output).contains(why)), "{}", stderr(&output));
    }
    assert_eq!(std::fs::read_dir(&full).unwrap().count(), 1);
    // What is refused is not made either.
    let deep = rig.path("store/a/b");
    let refused = rig.run(&["backup", text(&deep)]);
    assert!(stderr(&refused).contains("lies in the folder of the store"), "{}", stderr(&refused));
    assert!(!rig.path("store/a").exists());
    let refused = rig.run(&["backup", text(&full.join("notes.txt"))]);
    assert!(stderr(&refused).contains("it is a file"), "{}", stderr(&refused));
    let other = Rig::new();
    let missing = other.run(&["restore", text(&other.path("nothing"))]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("there is no backup"), "{}", stderr(&missing));
    assert!(!other.path("store").exists());
}

#[cfg(unix)]
#[test]
fn a_killed_backup_is_not_a_store_and_can_be_repeated() {
    let rig = Rig::new();
    let archive = Archive {
        patients: 20,
        studies: 1,
        series: 1,
        instances: 2,
        size: 64,
        ..Archive::default()
    };
    write_to(&rig.path("scans"), archive.files()).unwrap();
    run(&rig, &["import", text(&rig.path("scans"))]);
    let sets = image_sets(&rig);
    let backup = rig.path("backup");
    let packs = backup.join(".unfinished/packs");
    let mut killed = 0;
    for _ in 0..5 {
        let mut child = started(&rig, &["backup", text(&backup)]);
        // Killed when it has begun to copy, or at its end.
        while !packs.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if backup.join("catalogue.sqlite").exists() {
            std::fs::remove_dir_all(&backup).unwrap();
            continue;
        }
        killed += 1;
        let words = ["--data-dir", text(&backup), "verify"];
        let output = rig.command(&[]).args(&words[..]).output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    assert!(killed > 0, "no backup was killed in time");
    run(&rig, &["backup", text(&backup)]);
    assert!(!backup.join(".unfinished").exists());
    let other = Rig::new();
    run(&other, &["restore", text(&backup)]);
    assert_eq!(image_sets(&other), sets);
    run(&rig, &["verify"]);
}

#[cfg(unix)]
#[test]
fn backups_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    fn check(path: &Path) {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                check(&entry.unwrap().path());
            }
        }
    }
    let rig = Rig::new();
    run(&rig, &["import", &image(&rig, 1)]);
    run(&rig, &["backup", text(&rig.path("backup"))]);
    check(&rig.path("backup"));
}
