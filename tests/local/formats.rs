//! Jobs of the ledger that the last release of store format 3 left as folders of files:
//! `tests/stores/make_store.rs` says what is in them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use healthimaging_jobs_sqlite::JobsFile;
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_objects::{Objects, ObjectsConfig};
use healthimaging_workflows::{BackEnd, Job, JobFilter, JobState, Ledger, LedgerConfig, Tools};
use tempfile::TempDir;

/// Longer than a job takes.
const LONG: Duration = Duration::from_mins(1);

/// A data folder with jobs of each kind.
struct Old(TempDir);

impl Old {
    fn unpacked() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/format-3.tar.gz");
        tar::Archive::new(GzDecoder::new(File::open(packed).unwrap())).unpack(&folder).unwrap();
        let old = Self(folder);
        // Its jobs name files in this folder.
        let base = old.0.path().canonicalize().unwrap();
        for job in old.folders() {
            for entry in fs::read_dir(job).unwrap() {
                let path = entry.unwrap().path();
                let text = fs::read_to_string(&path).unwrap();
                let here = text.replace("/tmp/healthimaging-store", base.to_str().unwrap());
                fs::write(&path, here).unwrap();
            }
        }
        old
    }

    fn ledger(&self) -> PathBuf {
        self.0.path().join("data/ledger")
    }

    /// Jobs that are still folders.
    fn folders(&self) -> Vec<PathBuf> {
        let Ok(jobs) = fs::read_dir(self.ledger().join("jobs")) else { return Vec::new() };
        jobs.map(|entry| entry.unwrap().path()).collect()
    }

    async fn open(&self, run_jobs: bool) -> (Arc<LocalStore>, Ledger) {
        let store = LocalStore::open(LocalConfig::new(self.0.path().join("data"))).await.unwrap();
        let back_end =
            BackEnd { service: Arc::clone(&store) as _, dicomweb: Arc::clone(&store) as _ };
        let tools = Tools::in_process(back_end, objects(), self.0.path().join("data"));
        let folder = self.ledger();
        let ledger = if run_jobs {
            let jobs = Arc::new(JobsFile::open(&folder).unwrap());
            let config = LedgerConfig::new(folder, "local");
            Ledger::open(config, jobs, tools)
        } else {
            let jobs = Arc::new(JobsFile::open_to_read(&folder));
            let config = LedgerConfig { run_jobs, ..LedgerConfig::new(folder, "local") };
            Ledger::open(config, jobs, tools)
        };
        (store, ledger.unwrap())
    }
}

/// No folder is allowed: jobs carry theirs.
fn objects() -> Objects {
    Objects::new(ObjectsConfig::default())
}

async fn listed(ledger: &Ledger) -> Vec<Job> {
    let page = ledger.list(&JobFilter::default(), None, 100).await.unwrap();
    assert!(page.next_token.is_none());
    page.items
}

/// How the jobs of a tool ended, with the items that are done and that failed.
fn ends(jobs: &[Job]) -> BTreeMap<&str, Vec<(JobState, u64, u64)>> {
    let mut ends: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for job in jobs {
        let end = (job.job_status, job.items_done, job.items_failed);
        ends.entry(&job.tool).or_default().push(end);
    }
    ends
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_in_folders_are_taken_over_and_finished() {
    use JobState::{Cancelled, Completed};
    let old = Old::unpacked();
    assert_eq!(old.folders().len(), 7);
    let (store, ledger) = old.open(true).await;
    assert!(!old.ledger().join("jobs").exists());
    let jobs = listed(&ledger).await;
    assert_eq!(jobs.len(), 7);
    assert!(jobs.is_sorted_by(|one, next| one.submitted_at >= next.submitted_at));
    for job in &jobs {
        let job = ledger.wait(&job.job_id, LONG, &mut |_| ()).await.unwrap();
        let outcomes = ledger.outcomes(&job.job_id, None, 100).await.unwrap().items;
        assert_eq!(job.items_done, outcomes.len() as u64, "{job:?}");
        // Of a change nothing is kept that may be patient data: which study, and its new values.
        let work = serde_json::to_string(&ledger.work(&job.job_id).await.unwrap()).unwrap();
        let is_named = work.contains("2.25.") || work.contains("\"F\"");
        assert_eq!(is_named, job.tool == "start_dicom_export_job", "{work}");
    }
    let jobs = listed(&ledger).await;
    let ends = ends(&jobs);
    assert_eq!(
        ends["delete_study"],
        // Newest first: cancelled at its first item, at its first item, at its second, ended.
        [
            (Cancelled, ends["delete_study"][0].1, 0),
            (Completed, 2, 0),
            (Completed, 2, 0),
            (Completed, 2, 0)
        ]
    );
    assert_eq!(ends["update_patient_study_metadata"], [(Completed, 2, 0)]);
    assert_eq!(ends["start_dicom_export_job"], [(Completed, 1, 0), (Completed, 3, 0)]);
    assert!(old.0.path().join("output/left/2.25.3").is_dir());
    ledger.close().await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_taken_over_and_not_removed_changes_nothing() {
    let old = Old::unpacked();
    let files = |job: PathBuf| fs::read_dir(job).unwrap().map(|entry| entry.unwrap().path());
    let copies: Vec<(PathBuf, Vec<u8>)> = old
        .folders()
        .into_iter()
        .flat_map(files)
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let (store, ledger) = old.open(true).await;
    let mut before = Vec::new();
    for job in listed(&ledger).await {
        before.push(ledger.wait(&job.job_id, LONG, &mut |_| ()).await.unwrap());
    }
    ledger.close().await;
    store.close().await;
    // As if the process had died between both.
    for (path, bytes) in copies {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::create_dir(old.ledger().join("jobs/.new-0123")).unwrap();
    let (store, ledger) = old.open(true).await;
    assert_eq!(listed(&ledger).await, before);
    assert!(!old.ledger().join("jobs").exists());
    ledger.close().await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_whose_job_an_earlier_release_runs_stays_until_that_ends() {
    let old = Old::unpacked();
    let running = old.folders().remove(0);
    let lease = File::open(running.join("lease")).unwrap();
    lease.lock().unwrap();
    let (store, ledger) = old.open(true).await;
    assert_eq!(old.folders(), [running]);
    assert_eq!(listed(&ledger).await.len(), 6);
    drop(lease);
    healthimaging_testing::rig::until(async || (listed(&ledger).await.len() == 7).then_some(()))
        .await;
    ledger.close().await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_reads_takes_nothing_over() {
    let old = Old::unpacked();
    let (store, ledger) = old.open(false).await;
    assert_eq!(listed(&ledger).await, []);
    assert_eq!(old.folders().len(), 7);
    assert!(!old.ledger().join("jobs.sqlite").exists());
    store.close().await;
}
