//! Certificates of erasure: what they say, what a later check finds, and which ones are refused.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use flate2::Compression;
use flate2::write::GzEncoder;
use healthimaging_phantoms::{Phantom, PhantomFile, write_to};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::rig::{Rig, stderr, stdout, text};

pub(crate) const PATIENT: &str = "MRN-20071984";
const NAME: &str = "Secret^Name";
const STUDY: &str = "2.25.4711";
const INSTANCE: &str = "2.25.4711.1.1";

/// A store with a patient to be erased, another one, and their data store.
pub(crate) struct Store {
    pub(crate) rig: Rig,
    datastore: String,
}

impl Store {
    pub(crate) fn new() -> Self {
        let rig = Rig::new();
        let of_patient = Phantom::ct()
            .size(64, 64)
            .patient(NAME, PATIENT)
            .accession_number("A1")
            .study_uid(STUDY)
            .series_uid("2.25.4711.1")
            .sop_uid(INSTANCE);
        // Its UIDs begin with those of the patient.
        let other = Phantom::ct()
            .size(64, 64)
            .seed(9)
            .patient("Other^Name", "P-2")
            .study_uid("2.25.47110")
            .series_uid("2.25.47110.1")
            .sop_uid("2.25.47110.1.1");
        let files = [("1.dcm", of_patient), ("2.dcm", other)].map(|(name, phantom)| PhantomFile {
            relative_path: name.into(),
            bytes: phantom.build(),
        });
        write_to(&rig.path("scans"), files).unwrap();
        let store = Self { rig, datastore: String::new() };
        store.import();
        let stores = store.rig.call("list_datastores", &json!({}));
        let datastore = stores["datastore_summaries"][0]["datastore_id"].as_str().unwrap();
        Self { datastore: datastore.to_owned(), ..store }
    }

    fn import(&self) {
        let imported = self.rig.run(&["import", text(&self.rig.path("scans"))]);
        assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.rig.path("store")
    }

