//! A file that kills every process that touches it: it is refused after two deaths, and the job goes on.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use healthimaging::model::{CreateDatastoreRequest, JobStatus};
use healthimaging::{DatastoreId, HealthImaging};
use healthimaging_local::{ImportSummary, LocalConfig, LocalStore, Probe};
use healthimaging_phantoms::Phantom;
use healthimaging_pixels::{CodecError, DecodedFrame, Decoder, IsolatedDecoder, SourceFrame};

use crate::fixture::Fixture;

const STORE: &str = "HEALTHIMAGING_TEST_POISONED_STORE";
const INPUT: &str = "HEALTHIMAGING_TEST_POISONED_INPUT";
const DATASTORE: &str = "HEALTHIMAGING_TEST_POISONED_DATASTORE";
const TRIED_IN: &str = "HEALTHIMAGING_TEST_TRIED_IN";
const TRIED: &str = "HEALTHIMAGING_TEST_TRIED";

/// Columns of the poison, which no other file has.
const POISON: u16 = 48;
/// Lossless (PS3.5 A.4.3): its frames are decoded.
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";

/// A codec with a fault that ends the process.
#[derive(Debug)]
struct Fatal;

impl IsolatedDecoder for Fatal {
    fn decode(&self, source: &SourceFrame<'_>) -> Result<DecodedFrame, CodecError> {
        if source.shape.columns == u32::from(POISON) {
            std::process::abort();
        }
        Decoder::in_process().decode(source)
    }
}

/// A store whose codec has the fault.
fn faulty(folder: impl Into<PathBuf>) -> LocalConfig {
    LocalConfig { decoder: Decoder::isolated(Arc::new(Fatal)), ..LocalConfig::new(folder) }
}

/// Not a test of its own: the process that dies.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let (Ok(store), Ok(input), Ok(datastore)) =
        (std::env::var(STORE), std::env::var(INPUT), std::env::var(DATASTORE))
    else {
        return;
    };
    let store = LocalStore::open(faulty(store)).await.unwrap();
    if input.is_empty() {
        // Takes over what the one before left.
        std::future::pending::<()>().await;
    }
    let datastore = DatastoreId::try_from(datastore).unwrap();
    store.import_paths(&datastore, &[input.into()], |_| ()).await.unwrap();
}

/// Not a test of its own: the process that a file is tried in, which dies of the poison.
#[tokio::test(flavor = "multi_thread")]
async fn tried() {
    let (Ok(folder), Ok(file)) = (std::env::var(TRIED_IN), std::env::var(TRIED)) else {
        return;
    };
    let store = LocalStore::open(faulty(&folder)).await.unwrap();
    let made = store.create_datastore(CreateDatastoreRequest::default()).await.unwrap();
    // The data store is ACTIVE once its creation is carried out.
    store.close().await;
    let store = LocalStore::open(faulty(&folder)).await.unwrap();
    store.import_paths(&made.datastore_id, &[file.into()], |_| ()).await.unwrap();
    store.close().await;
}

fn probe() -> Probe {
    Probe::new(|folder, file| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["poison::tried", "--exact"]).env(TRIED_IN, folder).env(TRIED, file);
        command
    })
}

