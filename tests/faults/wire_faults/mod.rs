//! Bulk work and single calls of the genuine SDK and of our DICOMweb client over a bad line.

mod changes;
mod exports;
mod reads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use healthimaging::model::{ImageSetsMetadataSummary, StoreInstancesRequest};
use healthimaging::{Body, DatastoreId, DicomWeb, HealthImaging, Pace, Paced};
use healthimaging_aws::Aws;
use healthimaging_jobs_sqlite::JobsFile;
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_objects::{Objects, ObjectsConfig};
use healthimaging_phantoms::Archive;
use healthimaging_workflows::change::planning::Planner;
use healthimaging_workflows::find::{self, Criteria};
use healthimaging_workflows::{
    BackEnd, ItemOutcome, ItemResult, Job, JobState, Ledger, LedgerConfig, NewJob, Plan, Tools,
    Work,
};
use tempfile::TempDir;

use crate::line::{Fault, Script, bad_line};
use healthimaging_testing::wire;

/// Longer than any job takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// Six studies of two series of two slices.
const ARCHIVE: Archive =
    Archive { patients: 1, studies: 6, series: 2, instances: 2, size: 16, seed: 3, noise: 10.0 };
const SETS: usize = 12;

/// A store, and a ledger that reaches it over a bad line.
struct Scene {
    store: Arc<LocalStore>,
    datastore: DatastoreId,
    /// Over the bad line.
    aws: Arc<Aws>,
    ledger: Ledger,
    folder: TempDir,
}

impl Scene {
    async fn new(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(LocalConfig::new(folder.path().join("data"))).await.unwrap();
        let datastore = crate::datastore(&*store).await;
        let bodies = ARCHIVE.files().map(|file| Ok(Body::from(file.bytes)));
        let request = StoreInstancesRequest {
            datastore_id: datastore.clone(),
            study_instance_uid: None,
            instances: stream::iter(bodies.collect::<Vec<_>>()).boxed(),
        };
        store.store_instances(request).await.unwrap();
        let server = wire::serve(Arc::clone(&store)).await;
        let aws = wire::open_at(bad_line(server, script).await).await;
        // The rates of AWS would make these tests minutes long.
        let pace = Arc::new(Pace::new(&aws.limits(), 10_000.0));
        let back_end = BackEnd {
            service: Arc::new(Paced::new(Arc::clone(&aws), Arc::clone(&pace))),
            dicomweb: Arc::new(Paced::new(Arc::clone(&aws), pace)),
        };
        let objects = Objects::new(ObjectsConfig {
            allowed_paths: vec![folder.path().to_owned()],
            ..ObjectsConfig::default()
        });
        let ledger = folder.path().join("ledger");
        let jobs = Arc::new(JobsFile::open(&ledger).unwrap());
        let config = LedgerConfig::new(ledger, "test");
        let ledger =
            Ledger::open(config, jobs, Tools::in_process(back_end, objects, folder.path()));
        let ledger = ledger.unwrap();
        Self { store, datastore, aws, ledger, folder }
    }

    /// Every image set, looked at over no line at all.
    async fn sets(&self) -> Vec<ImageSetsMetadataSummary> {
        let everything = Criteria::default();
        let all = find::all(&*self.store, &self.datastore, &everything, 100);
        all.await.unwrap().image_sets
    }

    fn planner(&self) -> Planner<'_> {
        Planner { service: &*self.store, datastore_id: &self.datastore }
    }

    /// Runs a job to its end.
    async fn run(&self, work: Work) -> (Job, Vec<ItemOutcome>) {
        let new = NewJob {
            tool: "test",
            job_name: None,
            client_token: None,
            datastore_id: self.datastore.clone(),
            work,
        };
        let job = self.ledger.start(new).await.unwrap().job_id;
        let ended = self.ledger.wait(&job, PATIENCE, &mut |_| {}).await.unwrap();
        assert_eq!(ended.job_status, JobState::Completed, "{ended:?}");
        let outcomes = self.ledger.outcomes(&job, None, 100).await.unwrap().items;
        assert_eq!(ended.items_done, outcomes.len() as u64);
        (ended, outcomes)
    }

    async fn carry_out(&self, plan: Plan) -> (Job, Vec<ItemOutcome>) {
        self.run(Work::Change(plan.change.unwrap())).await
    }
}

/// Gives the requests whose paths end so these faults, one after the other; all others pass.
fn in_turn(faults: &'static [(&'static str, &'static [Fault])]) -> Script {
    let seen: Mutex<HashMap<&str, usize>> = Mutex::default();
    Arc::new(move |path| {
        let Some((end, faults)) = faults.iter().find(|(end, _)| path.contains(end)) else {
            return Fault::None;
        };
        let mut seen = seen.lock().unwrap();
        let number = seen.entry(end).or_insert(0);
        *number += 1;
        faults.get(*number - 1).copied().unwrap_or(Fault::None)
    })
}

const LATE: Fault = Fault::Delay(Duration::from_millis(20));

fn all_are(outcomes: &[ItemOutcome], count: usize, result: ItemResult) {
    assert_eq!(outcomes.len(), count);
    for outcome in outcomes {
        assert_eq!(outcome.result, result, "{outcome:?}");
    }
}
