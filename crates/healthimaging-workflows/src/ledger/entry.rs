//! One job: its folder, and what this process knows of it.
//!
//! | file | what it holds |
//! |---|---|
//! | `job.json` | who asked for what and when; never changes |
//! | `work.json` | what is to be done; removed when the job ends |
//! | `outcomes.ndjson` | what became of each item, appended; its being there says that the job was begun |
//! | `expected.json` | how many items there are |
//! | `cancelled` | its being there cancels the job |
//! | `held.json` | why no process could go on with it lately |
//! | `done_work.json` | what an ended job keeps of its work |
//! | `end.json` | how it ended; written last |
//! | `lease` | locked by the process that runs the job |

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use healthimaging::{
    ClientToken, DatastoreId, Error, JobId, JobName, Result, Timestamp, TurnWatch,
};
use healthimaging_jobs::Needs;

use super::files::{self, make_folder, sync_folder, write_durably, write_lightly};
use super::job::{Job, JobState};
use super::outcomes::Tally;
use crate::work::Work;

/// What never changes about a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) format: u32,
    pub(super) job_id: JobId,
    pub(super) back_end: String,
    pub(super) tool: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) job_name: Option<JobName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_token: Option<ClientToken>,
    pub(super) datastore_id: DatastoreId,
    pub(super) submitted_at: Timestamp,
    /// SHA-256 of what was asked for, to know a repeated request; none without a client token, since what
    /// was asked for can be guessed from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fingerprint: Option<String>,
    /// What it needs of the process that runs it.
    #[serde(default)]
    pub(super) needs: Needs,
}

impl Facts {
    /// Layout of the folder; a program leaves alone what another release wrote otherwise.
    pub(super) const FORMAT: u32 = 1;
}

/// How a job ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) job_status: JobState,
    pub(super) ended_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) items_total: Option<u64>,
    pub(super) items_done: u64,
    pub(super) items_failed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) report: Option<Map<String, Value>>,
}

