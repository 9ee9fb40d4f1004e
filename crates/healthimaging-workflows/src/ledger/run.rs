//! Running jobs: the ones started here, and those that other processes left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use healthimaging::{JobId, Result, Timestamp, TurnWatch, watch_turns};
use healthimaging_audit::{Actor, as_actor};
use healthimaging_jobs::{
    Changes, End, Engine, Handler, Host, Job, JobState, Origin, Ran, Runner, Unfinished, engine,
    pauses,
};

use super::files::Lease;
use super::journal::StoreJournal;
use super::{Inner, LOOK, blocking, folders, job};

/// How long an ended job can be looked at, as with import jobs of the service.
const KEPT: chrono::TimeDelta = chrono::TimeDelta::days(90);
/// A wait that the status of the job shows.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// A job that runs in this process.
#[derive(Debug)]
pub(super) struct Running {
    /// Ends when the job is cancelled or the process stops.
    pub(super) stop: CancellationToken,
    is_called_off: AtomicBool,
    /// Until when, at least, a call of it waits for its turn.
    waits_until: Mutex<Option<Instant>>,
}

impl Running {
    fn waits_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.waits_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the work between two items, for good.
    pub(super) fn call_off(&self) {
        self.is_called_off.store(true, Ordering::Relaxed);
        self.stop.cancel();
    }

    /// Whether the job was cancelled.
    pub(super) fn is_called_off(&self) -> bool {
        self.is_called_off.load(Ordering::Relaxed)
    }

    /// Whether a call of it waits for its turn.
    pub(super) fn is_waiting(&self) -> bool {
        self.waits_until().is_some_and(|until| Instant::now() < until)
    }
}

impl TurnWatch for Running {
    fn waits(&self, about: Duration) {
        if about >= WORTH_TELLING {
            let mut until = self.waits_until();
            *until = (*until).max(Some(Instant::now() + about));
        }
    }

    fn goes(&self) {}
}

#[async_trait]
impl Host for Inner {
    type Lease = Lease;

    /// Every tool's: the work itself says what is to be done.
    fn handler(_: &str) -> Option<Handler<Self>> {
        Some(run_boxed)
    }

    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn runner(&self) -> &Runner {
        &self.config.runner
    }

    fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    async fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let (store, scope) = (Arc::clone(&self.store), self.config.back_end.clone());
        blocking(move || store.unfinished(&scope)).await
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>> {
        let (store, scope, id) =
            (Arc::clone(&self.store), self.config.back_end.clone(), id.clone());
        blocking(move || store.find(&scope, &id)).await
    }

    async fn hold(&self, job: &Job, reason: String) -> Result<()> {
        let (store, row) = (Arc::clone(&self.store), job.row);
        blocking(move || store.hold(row, &reason)).await
    }

    /// Of what was to be done nothing is kept that may be patient data.
    async fn end(&self, job: &Job, mut end: End) -> Result<()> {
        let (store, row) = (Arc::clone(&self.store), job.row);
        // A request that cannot be read has nothing to keep.
        let kept = job::work(job).and_then(|work| job::json(&work.redacted()));
        end.request = Some(kept.unwrap_or_else(|_| "null".to_owned()));
        blocking(move || store.end(row, &end)).await?;
        self.news.notify_waiters();
        Ok(())
    }

    fn lease(&self, name: &str) -> Result<Option<Lease>> {
        Lease::try_take(&self.locks(), name)
    }

    fn release(&self, lease: Lease) -> Result<()> {
        lease.remove()
    }

    fn now(&self) -> Timestamp {
        super::now()
    }
}

fn run_boxed(inner: &Arc<Inner>, job: Job, origin: Origin) -> BoxFuture<'_, Result<Ran>> {
    run(inner, job, origin).boxed()
}

/// Runs what is left of a job.
async fn run(inner: &Arc<Inner>, job: Job, origin: Origin) -> Result<Ran> {
    let running = Arc::new(Running {
        stop: inner.closing.child_token(),
        is_called_off: AtomicBool::new(false),
        waits_until: Mutex::default(),
    });
    if job.is_cancelled {
        running.call_off();
    }
    let _here = Here::new(inner, &job.id, Arc::clone(&running));
    let work = job::work(&job)?;
    let (ledger, of_job, watched) = (Arc::clone(inner), job.clone(), Arc::clone(&running));
    let journal = blocking(move || StoreJournal::open(ledger, of_job, watched, origin)).await?;
    inner.news.notify_waiters();
    tracing::info!(job_id = %job.id, tool = job.kind, "job begun");
    let actor = Actor::job(job.id.as_str(), &job.kind);
    let work = as_actor(actor, work.run(&inner.tools, &journal));
    let done = tokio::select! {
        done = watch_turns(Arc::clone(&running) as _, work) => done,
        never = heed_others(inner, &job.id, &running) => match never {},
    };
    journal.close().await;
    let cancelled = inner.find(&job.id).await?.is_some_and(|now| now.is_cancelled);
    if inner.closing.is_cancelled() && !cancelled {
        tracing::info!(job_id = %job.id, "job left to the next process that uses the ledger");
        return Ok(Ran::Left);
    }
    let ended = if cancelled { JobState::Cancelled } else { JobState::Completed };
    let (state, message, report) = match done {
        Ok(report) => (ended, None, Some(job::json(&report)?)),
        Err(error) if cancelled => (ended, Some(error.message().to_owned()), None),
        Err(error) => return Err(error),
    };
    Ok(Ran::Ended(End { state, at: super::now(), message, report, request: None }))
}

/// Notes that a job runs in this process, as long as it does.
struct Here<'a> {
    inner: &'a Inner,
    id: &'a JobId,
}

impl<'a> Here<'a> {
    fn new(inner: &'a Inner, id: &'a JobId, running: Arc<Running>) -> Self {
        inner.running().insert(id.clone(), running);
        Self { inner, id }
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.inner.running().remove(self.id);
        self.inner.news.notify_waiters();
    }
}

/// Notices when another process cancels the job.
async fn heed_others(inner: &Inner, id: &JobId, running: &Running) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(LOOK).await;
        if !running.is_called_off()
            && let Ok(Some(now)) = inner.find(id).await
            && now.is_cancelled
        {
            running.call_off();
        }
    }
}

impl Inner {
    /// Changes after which [`keep`] looks for work.
    pub(super) fn changes(&self) -> Changes {
        let mut places = self.store.files();
        places.extend([folders::of(&self.config.folder), self.locks()]);
        Changes::of(places)
    }
}

/// Takes over what dead processes left, as long as the ledger is in use.
pub(super) async fn keep(ledger: Weak<Inner>, closing: CancellationToken, mut changes: Changes) {
    for pause in pauses() {
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let Some(inner) = ledger.upgrade() else {
            return;
        };
        if let Some(moment) = changes.since_settled(super::now()) {
            let is_done = round(&inner).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "upkeep of the ledger failed; it is tried again");
                false
            });
            changes.settle(moment, is_done);
        }
    }
}

/// One round: jobs that no process runs are run, and those that ended long ago are dropped. Returns whether nothing is left
/// to do.
async fn round(inner: &Arc<Inner>) -> Result<bool> {
    let ledger = Arc::clone(inner);
    let is_clean = blocking(move || {
        folders::take_over(&ledger.config.folder, &*ledger.store)?;
        ledger.store.expire(&ledger.config.back_end, super::now() - KEPT)
    })
    .await?;
    Ok(!engine::adopt(inner).await? && is_clean)
}
