//! `call` and `tools`: calling and listing tools from the shell.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use healthimaging_phantoms::{Archive, Phantom, PhantomFile, write_to};
use serde_json::{Value, json};

use crate::rig::{Rig, stderr, stdout, text};

#[test]
fn a_picture_goes_to_a_file() {
    let rig = Rig::new();
    let imported = rig.run(&["import", text(&rig.scans())]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let found = rig.call("search_image_sets", &json!({}));
    let set = &found["image_sets_metadata_summaries"][0]["image_set_id"];
    let read = rig.call("get_image_set_metadata", &json!({ "image_set_id": set }));
    let series = read["metadata"]["Study"]["Series"].as_object().unwrap();
    let instances = series.values().next().unwrap()["Instances"].as_object().unwrap();
    let uid = instances.keys().next().unwrap();

    let (picture, stored) = (rig.path("one.png"), rig.path("one.j2c"));
    let asked = json!({ "image_set_id": set, "sop_instance_uid": uid }).to_string();
    let output = rig.run(&["call", "get_image_frame", &asked, "--output", text(&picture)]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert_eq!(std::fs::read(&picture).unwrap()[..8], *b"\x89PNG\r\n\x1a\n");
    let output = rig.run(&["call", "get_image_frame", &asked]);
    assert!(stderr(&output).contains("--output"), "{}", stderr(&output));

    let as_stored = ["call", "get_image_frame", &asked, "--frame-format", "stored"];
    let output = rig.run(&[&as_stored[..], &["--output", text(&stored)]].concat());
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let bytes = std::fs::read(&stored).unwrap();
    assert_eq!(answer["size_bytes"], bytes.len());
    assert!(answer.get("image_frame_blob").is_none());
    // The signature box of JP2: ISO/IEC 15444-1 I.5.1.
    assert_eq!(bytes[..12], *b"\0\0\0\x0cjP  \r\n\x87\n");
}

#[test]
fn call_prints_json_and_reads_it_from_stdin() {
    let rig = Rig::new();
    let mut child = rig.command(&["call", "create_datastore", "-"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(br#"{"datastore_name": "piped"}"#).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let got = rig.call("get_datastore", &json!({ "datastore_id": made["datastore_id"] }));
    assert_eq!(got["datastore_properties"]["datastore_name"], "piped");

    let refused = rig.run(&["call", "get_datastore", r#"{"datastore_id": "short"}"#]);
    assert_eq!(refused.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((&error["error"], &error["type"]), (&json!(true), &json!("validation_error")));
    let garbage = rig.run(&["call", "get_datastore", "{"]);
    assert_eq!(garbage.status.code(), Some(1));
    assert!(garbage.stdout.is_empty() && stderr(&garbage).contains("not JSON"));
}

#[test]
fn call_waits_for_the_job_that_a_tool_starts() {
    let rig = Rig::new();
    let imported = rig.run(&["import", text(&rig.scans())]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let found = rig.call("search_image_sets", &json!({}));
    let patient = &found["image_sets_metadata_summaries"][0]["dicom_tags"]["DICOMPatientId"];
    let asked = json!({ "patient_id": patient, "metadata_updates": { "PatientName": "DOE^JANE" } });
    let output = rig.run(&["call", "bulk_update_patient_metadata", &asked.to_string(), "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let job: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(job["job_status"], "COMPLETED", "{job}");
    assert_eq!((&job["items_done"], &job["items_failed"]), (&json!(2), &json!(0)));
    assert_eq!(stderr(&output).lines().count(), 1, "the back end; progress is for terminals");
    // Unless `wait_seconds` says otherwise.
    let (out, uri) = (rig.path("out"), rig.path("out").display().to_string());
    let asked = json!({ "output_s3_uri": format!("file://{uri}/"), "wait_seconds": 0 }).to_string();
    std::fs::create_dir(&out).unwrap();
    let output = rig.run(&["--allow-path", &uri, "call", "start_dicom_export_job", &asked]);
    let job: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(job.get("ended_at").is_none(), "{job}");
}

#[test]
fn the_exit_code_of_call_says_whether_items_failed() {
    let rig = Rig::new();
    let imported = rig.run(&["import", text(&rig.scans())]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let out = rig.path("out");
    std::fs::create_dir(&out).unwrap();
    let uri = format!("file://{}/", text(&out));
    let export = || {
        let asked = json!({ "output_s3_uri": uri }).to_string();
        rig.run(&["--allow-path", text(&out), "call", "start_dicom_export_job", &asked])
    };
    let first = export();
    assert_eq!(first.status.code(), Some(0), "{}", stdout(&first));
    let first: Value = serde_json::from_slice(&first.stdout).unwrap();
    let files = first["files_s3_uri"].as_str().unwrap().strip_prefix("file://").unwrap();
    // Files with other content are not replaced.
    let paths: Vec<PathBuf> = walk(Path::new(files));
    assert_eq!(paths.len(), 6);
    for path in &paths {
        std::fs::write(path, "something else").unwrap();
    }
    let none = export();
    let answer: Value = serde_json::from_slice(&none.stdout).unwrap();
    assert_eq!((&answer["files_done"], &answer["files_failed"]), (&json!(6), &json!(6)));
    assert_eq!(none.status.code(), Some(1), "{answer}");
    std::fs::remove_file(&paths[0]).unwrap();
    let some = export();
    let answer: Value = serde_json::from_slice(&some.stdout).unwrap();
    assert_eq!((&answer["files_done"], &answer["files_failed"]), (&json!(6), &json!(5)));
    assert_eq!(some.status.code(), Some(3), "{answer}");
    // A call that only reads such a job succeeds.
    rig.call("get_job", &json!({ "job_id": answer["job_id"] }));
}

#[test]
fn call_waits_for_the_import_that_it_starts() {
    let rig = Rig::new();
    let scans = rig.scans();
    let made = rig.call("create_datastore", &json!({ "datastore_name": "imported" }));
    let import = |folder: &Path, allowed: &Path| {
        let asked = json!({
            "datastore_id": made["datastore_id"], "input_s3_uri": format!("file://{}/", text(folder)),
        });
        let words = ["--allow-path", text(allowed), "call", "start_dicom_import_job"];
        let output = rig.run(&[&words[..], &[&asked.to_string()]].concat());
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (code, all) = import(&scans, &scans);
    assert_eq!((code, &all["job_status"]), (Some(0), &json!("COMPLETED")), "{all}");
    let counts = &all["outcome"];
    assert_eq!(
        (&counts["files_imported"], &counts["files_failed"]),
        (&json!(6), &json!(0)),
        "{all}"
    );
    assert!(all.get("ended_at").is_some(), "{all}");
    let found = rig.call("search_image_sets", &json!({ "datastore_id": made["datastore_id"] }));
    assert_eq!(found["image_sets_metadata_summaries"].as_array().unwrap().len(), 2);

    std::fs::write(scans.join("notes.txt"), "not DICOM").unwrap();
    let (code, some) = import(&scans, &scans);
    assert_eq!((code, &some["outcome"]["files_failed"]), (Some(3), &json!(1)), "{some}");
    let none = rig.path("none");
    std::fs::create_dir(&none).unwrap();
    std::fs::write(none.join("notes.txt"), "not DICOM").unwrap();
    let (code, none) = import(&none, &none);
    assert_eq!(code, Some(1), "{none}");

    let outside = rig.path("outside");
    std::fs::create_dir(&outside).unwrap();
    for (folder, allowed) in [(&outside, &scans), (&scans.join("missing"), &scans)] {
        let (code, answer) = import(folder, allowed);
        assert_eq!(code, Some(1), "{answer}");
    }
}

#[test]
fn call_refuses_a_member_twice() {
    let rig = Rig::new();
    let twice = r#"{"datastore_name": "one", "datastore_name": "two"}"#;
    let refused = rig.run(&["call", "create_datastore", twice]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("two members of one name"), "{}", stderr(&refused));
    assert!(!rig.path("store").exists());
}

/// The DICOM files below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|end| end == "dcm")).collect()
}

#[test]
fn call_prints_no_more_than_an_answer_has() {
    let rig = Rig::new();
    let archive = Archive {
        patients: 1,
        studies: 1,
        series: 1,
        instances: 25,
        size: 16,
        ..Archive::default()
    };
    write_to(&rig.path("scans"), archive.files()).unwrap();
    let imported = rig.run(&["import", text(&rig.path("scans"))]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let found = rig.call("search_image_sets", &json!({}));
    let set = &found["image_sets_metadata_summaries"][0]["image_set_id"];
    let asked = json!({ "image_set_id": set }).to_string();
    let output = rig.run(&["call", "get_image_set_metadata", &asked]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let indented = serde_json::to_string_pretty(&answer).unwrap();
    assert!(indented.len() > 60_000, "the answer is long enough: {}", indented.len());
    assert!(output.stdout.len() <= 60_001, "{} bytes", output.stdout.len());
}

/// The default quota of AWS for frames of one copy is 1,000.
#[test]
fn a_series_beyond_the_quota_of_copies_stays_and_the_error_says_what_to_do() {
    let rig = Rig::new();
    let phantom = Phantom::mr().size(2, 2).frames(1001).study_uid("2.25.1").series_uid("2.25.2");
    let file = PhantomFile { relative_path: "1.dcm".into(), bytes: phantom.build() };
    write_to(&rig.path("scans"), [file]).unwrap();
    let imported = rig.run(&["import", text(&rig.path("scans")), "--datastore", "ward"]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let update = |quotas: &str| {
        let asked = json!({ "datastore_id": "ward", "series_instance_uid": "2.25.2",
            "metadata_updates": { "Laterality": "L" } });
        let quotas = format!("--aws-quotas={quotas}");
        rig.run(&[&quotas, "call", "update_series_metadata", &asked.to_string(), "--yes"])
    };
    let set = || rig.call("search_image_sets", &json!({}))["image_sets_metadata_summaries"].take();
    let before = set();
    let refused = update("true");
    assert_eq!(refused.status.code(), Some(1), "{}", stdout(&refused));
    let said = stdout(&refused);
    assert!(said.contains("nothing was changed. Request a higher quota"), "{said}");
    let ids = |sets: &Value| sets.as_array().unwrap().len() == 1 && sets[0]["version"] == 1;
    assert!(ids(&before) && ids(&set()));
    assert_eq!(before[0]["image_set_id"], set()[0]["image_set_id"]);
    let done = update("false");
    assert_eq!(done.status.code(), Some(0), "{}", stdout(&done));
    assert_ne!(before[0]["image_set_id"], set()[0]["image_set_id"]);
}

#[test]
fn call_deletes_only_with_consent() {
    let rig = Rig::new();
    let made = rig.call("create_datastore", &json!({ "datastore_name": "short-lived" }));
    let arguments = json!({ "datastore_id": made["datastore_id"] }).to_string();
    let unasked = rig.run(&["call", "delete_datastore", &arguments]);
    assert_eq!(unasked.status.code(), Some(1));
    assert!(stdout(&unasked).contains("--yes"), "{}", stdout(&unasked));
    let guarded = rig.run(&["--no-delete", "call", "delete_datastore", &arguments, "--yes"]);
    assert_eq!(guarded.status.code(), Some(1));
    let still = rig.call("get_datastore", &json!({ "datastore_id": made["datastore_id"] }));
    assert_eq!(still["datastore_properties"]["datastore_status"], "ACTIVE");
    let agreed = rig.run(&["call", "delete_datastore", &arguments, "--yes"]);
    assert_eq!(agreed.status.code(), Some(0), "{}", stdout(&agreed));
}

#[test]
fn tools_follow_flags_and_environment() {
    let rig = Rig::new();
    let listed = |words: &[&str], variable: &str, value: &str| {
        stdout(&rig.command(words).env(variable, value).output().unwrap())
    };
    let all = listed(&["tools"], "UNUSED", "");
    assert!(all.contains("delete_image_set") && all.contains("create_datastore"));
    let kept = listed(&["tools"], "HEALTHIMAGING_NO_DELETE", "true");
    assert!(!kept.contains("delete_image_set") && kept.contains("create_datastore"));
    let reading = listed(&["tools"], "HEALTHIMAGING_READ_ONLY", "1");
    assert!(!reading.contains("create_datastore") && reading.contains("search_image_sets"));
    let overruled = listed(&["tools", "--read-only=false"], "HEALTHIMAGING_READ_ONLY", "1");
    assert_eq!(overruled, all);
    let documents = rig.run(&["tools", "--json"]);
    let documents: Value = serde_json::from_slice(&documents.stdout).unwrap();
    assert!(documents[0]["input_schema"]["type"] == "object");
    assert!(!rig.path("store").exists(), "listing tools opens no store");
}

#[test]
fn a_closed_pipe_is_not_reported() {
    let rig = Rig::new();
    let mut command = rig.command(&["tools"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut lines = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut lines).unwrap();
    assert!(lines.starts_with("back end: ") && lines.lines().count() == 1, "{lines}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
