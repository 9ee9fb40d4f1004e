//! The chain as files: what an independent reader finds, and what a check finds after each kind of tampering.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use healthimaging::{Effect, Error};
use healthimaging_audit::{
    AuditLevel, AuditLog, Entry, Keys, Recorded, Selection, Verified, recorded, verify,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Short segments, so that the chain rotates.
const SEGMENT: u64 = 1500;

struct Log {
    folder: tempfile::TempDir,
    log: AuditLog,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Self::open(folder.path());
        Self { folder, log }
    }

    fn open(folder: &Path) -> AuditLog {
        AuditLog::with_segments(folder, AuditLevel::Writes, None, Some(SEGMENT))
    }

    fn files(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    async fn with(count: usize) -> Self {
        let log = Self::new();
        for number in 0..count {
            log.write(&format!("tool_{number}"), "P-1");
        }
        log.log.flush().await.unwrap();
        log
    }

    fn write(&self, tool: &str, patient: &str) {
        let arguments = json!({ "patient_id": patient, "reason": "the patient asked for it" });
        let arguments = self.log.recorded(arguments.as_object().unwrap()).unwrap();
        let entry = Entry::tool(tool, Effect::Writes).with_arguments(arguments);
        self.log.begin(entry).end(Recorded::default(), None);
    }

    fn segments(&self) -> Vec<PathBuf> {
        let mut found: Vec<_> = fs::read_dir(self.files())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .collect();
        found.sort();
        found
    }

    fn lines(&self) -> Vec<String> {
        let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
        self.segments().iter().map(text).collect::<String>().lines().map(str::to_owned).collect()
    }

    fn key(&self) -> String {
        Keys::read(&self.files()).unwrap().public_key()
    }

    fn check(&self) -> Verified {
        verify(&self.files(), &self.key(), None).unwrap()
    }

    /// Number of the record at which the chain is broken, and why.
    fn broken(&self) -> (u64, String) {
        let broken = self.check().broken.unwrap_or_else(|| panic!("the chain is whole"));
        (broken.sequence, broken.why)
    }

    fn edit(&self, segment: usize, change: impl FnOnce(&mut Vec<String>)) {
        let path = &self.segments()[segment];
        let text = fs::read_to_string(path).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        change(&mut lines);
        let text = lines.join("\n") + "\n";
        fs::write(path, text).unwrap();
    }
}

/// SHA-256 of a line up to its member `hash`, and that member: as documented, and computed by another library.
fn hashes(line: &str) -> (String, String) {
    let (text, rest) = line.rsplit_once(",\"hash\":\"").unwrap();
    (hex::encode(Sha256::digest(text)), rest.trim_end_matches("\"}").to_owned())
}

#[tokio::test]
async fn each_record_names_the_hash_of_the_one_before_across_segments() {
    let log = Log::with(20).await;
    assert!(log.segments().len() > 2, "the log has rotated");
    let mut previous = "0".repeat(64);
    for (number, line) in log.lines().iter().enumerate() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["sequence"], number as u64 + 1);
        assert_eq!(record["previous"], previous.as_str());
        let (computed, stated) = hashes(line);
        assert_eq!(computed, stated);
        previous = stated;
    }
    let checked = log.check();
    assert_eq!((checked.records, checked.broken), (20, None));
    assert_eq!(checked.last, (20, previous));
}

#[tokio::test]
async fn no_value_and_no_free_text_is_written() {
    let log = Log::new();
    log.write("correct_attributes", "PATIENT-4711");
    log.log.flush().await.unwrap();
    let text = log.lines().join("\n");
    assert!(!text.contains("4711") && !text.contains("asked for it"), "{text}");
    let record: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(record["arguments"]["reason"], Value::Null, "its name is there");
    let keys = Keys::read(&log.files()).unwrap();
    assert_eq!(record["arguments"]["patient_id"], keys.digest("PATIENT-4711").as_str());
    // DICOM pads values with spaces.
    assert_eq!(keys.digest("PATIENT-4711 "), keys.digest("PATIENT-4711"));
    let other = Log::with(1).await;
    assert_ne!(
        Keys::read(&other.files()).unwrap().digest("PATIENT-4711"),
        keys.digest("PATIENT-4711"),
        "each data folder has its own key"
    );
}

