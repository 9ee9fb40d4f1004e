//! `import`: which files are imported, and how the outcome is reported.

use healthimaging_phantoms::Phantom;
use serde_json::json;

use crate::http::Served;
use crate::rig::{Rig, stderr, text};

#[test]
fn import_makes_the_data_store_and_says_what_it_did() {
    let rig = Rig::new();
    let output = rig.run(&["import", text(&rig.scans()), "--datastore", "research"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stdout.is_empty(), "stdout is for results");
    let said = stderr(&output);
    assert!(said.contains("6 files seen, 6 imported, 0 failed, 0 skipped"), "{said}");
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
fn files_that_are_named_twice_are_imported_once() {
    let rig = Rig::new();
    let scans = rig.scans();
    let first = std::fs::read_dir(&scans).unwrap().next().unwrap().unwrap().path();
    let again = scans.join("../scans");
    let output = rig.run(&["import", text(&first), text(&scans), text(&first), text(&again)]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("6 files seen, 6 imported"), "{}", stderr(&output));
}

#[test]
fn import_has_exit_codes_for_refused_files_and_for_errors() {
    let rig = Rig::new();
    let scans = rig.scans();
    std::fs::write(scans.join("scan.bin"), [1; 200]).unwrap();
    std::fs::write(scans.join("empty.dcm"), "").unwrap();
    let partly = rig.run(&["import", text(&scans)]);
    assert_eq!(partly.status.code(), Some(3), "{}", stderr(&partly));
    assert!(stderr(&partly).contains("scan.bin: not a DICOM Part 10 file"));
    assert!(stderr(&partly).contains("empty.dcm: the file is empty"));
    assert!(stderr(&partly).contains("6 imported, 2 failed, 0 skipped"));

    let missing = rig.run(&["import", text(&rig.path("nowhere"))]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("nowhere cannot be read"));
    let forbidden = rig.run(&["--read-only", "import", text(&scans)]);
    assert_eq!(forbidden.status.code(), Some(1));
}

#[test]
fn an_empty_folder_creates_no_data_store() {
    let rig = Rig::new();
    std::fs::create_dir_all(rig.path("empty/below")).unwrap();
    let refused = rig.run(&["import", text(&rig.path("empty"))]);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("there is no file in it"), "{}", stderr(&refused));
    assert!(!rig.path("store").exists());
}

#[test]
fn a_folder_that_an_export_wrote_is_imported() {
    let (rig, other) = (Rig::new(), Rig::new());
    let imported = rig.run(&["import", text(&rig.scans())]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let out = rig.path("out");
    let exported = rig.run(&["export", "--out", text(&out)]);
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    // With its manifest and its lists, of which that of failures is empty.
    let again = other.run(&["import", text(&out)]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert!(stderr(&again).contains("6 imported, 0 failed"), "{}", stderr(&again));
}

/// A DICOMDIR that names files (PS3.3 §F.3): explicit VR little endian.
fn media_directory(files: &[&str]) -> Vec<u8> {
    let element = |group: u16, number: u16, vr: &str, value: &[u8]| {
        let mut bytes = [group.to_le_bytes(), number.to_le_bytes()].concat();
        bytes.extend(vr.as_bytes());
        if vr == "SQ" {
            bytes.extend([0, 0]);
            bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        } else {
            bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        }
        [bytes, value.to_vec()].concat()
    };
    let records = files.iter().flat_map(|file| {
        let padded = format!("{file}{}", if file.len() % 2 == 1 { " " } else { "" });
        let record = element(0x0004, 0x1500, "CS", padded.as_bytes());
        let length = u32::try_from(record.len()).unwrap().to_le_bytes();
        [vec![0xFE, 0xFF, 0x00, 0xE0], length.to_vec(), record].concat()
    });
    let records: Vec<u8> = records.collect();
    [
        vec![0; 128],
        b"DICM".to_vec(),
        element(0x0002, 0x0002, "UI", b"1.2.840.10008.1.3.10"),
        element(0x0002, 0x0010, "UI", b"1.2.840.10008.1.2.1\0"),
        element(0x0004, 0x1130, "CS", b"DISK"),
        element(0x0004, 0x1220, "SQ", &records),
    ]
    .concat()
}

#[test]
fn a_folder_from_a_medium_is_imported_without_what_is_something_else() {
    let rig = Rig::new();
    let disk = rig.path("disk");
    std::fs::create_dir_all(disk.join("images")).unwrap();
    let image = |number: u32| Phantom::ct().size(16, 16).instance_number(number).build();
    std::fs::write(disk.join("images/im1"), image(1)).unwrap();
    std::fs::write(disk.join("DICOMDIR"), media_directory(&["IMAGES\\IM1"])).unwrap();
    let program = [&b"MZ\x90\0"[..], &[0; 100]].concat();
    for (name, content) in [
        ("viewer.exe", program.as_slice()),
        ("viewer.dll", &program),
        ("autorun.inf", b"[autorun]\r\nopen=viewer.exe\r\n"),
        ("index\u{1B}.htm", b"<!DOCTYPE html><html></html>"),
        ("logo.png", b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR"),
        ("job-output-manifest.json", b"{\"jobSummary\":{}}\n"),
    ] {
        std::fs::write(disk.join(name), content).unwrap();
    }
    let output = rig.run(&["import", text(&disk)]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let counted = "8 files seen, 1 imported, 0 failed, 7 skipped (1 DICOMDIR, 2 programs, 1 picture, \
                   1 HTML or XML file, 1 import manifest, 1 text)";
    assert!(said.contains(counted), "{said}");
    assert!(said.contains("index\\u{1b}.htm: not a DICOM instance"), "{said}");
    assert!(!said.contains('\u{1B}'), "{said}");

    // What the DICOMDIR names has to be there, and to be an instance.
    let named = ["IMAGES\\IM1", "IMAGES\\IM2", "AUTORUN.INF"];
    std::fs::write(disk.join("DICOMDIR"), media_directory(&named)).unwrap();
    let output = rig.run(&["import", text(&disk)]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("IMAGES/IM2: a DICOMDIR names this file, and it is not there"), "{said}");
    assert!(said.contains("autorun.inf: a DICOMDIR names this file, and it is a text"), "{said}");
    assert!(said.contains("1 imported, 2 failed, 6 skipped"), "{said}");
}

#[test]
fn an_import_into_aws_stores_by_dicomweb() {
    // This program's own HTTP face stands for AWS; it checks every signature.
    let (far, near) = (Rig::new(), Rig::new());
    let served = Served::start(&far, &["--http-access-key", "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG"]);
    let endpoint = format!("http://{}", served.address);
    let scans = near.scans();
    std::fs::write(scans.join("readme.txt"), "[autorun]\r\n").unwrap();
    let import = |datastore: &str| {
        let mut command =
            near.command(&["--backend", "aws", "--endpoint-url", &endpoint, "import"]);
        command
            .args([text(&scans), "--datastore", datastore])
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG");
        command.output().unwrap()
    };
    let missing = import("research");
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("create_datastore"), "{}", stderr(&missing));

    far.call("create_datastore", &json!({ "datastore_name": "research" }));
    let output = import("research");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("7 files seen, 6 imported, 0 failed, 1 skipped (1 text), 0 with"),
        "{said}"
    );
    assert!(said.contains("2 image sets in data store research"), "{said}");
    let found = far.call("search_image_sets", &json!({}));
    assert_eq!(found["image_sets_metadata_summaries"].as_array().unwrap().len(), 2);

    std::fs::write(scans.join("broken.dcm"), [&[0; 128][..], b"DICM"].concat()).unwrap();
    let partly = import("research");
    assert_eq!(partly.status.code(), Some(3), "{}", stderr(&partly));
    assert!(stderr(&partly).contains("1 failed"), "{}", stderr(&partly));
}
