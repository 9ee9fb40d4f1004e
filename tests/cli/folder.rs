//! The data folder used by several processes, and on read-only disks.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use healthimaging_phantoms::Phantom;
use serde_json::{Value, json};

use crate::rig::{Rig, stderr, stdout, text};

/// Concurrent processes.
const AT_ONCE: u32 = 30;

#[test]
fn a_folder_that_is_allowed_and_does_not_exist_is_named() {
    let rig = Rig::new();
    let created = rig.run(&["call", "create_datastore"]);
    assert_eq!(created.status.code(), Some(0), "{}", stdout(&created));
    let missing = rig.path("missing");
    let listed = rig.run(&["call", "list_datastores", "--allow-path", text(&missing)]);
    assert_eq!(listed.status.code(), Some(0));
    assert!(stderr(&listed).contains(text(&missing)), "{}", stderr(&listed));
    let scans = rig.scans();
    let listed = rig.run(&["call", "list_datastores", "--allow-path", text(&scans)]);
    assert!(!stderr(&listed).contains("--allow-path"), "{}", stderr(&listed));
}

#[test]
fn first_imports_at_once_make_one_data_store() {
    let rig = Rig::new();
    let children: Vec<Child> = (0..AT_ONCE)
        .map(|number| {
            let path = rig.path(&format!("{number}.dcm"));
            let file = Phantom::mr()
                .size(8, 8)
                .seed(number.into())
                .study_uid(&format!("2.25.{number}"))
                .series_uid(&format!("2.25.{number}.1"))
                .sop_uid(&format!("2.25.{number}.1.1"));
            std::fs::write(&path, file.build()).unwrap();
            let mut command = rig.command(&["import", "--datastore", "shared", text(&path)]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let stores = rig.call("list_datastores", &json!({}));
    let stores = stores["datastore_summaries"].as_array().unwrap().clone();
    assert_eq!(stores.len(), 1, "{stores:?}");
    let search = json!({ "max_results": 50 });
    let found = rig.call("search_image_sets", &search);
    let found = found["image_sets_metadata_summaries"].as_array().unwrap();
    assert_eq!(found.len(), AT_ONCE as usize);
}

/// Runs a shell script that may mount; `None` if this machine does not allow that.
pub(crate) fn mounting(folder: &Path, script: &str) -> Option<Output> {
    let may = Command::new("unshare").args(["-rm", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let program = env!("CARGO_BIN_EXE_healthimaging-mcp-server");
    let script = format!("set -eu\nmount -t tmpfs -o size=48m none disk\n{script}");
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", &script])
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HMS", format!("{program} --data-dir disk/store"))
        .output()
        .unwrap();
    Some(output)
}

/// A folder with a place to mount at, and scans.
fn folder(rig: &Rig) -> &Path {
    rig.scans();
    std::fs::create_dir(rig.path("disk")).unwrap();
    rig.folder.path()
}

#[test]
fn a_store_on_a_disk_that_is_mounted_read_only_can_be_read() {
    let rig = Rig::new();
    let script = "
        $HMS import scans 2> import.txt
        mount -o remount,ro disk
        $HMS call search_image_sets '{}' > found.txt
        $HMS verify 2> verified.txt
        ! $HMS import scans 2> refused.txt
        mount -o remount,rw disk
        $HMS import scans 2> again.txt";
    let Some(output) = mounting(folder(&rig), script) else { return };
    let read = |name: &str| std::fs::read_to_string(rig.path(name)).unwrap_or_default();
    let report = || format!("{} {} {}", stdout(&output), stderr(&output), read("refused.txt"));
    assert_eq!(output.status.code(), Some(0), "{}", report());
    assert_eq!(read("found.txt").matches("\"image_set_id\"").count(), 2, "{}", read("found.txt"));
    assert!(read("refused.txt").contains("reading only"), "{}", read("refused.txt"));
}

#[test]
fn a_store_on_a_full_disk_can_be_read_and_erased_from() {
    let rig = Rig::new();
    // The log of the catalog has room, so that it opens; the file of jobs has to be made anew.
    let script = r#"
        $HMS import scans --datastore scans 2> import.txt
        $HMS serve --http 127.0.0.1:0 2> serve.txt &
        server=$!
        until grep -q MCP serve.txt; do sleep 0.05; done
        $HMS call create_datastore '{"datastore_name": "late"}' > made.txt
        kill -9 $server
        wait $server || true
        rm -r disk/store/ledger
        head -c 100M /dev/zero > disk/filler 2> filled.txt || true
        $HMS call search_image_sets '{"datastore_id": "scans"}' > found.txt
        set=$(sed -n 's/.*"image_set_id": *"\([0-9a-f]*\)".*/\1/p' found.txt | head -n 1)
        $HMS call delete_image_set "{\"datastore_id\": \"scans\", \"image_set_id\": \"$set\"}" --yes > deleted.txt
        rm disk/filler
        $HMS verify 2> verified.txt
        $HMS call search_image_sets '{"datastore_id": "scans"}' > left.txt"#;
    let Some(output) = mounting(folder(&rig), script) else { return };
    let read = |name: &str| std::fs::read_to_string(rig.path(name)).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{} {}", stdout(&output), stderr(&output));
    assert_eq!(read("found.txt").matches("\"image_set_id\"").count(), 2, "{}", read("found.txt"));
    assert_eq!(read("left.txt").matches("\"image_set_id\"").count(), 1, "{}", read("left.txt"));
}

#[test]
fn a_patient_is_erased_from_a_full_disk_on_record_and_other_writes_fail() {
    let rig = Rig::new();
    let script = r#"
        $HMS import scans --datastore scans 2> import.txt
        $HMS call search_image_sets '{"datastore_id": "scans"}' > found.txt
        patient=$(sed -n 's/.*"DICOMPatientId": *"\([^"]*\)".*/\1/p' found.txt | head -n 1)
        head -c 100M /dev/zero > disk/filler 2> filled.txt || true
        test -e disk/store/reserve
        $HMS call delete_patient_studies "{\"datastore_id\": \"scans\", \"patient_id\": \"$patient\"}" --yes > deleted.txt
        ! test -e disk/store/reserve
        head -c 100M /dev/zero > disk/more 2> filled.txt || true
        ! $HMS import scans --datastore scans 2> refused.txt
        rm disk/filler disk/more
        $HMS audit verify 2> verified.txt
        $HMS audit show --patient "$patient" > shown.txt
        $HMS certificate list > certificates.txt
        $HMS call search_image_sets '{"datastore_id": "scans"}' > left.txt"#;
    let Some(output) = mounting(folder(&rig), script) else { return };
    let read = |name: &str| std::fs::read_to_string(rig.path(name)).unwrap_or_default();
    let report = || {
        let files = ["refused.txt", "deleted.txt", "verified.txt"].map(read);
        format!("{} {} {files:?}", stdout(&output), stderr(&output))
    };
    assert_eq!(output.status.code(), Some(0), "{}", report());
    assert!(read("refused.txt").contains("full"), "{}", read("refused.txt"));
    assert_eq!(read("left.txt").matches("\"image_set_id\"").count(), 0, "{}", read("left.txt"));
    // A tool and two image sets, each before and after.
    let events: Vec<Value> =
        read("shown.txt").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 6, "{}", read("shown.txt"));
    assert!(
        events.iter().filter(|event| event["event"] == "end").all(|end| end["outcome"] == "done")
    );
    assert!(read("certificates.txt").contains("erased"), "{}", report());
}

#[test]
fn what_is_in_the_log_has_to_be_brought_in_before_a_store_can_only_be_read() {
    let rig = Rig::new();
    // A server that is killed leaves its log behind.
    let script = r#"
        $HMS import scans 2> import.txt
        {
            echo '{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18",
                "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}' | tr -d '\n'
            echo
            echo '{"jsonrpc": "2.0", "method": "notifications/initialized"}'
            echo '{"jsonrpc": "2.0", "id": 2, "method": "tools/call",
                "params": {"name": "create_datastore", "arguments": {"datastore_name": "late"}}}' | tr -d '\n'
            echo
            until test -e killed; do sleep 0.05; done
        } 2> /dev/null | $HMS stdio 2> serve.txt > made.txt &
        server=$!
        until grep -q '"id":2' made.txt; do sleep 0.05; done
        kill -9 $server
        touch killed
        wait $server || true
        rm -f disk/store/catalogue.sqlite-shm
        test -s disk/store/catalogue.sqlite-wal
        mount -o remount,ro disk
        ! $HMS call list_datastores '{}' 2> refused.txt > refused.json
        mount -o remount,rw disk
        $HMS call list_datastores '{}' > opened.txt
        mount -o remount,ro disk
        $HMS call list_datastores '{}' > found.txt"#;
    let Some(output) = mounting(folder(&rig), script) else { return };
    let read = |name: &str| std::fs::read_to_string(rig.path(name)).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{} {}", stderr(&output), read("refused.txt"));
    assert!(read("refused.txt").contains("can be written to"), "{}", read("refused.txt"));
    assert!(read("found.txt").contains("late"), "{}", read("found.txt"));
}

/// Runs the program with a data folder.
fn run_at(rig: &Rig, folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"));
    command.env_clear().env("TMPDIR", rig.folder.path()).stdin(Stdio::null());
    command.arg("--data-dir").arg(folder).args(words).output().unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Folders of macOS have spaces, and people write `..`.
#[test]
fn a_data_folder_of_any_name_can_be_imported_into_and_its_outcomes_read() {
    let rig = Rig::new();
    let scans = rig.scans();
    std::fs::write(scans.join("scan.bin"), [1; 200]).unwrap();
    std::fs::create_dir(rig.path("other")).unwrap();
    for name in ["Application Support", "other/../é 100% #1?+", "other/../plain"] {
        let run = |words: &[&str]| run_at(&rig, &rig.path(name), words);
        let imported = run(&["--json", "import", text(&scans)]);
        assert_eq!(imported.status.code(), Some(3), "{name}: {}", stderr(&imported));
        let imported = json_of(&imported);
        assert_eq!(imported["non_primary_image_sets"], 0, "{name}: {imported}");
        let asked = json!({ "job_id": imported["job_id"], "list": "FAILURE" });
        let job = json_of(&run(&["call", "get_dicom_import_job", &asked.to_string()]));
        assert_eq!(job["files"].as_array().unwrap().len(), 1, "{name}: {job}");
        assert!(job["summary"].as_str().unwrap().contains("6 imported"), "{name}: {job}");
    }
}

#[test]
fn an_import_continues_in_a_store_that_was_moved() {
    let rig = Rig::new();
    let scans = rig.scans();
    assert_eq!(rig.run(&["import", text(&scans)]).status.code(), Some(0));
    std::fs::rename(rig.path("store"), rig.path("moved")).unwrap();
    // As a kill leaves it before the first file is recorded.
    let kill = || {
        let catalog = rusqlite::Connection::open(rig.path("moved/catalogue.sqlite")).unwrap();
        let change = "UPDATE job SET state = 'IN_PROGRESS', ended_at = NULL WHERE scope = 'import'";
        assert_eq!(catalog.execute(change, []).unwrap(), 1);
    };
    kill();
    let run = |words: &[&str]| run_at(&rig, &rig.path("moved"), words);
    let again = run(&["--json", "import", text(&scans)]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    let again = json_of(&again);
    assert_eq!(again["continued"], true, "{again}");
    assert!(again["output_s3_uri"].as_str().unwrap().contains("/moved/imports/"), "{again}");
    kill();
    let exported = run(&["export", "--out", text(&rig.path("out"))]);
    assert!(stderr(&exported).contains("an import has not ended"), "{}", stderr(&exported));
    kill();
    let exported = run(&["--json", "export", "--out", text(&rig.path("other"))]);
    assert_eq!(json_of(&exported)["import_jobs_not_ended"], 1, "{}", stderr(&exported));
    let made =
        run(&["call", "create_datastore", r#"{"datastore_name": "ward", "wait_seconds": 60}"#]);
    assert!(made.status.success(), "{}", stderr(&made));
    for more in [&["--dry-run"][..], &[]] {
        kill();
        let words = ["--json", "transfer", "--from", "default", "--to", "ward", "--all"];
        let transferred = run(&[&words[..], more].concat());
        assert_eq!(json_of(&transferred)["import_jobs_not_ended"], 1, "{}", stderr(&transferred));
    }
}

#[test]
fn a_data_folder_that_is_a_file_is_refused_as_such() {
    let rig = Rig::new();
    let scans = rig.scans();
    std::fs::write(rig.path("file"), "").unwrap();
    let refused = run_at(&rig, &rig.path("file"), &["import", text(&scans)]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("is a file; name a folder"), "{}", stderr(&refused));
}