#[test]
fn ids_are_recorded_as_they_are_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::new(folder.path(), AuditLevel::Writes, None);
    let given = json!({
        "datastore_id": "0123456789abcdef0123456789abcdef",
        "image_set_id": "Doe^Jane",
        "criteria": { "patient_name": "Doe^Jane", "study_description": "Doe", "Doe": 1 },
        "tags": { "DoeJane": "ward" },
        "paths": ["/wards/doe"], "study_instance_uid": "1.2.840.99", "max_deletions": 20,
        "value": 19_701_231, "erase": true,
    });
    let made = log.with_keys(|keys| recorded(given.as_object().unwrap(), keys)).unwrap().unwrap();
    log.begin(Entry::tool("t", Effect::Writes).with_arguments(made)).end(Recorded::default(), None);
    let text = fs::read_to_string(folder.path().join("audit/000001.jsonl")).unwrap();
    for value in ["Doe", "doe", "840", "1970", "ward"] {
        assert!(!text.contains(value), "{value} in {text}");
    }
    for kept in ["0123456789abcdef0123456789abcdef", "\"max_deletions\":20", "\"erase\":true"] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
}

#[tokio::test]
async fn a_changed_record_is_named() {
    let log = Log::with(20).await;
    let third: Value = serde_json::from_str(&log.lines()[2]).unwrap();
    log.edit(0, |lines| lines[2] = lines[2].replace("tool_2", "tool_x"));
    let (sequence, why) = log.broken();
    assert_eq!((sequence, &third["sequence"]), (3, &json!(3)));
    assert!(why.contains("does not match its hash"), "{why}");
}

#[tokio::test]
async fn a_removed_or_moved_record_is_named() {
    let log = Log::with(20).await;
    log.edit(0, |lines| drop(lines.remove(1)));
    assert_eq!(log.broken().0, 2);
    let log = Log::with(20).await;
    log.edit(0, |lines| lines.swap(0, 1));
    assert_eq!(log.broken().0, 1);
    let log = Log::with(20).await;
    let before = fs::read_to_string(&log.segments()[0]).unwrap().lines().count() as u64;
    fs::remove_file(&log.segments()[1]).unwrap();
    assert_eq!(log.broken().0, before + 1);
}

#[tokio::test]
async fn records_that_are_cut_off_at_the_end_are_noticed() {
    let log = Log::with(20).await;
    let last = log.segments().len() - 1;
    log.edit(last, |lines| drop(lines.pop()));
    let (sequence, why) = log.broken();
    assert_eq!(sequence, 20);
    assert!(why.contains("were removed"), "{why}");
    // Even where head and end are put back together, a head that was kept elsewhere shows it.
    let log = Log::with(2).await;
    let head = fs::read(log.files().join("head.json")).unwrap();
    let segment = fs::read(&log.segments()[0]).unwrap();
    log.write("later", "P-1");
    log.log.flush().await.unwrap();
    let kept = log.check().last;
    fs::write(log.files().join("head.json"), head).unwrap();
    fs::write(&log.segments()[0], segment).unwrap();
    assert_eq!(log.check().broken, None);
    let broken = verify(&log.files(), &log.key(), Some(&kept)).unwrap().broken.unwrap();
    assert_eq!(broken.sequence, 3);
}

#[tokio::test]
async fn a_chain_that_is_written_again_without_the_key_is_noticed() {
    let log = Log::with(3).await;
    let mut previous = "0".repeat(64);
    log.edit(0, |lines| {
        for line in lines {
            let text = line.rsplit_once(",\"previous\"").unwrap().0.replace("tool_1", "harmless");
            let text = format!("{text},\"previous\":\"{previous}\"");
            previous = hex::encode(Sha256::digest(&text));
            *line = format!("{text},\"hash\":\"{previous}\"}}");
        }
    });
    let (sequence, why) = log.broken();
    assert_eq!(sequence, 3);
    assert!(why.contains("written again"), "{why}");
    // A head of another key does not help.
    let head = log.files().join("head.json");
    let mut forged: Value = serde_json::from_slice(&fs::read(&head).unwrap()).unwrap();
    forged["hash"] = json!(previous);
    fs::write(&head, forged.to_string()).unwrap();
    assert!(log.broken().1.contains("not signed"));
    fs::remove_file(&head).unwrap();
    assert!(log.broken().1.contains("missing"));
}

#[tokio::test]
async fn an_incomplete_last_line_is_removed_and_recorded() {
    let log = Log::with(2).await;
    let path = &log.segments()[0];
    let mut text = fs::read_to_string(path).unwrap();
    text.push_str("{\"sequence\":3,\"ti");
    fs::write(path, text).unwrap();
    assert_eq!(log.check().broken, None, "nothing that was acknowledged is missing");
    log.write("next", "P-1");
    let records: Vec<Value> =
        log.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 4);
    assert_eq!(records[2]["objects"]["bytes"], 17);
    assert_eq!(records[3]["tool"], "next");
    assert_eq!(log.check().broken, None);
}

