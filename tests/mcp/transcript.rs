//! `docs/transcript.md`: every tool at work, through the real program.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use healthimaging_client::Client;
use healthimaging_phantoms::{Archive, Phantom, write_to};
use healthimaging_tools::Offer;
use serde_json::{Map, Value, json};

use crate::held::HeldS3;
use crate::plain::Plain;
use crate::program;
use crate::work::{Assistant, text};

/// Three patients with a study of two series of three slices.
const ARCHIVE: Archive =
    Archive { patients: 3, studies: 1, series: 2, instances: 3, size: 32, seed: 7, noise: 18.0 };

const HEAD: &str = "# Every tool at work

This page is written by `UPDATE=1 cargo test --test mcp transcript`: the real program over standard input and output, on
generated scans in the embedded store. IDs are replaced by kind and number, every time is the same, lists show their first
two items, and the client cannot ask its user, so that consent is given by token. [tools.md](tools.md) explains the arguments.
";

/// Whether a call or an answer is as the published schema says.
fn fits(tool: &str, schema: Map<String, Value>, found: &Value) {
    let validator = jsonschema::validator_for(&Value::Object(schema)).unwrap();
    if let Err(error) = validator.validate(found) {
        panic!("{tool}: {error}: {found}");
    }
}

/// A conversation that is written down.
struct Scribe {
    assistant: Assistant,
    plain: Plain,
    page: String,
    shown: BTreeSet<String>,
}

impl Scribe {
    /// Calls a tool, and writes the call and its answer down.
    async fn show(&mut self, tool: &str, arguments: Value) -> Value {
        if self.shown.insert(tool.to_owned()) {
            write!(self.page, "\n## {tool}\n").unwrap();
        }
        let definition = Offer::All.tools().find(|entry| entry.name == tool).unwrap().definition();
        fits(tool, definition.input_schema, &arguments);
        let answer = self.assistant.try_call(tool, arguments.clone()).await;
        assert!(!answer.is_error, "{tool}: {}", answer.text);
        fits(tool, definition.output_schema, &answer.structured);
        let asked = pretty(&self.plain.value(&arguments));
        let got = pretty(&self.plain.value(&answer.structured));
        write!(self.page, "\n```json\n{asked}\n```\nanswers\n```json\n{got}\n```\n").unwrap();
        for image in answer.images {
            writeln!(self.page, "and a picture, {}.", image.media_type).unwrap();
        }
        answer.structured
    }

    /// The same for a tool that wants consent: the plan, then the deed.
    async fn show_planned(&mut self, tool: &str, mut arguments: Value) -> Value {
        let planned = self.show(tool, arguments.clone()).await;
        arguments["confirmation_token"] = planned["confirmation_token"].clone();
        let done = self.show(tool, arguments).await;
        assert!(done.get("plan").is_none(), "{tool}: {done}");
        done
    }

    /// Calls a tool that is shown elsewhere.
    async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.assistant.call(tool, arguments).await
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// The archive, each series in a folder of its own, and a file apart, below `more`.
fn write_scans(folder: &Path) {
    for (at, file) in ARCHIVE.files().enumerate() {
        write_to(&folder.join(format!("scans/{}", at / 3)), [file]).unwrap();
    }
    std::fs::create_dir(folder.join("more")).unwrap();
    let phantom = Phantom::mr()
        .size(32, 32)
        .patient("SOMEONE^ELSE", "MRN-0042")
        .study_uid("2.25.4201")
        .series_uid("2.25.4202")
        .sop_uid("2.25.4203");
    std::fs::write(folder.join("more/knee.dcm"), phantom.build()).unwrap();
}

#[tokio::test]
async fn the_transcript_shows_every_tool() {
    let folder = tempfile::tempdir().unwrap();
    write_scans(folder.path());
    let s3 = HeldS3::start().await;
    let mut command = program(folder.path());
    command
        .env("AWS_ENDPOINT_URL_S3", &s3.address)
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    let mut scribe = Scribe {
        assistant: Assistant(Client::spawn(command).await.unwrap()),
        plain: Plain::new(folder.path()),
        page: HEAD.to_owned(),
        shown: BTreeSet::new(),
    };
    let store = fill(&mut scribe, folder.path()).await;
    let sets = find(&mut scribe, &store).await;
    read(&mut scribe, &store, &sets[0]).await;
    report(&mut scribe, folder.path()).await;
    change(&mut scribe, &store, &sets[0]).await;
    export(&mut scribe, &store, folder.path(), &s3).await;
    erase(&mut scribe, &store).await;
    let all: BTreeSet<String> = scribe.assistant.0.tools().await.unwrap().into_iter().collect();
    assert_eq!(scribe.shown, all, "shown, and all there are");
    scribe.assistant.0.close().await.unwrap();

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/transcript.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &scribe.page).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = kept.lines().zip(scribe.page.lines()).find(|(a, b)| a != b);
    assert!(
        kept == scribe.page,
        "docs/transcript.md is not what happens ({differs:?}); if that is meant, run with UPDATE=1"
    );
}

