//! Mistakes on the command line: the error is short, and nothing was created.

use crate::rig::{Rig, stderr, stdout, text};

#[test]
fn commands_that_read_create_no_store() {
    let rig = Rig::new();
    let out = rig.path("out");
    let reading: [&[&str]; 3] =
        [&["verify"], &["export", "--out", text(&out)], &["call", "list_datastores"]];
    for words in reading {
        let output = rig.run(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", stderr(&output));
        let folder = rig.path("store");
        let expected = format!("there is no embedded store in {}", text(&folder));
        assert!(stderr(&output).contains(&expected), "{words:?}: {}", stderr(&output));
        assert!(!folder.exists() && !out.exists(), "{words:?}");
    }
    // A folder with something else is not a store either.
    std::fs::create_dir(rig.path("store")).unwrap();
    std::fs::write(rig.path("store/notes.txt"), "").unwrap();
    assert_eq!(rig.run(&["verify"]).status.code(), Some(1));
    assert_eq!(std::fs::read_dir(rig.path("store")).unwrap().count(), 1);
}

#[test]
fn files_and_folders_that_are_something_else_are_named() {
    let rig = Rig::new();
    let imported = rig.run(&["import", text(&rig.scans())]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let file = rig.path("file");
    std::fs::write(&file, "kept").unwrap();
    let refused = rig.run(&["export", "--out", text(&file)]);
    let expected = format!("--out: {} is a file; name a folder", text(&file));
    assert!(stderr(&refused).contains(&expected), "{}", stderr(&refused));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    let refused = Rig::new().run(&["audit", "verify"]);
    assert!(stderr(&refused).contains("there is no audit log in"), "{}", stderr(&refused));
}

#[cfg(unix)]
#[test]
fn a_data_folder_whose_link_leads_nowhere_is_named_so() {
    let rig = Rig::new();
    std::os::unix::fs::symlink(rig.path("gone"), rig.path("store")).unwrap();
    let output = rig.run(&["verify"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is a symbolic link to a folder"), "{}", stderr(&output));
}

#[test]
fn a_log_level_that_does_not_exist_is_refused() {
    let rig = Rig::new();
    let refused = |output: &std::process::Output, source: &str| {
        assert_eq!(output.status.code(), Some(2), "{}", stderr(output));
        let expected =
            format!("{source} is not a log level: use error, warn, info, debug or trace");
        assert!(stderr(output).contains(&expected), "{}", stderr(output));
        assert!(!stderr(output).contains("loud"), "{}", stderr(output));
    };
    refused(&rig.run(&["tools", "--log-level", "loud"]), "--log-level");
    refused(&rig.run(&["stdio", "--log-level", "loud"]), "--log-level");
    for variable in ["HEALTHIMAGING_LOG_LEVEL", "AWS_LOG_LEVEL"] {
        let output = rig.command(&["tools"]).env(variable, "loud").output().unwrap();
        refused(&output, variable);
    }
    let python = rig.command(&["tools"]).env("AWS_LOG_LEVEL", "WARNING").output().unwrap();
    assert_eq!(python.status.code(), Some(0), "{}", stderr(&python));
}

#[test]
fn errors_take_two_lines_at_most() {
    let rig = Rig::new();
    let imported = rig.run(&["import", text(&rig.scans())]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let out = rig.path("out");
    let mistakes: [&[&str]; 3] = [
        &["import", "s3://bucket/prefix/"],
        &["export", "--out", "s3://bucket/prefix/"],
        &["export", "--study", "9.9", "--out", text(&out)],
    ];
    for words in mistakes {
        let mut command = rig.command(words);
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "us-east-1");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", stderr(&output));
        let lines = stderr(&output);
        let error: Vec<&str> =
            lines.lines().skip_while(|line| !line.starts_with("error: ")).collect();
        assert!((1..=2).contains(&error.len()), "{words:?}: {lines}");
        assert!(error.concat().len() < 400, "{words:?}: {lines}");
        assert!(!lines.contains(" {") && !lines.contains("Some("), "{words:?}: {lines}");
        assert!(stdout(&output).is_empty());
    }
}

#[test]
fn an_export_that_finds_nothing_is_an_error_and_no_job() {
    let rig = Rig::new();
    let out = rig.path("out");
    rig.call("create_datastore", &serde_json::json!({ "datastore_name": "empty" }));
    let refused = |words: &[&str]| {
        let words = [&["--json", "export", "--out", text(&out)], words].concat();
        let output = rig.run(&words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", stderr(&output));
        let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(error["type"], "not_found", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("nothing was exported"), "{error}");
    };
    refused(&["--datastore", "empty"]);
    let imported = rig.run(&["import", text(&rig.scans()), "--datastore", "ward"]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    refused(&["--datastore", "ward", "--study", "9.9"]);
    refused(&["--datastore", "ward", "--instance", "9.9"]);
    let jobs = rig.call("list_jobs", &serde_json::json!({}));
    let jobs = jobs["jobs"].as_array().unwrap();
    assert!(jobs.iter().all(|job| job["tool"] != "start_dicom_export_job"), "{jobs:?}");
}

#[test]
fn an_import_without_any_instance_creates_nothing() {
    let rig = Rig::new();
    std::fs::create_dir(rig.path("papers")).unwrap();
    let notes = rig.path("papers/notes.txt");
    std::fs::write(&notes, "not an image").unwrap();
    std::fs::write(rig.path("papers/empty"), "").unwrap();
    let refused = |path: &std::path::Path| {
        let output = rig.run(&["import", text(path), "--datastore", "new"]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let expected = "no file is a DICOM instance; nothing was imported";
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    };
    refused(&notes);
    refused(&rig.path("papers"));
    assert!(!rig.path("store").exists());
    // The store is there, and the data store is not.
    let imported = rig.run(&["import", text(&rig.scans())]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    refused(&rig.path("papers"));
    let listed = rig.call("list_datastores", &serde_json::json!({}));
    assert_eq!(listed["datastore_summaries"].as_array().unwrap().len(), 1, "{listed}");
    // The same for a data store that is there.
    let output = rig.run(&["import", text(&notes)]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("nothing was imported"), "{}", stderr(&output));
    // Where everything failed, so did the import.
    let broken = [&[0; 128][..], b"DICM rubbish"].concat();
    std::fs::write(rig.path("broken.dcm"), broken).unwrap();
    let output = rig.run(&["import", text(&rig.path("broken.dcm"))]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
}
