//! Running jobs: who may, what becomes of them, and taking over what dead processes left.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use healthimaging::{Error, ErrorKind, JobId, Result};
use tokio_util::task::TaskTracker;

use crate::job::{End, Job, JobState, Unfinished};
use crate::needs::{Runner, is_lack_of_access};

/// How long a job that this process lacks access for is left to others, before it is tried again.
const LEFT_ALONE: Duration = Duration::from_mins(1);

/// Where a job that runs comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This process accepted it.
    Accepted,
    /// Another process did.
    TakenOver,
    /// Another process did, and it was cancelled here: it runs to clean up, whatever it needs.
    Cancelled,
}

/// How a handler left its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// It has ended so.
    Ended(End),
    /// The handler has recorded its end itself.
    Recorded,
    /// It is to be gone on with later.
    Left,
}

/// Runs a job of its kind. An error that says that a process which took the job over lacks access leaves the
/// job to others; any other one fails it.
pub type Handler<H> = for<'a> fn(&'a Arc<H>, Job, Origin) -> BoxFuture<'a, Result<Ran>>;

/// What this process knows of its jobs beside their rows.
#[derive(Debug, Default)]
pub struct Engine(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    accepted: HashSet<JobId>,
    /// Jobs that this process lacks access for, and until when it leaves them alone.
    left: HashMap<JobId, Instant>,
}

/// Where jobs are kept and run: a store that is open in a process.
#[async_trait]
pub trait Host: Send + Sync + Sized + 'static {
    /// A lock on a file, given up when it is dropped or its process dies.
    type Lease: Send + Sync + 'static;

    /// What runs jobs of a kind; `None` for one that it does not know.
    fn handler(kind: &str) -> Option<Handler<Self>>;

    /// What this process knows of its jobs.
    fn engine(&self) -> &Engine;

    /// What this process offers to the jobs of others.
    fn runner(&self) -> &Runner;

    /// The tasks of this process.
    fn tasks(&self) -> &TaskTracker;

    /// Jobs that have not ended, oldest first.
    async fn unfinished(&self) -> Result<Vec<Unfinished>>;

    /// The job of an id.
    async fn find(&self, id: &JobId) -> Result<Option<Job>>;

    /// Notes why a job waits for another process.
    async fn hold(&self, job: &Job, reason: String) -> Result<()>;

    /// Records the end of a job.
    async fn end(&self, job: &Job, end: End) -> Result<()>;

    /// Takes the lock of this name; `None` when another holds it.
    fn lease(&self, name: &str) -> Result<Option<Self::Lease>>;

    /// Gives up a lock that is needed no more, and removes its file.
    fn release(&self, lease: Self::Lease) -> Result<()>;

    /// Now.
    fn now(&self) -> healthimaging::Timestamp;
}

impl Engine {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a job that this process accepts.
    pub fn accept(&self, job: &JobId) {
        self.known().accepted.insert(job.clone());
    }

    fn origin(&self, job: &JobId) -> Origin {
        if self.known().accepted.contains(job) { Origin::Accepted } else { Origin::TakenOver }
    }

    /// Leaves a job to other processes for a while.
    fn leave(&self, job: &JobId) {
        self.known().left.insert(job.clone(), Instant::now() + LEFT_ALONE);
    }

    fn is_left(&self, job: &JobId) -> bool {
        let mut known = self.known();
        known.left.retain(|_, until| Instant::now() < *until);
        known.left.contains_key(job)
    }

    fn forget(&self, job: &JobId) {
        self.known().accepted.remove(job);
    }
}

/// Runs a job to its end, unless somebody else does.
pub async fn run<H: Host>(host: &Arc<H>, id: &JobId) -> Result<()> {
    let Some(job) = host.find(id).await? else {
        return Ok(());
    };
    match host.lease(&job.lease)? {
        Some(lease) => run_leased(host, lease, [id.clone()], None).await,
        None => Ok(()),
    }
}

