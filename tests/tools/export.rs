//! Exports: which files, their content, and their manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use healthimaging_phantoms::{Phantom, PhantomFile};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::rig::{self, Rig, uri};

/// Explicit VR Little Endian (`PS3.5 §A.2`).
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
/// HTJ2K Lossless RPCL (`PS3.5 §A.4.4`), in which frames are stored.
const HTJ2K: &str = "1.2.840.10008.1.2.4.202";

/// What an export came to: the job, its files by relative path, and its lines.
pub(crate) struct Exported {
    job: Value,
    root: PathBuf,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    success: Vec<Value>,
    pub(crate) failure: Vec<Value>,
    summary: Value,
}

impl Exported {
    fn names(&self) -> BTreeSet<&str> {
        self.files.keys().map(String::as_str).collect()
    }
}

pub(crate) fn slice(number: u32) -> Phantom {
    Phantom::ct()
        .size(16, 16)
        .study_uid("2.25.1")
        .series_uid("2.25.1.1")
        .sop_uid(&format!("2.25.1.1.{number}"))
        .instance_number(number)
}

pub(crate) fn file(name: &str, phantom: Phantom) -> PhantomFile {
    PhantomFile { relative_path: name.into(), bytes: phantom.build() }
}

/// Exports to a new folder, to the end.
pub(crate) async fn export(rig: &Rig, datastore: &str, asked: Value) -> Exported {
    let root = tempfile::tempdir_in(rig.allowed()).unwrap().keep();
    let mut arguments = json!({
        "datastore_id": datastore, "output_s3_uri": uri(&root), "wait_seconds": 120,
    });
    let more = asked.as_object().unwrap().clone();
    arguments.as_object_mut().unwrap().extend(more);
    let job = rig.call("start_dicom_export_job", arguments).await;
    assert_eq!(job["job_status"], "COMPLETED", "{job}");
    let folder = format!("{datastore}-DicomExport-{}", job["job_id"].as_str().unwrap());
    assert_eq!(job["output_s3_uri"], format!("{}/{folder}/", uri(&root)));
    let outcome = root.join(folder);
    let lines = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(outcome.join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let manifest = std::fs::read(outcome.join("job-output-manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let exported = Exported {
        files: files_below(&root),
        success: lines("SUCCESS/success.ndjson"),
        failure: lines("FAILURE/failure.ndjson"),
        summary: manifest["jobSummary"].clone(),
        job,
        root,
    };
    check_lines(&exported);
    exported
}

fn files_below(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = rig::files_below(root).into_iter();
    let of_dicom = all.filter(|path| path.extension().is_some_and(|ending| ending == "dcm"));
    let named = of_dicom.map(|path| {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        (name.to_owned(), std::fs::read(&path).unwrap())
    });
    named.collect()
}

/// Each file has its line, with its size and SHA-256, and each line its file.
fn check_lines(exported: &Exported) {
    let mut listed = BTreeSet::new();
    for line in &exported.success {
        let path = line["outputFile"].as_str().unwrap();
        let name = Path::new(path).strip_prefix(&exported.root).unwrap();
        let content = &exported.files[name.to_str().unwrap()];
        let digest = hex(&Sha256::digest(content));
        let response = &line["exportResponse"];
        assert_eq!(response["sha256"], digest, "{line}");
        assert_eq!(response["sizeInBytes"], content.len(), "{line}");
        let object = dicom_object::from_reader(&content[..]).unwrap();
        let syntax = object.meta().transfer_syntax();
        assert_eq!(response["transferSyntaxUid"], syntax, "{line}");
        listed.insert(name.to_str().unwrap());
    }
    assert_eq!(listed, exported.names());
    assert_eq!(exported.summary["numberOfExportedFiles"], listed.len());
    assert_eq!(exported.job["files_failed"], exported.failure.len());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn text_of(content: &[u8], tag: dicom_core::Tag) -> String {
    let object = dicom_object::from_reader(content).unwrap();
    let element = object.element(tag).unwrap();
    element.to_str().unwrap().trim().to_owned()
}

pub(crate) async fn a_whole_data_store_is_exported(rig: Rig) {
    let datastore = rig.filled().await;
    let exported = export(&rig, &datastore, json!({ "job_name": "all" })).await;
    assert_eq!(exported.files.len(), 24);
    for (name, content) in &exported.files {
        let study = text_of(content, tags::STUDY_INSTANCE_UID);
        let series = text_of(content, tags::SERIES_INSTANCE_UID);
        let sop = text_of(content, tags::SOP_INSTANCE_UID);
        assert_eq!(*name, format!("{study}/{series}/{sop}.dcm"));
    }
    let summary = &exported.summary;
    assert_eq!(summary["datastoreId"], datastore.as_str());
    assert_eq!(summary["jobId"], exported.job["job_id"]);
    assert_eq!(summary["numberOfImageSets"], 8);
    let bytes: usize = exported.files.values().map(Vec::len).sum();
    assert_eq!(summary["sizeInBytes"], bytes);
    assert_eq!(exported.job["bytes_written"], bytes);
    assert!(
        exported.success.iter().all(|line| line["exportResponse"]["transferSyntaxUid"] == HTJ2K)
    );

    let asked = json!({ "datastore_id": datastore, "job_id": exported.job["job_id"] });
    let found = rig.call("get_dicom_export_job", asked.clone()).await;
    let mut job = exported.job.clone();
    job.as_object_mut().unwrap().shift_remove("summary");
    assert_eq!(found["job_properties"], job);
    let found = rig.call("list_dicom_export_jobs", json!({ "datastore_id": datastore })).await;
    let summaries = found["job_summaries"].as_array().unwrap();
    assert_eq!(summaries.len(), 1);
    assert_eq!(summaries[0]["job_name"], "all");
    assert_eq!(summaries[0]["files_done"], 24);
    let failed = json!({ "datastore_id": datastore, "job_status": "FAILED" });
    let found = rig.call("list_dicom_export_jobs", failed).await;
    assert_eq!(found["job_summaries"], json!([]));

    let other = rig.datastore().await;
    let asked = json!({ "datastore_id": other, "job_id": exported.job["job_id"] });
    rig.refusal("get_dicom_export_job", asked, "not_found").await;
}

pub(crate) async fn a_study_a_series_an_instance_are_exported_alone(rig: Rig) {
    let datastore = rig.filled().await;
    let all = export(&rig, &datastore, json!({})).await;
    let name = *all.names().first().unwrap();
    let parts: Vec<&str> = name.trim_end_matches(".dcm").split('/').collect();
    let [study, series, sop] = parts[..] else {
        panic!("{name}");
    };
    for (asked, count) in [
        (json!({ "study_instance_uid": study }), 6),
        (json!({ "series_instance_uid": series }), 3),
        (
            json!({ "study_instance_uid": study, "series_instance_uid": series,
                    "sop_instance_uid": sop }),
            1,
        ),
        (json!({ "sop_instance_uid": sop }), 1),
        (json!({ "sop_instance_uid": sop, "include_non_primary": true }), 1),
    ] {
        let some = export(&rig, &datastore, asked.clone()).await;
        assert_eq!(some.files.len(), count, "{asked}");
        assert!(some.files.contains_key(name), "{asked}");
        assert!(some.files.iter().all(|(name, content)| all.files[name] == *content));
    }
}

pub(crate) async fn image_sets_are_chosen_by_when_they_were_made(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, [file("1", slice(1))]).await;
    let asked = json!({ "datastore_id": datastore });
    let found = rig.call("search_image_sets", asked).await;
    let made = found["image_sets_metadata_summaries"][0]["created_at"].as_str().unwrap();
    let made: chrono::DateTime<chrono::Utc> = made.parse().unwrap();
    let hour = chrono::Duration::hours(1);
    let moment =
        |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let inside =
        json!({ "submitted_after": moment(made - hour), "submitted_before": moment(made + hour) });
    assert_eq!(export(&rig, &datastore, inside).await.files.len(), 1);
    let open = json!({ "submitted_after": moment(made - hour) });
    assert_eq!(export(&rig, &datastore, open).await.files.len(), 1);
    let message =
        nothing_to_export(&rig, &datastore, json!({ "submitted_before": moment(made - hour) }))
            .await;
    assert!(message.contains("nothing"), "{message}");
    let backwards = json!({
        "datastore_id": datastore, "output_s3_uri": uri(&rig.allowed()),
        "submitted_after": moment(made), "submitted_before": moment(made - hour),
    });
    rig.refusal("start_dicom_export_job", backwards, "validation_error").await;
}

/// The error of an export that finds nothing; no job is started.
async fn nothing_to_export(rig: &Rig, datastore: &str, asked: Value) -> String {
    let mut arguments = json!({
        "datastore_id": datastore, "output_s3_uri": uri(&rig.allowed()), "wait_seconds": 120,
    });
    let more = asked.as_object().unwrap().clone();
    arguments.as_object_mut().unwrap().extend(more);
    let jobs = async || {
        let listed = rig.call("list_dicom_export_jobs", json!({ "datastore_id": datastore })).await;
        listed["job_summaries"].as_array().unwrap().len()
    };
    let before = jobs().await;
    let message = rig.refusal("start_dicom_export_job", arguments, "not_found").await;
    assert_eq!(jobs().await, before);
    message
}

pub(crate) async fn image_sets_that_are_not_primary_are_exported_when_asked_for(rig: Rig) {
    let datastore = rig.datastore().await;
    let ours = slice(1).study_description("FIRST");
    rig.import(&datastore, [file("1", ours)]).await;
    // Another study date: the same UIDs, outside of the primary hierarchy.
    let theirs = slice(1).study_date("20200229").study_description("SECOND");
    rig.import(&datastore, [file("1", theirs)]).await;

    let primary = export(&rig, &datastore, json!({})).await;
    assert_eq!(primary.names(), BTreeSet::from(["2.25.1/2.25.1.1/2.25.1.1.1.dcm"]));
    assert_eq!(primary.job["non_primary_image_sets_left_out"], 1);
    let all = export(&rig, &datastore, json!({ "include_non_primary": true })).await;
    assert_eq!(all.files.len(), 2);
    for line in &all.success {
        let path = line["outputFile"].as_str().unwrap();
        let name = Path::new(path).strip_prefix(&all.root).unwrap();
        let response = &line["exportResponse"];
        let set = response["imageSetId"].as_str().unwrap();
        let (expected, description) = if response["isPrimary"] == true {
            ("2.25.1/2.25.1.1/2.25.1.1.1.dcm".to_owned(), "FIRST")
        } else {
            (format!("2.25.1/2.25.1.1/{set}/2.25.1.1.1.dcm"), "SECOND")
        };
        assert_eq!(name.to_str().unwrap(), expected);
        let content = &all.files[&expected];
        assert_eq!(text_of(content, tags::STUDY_DESCRIPTION), description);
    }
}

pub(crate) async fn an_edit_is_in_the_files(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, [file("1", slice(1).study_description("CHEST W/O"))]).await;
    let asked = json!({ "datastore_id": datastore });
    let found = rig.call("search_image_sets", asked).await;
    let set = &found["image_sets_metadata_summaries"][0]["image_set_id"];
    let update = json!({
        "datastore_id": datastore, "image_set_id": set, "latest_version_id": "1", "wait_seconds": 60,
        "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": {
            "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "CHEST WITH" } } } } },
    });
    rig.call("update_image_set_metadata", update).await;
    let exported = export(&rig, &datastore, json!({})).await;
    let content = exported.files.values().next().unwrap();
    assert_eq!(text_of(content, tags::STUDY_DESCRIPTION), "CHEST WITH");
}

pub(crate) async fn files_have_the_transfer_syntax_that_is_asked_for(rig: Rig) {
    let datastore = rig.datastore().await;
    let report = Phantom::report().study_uid("2.25.2").sop_uid("2.25.2.1.1");
    rig.import(&datastore, [file("1", slice(1)), file("2", report)]).await;
    let explicit = json!({ "transfer_syntax_uid": EXPLICIT });
    let exported = export(&rig, &datastore, explicit).await;
    assert_eq!(exported.files.len(), 2);
    for line in &exported.success {
        assert_eq!(line["exportResponse"]["transferSyntaxUid"], EXPLICIT);
    }
    let image = &exported.files["2.25.1/2.25.1.1/2.25.1.1.1.dcm"];
    let image = dicom_object::from_reader(&image[..]).unwrap();
    let original = dicom_object::from_reader(&slice(1).build()[..]).unwrap();
    let pixels = |object: &dicom_object::DefaultDicomObject| {
        let element = object.element(tags::PIXEL_DATA).unwrap();
        element.to_bytes().unwrap().into_owned()
    };
    assert_eq!(pixels(&image), pixels(&original));

    // The report has no pixels, so HTJ2K cannot be had of it; the image is written all the same.
    let exported = export(&rig, &datastore, json!({ "transfer_syntax_uid": HTJ2K })).await;
    assert_eq!(exported.files.len(), 1);
    let [line] = &exported.failure[..] else {
        panic!("{:?}", exported.failure);
    };
    assert_eq!(line["exception"]["exceptionType"], "ValidationException");
    let message = line["exception"]["message"].as_str().unwrap();
    assert!(message.contains("transfer syntax"), "{message}");
    assert!(line["outputFile"].as_str().unwrap().ends_with("/2.25.2.1.1.dcm"));
    assert_eq!(exported.summary["numberOfFilesWithCustomerError"], 1);
}

pub(crate) async fn a_transfer_syntax_that_no_file_can_have_is_refused_at_once(rig: Rig) {
    let datastore = rig.filled().await;
    let folder = rig.allowed().join("refused");
    // Of no standard; RLE, which is stored as HTJ2K; JPEG 2000, the format of other data stores.
    for syntax in ["1.2.3.4", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"] {
        let asked = json!({
            "datastore_id": datastore, "output_s3_uri": uri(&folder), "transfer_syntax_uid": syntax
        });
        let message = rig.refusal("start_dicom_export_job", asked, "validation_error").await;
        for words in ["transfer_syntax_uid", EXPLICIT, HTJ2K, "leave it out"] {
            assert!(message.contains(words), "{message}");
        }
    }
    assert!(!folder.exists());
    let jobs = rig.call("list_jobs", json!({})).await;
    assert_eq!(jobs["jobs"], json!([]), "nothing was started");
    // One that some of the files could have is tried file by file.
    let exported =
        export(&rig, &datastore, json!({ "transfer_syntax_uid": "1.2.840.10008.1.2.4.50" })).await;
    assert!(exported.files.is_empty() && !exported.failure.is_empty());
}

pub(crate) async fn what_cannot_be_exported_is_refused_with_the_reason(rig: Rig) {
    let datastore = rig.filled().await;
    let start = "start_dicom_export_job";
    let asked = json!({ "datastore_id": datastore, "output_s3_uri": "file:///etc/export" });
    let message = rig.refusal(start, asked, "auth_error").await;
    assert!(message.contains("--allow-path"), "{message}");
    let nowhere = "0123456789abcdef0123456789abcdef";
    let asked = json!({ "datastore_id": nowhere, "output_s3_uri": uri(&rig.allowed()) });
    rig.refusal(start, asked, "not_found").await;
    for unknown in ["study_instance_uid", "series_instance_uid", "sop_instance_uid"] {
        let message = nothing_to_export(&rig, &datastore, json!({ unknown: "1.2.3" })).await;
        assert!(message.contains("nothing was exported"), "{message}");
    }
    let found = rig.call("search_image_sets", json!({ "datastore_id": datastore })).await;
    let tags = &found["image_sets_metadata_summaries"][0]["dicom_tags"];
    let (study, series) = (&tags["DICOMStudyInstanceUID"], &tags["DICOMSeriesInstanceUID"]);
    for asked in [
        json!({ "study_instance_uid": "../x" }),
        json!({ "sop_instance_uid": "1.2.3", "include_non_primary": true }),
        json!({ "sop_instance_uid": "1.2.3", "study_instance_uid": study }),
        json!({ "sop_instance_uid": "1.2.3", "series_instance_uid": series }),
        json!({ "study_instance_uid": study, "series_instance_uid": "1.2.3" }),
        json!({ "study_instance_uid": study, "submitted_after": "2200-01-01T00:00:00Z" }),
    ] {
        let message = nothing_to_export(&rig, &datastore, asked.clone()).await;
        assert!(message.contains("nothing was exported"), "{asked}: {message}");
    }
    // An empty data store has nothing to export either, as it has nothing to transfer.
    let empty = rig.datastore().await;
    let message = nothing_to_export(&rig, &empty, json!({})).await;
    assert!(message.contains("nothing was exported"), "{message}");
}

pub(crate) async fn a_job_is_started_once_a_token(rig: Rig) {
    let datastore = rig.filled().await;
    let mut asked = json!({
        "datastore_id": datastore, "output_s3_uri": uri(&rig.allowed()), "wait_seconds": 120,
        "client_token": "once", "data_access_role_arn": "arn:aws:iam::000000000000:role/export",
    });
    let first = rig.answer("start_dicom_export_job", asked.clone()).await.unwrap();
    let summary = first.summary();
    assert!(summary.contains("data_access_role_arn is not used"), "{summary}");
    let again = rig.call("start_dicom_export_job", asked.clone()).await;
    assert_eq!(again, Value::Object(first.structured));
    asked["include_non_primary"] = json!(true);
    rig.refusal("start_dicom_export_job", asked, "service_error").await;
}

/// A document without what another store gives by nature: ids, and the file that it was read from.
fn comparable(mut document: Value) -> Value {
    for own in ["DatastoreID", "ImageSetID"] {
        document.as_object_mut().unwrap().remove(own);
    }
    let series = document["Study"]["Series"].as_object_mut().unwrap();
    for one in series.values_mut() {
        for instance in one["Instances"].as_object_mut().unwrap().values_mut() {
            for frame in instance["ImageFrames"].as_array_mut().unwrap() {
                frame.as_object_mut().unwrap().remove("ID");
            }
            let attributes = instance["DICOM"].as_object_mut().unwrap();
            for of_file in [
                "FileMetaInformationGroupLength",
                "TransferSyntaxUID",
                "ImplementationClassUID",
                "ImplementationVersionName",
            ] {
                attributes.remove(of_file);
            }
        }
    }
    document
}

/// Documents by Series Instance UID.
async fn documents(rig: &Rig, datastore: &str) -> BTreeMap<String, Value> {
    let asked = json!({ "datastore_id": datastore, "max_results": 100 });
    let found = rig.call("search_image_sets", asked).await;
    let mut documents = BTreeMap::new();
    for set in found["image_sets_metadata_summaries"].as_array().unwrap() {
        assert_eq!(set["is_primary"], true);
        let asked = json!({ "datastore_id": datastore, "image_set_id": set["image_set_id"] });
        let found = rig.call("get_image_set_metadata", asked).await;
        let document = comparable(found["metadata"].clone());
        let series = document["Study"]["Series"].as_object().unwrap();
        documents.insert(series.keys().next().unwrap().clone(), document);
    }
    documents
}

pub(crate) async fn what_is_exported_and_imported_again_is_the_same(rig: Rig) {
    let datastore = rig.filled().await;
    for asked in [json!({}), json!({ "transfer_syntax_uid": EXPLICIT })] {
        let exported = export(&rig, &datastore, asked).await;
        let other = rig.datastore().await;
        let files = exported
            .files
            .iter()
            .map(|(name, bytes)| PhantomFile { relative_path: name.into(), bytes: bytes.clone() });
        rig.import(&other, files).await;
        // Checksums of all frames are in the documents.
        let (before, after) = (documents(&rig, &datastore).await, documents(&rig, &other).await);
        assert_eq!(before.len(), 8);
        assert_eq!(before, after);
    }
}