async fn fill(scribe: &mut Scribe, folder: &Path) -> String {
    let asked =
        json!({ "datastore_name": "ward", "tags": { "Project": "alpha" }, "wait_seconds": 60 });
    let made = scribe.show("create_datastore", asked).await;
    let store = text(&made["datastore_id"]);
    scribe.show("list_datastores", json!({})).await;
    scribe.show("get_datastore", json!({ "datastore_id": store })).await;
    let asked = json!({
        "datastore_id": store,
        "input_s3_uri": format!("file://{}/scans/0/", folder.display()),
        "job_name": "first-import",
        "wait_seconds": 120
    });
    let job = scribe.show("start_dicom_import_job", asked).await;
    assert_eq!(job["job_status"], "COMPLETED", "{job}");
    let asked = json!({ "datastore_id": store, "job_id": job["job_id"] });
    scribe.show("get_dicom_import_job", asked).await;
    let asked = json!({ "datastore_id": store, "job_status": "COMPLETED" });
    scribe.show("list_dicom_import_jobs", asked).await;
    // One after the other, so that they are found in one order.
    for series in 1..6 {
        let asked =
            json!({ "datastore_id": store, "paths": [folder.join(format!("scans/{series}"))] });
        scribe.call("store_dicom_instances", asked).await;
    }
    let asked = json!({ "datastore_id": store, "paths": [folder.join("more")] });
    let stored = scribe.show("store_dicom_instances", asked).await;
    assert_eq!(stored["stored"], 1);
    store
}

/// A tag of an image set, as a search returns it.
fn tag(set: &Value, name: &str) -> String {
    text(&set["dicom_tags"][name])
}

/// Searches, patients and studies; the image sets of the first patient.
async fn find(scribe: &mut Scribe, store: &str) -> Vec<Value> {
    scribe.show("summarize_datastore", json!({ "datastore_id": store })).await;
    let everything = json!({
        "datastore_id": store,
        "search_criteria": { "sort": { "sortField": "createdAt", "sortOrder": "ASC" } }
    });
    let all = scribe.call("search_image_sets", everything).await;
    let first = all["image_sets_metadata_summaries"][0].clone();
    let patient = tag(&first, "DICOMPatientId");
    let (study, series) =
        (tag(&first, "DICOMStudyInstanceUID"), tag(&first, "DICOMSeriesInstanceUID"));
    let asked = json!({
        "datastore_id": store,
        "search_criteria": {
            "filters": [{ "values": [{ "DICOMPatientId": patient }], "operator": "EQUAL" }],
            "sort": { "sortField": "createdAt", "sortOrder": "ASC" }
        },
        "modality": "CT"
    });
    let found = scribe.show("search_image_sets", asked).await;
    let asked = json!({
        "datastore_id": store, "patient_id": patient, "modality": "CT", "max_results": 1
    });
    scribe.show("search_by_patient_id", asked).await;
    let asked = json!({ "datastore_id": store, "study_instance_uid": study, "primary_only": true });
    scribe.show("search_by_study_uid", asked).await;
    let by_series = json!({ "datastore_id": store, "series_instance_uid": series });
    scribe.show("search_by_series_uid", by_series.clone()).await;
    let by_patient = json!({ "datastore_id": store, "patient_id": patient });
    for tool in ["get_patient_studies", "get_patient_series", "get_patient_dicomweb_studies"] {
        scribe.show(tool, by_patient.clone()).await;
    }
    let by_study = json!({ "datastore_id": store, "study_instance_uid": study });
    scribe.show("get_study_series", by_study.clone()).await;
    let asked = json!({
        "datastore_id": store, "attributes": ["PatientID", "SliceThickness"], "group_by": ["PatientID"]
    });
    scribe.show("tabulate_attributes", asked).await;
    scribe.show("get_study_primary_image_sets", by_study).await;
    scribe.show("get_series_primary_image_set", by_series).await;
    found["image_sets_metadata_summaries"].as_array().unwrap().clone()
}

