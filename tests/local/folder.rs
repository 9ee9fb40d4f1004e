//! The folder of a store: which it opens, and what an import may touch.

use std::fs;

use healthimaging::model::JobStatus;
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_phantoms::Phantom;

use crate::{rig, slice};
use healthimaging_testing::rig::import::{file_uri, local_path, write_files};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(LocalConfig::new(folder.path())).await.unwrap();
    store.close().await;
    drop(store);
    let catalog = folder.path().join("catalogue.sqlite");
    let mut bytes = fs::read(&catalog).unwrap();
    // Where SQLite keeps `user_version`, big endian: https://sqlite.org/fileformat.html §1.3.
    bytes[60..64].copy_from_slice(&1_000_000_u32.to_be_bytes());
    fs::write(&catalog, bytes).unwrap();
    let error = LocalStore::open(LocalConfig::new(folder.path())).await.unwrap_err();
    assert!(error.message().contains("newer"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("catalogue.sqlite"), "not a database ".repeat(100)).unwrap();
    let error = LocalStore::open(LocalConfig::new(folder.path())).await.unwrap_err();
    assert!(!error.message().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_not_allowed_is_not_read() {
    let rig = rig().await;
    let store = rig.datastore().await;
    let outside = tempfile::tempdir().unwrap();
    write_files(outside.path(), [("a.dcm", slice(1).build())]);
    let beside = rig.objects().join("..").join(outside.path().file_name().unwrap());
    for input in [outside.path(), &rig.objects().join("../data"), &beside] {
        let request = rig.import_request(&store, input);
        let message = match rig.service.start_dicom_import_job(request).await {
            Err(error) => error.message().to_owned(),
            Ok(started) => {
                let job = rig.wait_job(&store, &started.job_id).await;
                assert_eq!(job.job_status, JobStatus::Failed);
                job.message.unwrap()
            }
        };
        let flag = if input == outside.path() { "--allow-path" } else { ".." };
        assert!(message.contains(flag), "{message}");
    }
    assert_eq!(rig.found(&store, serde_json::json!({})).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_not_allowed_is_not_written() {
    let rig = rig().await;
    let store = rig.datastore().await;
    let outside = tempfile::tempdir().unwrap();
    let input = rig.new_folder();
    write_files(&input, [("a.dcm", slice(1).build())]);
    let mut request = rig.import_request(&store, &input);
    request.output_s3_uri = Some(file_uri(outside.path()));
    if let Ok(started) = rig.service.start_dicom_import_job(request).await {
        let job = rig.wait_job(&store, &started.job_id).await;
        assert_eq!(job.job_status, JobStatus::Failed);
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_without_output_writes_into_the_folder() {
    let rig = rig().await;
    let store = rig.datastore().await;
    let input = rig.new_folder();
    write_files(&input, [("a.dcm", slice(1).build())]);
    let mut request = rig.import_request(&store, &input);
    request.output_s3_uri = None;
    request.data_access_role_arn = None;
    let outcome = rig.run(request).await;
    let output = local_path(&outcome.job.output_s3_uri);
    let imports = fs::canonicalize(rig.data().join("imports")).unwrap();
    assert!(fs::canonicalize(output).unwrap().starts_with(imports));
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_of_the_command_line_are_imported_with_progress() {
    let rig = rig().await;
    let datastore = rig.datastore().await;
    let outside = tempfile::tempdir().unwrap();
    write_files(
        outside.path(),
        [
            ("in/1.dcm", slice(1).build()),
            ("in/2.txt", b"nothing".to_vec()),
            ("single.dcm", Phantom::mr().size(16, 16).build()),
            ("not-asked.dcm", slice(9).build()),
        ],
    );
    let store = LocalStore::open(LocalConfig::new(rig.data())).await.unwrap();
    let paths = [outside.path().join("in"), outside.path().join("single.dcm")];
    let last = std::sync::Mutex::new(None);
    let summary = store
        .import_paths(&datastore, &paths, |progress| {
            *last.lock().unwrap() = Some(progress);
        })
        .await
        .unwrap();
    assert_eq!(summary.status, JobStatus::Completed);
    assert_eq!(summary.progress.files_total, Some(3));
    assert_eq!(summary.progress.files_done, 3);
    assert_eq!(summary.progress.refused, 1);
    assert_eq!(summary.progress.image_sets, 2);
    assert!(summary.refused.failed.is_empty());
    assert_eq!(summary.refused.skipped.len(), 1);
    assert!(summary.refused.skipped[0].key.ends_with("2.txt"));
    assert_eq!(summary.refused.skipped_count(), 1);
    assert_eq!(*last.lock().unwrap(), Some(summary.progress));
    let missing = store.import_paths(&datastore, &[outside.path().join("no")], |_| {}).await;
    missing.unwrap_err();
    store.close().await;
}
