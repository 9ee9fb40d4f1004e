//! Questions that people bring, in few calls and few words, and `docs/conversations.md`, which shows them.

use std::fmt::Write as _;
use std::path::Path;

use healthimaging::Operation;
use healthimaging_phantoms::{Phantom, PhantomFile};
use healthimaging_tools::{Consent, Server};
use healthimaging_workflows::Side;
use serde_json::{Map, Value, json};

use crate::report::{encapsulated, pdf};
use crate::rig::{Open, Rig, uri};
use crate::table::report;

/// Most calls of a conversation.
const CALLS: usize = 4;
/// Most bytes of its answers: their JSON, without pictures.
const BYTES: usize = 12_000;

const HEAD: &str = "# Conversations

Questions that people bring to an assistant, with the calls that answer them. This page is written by
`UPDATE=1 cargo test --test tools conversations`, which holds each conversation with both back ends: with the embedded store,
and with the AWS back end against the AWS API of another embedded store. Each takes at most four calls, and 12 kB of
answers (JSON, without pictures). An arrow is followed by the `summary` of an answer; `id1` and so on stand for IDs.
[tools.md](tools.md) documents the arguments.
";

/// A conversation that is counted and written down.
struct Talk<'a> {
    rig: &'a Rig,
    /// The server that is asked, in place of that of the rig.
    server: Option<Server>,
    page: String,
    ids: Vec<String>,
    calls: usize,
    bytes: usize,
}

impl Talk<'_> {
    fn ask(&mut self, question: &str) {
        (self.calls, self.bytes) = (0, 0);
        write!(self.page, "\n## {question}\n").unwrap();
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer =
            if let (Some(server), Value::Object(arguments)) = (&self.server, arguments.clone()) {
                server.call(tool, arguments, Consent::Unavailable).await.unwrap()
            } else {
                let answer = self.rig.answer(tool, arguments.clone()).await;
                answer.unwrap_or_else(|error| panic!("{tool}: {error}"))
            };
        self.calls += 1;
        let found = Value::Object(answer.structured);
        self.bytes += found.to_string().len();
        let (asked, summary) = (self.plain(&arguments), self.plain(&found["summary"]));
        let pictures = if answer.images.is_empty() { "" } else { " (with a picture)" };
        let summary = summary.as_str().unwrap();
        write!(self.page, "\n```\n{tool} {asked}\n→ {summary}{pictures}\n```\n").unwrap();
        found
    }

    /// Plans, and confirms with the token.
    async fn confirmed(&mut self, tool: &str, mut arguments: Value) -> (Value, Value) {
        let planned = self.call(tool, arguments.clone()).await;
        arguments["confirmation_token"] = planned["confirmation_token"].clone();
        let done = self.call(tool, arguments).await;
        (planned["plan"].clone(), done)
    }

    /// Ends it with the answer for the person.
    fn end(&mut self, answer: &str) {
        assert!((1..=CALLS).contains(&self.calls), "{}: {}", self.page, self.calls);
        assert!(self.bytes <= BYTES, "{}: {} bytes", self.page, self.bytes);
        write!(self.page, "\n{answer}\n").unwrap();
    }

    /// A value without what differs from run to run.
    fn plain(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) if text.starts_with("file://") => json!("file:///folder/"),
            Value::String(text) => self.plain_text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.plain(item)).collect(),
            Value::Object(object) => {
                let mut plain = Map::new();
                for (name, value) in object {
                    let is_token = name == "confirmation_token";
                    let value = if is_token { json!("TOKEN") } else { self.plain(value) };
                    plain.insert(name.clone(), value);
                }
                plain.into()
            }
            other => other.clone(),
        }
    }

    fn plain_text(&mut self, text: &str) -> String {
        let words = text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric());
        let mut plain = String::new();
        for word in words {
            let core = word.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
            let is_id = core.len() == 32 && core.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_id {
                plain.push_str(word);
                continue;
            }
            let known = self.ids.iter().position(|id| id == core).unwrap_or_else(|| {
                self.ids.push(core.to_owned());
                self.ids.len() - 1
            });
            write!(plain, "id{}{}", known + 1, &word[core.len()..]).unwrap();
        }
        plain
    }
}

