//! The audit log of the program: what each face leaves in it, `audit show`, `audit verify`, and a log that cannot be written.

use std::fs;
use std::path::PathBuf;

use healthimaging_phantoms::{Phantom, PhantomFile, write_to};
use serde_json::{Value, json};

use crate::folder::mounting;
use crate::http::Served;
use crate::rig::{Rig, stderr, stdout, text};

const PATIENT: &str = "MRN-20071984";
const STUDY: &str = "2.25.4711";
const TOKEN: &str = "0123456789abcdef";

/// A store with an image set of the patient, its data store, and the image set.
fn stored() -> (Rig, String, String) {
    let rig = Rig::new();
    let file = Phantom::ct()
        .patient("Secret^Name", PATIENT)
        .study_uid(STUDY)
        .series_uid("2.25.4711.1")
        .sop_uid("2.25.4711.1.1");
    let file = PhantomFile { relative_path: "1.dcm".into(), bytes: file.build() };
    write_to(&rig.path("scans"), [file]).unwrap();
    let imported = rig.run(&["import", text(&rig.path("scans"))]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let stores = rig.call("list_datastores", &json!({}));
    let store = stores["datastore_summaries"][0]["datastore_id"].as_str().unwrap().to_owned();
    let sets = rig.call("search_image_sets", &json!({ "datastore_id": store }));
    let set = sets["image_sets_metadata_summaries"][0]["image_set_id"].as_str().unwrap().to_owned();
    (rig, store, set)
}

fn segment(rig: &Rig) -> PathBuf {
    rig.path("store").join("audit/000001.jsonl")
}

fn records(rig: &Rig, words: &[&str]) -> Vec<Value> {
    let shown = rig.run(&[&["audit", "show"], words].concat());
    assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
    assert!(!stderr(&shown).contains("warning"), "{}", stderr(&shown));
    stdout(&shown).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn erase(rig: &Rig, store: &str) -> std::process::Output {
    let arguments = json!({ "datastore_id": store, "patient_id": PATIENT }).to_string();
    rig.run(&["call", "delete_patient_studies", &arguments, "--yes"])
}

#[test]
fn a_command_that_may_be_killed_has_a_record_of_its_begin() {
    let rig = Rig::new();
    let scans = rig.path("scans");
    write_to(&scans, [PhantomFile { relative_path: "1.dcm".into(), bytes: Phantom::ct().build() }])
        .unwrap();
    let nothing = rig.run(&["audit", "verify"]);
    assert_eq!(nothing.status.code(), Some(1), "{}", stderr(&nothing));
    let imported = rig.run(&["import", text(&scans)]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let all = records(&rig, &[]);
    let of_import: Vec<_> = all.iter().filter(|record| record["command"] == "import").collect();
    let events: Vec<_> = of_import.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["begin", "end"], "{all:?}");
    assert_eq!(of_import[0]["call"], of_import[1]["call"]);
    assert!(of_import[0]["arguments"]["paths"].is_array(), "{all:?}");
}

#[test]
fn an_erasure_is_recorded_from_the_command_to_each_image_set_without_patient_data() {
    let (rig, store, set) = stored();
    let erased = erase(&rig, &store);
    assert_eq!(erased.status.code(), Some(0), "{}", stdout(&erased));
    let of_patient = records(&rig, &["--patient", PATIENT]);
    let events: Vec<_> = of_patient
        .iter()
        .map(|record| (record["event"].as_str().unwrap(), record["operation"].as_str()))
        .collect();
    let deletion = Some("DeleteImageSet");
    assert_eq!(events, [("begin", None), ("begin", deletion), ("end", deletion), ("end", None)]);
    assert_eq!(of_patient[0]["agreed"], "command line (--yes)");
    assert_eq!(of_patient[1]["objects"]["image_set_id"], set.as_str());
    assert_eq!(of_patient[2]["outcome"], "done");
    assert_eq!(of_patient[1]["job"], of_patient[3]["objects"]["job_id"]);
    assert_eq!(records(&rig, &["--patient", "someone else"]).len(), 0);
    // The import came before.
    let all = records(&rig, &[]);
    assert_eq!((all.len(), all[0]["command"].as_str()), (6, Some("import")));
    for entry in fs::read_dir(rig.path("store").join("audit")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for value in [PATIENT, STUDY, "Secret", "scans"] {
            let found = memchr::memmem::find(&bytes, value.as_bytes());
            assert_eq!(found, None, "{value} is in the audit log");
        }
    }
    let verified = rig.run(&["audit", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
    assert_eq!(stdout(&verified).trim(), format!("6:{}", all[5]["hash"].as_str().unwrap()));
}

#[test]
fn verify_names_the_first_broken_record_and_what_was_kept_elsewhere() {
    let (rig, _, set) = stored();
    for tag in ["a", "b"] {
        let arn =
            rig.call("list_datastores", &json!({}))["datastore_summaries"][0]["datastore_arn"]
                .as_str()
                .unwrap()
                .to_owned();
        rig.call("tag_resource", &json!({ "resource_arn": arn, "tags": { tag: set } }));
    }
    let head = stdout(&rig.run(&["audit", "verify"])).trim().to_owned();
    let kept = rig.run(&["audit", "verify", "--expect", &head]);
    assert_eq!(kept.status.code(), Some(0), "{}", stdout(&kept));
    let other = format!("{}:{}", head.split_once(':').unwrap().0, "0".repeat(64));
    assert_eq!(rig.run(&["audit", "verify", "--expect", &other]).status.code(), Some(1));
    for wrong in ["", "1", "x:00", &"0".repeat(64)] {
        let refused = rig.run(&["audit", "verify", "--expect", wrong]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}");
    }
    let printed = rig.run(&["--json", "audit", "verify"]);
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!((&printed["outcome"], &printed["broken"]), (&json!("done"), &Value::Null));
    let log = fs::read_to_string(segment(&rig)).unwrap();
    fs::write(segment(&rig), log.replacen("\"effect\":\"writes\"", "\"effect\":\"reads!\"", 1))
        .unwrap();
    let broken = rig.run(&["audit", "verify"]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(stdout(&broken).starts_with("broken at record 1 "), "{}", stdout(&broken));
    let shown = rig.run(&["audit", "show"]);
    assert!(stderr(&shown).contains("warning: these records cannot be relied on"));
    for wrong in ["zz", "", &"0".repeat(63), &"g".repeat(64)] {
        let refused = rig.run(&["audit", "verify", "--key", wrong]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}");
    }
    let other = rig.run(&["audit", "verify", "--key", &"0".repeat(64)]);
    assert_eq!(other.status.code(), Some(1));
}

#[test]
fn without_a_log_nothing_is_deleted_and_reading_goes_on() {
    let (rig, store, set) = stored();
    let audit = rig.path("store").join("audit");
    fs::remove_dir_all(&audit).unwrap();
    fs::write(&audit, "in the way").unwrap();
    let refused = erase(&rig, &store);
    assert_eq!(refused.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(error["type"], "server_error");
    assert!(error["message"].as_str().unwrap().contains("audit log"), "{error}");
    let named = json!({ "datastore_id": store, "image_set_id": set });
    assert_eq!(rig.call("get_image_set", &named)["image_set_state"], "ACTIVE");
    // Without an audit log, as asked for.
    let arguments = json!({ "datastore_id": store, "patient_id": PATIENT }).to_string();
    let words = ["--audit", "off", "call", "delete_patient_studies", &arguments, "--yes"];
    assert_eq!(rig.run(&words).status.code(), Some(0));
}

#[test]
fn callers_over_http_are_recorded_with_what_they_authenticated_with() {
    let (rig, store, set) = stored();
    let served = Served::start(&rig, &["--http-token", TOKEN]);
    let bearer = format!("Authorization: Bearer {TOKEN}\r\nUser-Agent: ward-pc/3\r\n");
    let delete = format!("POST /datastore/{store}/imageSet/{set}/deleteImageSet");
    let body = format!("{bearer}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}");
    let deleted = served.ask(&delete, &body);
    assert!(deleted.starts_with("HTTP/1.1 200"), "{deleted}");
    let id = deleted.lines().find_map(|line| line.strip_prefix("x-amzn-requestid: ")).unwrap();
    let of_api = &records(&rig, &[])[2..];
    assert_eq!(of_api.len(), 2);
    for record in of_api {
        assert_eq!(record["operation"], "DeleteImageSet");
        assert_eq!((&record["door"], &record["credential"]), (&json!("aws api"), &json!("token")));
        assert_eq!((&record["client"], &record["request_id"]), (&json!("ward-pc/3"), &json!(id)));
    }
    // Reads are recorded only if that is asked for.
    let search = format!("GET /datastore/{store}/studies?PatientID={PATIENT}");
    served.ask(&search, &bearer);
    assert_eq!(records(&rig, &[]).len(), 4);
    drop(served);
    let served = Served::start(&rig, &["--http-token", TOKEN, "--audit", "all"]);
    served.ask(&search, &bearer);
    let read = records(&rig, &["--patient", PATIENT]);
    assert_eq!(read.len(), 1);
    assert_eq!((&read[0]["door"], &read[0]["effect"]), (&json!("dicomweb"), &json!("reads")));
}

#[test]
fn on_a_disk_that_is_mounted_read_only_reads_work_and_what_destroys_is_refused() {
    let (rig, store, set) = stored();
    fs::create_dir(rig.path("disk")).unwrap();
    let erase = json!({ "datastore_id": store, "patient_id": PATIENT });
    let delete = json!({ "datastore_id": store, "image_set_id": set });
    let script = format!(
        "cp -r store disk/store
        mount -o remount,ro disk
        $HMS call search_image_sets '{{}}' > found.txt 2> found_log.txt
        $HMS --audit all call search_image_sets '{{}}' > all.txt 2> all_log.txt
        ! $HMS call delete_patient_studies '{erase}' --yes > erased.txt 2> erased_log.txt
        ! $HMS call delete_image_set '{delete}' --yes > deleted.txt 2> deleted_log.txt
        ! $HMS call create_datastore '{{\"datastore_name\": \"late\"}}' > written.txt 2> written_log.txt
        ! $HMS --audit off call delete_patient_studies '{erase}' --yes > off.txt 2> off_log.txt
        $HMS --read-only call search_image_sets '{{}}' > reading.txt 2> reading_log.txt
        $HMS audit verify > verified.txt
        $HMS audit show > shown.txt
        cp disk/store/audit/000001.jsonl kept.jsonl
        mount -o remount,rw disk
        $HMS call delete_patient_studies '{erase}' --yes > again.txt
        $HMS audit verify > verified_again.txt
        $HMS audit show --patient {PATIENT} > shown_again.txt"
    );
    let Some(output) = mounting(rig.folder.path(), &script) else { return };
    let read = |name: &str| fs::read_to_string(rig.path(name)).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{} {}", stdout(&output), stderr(&output));

    // Reads work. What is recorded of them is missing, which the log of the program says and nothing more.
    let missing = "a call that has ended is missing in the audit log";
    for name in ["found", "all", "reading"] {
        assert!(read(&format!("{name}.txt")).contains(&set), "{name}");
        let is_missing = read(&format!("{name}_log.txt")).contains(missing);
        assert_eq!(is_missing, name == "all", "{name}: {}", read(&format!("{name}_log.txt")));
    }
    // What destroys is refused before it is sent, with the reason and what to do.
    for name in ["erased", "deleted"] {
        let answer: Value = serde_json::from_str(&read(&format!("{name}.txt"))).unwrap();
        let why = answer["message"].as_str().unwrap();
        let reason = "the audit log in the folder audit of the data folder cannot be written (Read-only file system";
        assert!(why.starts_with(reason), "{name}: {why}");
        assert!(
            why.contains("what destroys must be recorded first; check the folder and the disk"),
            "{why}"
        );
        assert!(!why.contains('\n') && !why.contains(PATIENT), "{why}");
        assert!(!read(&format!("{name}_log.txt")).contains(missing), "nothing was carried out");
    }
    // So is what writes, by the store; and what destroys if nothing is recorded.
    for (name, reason) in
        [("written", "open for reading only"), ("off", "its data folder cannot be written")]
    {
        let answer: Value = serde_json::from_str(&read(&format!("{name}.txt"))).unwrap();
        let why = answer["message"].as_str().unwrap();
        assert!(why.contains(reason), "{name}: {why}");
    }
    for log in ["erased", "deleted", "written", "off", "found", "all"] {
        let log = read(&format!("{log}_log.txt"));
        assert!(!log.contains(PATIENT) && !log.contains("Secret"), "{log}");
    }
    // The log is read and verified there, and has not changed.
    assert_eq!(read("kept.jsonl"), fs::read_to_string(segment(&rig)).unwrap());
    assert_eq!(read("shown.txt").lines().count(), read("kept.jsonl").lines().count());
    assert!(!read("verified.txt").is_empty());
    // When the disk can be written again, the erasure is carried out and recorded.
    let again: Value = serde_json::from_str(&read("again.txt")).unwrap();
    assert_eq!(again["report"]["deleted"]["image_sets"], 1, "{again}");
    assert!(!read("verified_again.txt").is_empty() && !read("shown_again.txt").is_empty());
}
