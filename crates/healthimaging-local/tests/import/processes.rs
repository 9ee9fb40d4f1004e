//! Several processes share a store, and one of them dies.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use healthimaging::model::{JobStatus, ListDicomImportJobsRequest};
use healthimaging::{DatastoreId, HealthImaging};
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_phantoms::{Archive, write_to};

use crate::fixture::Fixture;

const STORE: &str = "HEALTHIMAGING_TEST_STORE";
const INPUT: &str = "HEALTHIMAGING_TEST_INPUT";
const DATASTORE: &str = "HEALTHIMAGING_TEST_DATASTORE";

/// Not a test of its own: the other process of the next one.
#[tokio::test]
async fn child() {
    let (Some(store), Some(input), Ok(datastore)) =
        (std::env::var_os(STORE), std::env::var_os(INPUT), std::env::var(DATASTORE))
    else {
        return;
    };
    let store = LocalStore::open(LocalConfig::new(PathBuf::from(store))).await.unwrap();
    let datastore = DatastoreId::try_from(datastore).unwrap();
    let paths = [PathBuf::from(input)];
    store.import_paths(&datastore, &paths, |_| ()).await.unwrap();
}

/// Pack files on the disk.
fn packs(fixture: &Fixture) -> usize {
    let folders = std::fs::read_dir(fixture.folder.path().join("store/packs")).unwrap();
    folders.map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap().count()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_killed_process_is_carried_out_by_another() {
    let fixture = Fixture::new().await;
    let archive = Archive {
        patients: 4,
        studies: 2,
        series: 2,
        instances: 10,
        size: 64,
        ..Archive::default()
    };
    write_to(&fixture.input(), archive.files()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["processes::child", "--exact"])
        .env(STORE, fixture.folder.path().join("store"))
        .env(INPUT, fixture.input())
        .env(DATASTORE, fixture.datastore.as_str())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let request = ListDicomImportJobsRequest {
        datastore_id: fixture.datastore.clone(),
        job_status: None,
        next_token: None,
        max_results: None,
    };
    let job = loop {
        let listed = fixture.store.list_dicom_import_jobs(request.clone()).await.unwrap();
        if let [job] = &listed.job_summaries[..] {
            let progress = fixture.store.import_progress(&job.job_id).await.unwrap();
            if progress.image_sets > 0 || job.job_status == JobStatus::Completed {
                break job.job_id.clone();
            }
        }
        tokio::task::yield_now().await;
    };
    child.kill().unwrap();
    child.wait().unwrap();
    loop {
        let listed = fixture.store.list_dicom_import_jobs(request.clone()).await.unwrap();
        match listed.job_summaries[0].job_status {
            JobStatus::Completed => break,
            JobStatus::Failed => panic!("{:?}", listed.job_summaries),
            JobStatus::Submitted | JobStatus::InProgress => tokio::task::yield_now().await,
        }
    }
    let progress = fixture.store.import_progress(&job).await.unwrap();
    assert_eq!((progress.files_done, progress.refused, progress.image_sets), (160, 0, 16));
    let report = fixture.store.verify(|_| ()).await.unwrap();
    assert_eq!((report.image_sets, report.documents, report.blobs), (16, 16, 160));
    assert_eq!(report.damaged, []);
    let swept = async {
        while packs(&fixture) > 16 {
            tokio::task::yield_now().await;
        }
    };
    let swept = tokio::time::timeout(Duration::from_mins(1), swept).await;
    assert!(swept.is_ok(), "packs that the killed process began are still there");
    assert_eq!(packs(&fixture), 16);
    fixture.store.close().await;
}