/// Slices of a series of a patient.
struct Scan {
    patient: (&'static str, &'static str, &'static str),
    study: u32,
    date: &'static str,
    described: (&'static str, &'static str),
    accession: &'static str,
    series: u32,
    slices: std::ops::Range<u32>,
}

impl Scan {
    fn files(self) -> Vec<PhantomFile> {
        let Self { patient: (name, id, born), study, date, described, accession, .. } = self;
        let file = |number: u32| {
            let phantom = Phantom::ct()
                .size(32, 32)
                .patient(name, id)
                .born(born, "F")
                .study_uid(&format!("2.25.{study}"))
                .series_uid(&format!("2.25.{study}.{}", self.series))
                .sop_uid(&format!("2.25.{study}.{}.{number}", self.series))
                .study_date(date)
                .study_description(described.0)
                .series_description(described.1)
                .series_number(self.series)
                .accession_number(accession)
                .instance_number(number + 1)
                .slice_position(f64::from(number));
            PhantomFile {
                relative_path: format!("{study}-{}-{number}.dcm", self.series).into(),
                bytes: phantom.build(),
            }
        };
        self.slices.clone().map(file).collect()
    }
}

/// Jane has a chest CT with motion and a dose report, Mary is there twice, Rita was imported in two parts that differ.
pub(crate) async fn filled(rig: &Rig) -> String {
    const JANE: (&str, &str, &str) = ("DOE^JANE", "MRN-1", "19700101");
    const RITA: (&str, &str, &str) = ("POE^RITA", "MRN-4", "19550505");
    let scan = |patient, study, date, described, accession, series, slices| {
        Scan { patient, study, date, described, accession, series, slices }.files()
    };
    let datastore = rig.datastore().await;
    let chest = "CHEST CT";
    let mut files = scan(JANE, 100, "20240301", (chest, "LUNG"), "A1", 1, 0..5);
    files.extend(scan(JANE, 100, "20240301", (chest, "LUNG MOTION"), "A1", 2, 0..2));
    files.extend(scan(JANE, 101, "20220301", (chest, "LUNG"), "A0", 1, 0..2));
    for (study, id) in [(200, "MRN-2"), (201, "MRN-20")] {
        let mary = ("ROE^MARY", id, "19600202");
        files.extend(scan(mary, study, "20250110", ("ABDOMEN", "PORTAL"), "B1", 1, 0..3));
    }
    files.extend(scan(RITA, 400, "20250401", ("HEAD", "BRAIN"), "C1", 1, 0..2));
    files.push(report(1, "MRN-1", &["120.5", "30.25"]));
    rig.import(&datastore, files).await;
    rig.import(&datastore, scan(RITA, 400, "20250401", ("HEAD", "BRAIN"), "C2", 1, 2..4)).await;
    datastore
}

pub(crate) fn patient(id: &str) -> Value {
    json!({ "filters": [{ "values": [{ "DICOMPatientId": id }], "operator": "EQUAL" }] })
}

pub(crate) async fn questions_take_four_calls_at_most(rig: Rig) {
    let rig = rig.confirming();
    let datastore = filled(&rig).await;
    let page = HEAD.to_owned();
    let mut talk = Talk { rig: &rig, server: None, page, ids: Vec::new(), calls: 0, bytes: 0 };
    reading(&mut talk).await;
    comparing(&mut talk, &datastore).await;
    moving_files(&mut talk, &datastore).await;
    changing(&mut talk, &datastore).await;
    showing(&mut talk, &datastore).await;
    copying(&mut talk).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conversations.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &talk.page).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == talk.page, "docs/conversations.md differs; run with UPDATE=1:\n{}", talk.page);
}