/// A process that imports `input`, or takes the job over; it dies of the poison.
fn live_and_die(fixture: &Fixture, input: &str) {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["poison::child", "--exact"])
        .env(STORE, fixture.folder.path().join("store"))
        .env(INPUT, input)
        .env(DATASTORE, fixture.datastore.as_str())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(ended.code(), None, "the process was to die of a signal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_file_is_refused_after_two_deaths_and_the_rest_is_imported() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    let of_series = |series: u32, number: u32| {
        Phantom::ct()
            .size(32, 32)
            .study_uid("2.25.80")
            .series_uid(&format!("2.25.80.{series}"))
            .sop_uid(&format!("2.25.80.{series}.{number}"))
    };
    for (series, number) in [(1, 1), (1, 3), (1, 5), (2, 1), (2, 2), (3, 1)] {
        fixture.put(&format!("{series}-{number}"), &of_series(series, number).build());
    }
    let poison = of_series(1, 4).size(32, POISON).encapsulated(JPEG_LS, vec![vec![7; 70]]);
    let path = fixture.put("1-4", &poison.build());

    live_and_die(&fixture, fixture.input().to_str().unwrap());
    live_and_die(&fixture, "");

    // A process with the same fault lives: it touches the file no more.
    let store = LocalStore::open(faulty(fixture.folder.path().join("store"))).await.unwrap();
    let summary = ended(&fixture, &store).await;
    assert_eq!(summary.status, JobStatus::Completed);
    let [refused] = &Fixture::lines(&summary, "FAILURE/failure.ndjson")[..] else {
        panic!("one file is refused");
    };
    assert_eq!(refused["inputFile"], path.to_str().unwrap());
    assert_eq!(refused["exception"]["exceptionType"], "InternalServerException");
    let manifest = Fixture::manifest(&summary);
    assert_eq!(manifest["numberOfImportedFiles"], 6);
    assert_eq!(manifest["numberOfFilesWithServerError"], 1);
    // The crash log is removed after the job has ended.
    store.close().await;
    let locks = std::fs::read_dir(fixture.folder.path().join("store/locks")).unwrap();
    let names: Vec<_> = locks.map(|entry| entry.unwrap().file_name()).collect();
    let of_jobs = |name: &&std::ffi::OsString| name.to_string_lossy().starts_with("hand-");
    assert_eq!(names.iter().find(of_jobs), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_not_refused_for_kills_from_outside() {
    let fixture = Fixture::new().await;
    let slice = Phantom::ct().size(16, 16).study_uid("2.25.81");
    let innocent = fixture.put("a", &slice.clone().sop_uid("2.25.81.1").build());
    let poison =
        slice.sop_uid("2.25.81.2").size(32, POISON).encapsulated(JPEG_LS, vec![vec![7; 70]]);
    let poison = fixture.put("b", &poison.build());
    let outcome = fixture.folder.path().join("outcome");
    // Left behind by a process that was killed with both files in hand.
    let config = |probe| LocalConfig {
        probe,
        allowed_paths: vec![fixture.folder.path().to_owned()],
        ..faulty(fixture.folder.path().join("store"))
    };
    fixture.store.close().await;
    let store = LocalStore::open(LocalConfig { run_jobs: false, ..config(None) }).await.unwrap();
    let id = healthimaging::JobId::try_from("0123456789abcdef0123456789abcdef".to_owned()).unwrap();
    let catalog = fixture.folder.path().join("store/catalogue.sqlite");
    let catalog = rusqlite::Connection::open(catalog).unwrap();
    let uri = |path: &std::path::Path| healthimaging_objects::file_uri(path).unwrap().to_string();
    catalog
        .execute(
            "INSERT INTO job (id, scope, kind, datastore_id, name, state, lease, needs, request, submitted_at)
             SELECT ?1, 'import', 'import', id, 'left', 'IN_PROGRESS', 'job-' || ?1, '{}',
                 json_object('input', ?2, 'output', ?3, 'local_paths', json('[]')), 1
             FROM datastore",
            (id.as_str(), uri(&fixture.input()), uri(&outcome)),
        )
        .unwrap();
    store.close().await;
    let notes = std::fs::File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(fixture.folder.path().join(format!("store/locks/hand-{id}")))
        .unwrap();
    let hand = healthimaging_jobs::CrashLog::take_over(notes).unwrap();
    for file in [&innocent, &poison] {
        let _killed = hand.take(&format!("Header {}", file.display())).unwrap();
        let _killed = hand.take(&format!("Store {}", file.display())).unwrap();
    }
    drop(hand);

    let store = LocalStore::open(config(Some(probe()))).await.unwrap();
    let summary = ended(&fixture, &store).await;
    assert_eq!(summary.status, JobStatus::Completed, "{summary:?}");
    let success = Fixture::lines(&summary, "SUCCESS/success.ndjson");
    assert_eq!(success.len(), 1);
    assert_eq!(success[0]["inputFile"], innocent.to_str().unwrap());
    let failure = Fixture::lines(&summary, "FAILURE/failure.ndjson");
    assert_eq!(failure.len(), 1);
    assert_eq!(failure[0]["inputFile"], poison.to_str().unwrap());
    store.close().await;
    let incoming = std::fs::read_dir(fixture.folder.path().join("store/incoming")).unwrap();
    assert_eq!(incoming.count(), 0, "nothing is left of the processes that tried the files");
}

/// The only job of the store, once another process has ended it.
async fn ended(fixture: &Fixture, store: &LocalStore) -> ImportSummary {
    use healthimaging::model::{GetDicomImportJobRequest, ListDicomImportJobsRequest};
    let datastore_id = fixture.datastore.clone();
    let listed = store.list_dicom_import_jobs(ListDicomImportJobsRequest {
        datastore_id: datastore_id.clone(),
        job_status: None,
        next_token: None,
        max_results: None,
    });
    let job_id = listed.await.unwrap().job_summaries[0].job_id.clone();
    let request = GetDicomImportJobRequest { datastore_id, job_id: job_id.clone() };
    loop {
        let job = store.get_dicom_import_job(request.clone()).await.unwrap().job_properties;
        if matches!(job.job_status, JobStatus::Completed | JobStatus::Failed) {
            return ImportSummary {
                is_continued: false,
                status: job.job_status,
                message: job.message,
                progress: store.import_progress(&job_id).await.unwrap(),
                output_s3_uri: job.output_s3_uri,
                refused: healthimaging_local::RefusedFiles::default(),
                job_id,
            };
        }
        tokio::task::yield_now().await;
    }
}