/// Runs jobs whose lock is held, one after the other, and gives it up. Where `origin` is given it is that of
/// all of them.
pub async fn run_leased<H: Host>(
    host: &Arc<H>,
    lease: H::Lease,
    jobs: impl IntoIterator<Item = JobId>,
    origin: Option<Origin>,
) -> Result<()> {
    let mut is_needed = false;
    for id in jobs {
        is_needed |= !carry_out(host, &id, origin).await?;
    }
    if is_needed { Ok(()) } else { host.release(lease) }
}

/// Takes over what dead processes left, in tasks of its own.
pub async fn adopt<H: Host>(host: &Arc<H>) -> Result<()> {
    let mut left: Vec<(String, Vec<JobId>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for Unfinished { id, lease } in host.unfinished().await? {
        if host.engine().is_left(&id) {
            continue;
        }
        let place = *places.entry(lease.clone()).or_insert(left.len());
        match left.get_mut(place) {
            Some((_, ids)) => ids.push(id),
            None => left.push((lease, vec![id])),
        }
    }
    for (lease, ids) in left {
        // It can be had when its process has died.
        let Some(lease) = host.lease(&lease)? else {
            continue;
        };
        let of_task = Arc::clone(host);
        host.tasks().spawn(async move {
            let jobs = ids.len();
            if let Err(error) = run_leased(&of_task, lease, ids, None).await {
                tracing::error!(jobs, %error, "a job was left as it stands; it is taken up again");
            }
        });
    }
    Ok(())
}

/// Runs a job whose lock is held; whether it is done with.
pub async fn carry_out<H: Host>(host: &Arc<H>, id: &JobId, origin: Option<Origin>) -> Result<bool> {
    let engine = host.engine();
    let job = match host.find(id).await? {
        Some(job) if !job.state.has_ended() => job,
        _ => {
            engine.forget(id);
            return Ok(true);
        }
    };
    let origin = origin.unwrap_or_else(|| engine.origin(id));
    if origin == Origin::TakenOver
        && let Err(reason) = host.runner().check(&job.needs)
    {
        hold(host, &job, reason).await?;
        return Ok(false);
    }
    let (kind, was_cancelled) = (job.kind.clone(), job.is_cancelled);
    tracing::debug!(job = %id, kind, ?origin, "a job runs");
    let ran = match H::handler(&kind) {
        Some(handler) => AssertUnwindSafe(handler(host, job.clone(), origin))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(panicked())),
        None => Err(Error::internal("this program does not know the kind of the job", kind)),
    };
    let end = match ran {
        Ok(Ran::Left) => return Ok(false),
        Ok(Ran::Recorded) => None,
        Ok(Ran::Ended(end)) => Some(end),
        Err(error)
            if origin == Origin::TakenOver && !was_cancelled && is_lack_of_access(error.kind()) =>
        {
            tracing::warn!(job = %id, %error, "a job is left: this process lacks access");
            engine.leave(id);
            let reason = format!("waiting for a server that has access: {}", error.message());
            hold(host, &job, reason).await?;
            return Ok(false);
        }
        Err(error) => {
            // The sources of an error may be dumps of a library's state; they say more only where ours is at fault.
            if error.kind() == ErrorKind::Internal {
                tracing::error!(job = %id, ?error, "a job failed");
            } else {
                tracing::info!(job = %id, %error, "a job failed");
            }
            let message = Some(error.message().to_owned());
            let at = host.now();
            Some(End { state: JobState::Failed, at, message, report: None, request: None })
        }
    };
    if let Some(end) = end {
        tracing::info!(job = %id, state = %end.state, "a job has ended");
        host.end(&job, end).await?;
    }
    engine.forget(id);
    Ok(true)
}

/// Shows in the job's status why it waits.
async fn hold<H: Host>(host: &Arc<H>, job: &Job, reason: String) -> Result<()> {
    // To write costs a sync of the disk, and this comes every few seconds.
    if job.message.as_deref() == Some(&*reason) {
        return Ok(());
    }
    host.hold(job, reason).await
}

fn panicked() -> Error {
    Error::internal(
        "the job hit a fault of this program and stopped; what it did is in its outcomes",
        "panic",
    )
}

#[cfg(test)]
mod tests;