    fn call_yes(&self, tool: &str, arguments: Value) -> Value {
        let mut arguments = arguments;
        arguments["datastore_id"] = json!(self.datastore);
        let done = self.rig.run(&["call", tool, &arguments.to_string(), "--yes"]);
        assert_eq!(done.status.code(), Some(0), "{}", stdout(&done));
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// Erases the patient; the short form of the certificate, and its ID.
    pub(crate) fn erase(&self) -> (Value, String) {
        let answer = self.call_yes("delete_patient_studies", json!({ "patient_id": PATIENT }));
        let short = answer["report"]["certificate"].clone();
        let id = short["certificate_id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        (short, id)
    }

    fn file(&self, id: &str) -> PathBuf {
        self.data().join("certificates").join(format!("{id}.json"))
    }

    fn certificate(&self, id: &str) -> Value {
        serde_json::from_slice(&fs::read(self.file(id)).unwrap()).unwrap()
    }

    pub(crate) fn verify(&self, words: &[&str]) -> Output {
        self.rig.run(&[&["certificate", "verify"], words].concat())
    }

    /// What a check names that has to find something.
    pub(crate) fn finds(&self, words: &[&str]) -> String {
        let checked = self.verify(words);
        assert_eq!(checked.status.code(), Some(1), "{} {}", stdout(&checked), stderr(&checked));
        stdout(&checked)
    }

    pub(crate) fn is_clean(&self, words: &[&str]) {
        let checked = self.verify(words);
        assert_eq!(checked.status.code(), Some(0), "{} {}", stdout(&checked), stderr(&checked));
    }

    fn catalog(&self) -> Connection {
        Connection::open(self.data().join("catalogue.sqlite")).unwrap()
    }
}

pub(crate) fn packs(folder: &Path) -> Vec<PathBuf> {
    let shelves = fs::read_dir(folder.join("packs")).unwrap();
    let files = shelves.flat_map(|shelf| fs::read_dir(shelf.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

#[test]
fn an_erasure_ends_with_a_certificate_that_has_no_value_of_the_patient() {
    let store = Store::new();
    let (short, id) = store.erase();
    assert_eq!(short["verdict"], "erased", "{short} {}", store.certificate(&id));
    let certificate = store.certificate(&id);
    assert_eq!(certificate["scope"]["tool"], "delete_patient_studies");
    assert_eq!(certificate["consent"]["agreed"], "command line (--yes)");
    assert_eq!(certificate["consent"]["door"], "command line");
    assert_eq!(certificate["search"]["image_sets_found"], 0);
    assert_eq!(certificate["image_sets"][0]["outcome"], "deleted");
    let counts = json!({
        "frames_and_large_values": 1, "image_sets_erased": 1, "image_sets_planned": 1, "instances": 1,
        "packs": 1, "studies": 1, "versions": 1
    });
    assert_eq!(certificate["counts"], counts);
    let scan = &certificate["scan"];
    assert_eq!((&scan["packs_left"], &scan["clean_up_had_ended"]), (&json!(0), &json!(true)));
    assert_eq!(scan["method"]["uids"], 4, "study, series, instance, frame of reference: {scan}");
    assert_eq!(certificate["identifiers"]["frames"].as_array().unwrap().len(), 1);
    // The digest of the Patient ID is that of the audit log.
    let digest = certificate["scope"]["patient_id"].as_str().unwrap();
    let shown = stdout(&store.rig.run(&["audit", "show", "--patient", PATIENT]));
    assert!(shown.contains(digest), "{shown}");
    let page = store.rig.path("page.html");
    let written = store.rig.run(&["certificate", "show", &id, "--html", text(&page)]);
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    let again = store.rig.run(&["certificate", "show", &id, "--html", text(&page)]);
    assert!(stderr(&again).contains("exists already; name a new file"), "{}", stderr(&again));
    let page = fs::read_to_string(page).unwrap();
    assert!(!page.contains("<script") && page.contains("neither a search nor a scan"), "{page}");
    let texts = [fs::read_to_string(store.file(&id)).unwrap(), page];
    for value in [PATIENT, NAME, STUDY, "A1", "19", "scans"] {
        let held = texts.iter().any(|text| text.contains(&format!("\"{value}\"")));
        assert!(
            !held && (value.len() < 5 || !texts.iter().any(|text| text.contains(value))),
            "{value}"
        );
    }
    let folder = fs::read_dir(store.data().join("certificates")).unwrap();
    let names: Vec<_> = folder.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [format!("{id}.json").as_str()], "nothing else is left");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(store.file(&id)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    store.is_clean(&[&id]);
    store.is_clean(&[&id, "--full"]);
    let listed = stdout(&store.rig.run(&["certificate", "list"]));
    assert!(listed.starts_with(&id) && listed.contains("erased"), "{listed}");
    // Another deletion has its own; of the other patient nothing was taken for a trace.
    let answer = store.call_yes("delete_study", json!({ "study_instance_uid": "2.25.47110" }));
    assert_eq!(answer["report"]["certificate"]["verdict"], "erased", "{answer}");
}

#[test]
fn an_altered_certificate_and_one_of_another_store_are_refused() {
    let store = Store::new();
    let (_, id) = store.erase();
    let copy = store.rig.path("copy.json");
    let text_of = fs::read_to_string(store.file(&id)).unwrap();
    for (from, to) in [
        ("\"image_sets_erased\":1", "\"image_sets_erased\":2"),
        ("\"verdict\":\"erased\"", "\"verdict\":\"not_complete\""),
        ("command line (--yes)", "user"),
    ] {
        assert!(text_of.contains(from), "{from}");
        fs::write(&copy, text_of.replacen(from, to, 1)).unwrap();
        let refused = store.verify(&[text(&copy)]);
        assert_eq!(refused.status.code(), Some(1), "{from}");
        assert!(stderr(&refused).contains("altered"), "{from}: {}", stderr(&refused));
    }
    // White space is not content.
    let document: Value = serde_json::from_str(&text_of).unwrap();
    fs::write(&copy, serde_json::to_string_pretty(&document).unwrap()).unwrap();
    store.is_clean(&[text(&copy)]);
    let other = Store::new();
    other.erase();
    let refused = other.verify(&[text(&copy)]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("another store"), "{}", stderr(&refused));
    for wrong in ["{}", "no JSON", r#"{"kind":"healthimaging erasure certificate","format":2}"#] {
        fs::write(&copy, wrong).unwrap();
        assert_eq!(store.verify(&[text(&copy)]).status.code(), Some(1), "{wrong}");
    }
    assert_eq!(store.verify(&[&"0".repeat(32)]).status.code(), Some(1));
}

#[test]
fn planted_residue_is_found() {
    let store = Store::new();
    let pack = packs(&store.data());
    let kept: Vec<Vec<u8>> = pack.iter().map(|pack| fs::read(pack).unwrap()).collect();
    let (_, id) = store.erase();
    store.is_clean(&[&id, "--full"]);

    // In the audit log.
    let log = store.data().join("audit/000001.jsonl");
    let before = fs::read(&log).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
    writeln!(file, "{}", json!({ "note": format!("study {STUDY}.") })).unwrap();
    assert!(store.finds(&[&id]).contains("audit/000001.jsonl: 1 identifier"));
    fs::write(&log, before).unwrap();

    // In the outcome of an import, as a part of a path; and a short value by its attribute.
    let outcome = store.data().join("imports/planted.ndjson");
    fs::write(&outcome, json!({ "inputFile": format!("ward/{PATIENT}.dcm") }).to_string()).unwrap();
    assert!(store.finds(&[&id]).contains("imports/planted.ndjson: 1 identifier"));
    fs::write(&outcome, json!({ "accession_number": "A1" }).to_string()).unwrap();
    assert!(store.finds(&[&id]).contains("imports/planted.ndjson: 1 identifier"));
    fs::write(&outcome, json!({ "series_number": "A1" }).to_string()).unwrap();
    store.is_clean(&[&id]);
    fs::remove_file(outcome).unwrap();

    // In a job.
    let jobs = Connection::open(store.data().join("ledger/jobs.sqlite")).unwrap();
    jobs.execute("UPDATE job SET message = ?1", [format!("patient {PATIENT} is erased")]).unwrap();
    assert!(store.finds(&[&id]).contains("ledger/jobs.sqlite, job.message: 1 identifier"));
    jobs.execute("UPDATE job SET message = NULL", []).unwrap();
    drop(jobs);

    // In the write-ahead log alone: the row is gone.
    let catalog = store.catalog();
    catalog.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    catalog.pragma_update(None, "secure_delete", true).unwrap();
    let tag = "INSERT INTO tag (resource, key, value) VALUES ('r', 'k', ?1)";
    catalog.execute(tag, [format!(" {INSTANCE} ")]).unwrap();
    catalog.execute("DELETE FROM tag WHERE resource = 'r'", []).unwrap();
    assert!(store.finds(&[&id]).contains("catalogue.sqlite-wal: 1 identifier"));
    drop(catalog);
    store.is_clean(&[&id]);

    // In the document of another patient.
    let catalog = store.catalog();
    let document: Vec<u8> = catalog
        .query_row("SELECT document FROM image_set_version WHERE document NOTNULL", [], |row| {
            row.get(0)
        })
        .unwrap();
    let mut planted = GzEncoder::new(Vec::new(), Compression::fast());
    planted
        .write_all(
            json!({ "Study": { "DICOM": { "StudyDescription": PATIENT } } }).to_string().as_bytes(),
        )
        .unwrap();
    let replace = "UPDATE image_set_version SET document = ?1 WHERE document NOTNULL";
    catalog.execute(replace, [planted.finish().unwrap()]).unwrap();
    let found = store.finds(&[&id]);
    assert!(found.starts_with("image set ") && found.contains("1 identifier"), "{found}");
    catalog.execute(replace, [document]).unwrap();
    drop(catalog);
    store.is_clean(&[&id]);

    // Frames in packs: only all files have them.
    let shelf = store.data().join("packs/00");
    fs::create_dir_all(&shelf).unwrap();
    let lost: Vec<PathBuf> = pack.iter().filter(|pack| !pack.exists()).cloned().collect();
    assert_eq!(lost.len(), 1, "the other patient's stays");
    let bytes = &kept[pack.iter().position(|pack| *pack == lost[0]).unwrap()];
    fs::write(shelf.join(format!("{}.pack", "0".repeat(32))), bytes).unwrap();
    store.is_clean(&[&id]);
    assert!(store.finds(&[&id, "--full"]).contains("00000.pack: 1 identifier"));
}

#[test]
fn given_values_are_found_as_bytes() {
    let store = Store::new();
    let (_, id) = store.erase();
    let values = store.rig.path("values");
    fs::write(&values, format!("{PATIENT}\n\n{STUDY}\nOTHER-VALUE\n")).unwrap();
    fs::write(store.data().join("left.bin"), format!("xx{PATIENT}yy")).unwrap();
    store.is_clean(&[&id, "--full"]);
    store.is_clean(&[&id, "--values", text(&values)]);
    let checked = store.verify(&[&id, "--full", "--values", text(&values)]);
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(stdout(&checked).trim(), "left.bin: 1 identifier of what was erased");
    let said = stderr(&checked);
    assert!(
        said.contains("As bytes: 2 given values") && said.contains("1 given values were not"),
        "{said}"
    );
}

#[test]
fn a_patient_who_was_imported_again_is_found() {
    let store = Store::new();
    let (_, id) = store.erase();
    store.import();
    let page = store.rig.path("page.html");
    let found = store.finds(&[&id, "--html", text(&page)]);
    // The series, the patient and the frame of the one image set, but not the other patient.
    assert_eq!(found.lines().filter(|line| line.starts_with("image set ")).count(), 1, "{found}");
    assert!(fs::read_to_string(page).unwrap().contains("parts of it were found"));
    // What is left of another study is not what was erased.
    let (short, second) = store.erase();
    assert_eq!(short["verdict"], "erased", "{short}");
    store.is_clean(&[&id]);
    store.is_clean(&[&second]);
}

#[test]
fn without_a_key_a_deletion_has_no_certificate_and_says_so() {
    let store = Store::new();
    let audit = store.data().join("audit");
    fs::remove_dir_all(&audit).unwrap();
    fs::write(&audit, "in the way").unwrap();
    let arguments = json!({ "datastore_id": store.datastore, "patient_id": PATIENT }).to_string();
    let words = ["--audit", "off", "call", "delete_patient_studies", &arguments, "--yes"];
    let done = store.rig.run(&words);
    assert_eq!(done.status.code(), Some(0), "{}", stdout(&done));
    let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
    let why = answer["report"]["certificate"]["not_made"].as_str().unwrap();
    assert!(why.contains("key that signs certificates"), "{why}");
}

#[test]
fn a_certificate_that_has_nothing_to_search_for_is_not_verified() {
    let store = Store::new();
    // All that identifies the patient stays in another data store of the folder.
    let again = store.rig.run(&["import", text(&store.rig.path("scans")), "--datastore", "other"]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    let (short, id) = store.erase();
    assert_eq!(short["verdict"], "erased_traces_remain", "{short}");
    let summary = short["summary"].as_str().unwrap();
    assert!(summary.contains("another data store"), "{summary}");
    let values = store.rig.path("values.txt");
    fs::write(&values, PATIENT).unwrap();
    for words in [&[&*id][..], &[&*id, "--full", "--values", text(&values)]] {
        let checked = store.verify(words);
        assert_eq!(checked.status.code(), Some(1), "{}", stderr(&checked));
        assert!(stderr(&checked).contains("was NOT searched"), "{}", stderr(&checked));
    }
}