/// A job, as this process knows it.
#[derive(Debug)]
pub(super) struct Entry {
    folder: PathBuf,
    pub(super) facts: Facts,
    end: OnceLock<End>,
    tally: Mutex<Tally>,
    running: Mutex<Option<CancellationToken>>,
    /// Until when, at least, a call of it waits for its turn.
    waits_until: Mutex<Option<Instant>>,
    /// Rings whenever something in this process changes the job.
    pub(super) news: Arc<Notify>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Entry {
    fn new(folder: PathBuf, facts: Facts) -> Self {
        Self {
            folder,
            facts,
            end: OnceLock::new(),
            tally: Mutex::default(),
            running: Mutex::default(),
            waits_until: Mutex::default(),
            news: Arc::default(),
        }
    }

    /// Writes a new job down, complete or not at all, with its lease held.
    pub(super) fn create(
        jobs: &Path,
        facts: Facts,
        work: &Work,
    ) -> Result<(Self, Option<files::Lease>)> {
        let draft = jobs.join(format!("{DRAFT}{}", facts.job_id));
        let folder = jobs.join(facts.job_id.as_str());
        make_folder(&draft)?;
        let lease = files::Lease::try_take(&draft.join("lease"))?;
        write_durably(&draft.join("work.json"), work)?;
        write_durably(&draft.join("job.json"), &facts)?;
        std::fs::rename(&draft, &folder).map_err(files::unusable(&folder))?;
        sync_folder(jobs)?;
        Ok((Self::new(folder, facts), lease))
    }

    /// Reads a job; `None` when there is none.
    pub(super) fn load(jobs: &Path, job_id: &JobId) -> Result<Option<Self>> {
        let folder = jobs.join(job_id.as_str());
        let facts: Option<Facts> = files::read(&folder.join("job.json"))?;
        match facts {
            Some(facts) if facts.format == Facts::FORMAT && facts.job_id == *job_id => {
                Ok(Some(Self::new(folder, facts)))
            }
            Some(_) => Err(Error::internal(
                "this job was written by another release; use that one to look at it",
                "unknown format",
            )),
            None => Ok(None),
        }
    }

    pub(super) fn outcomes(&self) -> PathBuf {
        self.folder.join("outcomes.ndjson")
    }

    pub(super) fn expected(&self) -> PathBuf {
        self.folder.join("expected.json")
    }

    pub(super) fn lease(&self) -> Result<Option<files::Lease>> {
        files::Lease::try_take(&self.folder.join("lease"))
    }

    /// Whether its folder is there still.
    pub(super) fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    /// Whether it was cancelled, by this process or another.
    pub(super) fn is_cancelled(&self) -> bool {
        self.folder.join("cancelled").exists()
    }

    /// Marks it as cancelled; whether it was not before.
    pub(super) fn mark_cancelled(&self) -> Result<bool> {
        if self.is_cancelled() {
            return Ok(false);
        }
        write_durably(&self.folder.join("cancelled"), &Value::Null)?;
        if let Some(stop) = locked(&self.running).as_ref() {
            stop.cancel();
        }
        Ok(true)
    }

    /// Notes why this process leaves it to another one, or that it goes on.
    pub(super) fn hold(&self, reason: Option<&str>) -> Result<()> {
        let path = self.folder.join("held.json");
        match reason {
            None => files::remove(&path),
            Some(reason) if self.held()?.as_deref() == Some(reason) => Ok(()),
            Some(reason) => write_lightly(&path, &reason),
        }
    }

    /// Why no process could go on with it lately.
    fn held(&self) -> Result<Option<String>> {
        files::read(&self.folder.join("held.json"))
    }

    /// Notes that this process runs it, or no longer does.
    pub(super) fn set_running(&self, stop: Option<CancellationToken>) {
        *locked(&self.running) = stop;
        self.news.notify_waiters();
    }

    /// Whether this process runs it.
    pub(super) fn is_running_here(&self) -> bool {
        locked(&self.running).is_some()
    }

    /// How it ended, once it has.
    pub(super) fn end(&self) -> Result<Option<&End>> {
        if let Some(end) = self.end.get() {
            return Ok(Some(end));
        }
        let Some(end) = files::read(&self.folder.join("end.json"))? else {
            return Ok(None);
        };
        // A process may have died between ending the job and this; one that may not write leaves it.
        if let Err(error) = files::remove(&self.folder.join("work.json")) {
            tracing::debug!(job_id = %self.facts.job_id, %error, "work of an ended job is left");
        }
        Ok(Some(self.end.get_or_init(|| end)))
    }

    /// What it was asked to do; of an ended job, what it keeps of that.
    pub(super) fn work(&self) -> Result<Work> {
        for name in ["work.json", "done_work.json"] {
            if let Some(work) = files::read(&self.folder.join(name))? {
                return Ok(work);
            }
        }
        Err(Error::internal("what this job was to do is missing from its folder", "no work"))
    }

    /// Ends it: the end is on disk, and what was to be done is gone but for what may be kept.
    pub(super) fn finish(
        &self,
        job_status: JobState,
        message: Option<String>,
        report: Option<Map<String, Value>>,
    ) -> Result<()> {
        let now = self.stand()?;
        let end = End {
            job_status,
            ended_at: super::now(),
            items_total: now.items_total,
            items_done: now.items_done,
            items_failed: now.items_failed,
            message,
            report,
        };
        // A job that cannot be read has nothing to keep.
        if let Ok(work) = self.work() {
            write_durably(&self.folder.join("done_work.json"), &work.redacted())?;
        }
        write_durably(&self.folder.join("end.json"), &end)?;
        self.end()?;
        self.news.notify_waiters();
        Ok(())
    }

    /// How it stands.
    pub(super) fn stand(&self) -> Result<Job> {
        let facts = &self.facts;
        let mut job = Job {
            job_id: facts.job_id.clone(),
            tool: facts.tool.clone(),
            job_name: facts.job_name.clone(),
            datastore_id: facts.datastore_id.clone(),
            job_status: JobState::Submitted,
            submitted_at: facts.submitted_at,
            ended_at: None,
            items_total: None,
            items_done: 0,
            items_failed: 0,
            message: None,
            report: None,
        };
        if let Some(end) = self.end()?.cloned() {
            job.job_status = end.job_status;
            job.ended_at = Some(end.ended_at);
            job.items_total = end.items_total;
            job.items_done = end.items_done;
            job.items_failed = end.items_failed;
            job.message = end.message;
            job.report = end.report;
            return Ok(job);
        }
        let mut tally = locked(&self.tally);
        if tally.update(&self.outcomes())? {
            job.job_status = JobState::InProgress;
        }
        job.items_done = tally.done;
        job.items_failed = tally.failed;
        job.items_total = files::read(&self.expected())?;
        if self.is_cancelled() {
            job.message = Some("cancelled: it ends after the items it is at".to_owned());
        } else if let Some(reason) = self.held()? {
            job.message = Some(reason);
        } else if self.is_waiting() {
            job.message = Some(
                "waiting for its turn: the service takes few of these calls a second".to_owned(),
            );
        }
        Ok(job)
    }

    fn is_waiting(&self) -> bool {
        locked(&self.waits_until).is_some_and(|until| Instant::now() < until)
    }
}

impl TurnWatch for Entry {
    fn waits(&self, about: Duration) {
        if about >= WORTH_TELLING {
            let mut until = locked(&self.waits_until);
            *until = (*until).max(Some(Instant::now() + about));
        }
    }

    fn goes(&self) {}
}

/// A wait that a reader of the job is told of.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// Jobs that are not written down yet begin like this.
pub(super) const DRAFT: &str = ".new-";
