//! Running jobs: the ones started here, and those that other processes left.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use healthimaging::{Error, JobId, Result, watch_turns};
use healthimaging_jobs::is_lack_of_access;

use super::entry::{DRAFT, Entry};
use super::files::Lease;
use super::job::JobState;
use super::journal::FileJournal;
use super::{Inner, Ledger};
use crate::work::Work;

/// How often a running job looks whether another process cancelled it.
const LOOK: Duration = Duration::from_millis(250);
/// How often jobs of dead processes are looked for.
const ROUND: Duration = Duration::from_secs(2);
/// How long a job that this process lacks access for is left to others, before it is tried again.
const LEFT_ALONE: Duration = Duration::from_mins(1);
/// How long an ended job can be looked at, as with import jobs of the service.
const KEPT: chrono::TimeDelta = chrono::TimeDelta::days(90);

/// Where a job that runs comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// This process accepted it.
    Accepted,
    /// Another process did.
    TakenOver,
}

impl Ledger {
    /// Runs a job whose lease is held, in a task of its own.
    pub(super) fn run(&self, entry: Arc<Entry>, lease: Lease, origin: Origin) {
        let stop = self.0.closing.child_token();
        if entry.is_cancelled() {
            stop.cancel();
        }
        entry.set_running(Some(stop.clone()));
        let ledger = self.clone();
        let lease = Arc::new(lease);
        self.0.tasks.spawn(async move {
            let held = Arc::clone(&lease);
            if let Err(error) = ledger.run_to_end(&entry, held, stop, origin).await {
                let job_id = &entry.facts.job_id;
                tracing::error!(%job_id, %error, "a job was left as it stands");
            }
            drop(lease);
            entry.set_running(None);
        });
    }

    /// Runs what is left of a job, and ends it; an error leaves it as it stands.
    async fn run_to_end(
        &self,
        entry: &Arc<Entry>,
        lease: Arc<Lease>,
        stop: CancellationToken,
        origin: Origin,
    ) -> Result<()> {
        let job_id = &entry.facts.job_id;
        let begun = Arc::clone(entry);
        let token = stop.clone();
        let (work, journal) = super::blocking(move || {
            if begun.end()?.is_some() {
                return Ok(None);
            }
            let work = begun.work()?;
            begun.hold(None)?;
            let journal = FileJournal::open(begun, lease, token, origin)?;
            Ok(Some((work, journal)))
        })
        .await?
        .unzip();
        let (Some(work), Some(journal)) = (work, journal) else {
            return Ok(());
        };
        entry.news.notify_waiters();
        tracing::info!(%job_id, tool = entry.facts.tool, "job begun");
        let done = tokio::select! {
            done = watch_turns(Arc::clone(entry) as _, self.carry_out(&work, &journal)) => done,
            never = heed_others(entry, &stop) => match never {},
        };
        drop(journal);
        let cancelled = entry.is_cancelled();
        if self.0.closing.is_cancelled() && !cancelled {
            tracing::info!(%job_id, "job left to whoever uses the ledger next");
            return Ok(());
        }
        if let Err(error) = &done
            && origin == Origin::TakenOver
            && !cancelled
            && is_lack_of_access(error.kind())
        {
            tracing::warn!(%job_id, %error, "job left to another process: this one lacks access");
            self.leave(job_id);
            let reason = format!("waiting for a server that has access: {}", error.message());
            let left = Arc::clone(entry);
            return super::blocking(move || left.hold(Some(&reason))).await;
        }
        let (state, message, report) = match done {
            Ok(report) if cancelled => (JobState::Cancelled, None, Some(report)),
            Ok(report) => (JobState::Completed, None, Some(report)),
            Err(error) => {
                tracing::warn!(%job_id, %error, cause = ?std::error::Error::source(&error), "job failed");
                let state = if cancelled { JobState::Cancelled } else { JobState::Failed };
                (state, Some(error.message().to_owned()), None)
            }
        };
        let ended = Arc::clone(entry);
        super::blocking(move || ended.finish(state, message, report)).await?;
        tracing::info!(%job_id, %state, "job ended");
        Ok(())
    }

    /// Does the work; a panic of it fails the job and not the process.
    async fn carry_out(&self, work: &Work, journal: &FileJournal) -> Result<Map<String, Value>> {
        AssertUnwindSafe(work.run(&self.0.tools, journal))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                Err(Error::internal(
                    "the job hit a fault of this program and stopped; what it did is in its outcomes",
                    "panic",
                ))
            })
    }
}

/// Hears when another process cancels the job.
async fn heed_others(entry: &Entry, stop: &CancellationToken) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(LOOK).await;
        if !stop.is_cancelled() && entry.is_cancelled() {
            stop.cancel();
        }
    }
}

/// Takes over what dead processes left, as long as somebody uses the ledger.
pub(super) async fn keep(ledger: Weak<Inner>) {
    loop {
        let Some(inner) = ledger.upgrade() else {
            return;
        };
        let closing = inner.closing.clone();
        let ledger_now = Ledger(inner);
        if closing.is_cancelled() {
            return;
        }
        if let Err(error) = ledger_now.round().await {
            tracing::warn!(%error, "the ledger could not be looked through; it is tried again");
        }
        drop(ledger_now);
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

impl Ledger {
    /// One round: jobs that nobody runs are run, and those long ended are dropped.
    async fn round(&self) -> Result<()> {
        let ledger = self.clone();
        let left = super::blocking(move || ledger.find_left()).await?;
        for (entry, lease) in left {
            self.run(entry, lease, Origin::TakenOver);
        }
        Ok(())
    }

    fn find_left(&self) -> Result<Vec<(Arc<Entry>, Lease)>> {
        let mut left = Vec::new();
        for entry in self.entries()? {
            if let Some(end) = entry.end().ok().flatten() {
                if end.ended_at + KEPT < super::now() {
                    self.forget(&entry);
                }
            } else if !entry.is_running_here()
                && !self.0.closing.is_cancelled()
                && !self.is_left(&entry.facts.job_id)
                && let Some(lease) = entry.lease()?
                && entry.end()?.is_none()
            {
                if let Err(reason) = self.0.config.runner.check(&entry.facts.needs) {
                    entry.hold(Some(&reason))?;
                    continue;
                }
                tracing::info!(job_id = %entry.facts.job_id, "job taken over");
                left.push((entry, lease));
            }
        }
        self.drop_drafts();
        Ok(left)
    }

    /// Leaves a job to other processes for a while.
    fn leave(&self, job_id: &JobId) {
        self.left().insert(job_id.clone(), Instant::now() + LEFT_ALONE);
    }

    fn is_left(&self, job_id: &JobId) -> bool {
        let mut left = self.left();
        left.retain(|_, until| Instant::now() < *until);
        left.contains_key(job_id)
    }

    fn left(&self) -> MutexGuard<'_, HashMap<JobId, Instant>> {
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what processes left that died while writing a job down.
    fn drop_drafts(&self) {
        let Ok(Some(_nobody_writes)) = Lease::try_take(&self.start_lock()) else {
            return;
        };
        for name in self.names().unwrap_or_default() {
            let draft = self.0.jobs.join(&name);
            if name.starts_with(DRAFT)
                && let Err(error) = std::fs::remove_dir_all(&draft)
            {
                tracing::debug!(%error, "an unfinished job could not be dropped");
            }
        }
    }
}
