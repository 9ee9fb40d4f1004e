//! A full search as a job of the engine: its process holds a lease, and what it has read is durable.
//!
//! The jobs have a scope of their own: no server lists them or takes them over. A search is continued by the command that waits for
//! its result and has the values that are searched as bytes; the job holds digests and counts only. There is one for each
//! certificate, and it is removed when it ends.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt as _};
use healthimaging::{ClientToken, Error, JobId, Result, Timestamp, fingerprint};
use healthimaging_jobs::{
    Added, End, Engine, Handler, Host, Job, JobStore, Origin, Ran, Runner, Unfinished, engine,
};
use serde_json::json;
use tokio_util::task::TaskTracker;

use super::Certificate;
use super::matcher::Findings;
use super::read_packs::ReadPacks;
use super::search::{Event, Search, Watch};
use super::verification::Check;
use crate::ledger::{Lease, blocking, now};

/// Scope of the jobs.
const SCOPE: &str = "certificate";
/// Their kind.
const KIND: &str = "full_search";
/// How often a job that another process ends at the same time is looked for.
const TRIES: usize = 3;

/// Where full searches are recorded.
#[derive(Debug, Clone)]
pub struct SearchJobs {
    /// The jobs of the data folder.
    pub store: Arc<dyn JobStore>,
    /// The folder of their locks.
    pub locks: PathBuf,
}

type Found = (Findings, Check);

/// What a process needs to run the one search that it was asked for.
struct Searching {
    jobs: SearchJobs,
    engine: Engine,
    runner: Runner,
    tasks: TaskTracker,
    work: Mutex<Option<(Search, Watch)>>,
    found: Mutex<Option<Result<Found>>>,
}

/// Searches; with `jobs` as a job that can be continued, if it can be recorded.
pub(super) async fn run(
    jobs: Option<SearchJobs>,
    certificate: &Certificate,
    search: Search,
    mut watch: Watch,
) -> Result<Found> {
    let Some(jobs) = jobs else { return alone(search, watch).await };
    let (of_jobs, new) = (jobs.clone(), new_job(certificate, &search)?);
    let why = match blocking(move || begin(&of_jobs, &new)).await {
        Ok(Some(begun)) => return begun.run(jobs, search, watch).await,
        Ok(None) => "another process searches for the same certificate".to_owned(),
        Err(error) => error.message().to_owned(),
    };
    // If this ends the search, so does what follows.
    let _: ControlFlow<()> = watch(Event::NotResumable(why));
    alone(search, watch).await
}

async fn alone(search: Search, mut watch: Watch) -> Result<Found> {
    blocking(move || search.run(None, "", &mut watch)).await
}

fn new_job(certificate: &Certificate, search: &Search) -> Result<Job> {
    let mut values: Vec<String> =
        search.request.values.iter().map(|value| search.keys.digest(value)).collect();
    values.sort();
    // What an earlier search has read is of use to one that looks for the same.
    let searched = json!([env!("CARGO_PKG_VERSION"), certificate.signature, values]);
    let mut job = Job::new(JobId::random()?, SCOPE, KIND, now());
    job.token = Some(ClientToken::try_from(certificate.certificate_id.to_string())?);
    job.fingerprint = Some(fingerprint(&searched));
    job.datastore_id = certificate.datastore_id();
    Ok(job)
}

/// A job whose lease is held.
struct Begun {
    job: JobId,
    lease: Lease,
    /// Whether there was one that cannot be continued.
    restarts: bool,
}

