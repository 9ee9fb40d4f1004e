//! What this process knows of import jobs beside their rows.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use healthimaging::JobId;
use tokio::sync::RwLock;

/// How long a job that this process lacks access for is left to others, before it is tried again.
const LEFT_ALONE: Duration = Duration::from_mins(1);

/// Where a job that runs comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// This process accepted it.
    Accepted,
    /// Another process did.
    TakenOver,
}

/// What this process knows of import jobs beside their rows.
#[derive(Debug, Default)]
pub(crate) struct KnownJobs {
    known: Mutex<Known>,
    /// Held shared while a file is touched, and alone for one that a process has died over.
    pub(super) files: RwLock<()>,
}

#[derive(Debug, Default)]
struct Known {
    accepted: HashSet<JobId>,
    /// Jobs that this process lacks access for, and until when it leaves them alone.
    left: HashMap<JobId, Instant>,
}

impl KnownJobs {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a job that this process accepted.
    pub(super) fn accept(&self, job: &JobId) {
        self.known().accepted.insert(job.clone());
    }

    pub(super) fn origin(&self, job: &JobId) -> Origin {
        if self.known().accepted.contains(job) { Origin::Accepted } else { Origin::TakenOver }
    }

    /// Leaves a job to other processes for a while.
    pub(super) fn leave(&self, job: &JobId) {
        self.known().left.insert(job.clone(), Instant::now() + LEFT_ALONE);
    }

    pub(super) fn is_left(&self, job: &JobId) -> bool {
        let mut known = self.known();
        known.left.retain(|_, until| Instant::now() < *until);
        known.left.contains_key(job)
    }

    /// Forgets a job that has ended.
    pub(super) fn forget(&self, job: &JobId) {
        self.known().accepted.remove(job);
    }
}
