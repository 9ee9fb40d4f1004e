//! Running jobs, recording their end, and taking over those of dead processes.

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

/// How long a job that this process lacks access for is left to other processes before it is tried again.
const LEFT_ALONE: Duration = Duration::from_mins(1);

/// Origin of a job that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This process accepted it.
    Accepted,
    /// Another process accepted it.
    TakenOver,
    /// Another process accepted it, and it was cancelled here: it runs to clean up, whatever it needs.
    Cancelled,
}

/// How a handler left its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// It has ended.
    Ended(End),
    /// The handler has recorded its end itself.
    Recorded,
    /// It is to be continued later.
    Left,
}

/// Runs a job of its kind. If a process that took the job over lacks access, the job is left to other processes;
/// any other error fails it.
pub type Handler<H> = for<'a> fn(&'a Arc<H>, Job, Origin) -> BoxFuture<'a, Result<Ran>>;

/// State of the jobs of this process that is not in their rows.
#[derive(Debug, Default)]
pub struct Engine(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    accepted: HashSet<JobId>,
    /// Jobs that this process lacks access for, and when to try them again.
    left: HashMap<JobId, Instant>,
}

/// A store of jobs that is open in a process.
#[async_trait]
pub trait Host: Send + Sync + Sized + 'static {
    /// A lock on a file, released when it is dropped or its process dies.
    type Lease: Send + Sync + 'static;

    /// The handler of jobs of a kind; `None` for an unknown kind.
    fn handler(kind: &str) -> Option<Handler<Self>>;

    /// State of the jobs of this process.
    fn engine(&self) -> &Engine;

    /// What this process offers to jobs of other processes.
    fn runner(&self) -> &Runner;

    /// The tasks of this process.
    fn tasks(&self) -> &TaskTracker;

    /// Jobs that have not ended, oldest first.
    async fn unfinished(&self) -> Result<Vec<Unfinished>>;

    /// The job of an id.
    async fn find(&self, id: &JobId) -> Result<Option<Job>>;

    /// Records why a job waits for another process.
    async fn hold(&self, job: &Job, reason: String) -> Result<()>;

    /// Records the end of a job.
    async fn end(&self, job: &Job, end: End) -> Result<()>;

    /// Takes the lock of this name; `None` if it is held.
    fn lease(&self, name: &str) -> Result<Option<Self::Lease>>;

    /// Releases a lock that is not needed any more, and removes its file.
    fn release(&self, lease: Self::Lease) -> Result<()>;

    /// Now.
    fn now(&self) -> healthimaging::Timestamp;
}

impl Engine {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that this process accepts a job.
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

/// Runs a job to its end, unless another task or process is running it.
pub async fn run<H: Host>(host: &Arc<H>, id: &JobId) -> Result<()> {
    let Some(job) = host.find(id).await? else {
        return Ok(());
    };
    match host.lease(&job.lease)? {
        Some(lease) => run_leased(host, lease, [id.clone()], None).await,
        None => Ok(()),
    }
}

/// Runs jobs whose lock is held, one after the other, and releases it. An `origin` is that of all of them.
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

/// Takes over jobs of dead processes, in tasks of its own; returns whether there are jobs that have not ended.
pub async fn adopt<H: Host>(host: &Arc<H>) -> Result<bool> {
    let mut left: Vec<(String, Vec<JobId>)> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    let unfinished = host.unfinished().await?;
    let is_at_work = !unfinished.is_empty();
    for Unfinished { id, lease } in unfinished {
        if host.engine().is_left(&id) {
            continue;
        }
        let position = *positions.entry(lease.clone()).or_insert(left.len());
        match left.get_mut(position) {
            Some((_, ids)) => ids.push(id),
            None => left.push((lease, vec![id])),
        }
    }
    for (lease, ids) in left {
        // It is free when its process has died.
        let Some(lease) = host.lease(&lease)? else {
            continue;
        };
        let of_task = Arc::clone(host);
        host.tasks().spawn(async move {
            let jobs = ids.len();
            if let Err(error) = run_leased(&of_task, lease, ids, None).await {
                tracing::error!(jobs, %error, "a job was interrupted; it is resumed later");
            }
        });
    }
    Ok(is_at_work)
}

/// Runs a job whose lock is held; returns whether it has ended.
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
        None => Err(Error::internal("unknown kind of job", kind)),
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

/// Shows why a job waits in its status.
async fn hold<H: Host>(host: &Arc<H>, job: &Job, reason: String) -> Result<()> {
    // A write costs a sync of the disk, and this is called every few seconds.
    if job.message.as_deref() == Some(&*reason) {
        return Ok(());
    }
    host.hold(job, reason).await
}

fn panicked() -> Error {
    Error::internal(
        "the job stopped because of a fault of this program; its outcomes show what was done",
        "panic",
    )
}

#[cfg(test)]
mod tests;