async fn read(scribe: &mut Scribe, store: &str, set: &Value) {
    let one = json!({ "datastore_id": store, "image_set_id": set["image_set_id"] });
    scribe.show("get_image_set", one.clone()).await;
    let mut asked = one.clone();
    asked["level"] = json!("SERIES");
    scribe.show("get_image_set_metadata", asked).await;
    let mut asked = one.clone();
    asked["attributes"] = json!(["InstanceNumber", "SliceThickness"]);
    let read = scribe.call("get_image_set_metadata", asked.clone()).await;
    let series = read["metadata"]["Study"]["Series"].as_object().unwrap();
    let instances = series.values().next().unwrap()["Instances"].as_object().unwrap();
    asked["sop_instance_uid"] = json!(instances.keys().next().unwrap());
    let mut picture = one.clone();
    picture["sop_instance_uid"] = asked["sop_instance_uid"].clone();
    scribe.show("get_image_frame", picture).await;
    let series = json!(series.keys().next().unwrap());
    let asked = json!({ "datastore_id": store, "series_instance_uid": series, "count": 4 });
    scribe.show("get_series_contact_sheet", asked.clone()).await;
    let asked =
        json!({ "datastore_id": store, "series_instance_uid": asked["series_instance_uid"] });
    scribe.show("view_series", asked).await;
}

async fn report(scribe: &mut Scribe, folder: &Path) {
    let phantom = Phantom::report().study_uid("2.25.4301").series_uid("2.25.4302");
    let file = folder.join("report.dcm");
    std::fs::write(&file, phantom.sop_uid("2.25.4303").build()).unwrap();
    let made = scribe
        .call("create_datastore", json!({ "datastore_name": "reports", "wait_seconds": 60 }))
        .await;
    let store = made["datastore_id"].clone();
    let asked = json!({ "datastore_id": store, "paths": [file] });
    scribe.call("store_dicom_instances", asked).await;
    let asked = json!({ "datastore_id": store, "study_instance_uid": "2.25.4301" });
    scribe.show("get_report", asked).await;
    let copies = json!({ "datastore_name": "copies", "wait_seconds": 60 });
    scribe.call("create_datastore", copies).await;
    let asked = json!({
        "from_datastore": "reports", "to_datastore": "copies",
        "criteria": { "study_instance_uid": "2.25.4301" }, "wait_seconds": 60
    });
    scribe.show("transfer_studies", asked).await;
}

async fn change(scribe: &mut Scribe, store: &str, set: &Value) {
    let id = &set["image_set_id"];
    let asked = json!({
        "datastore_id": store,
        "image_set_id": id,
        "latest_version_id": "1",
        "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": {
            "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "CT CHEST" } }
        } } },
        "wait_seconds": 60
    });
    scribe.show("update_image_set_metadata", asked).await;
    let asked = json!({ "datastore_id": store, "image_set_id": id });
    scribe.show("list_image_set_versions", asked.clone()).await;
    let mut asked = asked;
    asked["version_id"] = json!("1");
    scribe.show("compare_image_sets", asked).await;
    let asked = json!({
        "datastore_id": store,
        "source_image_set_id": id,
        "copy_image_set_information": { "sourceImageSet": { "latestVersionId": "2" } },
        "wait_seconds": 60
    });
    scribe.show("copy_image_set", asked).await;
    let asked = json!({
        "datastore_id": store,
        "study_instance_uid": tag(set, "DICOMStudyInstanceUID"),
        "study_updates": { "StudyDescription": "CT CHEST W/O CONTRAST" },
        "wait_seconds": 60
    });
    scribe.show("update_patient_study_metadata", asked).await;
    let asked = json!({
        "datastore_id": store,
        "patient_id": tag(set, "DICOMPatientId"),
        "metadata_updates": { "PatientName": "DOE^JANE" },
        "wait_seconds": 60
    });
    scribe.show_planned("bulk_update_patient_metadata", asked).await;

    let asked = json!({
        "datastore_id": store, "study_instance_uid": "2.25.4201", "to_patient_id": "MRN-0043",
        "patient": { "PatientName": "DOE^JANE" }, "wait_seconds": 60
    });
    scribe.show_planned("reassign_study", asked).await;
    let back = json!({
        "datastore_id": store, "patient_id": "MRN-0043",
        "metadata_updates": { "PatientID": "MRN-0042" }, "wait_seconds": 60
    });
    let plan = scribe.call("bulk_update_patient_metadata", back.clone()).await;
    let mut back = back;
    back["confirmation_token"] = plan["confirmation_token"].clone();
    scribe.call("bulk_update_patient_metadata", back).await;

    let asked = json!({
        "datastore_id": store, "series_instance_uid": "2.25.4202",
        "metadata_updates": { "Laterality": "L" }, "wait_seconds": 60
    });
    scribe.show_planned("update_series_metadata", asked).await;

    let found = scribe.call("get_datastore", json!({ "datastore_id": store })).await;
    let arn = &found["datastore_properties"]["datastore_arn"];
    let asked = json!({ "resource_arn": arn, "tags": { "Team": "radiology" } });
    scribe.show("tag_resource", asked).await;
    let asked = json!({ "resource_arn": arn, "tag_keys": ["Project"] });
    scribe.show("untag_resource", asked).await;
    scribe.show("list_tags_for_resource", json!({ "resource_arn": arn })).await;
}

