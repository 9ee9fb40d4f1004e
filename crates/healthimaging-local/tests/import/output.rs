//! What a job leaves behind: manifest and lines.

use std::collections::BTreeMap;

use healthimaging::ErrorKind;
use healthimaging::model::JobStatus;
use healthimaging_local::FileKind;
use healthimaging_phantoms::{Phantom, tags};
use serde_json::json;

use crate::fixture::Fixture;

#[tokio::test]
async fn each_file_has_one_outcome_and_the_manifest_counts_them() {
    let fixture = Fixture::new().await;
    let slice = Phantom::ct().size(16, 16);
    fixture.put("a/1.dcm", &slice.clone().sop_uid("2.25.5").build());
    fixture.put("a/2.dcm", &slice.clone().sop_uid("2.25.6").build());
    fixture.put("b/no class", &slice.clone().without(tags::SOP_CLASS_UID).build());
    fixture.put("b/note.txt", b"not an image");
    fixture.put("c/bad uid", &slice.clone().sop_uid("2.25..7").build());
    let summary = fixture.import(&fixture.input()).await;

    let key = |name: &str| fixture.input().join(name).to_str().unwrap().to_owned();
    let success = Fixture::lines(&summary, "SUCCESS/success.ndjson");
    let set = success[0]["importResponse"]["imageSetId"].clone();
    let line = |name| {
        json!({"inputFile": key(name), "importResponse":
        {"imageSetId": set, "imageSetVersion": 1, "isPrimary": true}})
    };
    assert_eq!(success, [line("a/1.dcm"), line("a/2.dcm"), line("c/bad uid")]);
    let failure = Fixture::lines(&summary, "FAILURE/failure.ndjson");
    let refused = |name, message| {
        json!({"inputFile": key(name), "exception":
        {"exceptionType": "ValidationException", "message": message}})
    };
    let no_prefix = "not a DICOM instance: recognized as text";
    assert_eq!(
        failure,
        [
            refused("b/no class", "DICOM attribute SOPClassUID does not exist"),
            refused("b/note.txt", no_prefix),
        ]
    );
    let warning = Fixture::lines(&summary, "WARNING/warning.ndjson");
    assert_eq!(warning.len(), 1);
    assert_eq!(warning[0]["inputFile"], key("c/bad uid"));
    assert_eq!(warning[0]["importResponse"]["warnings"][0]["warning_reason_code"], 45570);

    let manifest = Fixture::manifest(&summary);
    let out = summary.output_s3_uri.as_str();
    assert!(out.ends_with(&format!("{}-DicomImport-{}/", fixture.datastore, summary.job_id)));
    assert_eq!(
        manifest,
        json!({
            "jobId": summary.job_id,
            "datastoreId": fixture.datastore,
            "inputS3Uri": format!("file://{}", fixture.input().display()),
            "outputS3Uri": out,
            "successOutputS3Uri": format!("{out}SUCCESS/"),
            "failureOutputS3Uri": format!("{out}FAILURE/"),
            "warningsOutputS3Uri": format!("{out}WARNING/"),
            "numberOfScannedFiles": 5,
            "numberOfImportedFiles": 3,
            "numberOfFilesWithCustomerError": 2,
            "numberOfFilesWithServerError": 0,
            "numberOfGeneratedImageSets": 1,
            "imageSetsSummary": [{"imageSetId": set, "imageSetVersion": 1, "isPrimary": true,
                "numberOfMatchedSOPInstances": 3}],
        })
    );
    let progress = summary.progress;
    assert_eq!((progress.files_total, progress.files_done), (Some(5), 5));
    assert_eq!((progress.refused, progress.warned, progress.image_sets), (2, 1, 1));
    let files = ["a/1.dcm", "a/2.dcm", "b/no class", "b/note.txt", "c/bad uid"];
    let bytes = files.map(|name| std::fs::metadata(key(name)).unwrap().len());
    assert_eq!(progress.bytes_done, bytes.iter().sum::<u64>());
}

/// A folder that an export wrote holds an empty list of failures, where nothing failed.
#[tokio::test]
async fn lists_of_jobs_are_skipped_even_if_empty_and_other_empty_files_fail() {
    let fixture = Fixture::new().await;
    let slice = Phantom::ct().size(16, 16);
    fixture.put("1.dcm", &slice.build());
    fixture.put("x-DicomExport-1/FAILURE/failure.ndjson", b"");
    fixture.put("x-DicomExport-1/SUCCESS/success.ndjson", b"{\"outputFile\":\"1.dcm\"}\n");
    fixture.put("x-DicomExport-1/job-output-manifest.json", b"{\"jobSummary\":{}}\n");
    fixture.put("FAILURE/2.dcm", b"");
    let summary = fixture.import(&fixture.input()).await;
    assert_eq!(summary.refused.skipped_kinds, BTreeMap::from([(FileKind::Manifest, 3)]));
    let failed: Vec<&str> = summary.refused.failed.iter().map(|file| &*file.message).collect();
    assert_eq!(failed, ["the file is empty"]);
}

#[tokio::test]
async fn a_job_with_only_bad_files_completes() {
    let fixture = Fixture::new().await;
    let path = fixture.put("x", b"x");
    let summary = fixture.import(&path).await;
    assert_eq!((summary.status, summary.progress.refused), (JobStatus::Completed, 1));
    assert_eq!(Fixture::manifest(&summary)["numberOfImportedFiles"], 0);
}

#[tokio::test]
async fn nothing_to_import_fails_the_job() {
    let fixture = Fixture::new().await;
    std::fs::create_dir(fixture.input()).unwrap();
    let paths = [fixture.input()];
    let imported = fixture.store.import_paths(&fixture.datastore, &paths, |_| ());
    let summary = imported.await.unwrap();
    assert_eq!(summary.status, JobStatus::Failed);
    let message = summary.message.unwrap();
    assert!(message.contains("no objects"), "{message}");

    let paths = [fixture.input().join("missing")];
    let imported = fixture.store.import_paths(&fixture.datastore, &paths, |_| ());
    assert_eq!(imported.await.unwrap_err().kind(), ErrorKind::Validation);
}

#[cfg(unix)]
#[tokio::test]
async fn unreadable_files_and_loops_fail_alone() {
    use std::os::unix::fs::symlink;
    let fixture = Fixture::new().await;
    fixture.put("good", &Phantom::ct().size(16, 16).build());
    symlink(fixture.input(), fixture.input().join("loop")).unwrap();
    symlink(fixture.input().join("nowhere"), fixture.input().join("dangling")).unwrap();
    let summary = fixture.import(&fixture.input()).await;
    assert_eq!(summary.refused.failed.len(), 2, "{summary:?}");
    assert_eq!(summary.progress.image_sets, 1);
}
