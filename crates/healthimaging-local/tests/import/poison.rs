//! A file that kills every process that touches it: it is refused after two deaths, and the job goes on.

use std::process::{Command, Stdio};
use std::sync::Arc;

use healthimaging::DatastoreId;
use healthimaging::model::JobStatus;
use healthimaging_local::{ImportSummary, LocalConfig, LocalStore};
use healthimaging_phantoms::Phantom;
use healthimaging_pixels::{CodecError, DecodeApart, DecodedFrame, Decoder, SourceFrame};

use crate::fixture::Fixture;

const STORE: &str = "HEALTHIMAGING_TEST_POISONED_STORE";
const INPUT: &str = "HEALTHIMAGING_TEST_POISONED_INPUT";
const DATASTORE: &str = "HEALTHIMAGING_TEST_POISONED_DATASTORE";

/// Columns of the poison, which no other file has.
const POISON: u16 = 48;
/// Lossless (PS3.5 A.4.3): its frames are decoded.
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";

/// A codec with a fault that ends the process.
#[derive(Debug)]
struct Fatal;

impl DecodeApart for Fatal {
    fn decode(&self, source: &SourceFrame<'_>) -> Result<DecodedFrame, CodecError> {
        if source.shape.columns == u32::from(POISON) {
            std::process::abort();
        }
        Decoder::in_process().decode(source)
    }
}

/// Not a test of its own: the process that dies.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let (Ok(store), Ok(input), Ok(datastore)) =
        (std::env::var(STORE), std::env::var(INPUT), std::env::var(DATASTORE))
    else {
        return;
    };
    let config =
        LocalConfig { decoder: Decoder::apart(Arc::new(Fatal)), ..LocalConfig::new(store) };
    let store = LocalStore::open(config).await.unwrap();
    if input.is_empty() {
        // Takes over what the one before left.
        std::future::pending::<()>().await;
    }
    let datastore = DatastoreId::try_from(datastore).unwrap();
    store.import_paths(&datastore, &[input.into()], |_| ()).await.unwrap();
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
    let config = LocalConfig {
        decoder: Decoder::apart(Arc::new(Fatal)),
        ..LocalConfig::new(fixture.folder.path().join("store"))
    };
    let store = LocalStore::open(config).await.unwrap();
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
    let locks = std::fs::read_dir(fixture.folder.path().join("store/locks")).unwrap();
    let names: Vec<_> = locks.map(|entry| entry.unwrap().file_name()).collect();
    let of_jobs = |name: &&std::ffi::OsString| name.to_string_lossy().starts_with("hand-");
    assert_eq!(names.iter().find(of_jobs), None);
    store.close().await;
}

/// The only job of the store, once another process has ended it.
async fn ended(fixture: &Fixture, store: &LocalStore) -> ImportSummary {
    use healthimaging::HealthImaging;
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
                status: job.job_status,
                message: job.message,
                progress: store.import_progress(&job_id).await.unwrap(),
                output_s3_uri: job.output_s3_uri,
                refused_files: Vec::new(),
                job_id,
            };
        }
        tokio::task::yield_now().await;
    }
}