async fn export(scribe: &mut Scribe, store: &str, folder: &Path, s3: &HeldS3) {
    let asked = json!({
        "datastore_id": store,
        "output_s3_uri": format!("file://{}/out/", folder.display()),
        "study_instance_uid": "2.25.4201",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "wait_seconds": 60
    });
    let job = scribe.show("start_dicom_export_job", asked).await;
    assert_eq!(job["job_status"], "COMPLETED", "{job}");
    let asked = json!({ "datastore_id": store, "job_id": job["job_id"] });
    scribe.show("get_dicom_export_job", asked).await;
    scribe.show("list_dicom_export_jobs", json!({ "datastore_id": store })).await;
    scribe.show("get_job", json!({ "job_id": job["job_id"] })).await;

    // To a bucket that does not answer, so that there is something to cancel.
    let asked = json!({
        "datastore_id": store,
        "output_s3_uri": "s3://bucket/out/",
        "study_instance_uid": "2.25.4201",
        "wait_seconds": 0
    });
    let job = scribe.call("start_dicom_export_job", asked).await;
    let asked = json!({ "job_id": job["job_id"] });
    loop {
        let job = scribe.call("get_job", asked.clone()).await["job"].take();
        if job["job_status"] == "IN_PROGRESS" {
            break;
        }
        assert!(job.get("ended_at").is_none(), "{job}");
    }
    scribe.show("list_jobs", json!({ "job_status": "IN_PROGRESS" })).await;
    scribe.show("cancel_job", asked).await;
    s3.let_go();
}

async fn erase(scribe: &mut Scribe, store: &str) {
    let all = json!({
        "datastore_id": store, "primary_only": true,
        "search_criteria": { "sort": { "sortField": "createdAt", "sortOrder": "ASC" } }
    });
    let found = scribe.call("search_image_sets", all).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    assert_eq!(sets.len(), 7);
    let study_of = |set: &Value| tag(set, "DICOMStudyInstanceUID");
    let series_of = |set: &Value| tag(set, "DICOMSeriesInstanceUID");
    let id_of = |set: &Value| set["image_set_id"].clone();
    // The first patient, instance by instance and series by series.
    let read = json!({ "datastore_id": store, "image_set_id": id_of(&sets[0]) });
    let read = scribe.call("get_image_set_metadata", read).await;
    let instances = &read["metadata"]["Study"]["Series"][series_of(&sets[0])]["Instances"];
    let instances: Vec<String> = instances.as_object().unwrap().keys().cloned().collect();
    let one = |more: Value| {
        let mut asked = json!({ "datastore_id": store, "wait_seconds": 60 });
        for (key, value) in more.as_object().unwrap() {
            asked[key] = value.clone();
        }
        asked
    };
    let asked = one(json!({
        "image_set_id": id_of(&sets[0]),
        "series_instance_uid": series_of(&sets[0]),
        "sop_instance_uid": instances[0]
    }));
    scribe.show_planned("remove_instance_from_image_set", asked).await;
    let asked = one(json!({
        "series_instance_uid": series_of(&sets[0]), "sop_instance_uid": instances[1], "erase": true
    }));
    scribe.show_planned("delete_instance_in_series", asked).await;
    let asked = one(json!({
        "study_instance_uid": study_of(&sets[0]), "sop_instance_uid": instances[2]
    }));
    scribe.show_planned("delete_instance_in_study", asked).await;
    let asked = one(json!({
        "image_set_id": id_of(&sets[1]), "series_instance_uid": series_of(&sets[1])
    }));
    scribe.show_planned("remove_series_from_image_set", asked).await;
    // The second, in two ways.
    let asked = one(json!({ "series_instance_uid": series_of(&sets[2]) }));
    scribe.show_planned("delete_series_by_uid", asked).await;
    let asked = one(json!({ "image_set_id": id_of(&sets[3]) }));
    scribe.show_planned("delete_image_set", asked).await;
    // The third, and the one that was stored.
    let asked = one(json!({ "study_instance_uid": study_of(&sets[4]) }));
    scribe.show_planned("delete_study", asked).await;
    let asked = one(json!({ "patient_id": "MRN-0042" }));
    scribe.show_planned("delete_patient_studies", asked).await;
    // What is left is a copy.
    let asked = one(json!({ "criteria": { "modality": "CT" }, "max_deletions": 5 }));
    scribe.show_planned("bulk_delete_by_criteria", asked).await;
    let asked = json!({ "datastore_id": store });
    scribe.show_planned("delete_datastore", asked).await;
}
