//! A job that is cancelled at each of its calls in turn: each image set is as it was, or the job did its whole work there, and
//! no copy is left over.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use healthimaging::{DatastoreId, JobId};
use healthimaging_workflows::change::planning::Planner;
use healthimaging_workflows::{ItemOutcome, JobState, Ledger};
use tokio::sync::watch;

use crate::stages::{
    Case, ERASE, REPLACE, Seen, changing, copy_folder, filled, ledger, live, look, open,
};
use healthimaging_testing::{Between, Gate};

/// Longer than a job takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Cancels the job before the call of this number.
struct Cancellation {
    calls: AtomicUsize,
    at: usize,
    job: watch::Sender<Option<(Ledger, JobId)>>,
}

#[async_trait]
impl Gate for Cancellation {
    async fn before(&self) {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.at {
            let mut started = self.job.subscribe();
            let job = started.wait_for(Option::is_some).await.unwrap().clone();
            let (ledger, job) = job.unwrap();
            // A job that has ended is not cancelled.
            let _ = ledger.cancel(&job).await;
        }
    }

    async fn after(&self) {}
}

/// What is there after the job and its outcomes; whether it made fewer calls.
fn cancel(
    folder: &Path,
    datastore: &DatastoreId,
    case: &Case,
    at: usize,
) -> (Vec<Seen>, Vec<ItemOutcome>, bool) {
    live(async {
        let store = open(folder, case.copy_frames).await;
        let seen = look(&*store, datastore).await;
        let planner = Planner { service: &*store, datastore_id: datastore };
        let plan = (case.plan)(planner, &seen).await.unwrap();
        let gate = Cancellation { calls: AtomicUsize::new(0), at, job: watch::Sender::new(None) };
        let gate = Arc::new(gate);
        let service = Between { inner: Arc::clone(&store) as _, gate: Arc::clone(&gate) };
        let ledger = ledger(folder, Arc::new(service), Arc::clone(&store));
        let job = ledger.start(changing(datastore, plan)).await.unwrap().job_id;
        gate.job.send_replace(Some((ledger.clone(), job.clone())));
        let ended = ledger.wait(&job, PATIENCE, &mut |_| {}).await.unwrap();
        assert!(
            matches!(ended.job_status, JobState::Completed | JobState::Cancelled),
            "{at}: {ended:?}"
        );
        assert_eq!(ended.items_failed, 0, "{at}");
        let outcomes = ledger.outcomes(&job, None, 100).await.unwrap().items;
        let after = look(&*store, datastore).await;
        gate.job.send_replace(None);
        ledger.close().await;
        store.close().await;
        (after, outcomes, gate.calls.load(Ordering::Relaxed) <= at)
    })
}

/// The image sets and their versions.
fn versions(seen: &[Seen]) -> Vec<(&str, Option<u32>)> {
    let mut all: Vec<_> =
        seen.iter().map(|set| (set.summary.image_set_id.as_str(), set.summary.version)).collect();
    all.sort_unstable();
    all
}

fn try_every_cancellation(case: &Case) {
    let (template, datastore) = filled();
    let before = live(async { look(&*open(template.path(), u64::MAX).await, &datastore).await });
    let (mut left, mut done) = (0, 0);
    for at in 0.. {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(template.path(), folder.path());
        let (after, outcomes, has_ended) = cancel(folder.path(), &datastore, case, at);
        if versions(&after) == versions(&before) {
            left += 1;
        } else {
            (case.check)(&before, &after, &outcomes);
            done += 1;
        }
        if has_ended {
            break;
        }
    }
    assert!(left > 2 && done > 2, "{left} left, {done} done");
}

#[test]
fn an_erasure_in_parts_is_done_or_left() {
    try_every_cancellation(&Case { copy_frames: 1, ..ERASE });
}

#[test]
fn a_replacement_in_parts_is_done_or_left() {
    try_every_cancellation(&Case { copy_frames: 2, ..REPLACE });
}