#[tokio::test]
async fn a_head_that_was_removed_is_recorded_and_a_key_that_was_removed_is_not_replaced() {
    let log = Log::with(3).await;
    fs::remove_file(log.files().join("head.json")).unwrap();
    log.edit(0, |lines| drop(lines.pop()));
    let other = Log::open(log.folder.path());
    other.begin(Entry::tool("next", Effect::Writes)).end(Recorded::default(), None);
    let checked = log.check();
    assert_eq!((checked.broken, checked.signed_anew), (None, vec![3]), "{:?}", log.lines());
    assert!(log.lines().last().unwrap().contains(r#""tool":"next""#));
    fs::remove_file(log.files().join("audit.key")).unwrap();
    let other = Log::open(log.folder.path());
    let entry = Entry::operation("DeleteImageSet", Effect::Destroys);
    let error = other.announce(entry).await.unwrap_err();
    assert!(error.message().contains("audit.key is missing"), "{error}");
    assert!(!log.files().join("audit.key").exists());
}

#[tokio::test]
async fn several_processes_write_one_chain() {
    let log = Log::new();
    // Each log has files and locks of its own, as another process has.
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let folder = log.folder.path();
            scope.spawn(move || {
                let other = Log::open(folder);
                for number in 0..25 {
                    let entry = Entry::tool(&format!("{thread}_{number}"), Effect::Writes);
                    other.begin(entry).end(Recorded::default(), None);
                }
            });
        }
    });
    log.write("last", "P-1");
    log.log.flush().await.unwrap();
    let checked = log.check();
    assert_eq!((checked.records, checked.broken), (101, None));
}

#[tokio::test]
async fn what_destroys_is_on_record_before_it_runs_and_ends_with_its_outcome() {
    let log = Log::new();
    let entry = Entry::operation("DeleteImageSet", Effect::Destroys).agreed("token");
    let pending = log.log.announce(entry).await.unwrap();
    let begun: Value = serde_json::from_str(&log.lines()[0]).unwrap();
    assert_eq!((&begun["event"], &begun["agreed"]), (&json!("begin"), &json!("token")));
    pending.end(Recorded::default(), Some(&Error::conflict("no")));
    let ended: Value = serde_json::from_str(&log.lines()[1]).unwrap();
    assert_eq!((&ended["event"], &ended["call"]), (&json!("end"), &begun["call"]));
    assert_eq!(ended["outcome"], "failed: service_error");
    // A caller that leaves does not make a call disappear.
    drop(log.log.begin(Entry::operation("StoreInstances", Effect::Writes)));
    let left: Value = serde_json::from_str(&log.lines()[2]).unwrap();
    assert!(left["outcome"].as_str().unwrap().starts_with("unknown"));
}

#[tokio::test]
async fn without_a_writable_log_nothing_may_be_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("audit"), "not a folder").unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let room = Arc::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    });
    let log = AuditLog::new(folder.path(), AuditLevel::Writes, Some(room));
    let entry = Entry::operation("DeleteImageSet", Effect::Destroys);
    let error = log.announce(entry).await.unwrap_err();
    assert!(error.message().contains("audit log"), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 1, "the store knows whether the disk is full");
}

#[tokio::test]
async fn the_records_of_a_patient_include_those_of_its_jobs() {
    let log = Log::new();
    log.write("other", "P-2");
    let patient = json!({ "patient_id": "P-1" });
    let arguments = log.log.recorded(patient.as_object().unwrap()).unwrap();
    let entry = Entry::tool("delete_patient_studies", Effect::Destroys).with_arguments(arguments);
    let pending = log.log.announce(entry).await.unwrap();
    let job = "0123456789abcdef0123456789abcdef";
    healthimaging_audit::as_actor(healthimaging_audit::Actor::job(job, "t"), async {
        let of_job = Entry::operation("DeleteImageSet", Effect::Destroys);
        log.log.announce(of_job).await.unwrap().end(Recorded::default(), None);
    })
    .await;
    pending.end(Recorded::default().with_ids("job_id", [job]), None);
    let digest = Keys::read(&log.files()).unwrap().digest("P-1");
    let found = Selection::find(&log.files(), digest).unwrap();
    let shown: Vec<bool> = log.lines().iter().map(|line| found.has(line)).collect();
    assert_eq!(shown, [false, true, true, true, true]);
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_only_and_a_loose_key_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let log = Log::with(1).await;
    for entry in fs::read_dir(log.files()).unwrap() {
        let path = entry.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    let key = log.files().join("audit.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(Keys::read(&log.files()).unwrap_err().to_string().contains("chmod 600"));
}
