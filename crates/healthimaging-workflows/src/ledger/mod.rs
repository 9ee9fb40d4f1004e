//! The ledger of long work: jobs that are durable, leased, resumable and cancellable.
//!
//! A job is a folder of plain files below the data folder, whatever the back end is; [`entry`] tells
//! them. Whoever runs a job holds the lock on its lease: two processes never run one job, and the
//! work of a dead one is taken over.

mod entry;
mod files;
mod job;
mod journal;
mod listing;
mod outcomes;
mod run;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use healthimaging::{Error, JobId, NextToken, Page, Result, Timestamp};
use healthimaging_jobs::{Needs, Runner};

pub use job::{Job, JobFilter, JobState, NewJob};

use crate::plan::fingerprint;
use crate::work::{ItemOutcome, Tools, Work};
use entry::{Entry, Facts};
use files::Lease;
use run::Origin;

/// How long a cancelled job that nobody ran is waited for.
const CLEAN_UP: Duration = Duration::from_secs(5);
/// How often a job of another process is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How a ledger is kept.
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// The folder that holds it; made when it is missing.
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
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: LedgerConfig,
    tools: Tools,
    /// The folder of the jobs' folders.
    jobs: PathBuf,
    known: Mutex<HashMap<JobId, Arc<Entry>>>,
    /// Jobs that this process lacks access for, and until when it leaves them alone.
    left: Mutex<HashMap<JobId, Instant>>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Ledger {
    /// Opens a ledger; within a runtime, where it runs jobs, it takes over what dead processes left.
    pub fn open(config: LedgerConfig, tools: Tools) -> Result<Self> {
        let jobs = config.folder.join("jobs");
        if config.run_jobs {
            files::make_folder(&jobs)?;
        }
        let run_jobs = config.run_jobs;
        let inner = Arc::new(Inner {
            config,
            tools,
            jobs,
            known: Mutex::default(),
            left: Mutex::default(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        if run_jobs && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(run::keep(Arc::downgrade(&inner)));
        }
        Ok(Self(inner))
    }

    /// What its work may use.
    pub fn tools(&self) -> &Tools {
        &self.0.tools
    }

    /// Starts a job: it is durable when this returns, and runs in this process.
    ///
    /// The client token of an earlier job answers with that job; with other work it is a `Conflict`.
    pub async fn start(&self, new: NewJob) -> Result<Job> {
        if !self.0.config.run_jobs {
            return Err(Error::not_supported(
                "this server runs no jobs: it was started with --read-only",
            ));
        }
        if self.0.closing.is_cancelled() {
            return Err(Error::conflict("the server is stopping; nothing was started"));
        }
        let ledger = self.clone();
        let (entry, lease) = blocking(move || ledger.write_down(new)).await?;
        if let Some(lease) = lease {
            self.run(Arc::clone(&entry), lease, Origin::Accepted);
        }
        blocking(move || entry.stand()).await
    }

    /// Writes a job down, or finds the one that the token made before, which has no lease to give.
    fn write_down(&self, new: NewJob) -> Result<(Arc<Entry>, Option<Lease>)> {
        let asked = || serde_json::json!({ "tool": new.tool, "work": new.work });
        let facts = Facts {
            format: Facts::FORMAT,
            job_id: new_id()?,
            back_end: self.0.config.back_end.clone(),
            tool: new.tool.to_owned(),
            fingerprint: new.client_token.as_ref().map(|_| fingerprint(&asked())),
            job_name: new.job_name,
            client_token: new.client_token,
            datastore_id: new.datastore_id,
            submitted_at: now(),
            needs: self.needs(&new.work),
        };
        // Two processes may come with one token at once.
        let _alone = Lease::take(&self.start_lock())?;
        if facts.client_token.is_some() {
            for earlier in self.entries()? {
                if earlier.facts.client_token != facts.client_token {
                    continue;
                }
                if earlier.facts.fingerprint == facts.fingerprint {
                    return Ok((earlier, None));
                }
                return Err(Error::conflict(
                    "client_token was used for another request; nothing was started. Use a new one",
                ));
            }
        }
        let (entry, lease) = Entry::create(&self.0.jobs, facts, &new.work)?;
        Ok((self.remember(entry), lease))
    }

    /// What a job needs of the process that runs it.
    fn needs(&self, work: &Work) -> Needs {
        let LedgerConfig { runner, back_end_signs, .. } = &self.0.config;
        let signs = *back_end_signs || work.uses_s3();
        Needs {
            folders: Some(work.folders(&self.0.tools.objects)),
            credentials: signs.then(|| runner.credentials.clone()),
            deletes: work.deletes(),
        }
    }

    /// Held while a job is written down.
    fn start_lock(&self) -> PathBuf {
        self.0.config.folder.join("start.lock")
    }

    /// How a job stands.
    pub async fn get(&self, job_id: &JobId) -> Result<Job> {
        let entry = self.find(job_id).await?;
        blocking(move || entry.stand()).await
    }

    /// What a job was asked to do; of an ended one, what may be kept of that.
    pub async fn work(&self, job_id: &JobId) -> Result<Work> {
        let entry = self.find(job_id).await?;
        blocking(move || entry.work()).await
    }

    /// Jobs, newest first.
    pub async fn list(
        &self,
        filter: &JobFilter,
        start: Option<NextToken>,
        count: u32,
    ) -> Result<Page<Job>> {
        let ledger = self.clone();
        let filter = filter.clone();
        blocking(move || listing::page(&ledger, &filter, start.as_ref(), count)).await
    }

    /// Outcomes of the items of a job, in the order they were done.
    pub async fn outcomes(
        &self,
        job_id: &JobId,
        start: Option<NextToken>,
        count: u32,
    ) -> Result<Page<ItemOutcome>> {
        let entry = self.find(job_id).await?;
        blocking(move || {
            outcomes::page(&entry.outcomes(), &entry.facts.job_id, start.as_ref(), count)
        })
        .await
    }

    /// Cancels a job: it ends between two items. One that has ended, or was cancelled, is a `Conflict`.
    pub async fn cancel(&self, job_id: &JobId) -> Result<Job> {
        let (ledger, entry) = (self.clone(), self.find(job_id).await?);
        let cancelled = Arc::clone(&entry);
        let lease = blocking(move || ledger.mark_cancelled(&entry)).await?;
        if let Some(lease) = lease {
            // Nobody ran it: here it is taken up to clean up and to report what was done.
            self.run(cancelled, lease, Origin::TakenOver);
            return self.wait(job_id, CLEAN_UP, &mut |_| {}).await;
        }
        blocking(move || cancelled.stand()).await
    }

    /// Marks a job as cancelled; the lease when nobody runs it and it has yet to be ended.
    fn mark_cancelled(&self, entry: &Entry) -> Result<Option<Lease>> {
        if let Some(end) = entry.end()? {
            return Err(Error::conflict(format!(
                "the job has ended ({}); there is nothing left to cancel",
                end.job_status
            )));
        }
        if !entry.mark_cancelled()? {
            return Err(Error::conflict(
                "the job was cancelled before; it ends after the items it is at",
            ));
        }
        if entry.is_running_here() {
            return Ok(None);
        }
        let lease = entry.lease()?;
        if lease.is_none() || entry.end()?.is_some() {
            return Ok(None);
        }
        if self.0.config.run_jobs && !self.0.closing.is_cancelled() {
            return Ok(lease);
        }
        entry.finish(JobState::Cancelled, None, None)?;
        Ok(None)
    }

    /// Waits until a job stands otherwise than in `seen`.
    pub async fn changed(&self, seen: &Job) -> Result<Job> {
        let entry = self.find(&seen.job_id).await?;
        loop {
            let mut news = std::pin::pin!(entry.news.notified());
            // From here on news is heard, even what comes while the files are read.
            news.as_mut().enable();
            let looked_at = Arc::clone(&entry);
            let job = blocking(move || looked_at.stand()).await?;
            if job != *seen {
                return Ok(job);
            }
            tokio::select! {
                () = news => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Waits until a job has ended, at most so long; `told` hears each change.
    pub async fn wait(
        &self,
        job_id: &JobId,
        up_to: Duration,
        told: &mut (dyn FnMut(&Job) + Send),
    ) -> Result<Job> {
        let end = Instant::now() + up_to;
        let mut job = self.get(job_id).await?;
        loop {
            told(&job);
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

    async fn find(&self, job_id: &JobId) -> Result<Arc<Entry>> {
        let ledger = self.clone();
        let job_id = job_id.clone();
        blocking(move || ledger.entry(&job_id)).await?.ok_or_else(|| {
            Error::not_found(
                "there is no job of that id; list_jobs lists them (ended jobs are kept for 90 \
                     days)",
            )
        })
    }

    /// A job of this back end.
    fn entry(&self, job_id: &JobId) -> Result<Option<Arc<Entry>>> {
        if let Some(entry) = self.known().get(job_id).cloned() {
            if entry.exists() {
                return Ok(Some(entry));
            }
            self.known().remove(job_id);
            return Ok(None);
        }
        let loaded = Entry::load(&self.0.jobs, job_id)?;
        Ok(loaded
            .filter(|entry| entry.facts.back_end == self.0.config.back_end)
            .map(|entry| self.remember(entry)))
    }

    /// All jobs of this back end that can be read.
    fn entries(&self) -> Result<Vec<Arc<Entry>>> {
        let mut entries = Vec::new();
        for name in self.names()? {
            let Ok(job_id) = JobId::try_from(name) else {
                continue;
            };
            match self.entry(&job_id) {
                Ok(entry) => entries.extend(entry),
                // One damaged job does not hide the others.
                Err(error) => tracing::debug!(%job_id, %error, "a job cannot be read"),
            }
        }
        Ok(entries)
    }

    /// Names in the folder of jobs.
    fn names(&self) -> Result<Vec<String>> {
        let listed = match std::fs::read_dir(&self.0.jobs) {
            Ok(listed) => listed,
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(other) => return Err(files::unusable(&self.0.jobs)(other)),
        };
        Ok(listed.filter_map(|found| found.ok()?.file_name().into_string().ok()).collect())
    }

    /// Keeps one entry a job: who comes first stays.
    fn remember(&self, entry: Entry) -> Arc<Entry> {
        let job_id = entry.facts.job_id.clone();
        Arc::clone(self.known().entry(job_id).or_insert_with(|| Arc::new(entry)))
    }

    /// Drops an ended job.
    fn forget(&self, entry: &Entry) {
        let job_id = &entry.facts.job_id;
        if let Err(error) = std::fs::remove_dir_all(self.0.jobs.join(job_id.as_str())) {
            tracing::warn!(%job_id, %error, "an old job could not be dropped");
        }
        self.known().remove(job_id);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Arc<Entry>>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what waits for the disk where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::internal("the ledger of jobs failed", cause))?
}

/// The time, as exact as the service tells it.
fn now() -> Timestamp {
    let now = chrono::Utc::now();
    Timestamp::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
}

fn new_id() -> Result<JobId> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::internal("the system gives no random numbers", cause))?;
    let mut text = String::with_capacity(32);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    JobId::try_from(text)
}
