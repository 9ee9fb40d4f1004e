//! Takes over the jobs of earlier releases, each of which was a folder of files.
//!
//! | file | what it held |
//! |---|---|
//! | `job.json` | who asked for what and when |
//! | `work.json` | what is to be done; removed when the job ended |
//! | `outcomes.ndjson` | the outcome of each item, a line of JSON; its presence says that the job was begun |
//! | `expected.json` | how many items there are |
//! | `cancelled` | its presence cancels the job |
//! | `held.json` | why it waits |
//! | `done_work.json` | what an ended job keeps of its work |
//! | `end.json` | how it ended |
//! | `lease` | locked by the process that runs the job |

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use healthimaging::{ClientToken, DatastoreId, Error, JobId, JobName, Result, Timestamp};
use healthimaging_jobs::{Counts, Item, Job, JobState, JobStore, Needs};

use super::files::{Lease, unusable};
use super::job::json;
use crate::work::{ItemOutcome, ItemResult, Work};

/// Layout of the folders.
const FORMAT: u32 = 1;
/// Begins the names of folders that are no jobs yet, or no longer.
const DRAFT: &str = ".new-";

#[derive(Deserialize)]
struct Facts {
    format: u32,
    job_id: JobId,
    back_end: String,
    tool: String,
    job_name: Option<JobName>,
    client_token: Option<ClientToken>,
    datastore_id: DatastoreId,
    submitted_at: Timestamp,
    fingerprint: Option<String>,
    #[serde(default)]
    needs: Needs,
}

#[derive(Deserialize)]
struct End {
    job_status: JobState,
    ended_at: Timestamp,
    items_total: Option<u64>,
    message: Option<String>,
    report: Option<Map<String, Value>>,
}

/// Whether there are jobs of earlier releases below the folder of the ledger.
pub(super) fn are_there(ledger: &Path) -> bool {
    of(ledger).is_dir()
}

/// The folder of the jobs of earlier releases.
pub(super) fn of(ledger: &Path) -> PathBuf {
    ledger.join("jobs")
}

/// Moves the jobs of earlier releases into `store`, but for those that a process of such a release runs. A
/// folder is removed once its job is in the store. Blocks.
pub(super) fn take_over(ledger: &Path, store: &dyn JobStore) -> Result<()> {
    let jobs = of(ledger);
    let listed = match fs::read_dir(&jobs) {
        Ok(listed) => listed,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(()),
        Err(other) => return Err(unusable(&jobs)(other)),
    };
    // Held by a process of an earlier release while it makes a folder.
    let Some(starting) = Lease::of_file(ledger.join("start.lock"))? else {
        return Ok(());
    };
    for entry in listed.filter_map(std::result::Result::ok) {
        let (folder, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with(DRAFT) {
            fs::remove_dir_all(&folder).map_err(unusable(&folder))?;
            continue;
        }
        // One damaged job does not hide the others.
        if let Err(error) = take_over_one(&jobs, &folder, &name, store) {
            tracing::warn!(job_id = %name, ?error, "a job of an earlier release cannot be taken over");
        }
    }
    if fs::remove_dir(&jobs).is_ok() {
        starting.remove()?;
    }
    Ok(())
}

fn take_over_one(jobs: &Path, folder: &Path, name: &str, store: &dyn JobStore) -> Result<()> {
    let Some(_nobody_runs_it) = Lease::of_file(folder.join("lease"))? else {
        return Ok(());
    };
    let Some(facts) = read::<Facts>(&folder.join("job.json"))? else {
        return Ok(());
    };
    if facts.format != FORMAT || facts.job_id.as_str() != name {
        return Err(Error::internal("the job was written by another release", "unknown format"));
    }
    let (job, items) = job(folder, facts)?;
    store.take_over(&job, items)?;
    tracing::info!(job_id = name, "a job of an earlier release is taken over");
    // When the process dies from here on, what is left of the folder is no job.
    let draft = jobs.join(format!("{DRAFT}{name}"));
    fs::rename(folder, &draft).map_err(unusable(folder))?;
    fs::remove_dir_all(&draft).map_err(unusable(&draft))
}

fn job(folder: &Path, facts: Facts) -> Result<(Job, Vec<Item>)> {
    let outcomes = outcomes(&folder.join("outcomes.ndjson"))?;
    let end = read::<End>(&folder.join("end.json"))?;
    let mut work = read::<Work>(&folder.join("work.json"))?;
    if end.is_some() {
        work = work.map(Work::redacted);
    }
    if work.is_none() {
        work = read(&folder.join("done_work.json"))?;
    }
    let mut job = Job::new(facts.job_id, &facts.back_end, &facts.tool, facts.submitted_at);
    job.datastore_id = Some(facts.datastore_id);
    job.name = facts.job_name.map(Into::into);
    job.token = facts.client_token;
    job.fingerprint = facts.fingerprint;
    job.needs = facts.needs;
    job.request = json(&work)?;
    job.is_cancelled = folder.join("cancelled").exists();
    job.message = read(&folder.join("held.json"))?;
    job.counts.total = read(&folder.join("expected.json"))?;
    let mut items = Vec::new();
    if let Some(outcomes) = outcomes {
        job.state = JobState::InProgress;
        let failed = outcomes.iter().filter(|outcome| outcome.result == ItemResult::Failed);
        job.counts =
            Counts { done: outcomes.len() as u64, failed: failed.count() as u64, ..job.counts };
        for outcome in outcomes {
            items.push(Item { outcome: json(&outcome)?, key: outcome.item });
        }
    }
    if let Some(end) = end {
        job.state = end.job_status;
        job.ended_at = Some(end.ended_at);
        job.counts.total = end.items_total;
        job.message = end.message;
        job.report = end.report.as_ref().map(json).transpose()?;
    }
    Ok((job, items))
}

/// The outcomes of whole lines; `None` when the job was not begun.
fn outcomes(path: &Path) -> Result<Option<Vec<ItemOutcome>>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
        Err(other) => return Err(unusable(path)(other)),
    };
    let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    Ok(Some(whole.filter_map(|line| serde_json::from_slice(line).ok()).collect()))
}

/// Reads a file of JSON; `None` when there is none.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let json = match fs::read(path) {
        Ok(json) => json,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
        Err(other) => return Err(unusable(path)(other)),
    };
    serde_json::from_slice(&json)
        .map(Some)
        .map_err(|cause| Error::internal("a file of a job cannot be read", cause))
}