async fn reading(talk: &mut Talk<'_>) {
    talk.ask("Find the chest CTs of patient MRN-1 since 2023, and show me the middle slice");
    let found = talk
        .call(
            "search_image_sets",
            json!({
                "search_criteria": patient("MRN-1"), "modality": "CT", "text": "chest",
                "study_date_from": "20230101"
            }),
        )
        .await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    assert_eq!(sets.len(), 2, "{found}");
    let of_series = |set: &&Value| set["dicom_tags"]["DICOMSeriesInstanceUID"] == "2.25.100.1";
    let set = sets.iter().find(of_series).unwrap();
    let asked = json!({ "image_set_id": set["image_set_id"], "slice": "middle", "format": "jpeg" });
    let frame = talk.call("get_image_frame", asked).await;
    // Five slices: the third.
    assert_eq!(frame["picture"]["sop_instance_uid"], "2.25.100.1.2", "{frame}");
    talk.end("Two series of one study; the slice is shown.");

    talk.ask("Which series has study 2.25.100, and which mention motion?");
    let asked = json!({ "study_instance_uid": "2.25.100", "text": "motion" });
    let found = talk.call("get_study_series", asked).await;
    assert_eq!(found["series_examined"], 2);
    assert_eq!(found["series"][0]["series_instance_uid"], "2.25.100.2", "{found}");
    assert_eq!(found["series"].as_array().unwrap().len(), 1);
    talk.end("Two series, of which one mentions motion in its description.");

    talk.ask("What is the radiation dose of each patient?");
    let asked = json!({
        "modality": "SR", "attributes": ["PatientID"], "content": ["113838"], "group_by": ["PatientID"]
    });
    let found = talk.call("tabulate_attributes", asked).await;
    // 120.5 and 30.25 mGy.cm.
    assert_eq!(found["rows"][0][3], 150.75, "{found}");
    talk.end("The dose length product of each patient: count, sum, smallest, largest, mean.");

    talk.ask("Which studies have no report?");
    let asked = json!({ "by_study": true, "lacks_modality": "SR" });
    let found = talk.call("search_image_sets", asked).await;
    // Jane's two, Mary's two and Rita's; the report is a study of its own.
    assert_eq!(found["studies"].as_array().unwrap().len(), 5, "{found}");
    talk.end("Five studies.");

    talk.ask("How big is my data store, and who are the biggest patients?");
    let found = talk.call("summarize_datastore", json!({})).await;
    assert!(found.to_string().contains("MRN-1"), "{found}");
    talk.end("Counts and bytes, by modality, patient, month and transfer syntax.");
}

async fn comparing(talk: &mut Talk<'_>, datastore: &str) {
    talk.ask("Why is this image set of patient MRN-4 not primary?");
    let asked = json!({ "search_criteria": patient("MRN-4") });
    let found = talk.call("search_image_sets", asked).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    let other = sets.iter().find(|set| set["is_primary"] == false).unwrap();
    let asked = json!({ "image_set_id": other["image_set_id"] });
    let found = talk.call("compare_image_sets", asked).await;
    assert_eq!(found["not_primary"]["conflicts"][0]["attribute"], "AccessionNumber", "{found}");
    talk.end("Its Accession Number differs from that of the primary image set; the answer has the calls that resolve it.");

    let set = sets.iter().find(|set| set["is_primary"] == true).unwrap()["image_set_id"].clone();
    let document =
        json!({ "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "SKULL" } } });
    let change = json!({
        "datastore_id": datastore, "image_set_id": set, "latest_version_id": "1", "wait_seconds": 60,
        "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": document } }
    });
    talk.rig.call("update_image_set_metadata", change).await;
    talk.ask("What changed between version 1 and now?");
    let asked = json!({ "image_set_id": set, "version_id": "1" });
    let found = talk.call("compare_image_sets", asked).await;
    let row = &found["attributes"][0];
    assert_eq!((&row["old"], &row["new"]), (&json!("HEAD"), &json!("SKULL")), "{found}");
    talk.end("The Study Description; frames and instances are the same.");
}

async fn moving_files(talk: &mut Talk<'_>, datastore: &str) {
    talk.ask("Export study 2.25.100 for research, without names");
    let asked = json!({
        "output_s3_uri": uri(&talk.rig.allowed()), "study_instance_uid": "2.25.100",
        "deidentify": { "profile": "basic" }, "wait_seconds": 120
    });
    let job = talk.call("start_dicom_export_job", asked).await;
    assert_eq!((&job["job_status"], &job["files_done"]), (&json!("COMPLETED"), &json!(7)), "{job}");
    talk.end(
        "Seven files; images that may show text of the patient would be held back and listed.",
    );

    talk.ask("Import this folder: what failed, and why?");
    let folder = tempfile::tempdir_in(talk.rig.allowed()).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not DICOM").unwrap();
    let outcome = tempfile::tempdir_in(talk.rig.allowed()).unwrap();
    let asked = json!({
        "datastore_id": datastore, "input_s3_uri": uri(folder.path()),
        "output_s3_uri": uri(outcome.path()), "wait_seconds": 120,
        "data_access_role_arn": "arn:aws:iam::000000000000:role/import"
    });
    let job = talk.call("start_dicom_import_job", asked).await;
    assert_eq!(job["outcome"]["files_failed"], 1, "{job}");
    assert!(job["failures"][0]["file"].as_str().unwrap().ends_with("notes.txt"), "{job}");
    talk.end("One file, which is not DICOM; `get_dicom_import_job` pages through more.");
}