/// Adds the job, or takes over the one that an interrupted process left; `None` while another process runs it. Blocks.
fn begin(SearchJobs { store, locks }: &SearchJobs, new: &Job) -> Result<Option<Begun>> {
    let mut restarts = false;
    for _ in 0..TRIES {
        let Some(lease) = Lease::try_take(locks, &new.lease)? else { return Ok(None) };
        let earlier = match store.add(new.clone())? {
            Added::New(job) => return Ok(Some(Begun { job: job.id, lease, restarts })),
            Added::Earlier(earlier) => earlier,
        };
        lease.remove()?;
        let Some(lease) = Lease::try_take(locks, &earlier.lease)? else { return Ok(None) };
        match store.find(SCOPE, &earlier.id)? {
            Some(job) if job.fingerprint == new.fingerprint => {
                return Ok(Some(Begun { job: job.id, lease, restarts }));
            }
            Some(job) => {
                store.remove(job.row)?;
                restarts = true;
            }
            // It has ended since.
            None => {}
        }
        lease.remove()?;
    }
    Ok(None)
}

impl Begun {
    async fn run(self, jobs: SearchJobs, search: Search, mut watch: Watch) -> Result<Found> {
        let Self { job, lease, restarts } = self;
        if restarts {
            let why = "other values were searched, or another release searched";
            let _: ControlFlow<()> = watch(Event::Restarts(why));
        }
        let searching = Arc::new(Searching {
            jobs,
            engine: Engine::default(),
            runner: Runner::default(),
            tasks: TaskTracker::new(),
            work: Mutex::new(Some((search, watch))),
            found: Mutex::new(None),
        });
        engine::run_leased(&searching, lease, [job], Some(Origin::Accepted)).await?;
        let found = locked(&searching.found).take();
        found.unwrap_or_else(|| Err(Error::internal("the search of the store failed", "no result")))
    }
}

fn locked<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_boxed(searching: &Arc<Searching>, job: Job, _: Origin) -> BoxFuture<'_, Result<Ran>> {
    searching.search(job).boxed()
}

impl Searching {
    async fn search(&self, job: Job) -> Result<Ran> {
        let Some((search, mut watch)) = locked(&self.work).take() else { return Ok(Ran::Left) };
        let store = Arc::clone(&self.jobs.store);
        let ran = blocking(move || {
            let begun = store.begin(job.row);
            let open = |()| ReadPacks::open(Arc::clone(&store), Arc::clone(&search.keys), &job);
            let packs = begun.and_then(open).map_err(|error| {
                let why = error.message().to_owned();
                let _: ControlFlow<()> = watch(Event::NotResumable(why));
            });
            let found = search.run(packs.ok(), job.id.as_str(), &mut watch);
            // What was found is not lost with the disk; what is left is continued, and then removed.
            let removed = found.is_ok() && store.remove(job.row).is_ok();
            Ok((found, removed))
        });
        let (found, removed) = ran.await?;
        *locked(&self.found) = Some(found);
        Ok(if removed { Ran::Recorded } else { Ran::Left })
    }
}

#[async_trait]
impl Host for Searching {
    type Lease = Lease;

    fn handler(kind: &str) -> Option<Handler<Self>> {
        (kind == KIND).then_some(run_boxed)
    }

    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn runner(&self) -> &Runner {
        &self.runner
    }

    fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    async fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let store = Arc::clone(&self.jobs.store);
        blocking(move || store.unfinished(SCOPE)).await
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>> {
        let (store, id) = (Arc::clone(&self.jobs.store), id.clone());
        blocking(move || store.find(SCOPE, &id)).await
    }

    async fn hold(&self, job: &Job, reason: String) -> Result<()> {
        let (store, row) = (Arc::clone(&self.jobs.store), job.row);
        blocking(move || store.hold(row, &reason)).await
    }

    /// A search that a fault of this program ended leaves nothing.
    async fn end(&self, job: &Job, _: End) -> Result<()> {
        let (store, row) = (Arc::clone(&self.jobs.store), job.row);
        blocking(move || store.remove(row)).await
    }

    fn lease(&self, name: &str) -> Result<Option<Lease>> {
        Lease::try_take(&self.jobs.locks, name)
    }

    fn release(&self, lease: Lease) -> Result<()> {
        lease.remove()
    }

    fn now(&self) -> Timestamp {
        now()
    }
}
