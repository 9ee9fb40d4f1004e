//! A job whose process dies at each of its calls in turn, before the call or after it: the next process brings
//! it to the same end.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{self, BoxFuture};
use futures::stream;
use futures::{FutureExt as _, StreamExt as _};
use healthimaging::model::{
    GetImageSetMetadataRequest, ImageSetsMetadataSummary, StoreInstancesRequest,
};
use healthimaging::{Body, DatastoreId, DicomWeb as _, HealthImaging, JobId, Result};
use healthimaging_jobs_sqlite::JobsFile;
use healthimaging_local::{LocalConfig, LocalStore, Quotas};
use healthimaging_objects::{Objects, ObjectsConfig};
use healthimaging_phantoms::Archive;
use healthimaging_workflows::change::planning::{Holders, OlderVersions, Planner};
use healthimaging_workflows::change::{Part, SeriesValues, Values};
use healthimaging_workflows::document::{self, Contents};
use healthimaging_workflows::find::{self, Criteria, is_primary};
use healthimaging_workflows::{
    BackEnd, ItemOutcome, ItemResult, JobState, Ledger, LedgerConfig, NewJob, Plan, Tools, Work,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use healthimaging_testing::{Between, Gate};

/// Longer than a job takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// One study of two series of three slices.
const ARCHIVE: Archive =
    Archive { patients: 1, studies: 1, series: 2, instances: 3, size: 16, seed: 5, noise: 10.0 };

/// When a process dies over a call.
#[derive(Debug, Clone, Copy)]
enum Moment {
    BeforeTheCall,
    AfterTheCall,
}

/// Dies over the call of this number: from then on nothing comes of any call.
struct Death {
    calls: AtomicUsize,
    at: usize,
    moment: Moment,
    died: Notify,
}

impl Death {
    async fn die(&self) {
        self.died.notify_one();
        future::pending::<()>().await;
    }
}

#[async_trait]
impl Gate for Death {
    async fn before(&self) {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.moment {
            Moment::BeforeTheCall if number >= self.at => self.die().await,
            // What comes after the call that kills is not done.
            Moment::AfterTheCall if number > self.at => self.die().await,
            _ => {}
        }
    }

    async fn after(&self) {
        if self.calls.load(Ordering::Relaxed) > self.at {
            self.die().await;
        }
    }
}

/// An image set and what its latest version holds.
pub(crate) struct Seen {
    pub(crate) summary: ImageSetsMetadataSummary,
    contents: Contents,
}

/// What is done, and what has to have come of it.
pub(crate) struct Case {
    pub(crate) plan: for<'a> fn(Planner<'a>, &'a [Seen]) -> BoxFuture<'a, Result<Plan>>,
    pub(crate) check: fn(before: &[Seen], after: &[Seen], outcomes: &[ItemOutcome]),
    /// Frames of a copy, at most.
    pub(crate) copy_frames: u64,
}

/// One life of a process: nothing of it is left running.
pub(crate) fn live<T>(work: impl Future<Output = T>) -> T {
    let runtime = Runtime::new().unwrap();
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(PATIENCE);
    outcome
}

pub(crate) async fn open(folder: &Path, copy_frames: u64) -> Arc<LocalStore> {
    let quotas = Quotas { copy_frames, ..Quotas::NONE };
    let config = LocalConfig { quotas, ..LocalConfig::new(folder.join("data")) };
    LocalStore::open(config).await.unwrap()
}

pub(crate) fn ledger(
    folder: &Path,
    service: Arc<dyn HealthImaging>,
    store: Arc<LocalStore>,
) -> Ledger {
    let data = folder.join("data");
    let folder = folder.join("ledger");
    let jobs = Arc::new(JobsFile::open(&folder).unwrap());
    let config = LedgerConfig::new(folder, "test");
    let back_end = BackEnd { service, dicomweb: store };
    let objects = Objects::new(ObjectsConfig::default());
    Ledger::open(config, jobs, Tools::in_process(back_end, objects, data)).unwrap()
}

/// A job that carries a plan out.
pub(crate) fn changing(datastore: &DatastoreId, plan: Plan) -> NewJob {
    NewJob {
        tool: "test",
        job_name: None,
        client_token: None,
        datastore_id: datastore.clone(),
        work: Work::Change(plan.change.unwrap()),
    }
}

/// A data store that holds [`ARCHIVE`].
pub(crate) fn filled() -> (TempDir, DatastoreId) {
    let folder = tempfile::tempdir().unwrap();
    let datastore = live(async {
        let store = open(folder.path(), u64::MAX).await;
        let datastore_id = crate::datastore(&*store).await;
        let bodies = ARCHIVE.files().map(|file| Ok(Body::from(file.bytes)));
        let request = StoreInstancesRequest {
            datastore_id: datastore_id.clone(),
            study_instance_uid: None,
            instances: stream::iter(bodies.collect::<Vec<_>>()).boxed(),
        };
        let stored = store.store_instances(request).await.unwrap();
        assert_eq!((stored.stored.len(), stored.failed.len()), (6, 0));
        store.close().await;
        datastore_id
    });
    (folder, datastore)
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

pub(crate) async fn look(service: &dyn HealthImaging, datastore: &DatastoreId) -> Vec<Seen> {
    let everything = Criteria::default();
    let all = find::all(service, datastore, &everything, 100);
    let mut seen = Vec::new();
    for summary in all.await.unwrap().image_sets {
        let request = GetImageSetMetadataRequest {
            datastore_id: datastore.clone(),
            image_set_id: summary.image_set_id.clone(),
            version_id: None,
        };
        let contents = document::contents(service, request).await.unwrap();
        seen.push(Seen { summary, contents });
    }
    seen
}

/// Begins the job in a process that dies; the job, and whether it came to its end before.
fn begin(folder: &Path, datastore: &DatastoreId, case: &Case, death: Death) -> (JobId, bool) {
    live(async {
        let store = open(folder, case.copy_frames).await;
        let seen = look(&*store, datastore).await;
        let planner = Planner { service: &*store, datastore_id: datastore };
        let plan = (case.plan)(planner, &seen).await.unwrap();
        let death = Arc::new(death);
        let service =
            Arc::new(Between { inner: Arc::clone(&store) as _, gate: Arc::clone(&death) });
        let ledger = ledger(folder, service, store);
        let job = ledger.start(changing(datastore, plan)).await.unwrap().job_id;
        let mut unheard = |_: &_| {};
        let ended = tokio::select! {
            () = death.died.notified() => false,
            job = ledger.wait(&job, PATIENCE, &mut unheard) => job.unwrap().job_status.has_ended(),
        };
        (job, ended)
    })
}

/// What the next process makes of the job.
fn finish(
    folder: &Path,
    datastore: &DatastoreId,
    case: &Case,
    job: &JobId,
) -> (Vec<Seen>, Vec<ItemOutcome>) {
    live(async {
        let store = open(folder, case.copy_frames).await;
        let ledger = ledger(folder, Arc::clone(&store) as _, Arc::clone(&store));
        let ended = ledger.wait(job, PATIENCE, &mut |_| {}).await.unwrap();
        assert_eq!(ended.job_status, JobState::Completed, "{ended:?}");
        assert_eq!(Some(ended.items_done), ended.items_total);
        let outcomes = ledger.outcomes(job, None, 100).await.unwrap().items;
        let seen = look(&*store, datastore).await;
        ledger.close().await;
        store.close().await;
        (seen, outcomes)
    })
}

/// Lets a process die over each call that the job makes.
fn try_every_death(case: &Case) {
    let (template, datastore) = filled();
    let before = live(async { look(&*open(template.path(), u64::MAX).await, &datastore).await });
    for moment in [Moment::BeforeTheCall, Moment::AfterTheCall] {
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            copy_folder(template.path(), folder.path());
            let death = Death { calls: AtomicUsize::new(0), at, moment, died: Notify::new() };
            let (job, ended) = begin(folder.path(), &datastore, case, death);
            let (after, outcomes) = finish(folder.path(), &datastore, case, &job);
            let failed = outcomes.iter().find(|outcome| outcome.result == ItemResult::Failed);
            assert!(failed.is_none(), "{moment:?} {at}: {failed:?}");
            (case.check)(&before, &after, &outcomes);
            if ended {
                assert!(at > 2, "no process died");
                break;
            }
        }
    }
}

fn instances(seen: &Seen) -> Vec<String> {
    let series = seen.contents.series.values();
    series.flat_map(|series| series.instances.keys().cloned()).collect()
}

/// The first instance of the first image set.
fn first(seen: &[Seen]) -> Part {
    let instance = &instances(&seen[0])[0];
    Part::Instance { series_instance_uid: None, sop_instance_uid: instance.parse().unwrap() }
}

fn holders(seen: &[Seen]) -> Holders {
    Holders::ImageSet(seen[0].summary.image_set_id.clone())
}

/// The items of a step that replaces an image set.
fn items(of: &Seen, names: &[&str]) -> Vec<String> {
    let id = &of.summary.image_set_id;
    names.iter().map(|name| format!("{id}/{name}")).chain([id.to_string()]).collect()
}

/// Erases the first instance of the first image set.
pub(crate) const ERASE: Case = Case {
    copy_frames: u64::MAX,
    plan: |planner, seen| {
        planner.removal("erase", first(seen), holders(seen), OlderVersions::Erase).boxed()
    },
    check: |before, after, outcomes| {
        assert_eq!(after.len(), before.len(), "a copy is left, or a set is lost");
        assert!(after.iter().all(|set| is_primary(&set.summary)));
        let old = &before[0].summary.image_set_id;
        assert!(after.iter().all(|set| set.summary.image_set_id != *old));
        let mut kept: Vec<String> = after.iter().flat_map(instances).collect();
        let mut wanted: Vec<String> = before.iter().flat_map(instances).skip(1).collect();
        kept.sort();
        wanted.sort();
        assert_eq!(kept, wanted);
        let place = &outcomes.last().unwrap().details["replaced_by"];
        assert!(after.iter().any(|set| set.summary.image_set_id.as_str() == place), "{place}");
    },
};

#[test]
fn an_erased_instance_is_gone_and_the_rest_is_primary_once() {
    try_every_death(&Case {
        check: |before, after, outcomes| {
            (ERASE.check)(before, after, outcomes);
            assert!(
                after.iter().all(|set| set.summary.version == Some(1)),
                "no older version holds the instance"
            );
            let done: Vec<&str> = outcomes.iter().map(|outcome| &*outcome.item).collect();
            assert_eq!(done, items(&before[0], &["copy", "primary"]));
        },
        ..ERASE
    });
}

#[test]
fn what_stays_of_an_erased_instance_is_copied_in_parts_once() {
    try_every_death(&Case {
        // Two slices of one frame stay.
        copy_frames: 1,
        check: |before, after, outcomes| {
            (ERASE.check)(before, after, outcomes);
            let done: Vec<&str> = outcomes.iter().map(|outcome| &*outcome.item).collect();
            assert_eq!(done, items(&before[0], &["part", "copy", "primary"]));
        },
        ..ERASE
    });
}

#[test]
fn an_instance_is_removed_in_one_version() {
    try_every_death(&Case {
        copy_frames: u64::MAX,
        plan: |planner, seen| {
            planner.removal("remove", first(seen), holders(seen), OlderVersions::Keep).boxed()
        },
        check: |before, after, outcomes| {
            let versions: Vec<_> = after.iter().map(|set| set.summary.version).collect();
            assert_eq!(versions, [Some(2), Some(1)]);
            assert_eq!(instances(&after[0]), instances(&before[0])[1..]);
            assert_eq!(outcomes.len(), 1);
            assert_eq!(outcomes[0].result, ItemResult::Removed);
        },
    });
}

#[test]
fn a_study_is_updated_in_one_version() {
    try_every_death(&Case {
        copy_frames: u64::MAX,
        plan: |planner, _| {
            let Ok(values) = serde_json::from_value(json!({ "PatientName": "NEW^NAME" })) else {
                panic!("an object");
            };
            let values = Values::of_keywords(values).unwrap();
            planner.update("update", Criteria::default(), values, "none").boxed()
        },
        check: |_, after, outcomes| {
            for set in after {
                assert_eq!(set.summary.version, Some(2));
                assert_eq!(set.contents.patient["PatientName"], "NEW^NAME");
            }
            assert_eq!(outcomes.len(), 2);
            let made = |outcome: &ItemOutcome| outcome.result == ItemResult::Updated;
            assert!(outcomes.iter().all(made), "{outcomes:?}");
        },
    });
}

/// The values of the instances, wherever they are.
fn summaries(seen: &[Seen]) -> Vec<(String, String)> {
    let mut all: Vec<_> = seen
        .iter()
        .flat_map(|set| {
            let laterality = |uid: &String| {
                let series = set.contents.series.values();
                let mut of_instance =
                    series.filter(|series| series.instances.contains_key(uid.as_str()));
                let found = of_instance.next().unwrap().text("Laterality");
                found.unwrap_or_default().to_owned()
            };
            instances(set).into_iter().map(move |uid| {
                let laterality = laterality(&uid);
                (uid, laterality)
            })
        })
        .collect();
    all.sort();
    all
}

/// Sets values at the Series level of the first image set.
pub(crate) const REPLACE: Case = Case {
    copy_frames: u64::MAX,
    plan: |planner, seen| {
        let series = seen[0].contents.series.keys().next().unwrap().parse().unwrap();
        let values = json!({ "Laterality": "L", "ImageComments": "LEFT" });
        let values = values.as_object().unwrap().clone();
        let values = SeriesValues::new(series, None, values).unwrap();
        async move { planner.series_update("update", values).await }.boxed()
    },
    check: |before, after, outcomes| {
        assert_eq!(after.len(), before.len(), "a copy is left, or a set is lost");
        assert!(after.iter().all(|set| is_primary(&set.summary)));
        let old = &before[0].summary.image_set_id;
        let is_old = |set: &&Seen| set.summary.image_set_id == *old;
        assert_eq!(after.iter().filter(is_old).count(), 0);
        let changed: Vec<String> = instances(&before[0]);
        let mut wanted = summaries(before);
        for (uid, laterality) in &mut wanted {
            if changed.contains(uid) {
                "L".clone_into(laterality);
            }
        }
        assert_eq!(summaries(after), wanted);
        let place = &outcomes.last().unwrap().details["replaced_by"];
        assert!(after.iter().any(|set| set.summary.image_set_id.as_str() == place), "{place}");
    },
};

#[test]
fn a_series_is_replaced_by_a_changed_copy_once() {
    try_every_death(&Case {
        check: |before, after, outcomes| {
            (REPLACE.check)(before, after, outcomes);
            let is_new = |set: &Seen| set.summary.version == Some(1);
            assert!(after.iter().all(is_new), "older versions are gone");
            let done: Vec<&str> = outcomes.iter().map(|outcome| &*outcome.item).collect();
            assert_eq!(done, items(&before[0], &["copy", "primary"]));
        },
        ..REPLACE
    });
}

#[test]
fn a_series_is_replaced_by_a_copy_in_parts_once() {
    try_every_death(&Case {
        // Of three slices of one frame.
        copy_frames: 2,
        check: |before, after, outcomes| {
            (REPLACE.check)(before, after, outcomes);
            let done: Vec<&str> = outcomes.iter().map(|outcome| &*outcome.item).collect();
            assert_eq!(done, items(&before[0], &["part", "copy", "primary"]));
        },
        ..REPLACE
    });
}

#[test]
fn instances_are_updated_in_one_version() {
    try_every_death(&Case {
        copy_frames: u64::MAX,
        plan: |planner, seen| {
            let series = seen[0].contents.series.keys().next().unwrap().parse().unwrap();
            let values = json!({ "ImageComments": "LEFT" }).as_object().unwrap().clone();
            let values = SeriesValues::new(series, None, values).unwrap();
            async move { planner.series_update("update", values).await }.boxed()
        },
        check: |_, after, outcomes| {
            let versions: Vec<_> = after.iter().map(|set| set.summary.version).collect();
            assert_eq!(versions, [Some(2), Some(1)]);
            let results: Vec<ItemResult> = outcomes.iter().map(|one| one.result).collect();
            assert_eq!(results, [ItemResult::Updated]);
        },
    });
}

#[test]
fn a_deletion_comes_to_its_end() {
    try_every_death(&Case {
        copy_frames: u64::MAX,
        plan: |planner, _| planner.deletion("delete", Criteria::default(), 10, "none").boxed(),
        check: |_, after, outcomes| {
            assert!(after.is_empty());
            assert_eq!(outcomes.len(), 2);
            let gone = |outcome: &ItemOutcome| outcome.result == ItemResult::Deleted;
            assert!(outcomes.iter().all(gone), "{outcomes:?}");
        },
    });
}
