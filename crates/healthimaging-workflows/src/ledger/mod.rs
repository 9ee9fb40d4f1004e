//! The ledger of long work: jobs that are durable, leased, resumable and cancellable.
//!
//! Jobs are kept in a [`JobStore`], whatever the back end is. The process that runs a job holds the lock on its
//! lease: two processes never run one job, and the work of a dead one is taken over.

mod files;
mod folders;
mod job;
mod journal;
mod run;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use healthimaging::{
    DatastoreId, Error, JobId, Listing, NextToken, Page, Result, Rights, Timestamp, fingerprint,
};
use healthimaging_jobs::{
    self as jobs, Added, End, Engine, Host, JobQuery, JobState, JobStore, Needs, Origin, Runner,
    engine,
};

pub use job::{Job, JobFilter, NewJob};

use crate::back_end::BackEnd;
use crate::work::{ItemOutcome, Tools, Work};
pub(crate) use files::Lease;
use run::Running;

/// Timeout for a cancelled job that no process ran.
const CLEAN_UP: Duration = Duration::from_secs(5);
/// How often a job is looked at for what other processes did to it.
const LOOK: Duration = Duration::from_millis(250);

/// How a ledger is kept.
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// The folder of its locks, and of the jobs of earlier releases; made when it is missing.
    pub folder: PathBuf,
    /// Which back end the jobs are for, such as `local`; jobs of others are neither run nor shown.
    pub back_end: String,
    /// Whether this process runs jobs; off in read-only servers.
    pub run_jobs: bool,
    /// What this process offers to the jobs of others.
    pub runner: Runner,
    /// Whether the back end is reached with the AWS credentials that [`Runner`] names.
    pub back_end_signs: bool,
}

impl LedgerConfig {
    /// A ledger that runs jobs of every kind, for a back end that needs no credentials.
    pub fn new(folder: impl Into<PathBuf>, back_end: impl Into<String>) -> Self {
        Self {
            folder: folder.into(),
            back_end: back_end.into(),
            run_jobs: true,
            runner: Runner::default(),
            back_end_signs: false,
        }
    }
}

/// Jobs of this program; clones are the same ledger.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Inner>, Option<Arc<View>>);

/// What a caller with limited rights sees of a ledger.
#[derive(Debug)]
struct View {
    rights: Rights,
    tools: Tools,
}