async fn changing(talk: &mut Talk<'_>, datastore: &str) {
    talk.ask("Study 2.25.101 is under the wrong patient: it belongs to MRN-2");
    let asked = json!({
        "datastore_id": datastore, "study_instance_uid": "2.25.101", "to_patient_id": "MRN-2",
        "wait_seconds": 60
    });
    let (plan, _) = talk.confirmed("reassign_study", asked).await;
    assert!(plan.to_string().contains("PatientBirthDate"), "{plan}");
    talk.end("All attributes of the patient are those of MRN-2, also name, birth date and sex.");

    talk.ask("MRN-2 and MRN-20 are one person: merge them");
    let asked = json!({
        "datastore_id": datastore, "patient_id": "MRN-20", "all_studies": true,
        "to_patient_id": "MRN-2", "wait_seconds": 60
    });
    talk.confirmed("reassign_study", asked).await;
    let found = talk.call("get_patient_studies", json!({ "patient_id": "MRN-2" })).await;
    assert_eq!(found["studies"].as_array().unwrap().len(), 3, "{found}");
    talk.end("The plan compares both patients; afterwards MRN-2 has all studies.");

    talk.ask("The laterality of series 2.25.100.1 is missing: it is the left side");
    let asked = json!({
        "datastore_id": datastore, "series_instance_uid": "2.25.100.1",
        "metadata_updates": { "Laterality": "L" }, "wait_seconds": 60
    });
    let (plan, done) = talk.confirmed("update_series_metadata", asked).await;
    assert_eq!(plan["changes"][0]["attribute"], "Laterality", "{plan}");
    assert_eq!(done["report"]["without_the_values"]["image_sets"], 0, "{done}");
    talk.end(
        "The service does not change the series of a primary image set: a changed copy took its place, as the plan said.",
    );

    talk.ask("Forget patient MRN-4");
    let asked = json!({
        "datastore_id": datastore, "patient_id": "MRN-4", "erase_older_versions": true,
        "wait_seconds": 60
    });
    talk.confirmed("delete_patient_studies", asked).await;
    let asked = json!({ "search_criteria": patient("MRN-4") });
    let found = talk.call("search_image_sets", asked).await;
    assert_eq!(found["image_sets_metadata_summaries"], json!([]), "{found}");
    talk.end("The plan names what goes; afterwards nothing is found.");
}

async fn showing(talk: &mut Talk<'_>, datastore: &str) {
    let page = "BT /F1 12 Tf 10 70 Td (Impression: clear) Tj ET";
    let document = encapsulated(1, "1", "application/pdf", pdf(&[page], ""));
    let document = document.study_uid("2.25.500").patient("DOE^JANE", "MRN-1");
    let file = PhantomFile { relative_path: "1.dcm".into(), bytes: document.build() };
    talk.rig.import(datastore, [file]).await;
    talk.ask("Show me the PDF of study 2.25.500");
    let asked = json!({ "study_instance_uid": "2.25.500", "page": 1 });
    let found = talk.call("get_report", asked).await;
    assert_eq!(found["text"], "Impression: clear", "{found}");
    talk.end("Its text, and the page as a picture.");
}

/// Between both back ends; the one is that of the conversation.
async fn copying(talk: &mut Talk<'_>) {
    let limits = talk.rig.back_end().service.limits();
    let is_aws = (limits.rate)(Operation::CopyImageSet).is_some();
    let (own, open): (Side, Open) =
        if is_aws { (Side::Aws, crate::open_local) } else { (Side::Local, crate::open_aws) };
    let other = Rig::new(open).await;
    let aws = if is_aws { talk.rig } else { &other };
    if is_aws {
        filled(&other).await;
    }
    let made = json!({ "datastore_name": "research", "wait_seconds": 60 });
    aws.call("create_datastore", made).await;
    talk.server = Some(talk.rig.beside(own, &other));
    talk.ask("Copy study 2.25.100 to the data store research in AWS");
    let mut asked = json!({
        "from_datastore": "local:ward", "to_datastore": "aws:research",
        "criteria": { "study_instance_uid": "2.25.100" }, "dry_run": true
    });
    let found = talk.call("transfer_studies", asked.clone()).await;
    assert_eq!(found["estimate"]["instances"], 7, "{found}");
    asked.as_object_mut().unwrap().shift_remove("dry_run");
    asked["wait_seconds"] = json!(300);
    let done = talk.call("transfer_studies", asked).await;
    assert_eq!(done["report"]["instances_transferred"], 7, "{done}");
    assert_eq!(done["report"]["instances_that_differ_in"], json!({}), "{done}");
    talk.end("Seven instances, each read back and compared.");
}