#[derive(Debug)]
struct Inner {
    config: LedgerConfig,
    store: Arc<dyn JobStore>,
    tools: Tools,
    engine: Engine,
    running: Mutex<HashMap<JobId, Arc<Running>>>,
    /// Rings whenever this process changes a job.
    news: Notify,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Inner {
    /// Jobs that run in this process.
    fn running(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locks(&self) -> PathBuf {
        self.config.folder.join("locks")
    }

    /// A job as callers see it.
    fn seen(&self, kept: jobs::Job) -> Result<Job> {
        let is_waiting = self.running().get(&kept.id).is_some_and(|here| here.is_waiting());
        Job::of(kept, is_waiting)
    }
}

impl Ledger {
    /// Opens a ledger; within a runtime, where it runs jobs, it takes over what dead processes left.
    pub fn open(config: LedgerConfig, store: Arc<dyn JobStore>, tools: Tools) -> Result<Self> {
        let run_jobs = config.run_jobs;
        if run_jobs {
            folders::take_over(&config.folder, &*store)?;
        } else if folders::are_there(&config.folder) {
            tracing::warn!("jobs of an earlier release are not shown by a server that only reads");
        }
        let inner = Arc::new(Inner {
            config,
            store,
            tools,
            engine: Engine::default(),
            running: Mutex::default(),
            news: Notify::new(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        if run_jobs && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (weak, closing) = (Arc::downgrade(&inner), inner.closing.clone());
            runtime.spawn(run::keep(weak, closing, inner.changes()));
        }
        Ok(Self(inner, None))
    }

    /// Returns the ledger as a caller with these rights sees it: without the jobs of other data stores. `back_end` allows
    /// no more than the rights. Jobs are checked when they start, and then run as all others.
    #[must_use]
    pub fn restricted(&self, rights: Rights, back_end: BackEnd) -> Self {
        let mut tools = Tools { back_end, ..self.0.tools.clone() };
        let rights = match &self.1 {
            Some(view) => view.rights.clone().and_all(&rights),
            None => rights,
        };
        if rights.limits_datastores() {
            tools.peers = tools.peers.closed();
        }
        Self(Arc::clone(&self.0), Some(Arc::new(View { rights, tools })))
    }

    /// What a call of its caller may use.
    pub fn tools(&self) -> &Tools {
        self.1.as_ref().map_or(&self.0.tools, |view| &view.tools)
    }

    /// Whether the caller may see the jobs of a data store.
    async fn shows(&self, datastore_id: &DatastoreId) -> Result<bool> {
        match &self.1 {
            None => Ok(true),
            Some(view) => {
                view.rights.admits_id(&*self.0.tools.back_end.service, datastore_id).await
            }
        }
    }

    /// Refuses a job that exceeds the rights of the caller.
    async fn admit(&self, new: &NewJob) -> Result<()> {
        let Some(view) = &self.1 else { return Ok(()) };
        view.rights.check_effect(new.work.effect())?;
        for datastore_id in [Some(&new.datastore_id), new.work.destination()].into_iter().flatten()
        {
            if !self.shows(datastore_id).await? {
                return Err(Error::no_datastore());
            }
        }
        Ok(())
    }

    /// Starts a job: it is durable when this returns, and runs in this process.
    ///
    /// The client token of an earlier job answers with that job; with other work it is a `Conflict`.
    pub async fn start(&self, new: NewJob) -> Result<Job> {
        self.admit(&new).await?;
        if !self.0.config.run_jobs {
            return Err(Error::not_supported(
                "this server runs no jobs: it was started with --read-only, or its data folder cannot be written",
            ));
        }
        if self.0.closing.is_cancelled() {
            return Err(Error::conflict("the server is stopping; nothing was started"));
        }
        let (ledger, job) = (self.clone(), self.new_job(new)?);
        let (job, lease) = blocking(move || ledger.add(job)).await?;
        if let Some(lease) = lease {
            self.0.engine.accept(&job.id);
            self.run(&job.id, lease, None);
        }
        self.0.seen(job)
    }

    fn new_job(&self, new: NewJob) -> Result<jobs::Job> {
        let asked = || serde_json::json!({ "tool": new.tool, "work": new.work });
        let mut job = jobs::Job::new(JobId::random()?, &self.0.config.back_end, new.tool, now());
        job.fingerprint = new.client_token.as_ref().map(|_| fingerprint(&asked()));
        job.token = new.client_token;
        job.name = new.job_name.map(Into::into);
        job.datastore_id = Some(new.datastore_id);
        job.needs = self.needs(&new.work);
        job.request = job::json(&new.work)?;
        Ok(job)
    }

    /// Adds a job whose lease is held, or finds the one that the token made before. Blocks.
    fn add(&self, job: jobs::Job) -> Result<(jobs::Job, Option<Lease>)> {
        let asked = job.fingerprint.clone();
        let lease = self.0.lease(&job.lease)?;
        match self.0.store.add(job)? {
            Added::New(job) => Ok((job, lease)),
            Added::Earlier(earlier) => {
                lease.map_or(Ok(()), Lease::remove)?;
                if earlier.fingerprint == asked {
                    return Ok((earlier, None));
                }
                Err(Error::conflict(
                    "client_token was used for another request; nothing was started. Use a new one",
                ))
            }
        }
    }

    /// Runs a job whose lease is held, in a task of its own.
    fn run(&self, job_id: &JobId, lease: Lease, origin: Option<Origin>) {
        let (inner, job_id) = (Arc::clone(&self.0), job_id.clone());
        self.0.tasks.spawn(async move {
            let ran = engine::run_leased(&inner, lease, [job_id.clone()], origin).await;
            if let Err(error) = ran {
                tracing::error!(%job_id, %error, "a job was left as it stands");
            }
        });
    }

    /// What a job needs of the process that runs it.
    fn needs(&self, work: &Work) -> Needs {
        let LedgerConfig { runner, back_end_signs, .. } = &self.0.config;
        let signs = *back_end_signs || work.uses_aws();
        Needs {
            folders: Some(work.folders(&self.0.tools.objects)),
            credentials: signs.then(|| runner.credentials.clone()),
            deletes: work.deletes(),
        }
    }

    /// How a job stands.
    pub async fn get(&self, job_id: &JobId) -> Result<Job> {
        self.0.seen(self.find(job_id).await?)
    }

    /// What a job was asked to do; of an ended one, what may be kept of that.
    pub async fn work(&self, job_id: &JobId) -> Result<Work> {
        job::work(&self.find(job_id).await?)
    }

    /// Jobs, newest first. Pages of a restricted ledger may be shorter.
    pub async fn list(
        &self,
        filter: &JobFilter,
        mut start: Option<NextToken>,
        count: u32,
    ) -> Result<Page<Job>> {
        loop {
            let Page { items, next_token } = self.page(filter, start, count).await?;
            let mut shown = Vec::with_capacity(items.len());
            for job in items {
                if self.shows(&job.datastore_id).await? {
                    shown.push(job);
                }
            }
            if !shown.is_empty() || next_token.is_none() {
                return Ok(Page { items: shown, next_token });
            }
            start = next_token;
        }
    }

    async fn page(
        &self,
        filter: &JobFilter,
        start: Option<NextToken>,
        count: u32,
    ) -> Result<Page<Job>> {
        let scope = self.0.config.back_end.clone();
        let listing = Listing::of(&(filter, &scope))?;
        let query = JobQuery {
            scope,
            datastore_id: filter.datastore_id.clone(),
            state: filter.job_status,
            kind: filter.tool.clone(),
            after: listing.after(start.as_ref())?,
            limit: count.saturating_add(1),
        };
        let store = Arc::clone(&self.0.store);
        let mut found = blocking(move || store.page(&query)).await?;
        let more = found.len() > count as usize;
        found.truncate(count as usize);
        let next_token = match found.last() {
            Some(last) if more => {
                Some(listing.token(&(last.submitted_at.timestamp_millis(), last.row))?)
            }
            _ => None,
        };
        let items = found.into_iter().map(|job| self.0.seen(job)).collect::<Result<_>>()?;
        Ok(Page { items, next_token })
    }

    /// Outcomes of the items of a job, in the order they were done.
    pub async fn outcomes(
        &self,
        job_id: &JobId,
        start: Option<NextToken>,
        count: u32,
    ) -> Result<Page<ItemOutcome>> {
        let job = self.find(job_id).await?;
        let listing = Listing::of(&("outcomes", job_id))?;
        let after = listing.after(start.as_ref())?.unwrap_or(0);
        let store = Arc::clone(&self.0.store);
        let mut found =
            blocking(move || store.items(job.row, after, count.saturating_add(1))).await?;
        let more = found.len() > count as usize;
        found.truncate(count as usize);
        let next_token = match found.last() {
            Some((last, _)) if more => Some(listing.token(last)?),
            _ => None,
        };
        let items =
            found.iter().map(|(_, item)| job::read(&item.outcome)).collect::<Result<_>>()?;
        Ok(Page { items, next_token })
    }

    /// Cancels a job: it ends between two items. One that has ended, or was cancelled, is a `Conflict`.
    pub async fn cancel(&self, job_id: &JobId) -> Result<Job> {
        let (ledger, job) = (self.clone(), self.find(job_id).await?);
        if let Some(lease) = blocking(move || ledger.mark_cancelled(&job)).await? {
            // No process ran it: it runs here to clean up and to report what was done.
            self.run(job_id, lease, Some(Origin::Cancelled));
            return self.wait(job_id, CLEAN_UP, &mut |_| {}).await;
        }
        self.get(job_id).await
    }

    /// Marks a job as cancelled; the lease when no process runs it and it has yet to be ended. Blocks.
    fn mark_cancelled(&self, job: &jobs::Job) -> Result<Option<Lease>> {
        if !self.0.store.cancel(job.row)? {
            let now = self.0.store.find(&job.scope, &job.id)?;
            return Err(Error::conflict(match now {
                Some(now) if !now.state.has_ended() => {
                    "the job was cancelled before; it ends after the items it is at".to_owned()
                }
                now => {
                    let state = now.map_or(job.state, |now| now.state);
                    format!("the job has ended ({state}); there is nothing left to cancel")
                }
            }));
        }
        if let Some(here) = self.0.running().get(&job.id) {
            here.call_off();
            return Ok(None);
        }
        let lease = self.0.lease(&job.lease)?;
        if lease.is_none() || (self.0.config.run_jobs && !self.0.closing.is_cancelled()) {
            return Ok(lease);
        }
        let kept = job::work(job).and_then(|work| job::json(&work.redacted()));
        let (state, request) = (JobState::Cancelled, Some(kept.unwrap_or_default()));
        let end = End { state, at: now(), message: None, report: None, request };
        self.0.store.end(job.row, &end)?;
        Ok(None)
    }

    /// Waits until a job stands otherwise than in `seen`.
    pub async fn changed(&self, seen: &Job) -> Result<Job> {
        loop {
            let mut news = std::pin::pin!(self.0.news.notified());
            // Changes are noticed from here on, also while the job is read.
            news.as_mut().enable();
            let job = self.get(&seen.job_id).await?;
            if job != *seen {
                return Ok(job);
            }
            tokio::select! {
                () = news => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Waits until a job has ended, for at most `up_to`; calls `on_change` with each state.
    pub async fn wait(
        &self,
        job_id: &JobId,
        up_to: Duration,
        on_change: &mut (dyn FnMut(&Job) + Send),
    ) -> Result<Job> {
        let end = Instant::now() + up_to;
        let mut job = self.get(job_id).await?;
        loop {
            on_change(&job);
            if job.job_status.has_ended() {
                return Ok(job);
            }
            match tokio::time::timeout_at(end, self.changed(&job)).await {
                Ok(changed) => job = changed?,
                Err(_) => return Ok(job),
            }
        }
    }

    /// Ends the work of this process between two items; other processes, or the next one, go on.
    pub async fn close(&self) {
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// A job of this back end.
    async fn find(&self, job_id: &JobId) -> Result<jobs::Job> {
        let missing = || {
            Error::not_found(
                "there is no job of that id; list_jobs lists them (ended jobs are kept for 90 \
                     days)",
            )
        };
        let job = self.0.find(job_id).await?.ok_or_else(missing)?;
        match &job.datastore_id {
            Some(datastore_id) if !self.shows(datastore_id).await? => Err(missing()),
            _ => Ok(job),
        }
    }
}

/// Runs work that waits for the disk on another thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::internal("the ledger of jobs failed", cause))?
}

/// The time, in milliseconds as the service has it.
pub(crate) fn now() -> Timestamp {
    let now = chrono::Utc::now();
    Timestamp::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
}
