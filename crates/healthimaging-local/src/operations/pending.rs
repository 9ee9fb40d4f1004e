//! Acknowledged writes that are carried out after the answer: jobs that no caller sees.
//!
//! The request's transaction adds the job; carrying it out is one transaction that also removes it, so that
//! it happens once, by whichever process. The process that accepted it holds the lease of all its writes; when
//! it dies, another one carries them out.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use healthimaging::JobId;
use healthimaging::model::DatastoreStatus;
use healthimaging_jobs::{Handler, Job, Needs, Origin, Ran, engine};
use healthimaging_jobs_sqlite as sql;
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use super::copy::CopyWork;
use super::update::UpdateWork;
use super::{copy, delete, update};
use crate::clock::Millis;
use crate::error::{Result, StoreError};
use crate::index::datastores;
use crate::new_id;
use crate::shared::{Shared, SharedStore};

/// When a write that the store could not end is tried again, such as on a full disk.
const RETRY: Duration = Duration::from_secs(5);

/// Scope of writes.
pub(crate) const WRITE: &str = "write";

/// A write that is still to be carried out, as the catalog keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Makes a data store `ACTIVE`.
    CreateDatastore { row: i64 },
    /// Makes a data store `DELETED`.
    DeleteDatastore { row: i64 },
    /// Changes metadata.
    Update(UpdateWork),
    /// Copies instances.
    Copy(CopyWork),
    /// Erases an image set.
    DeleteImageSet { row: i64 },
    /// Removes from the disk what an erased image set left there.
    CleanUp,
}

impl Work {
    const KINDS: [&str; 6] =
        ["create_datastore", "delete_datastore", "update", "copy", "delete_image_set", "clean_up"];

    fn kind(&self) -> &'static str {
        let [create, delete, update, copy, delete_image_set, clean_up] = Self::KINDS;
        match self {
            Self::CreateDatastore { .. } => create,
            Self::DeleteDatastore { .. } => delete,
            Self::Update(_) => update,
            Self::Copy(_) => copy,
            Self::DeleteImageSet { .. } => delete_image_set,
            Self::CleanUp => clean_up,
        }
    }

    /// What it needs: whether it begins to delete, which the clean-up behind a deletion does not.
    fn needs(&self) -> Needs {
        let deletes = matches!(self, Self::DeleteDatastore { .. } | Self::DeleteImageSet { .. });
        Needs { deletes, ..Needs::default() }
    }

    fn of(job: &Job) -> Result<Self> {
        serde_json::from_str(&job.request)
            .map_err(|_| StoreError::Damaged("a noted write cannot be read".to_owned()))
    }

    fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|_| StoreError::Damaged("a write could not be noted".to_owned()))
    }
}

/// Adds a write in the transaction that acknowledges it, and returns its id for [`spawn`].
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    owner: &str,
    work: &Work,
    at: Millis,
) -> Result<JobId> {
    let id = new_id::job_id()?;
    let job = Job {
        lease: format!("process-{owner}"),
        needs: work.needs(),
        request: work.to_json()?,
        ..Job::new(id.clone(), WRITE, work.kind(), at.into())
    };
    sql::insert(transaction, &job)?;
    Ok(id)
}

/// Notes what is left of a write within the transaction that carries it out; `false` when somebody did.
pub(crate) fn replace(
    transaction: &Transaction<'_>,
    row: i64,
    work: &Work,
    rest: &Work,
) -> Result<bool> {
    let (from, to) = (work.kind(), rest.kind());
    Ok(sql::turn(transaction, row, from, to, &rest.needs(), &rest.to_json()?)?)
}

/// Removes a write within the transaction that carries it out; `false` when somebody did.
pub(crate) fn take(transaction: &Transaction<'_>, row: i64) -> Result<bool> {
    Ok(sql::remove(transaction, row)?)
}

/// Carries a write out in the background, after the configured delay.
pub(crate) fn spawn(shared: &SharedStore, id: Option<JobId>) {
    let Some(id) = id else {
        return;
    };
    let task = Arc::clone(shared);
    shared.tasks.spawn(async move {
        if !task.config.write_delay.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(task.config.write_delay) => {}
                () = task.closing.cancelled() => {}
            }
        }
        // This process holds the lease of its writes.
        loop {
            match engine::carry_out(&task, &id, Some(Origin::Accepted)).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::error!(?error, "an acknowledged write is tried again"),
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                // The process that opens the store next does it.
                () = task.closing.cancelled() => return,
            }
        }
    });
}

/// What carries out writes of a kind.
pub(crate) fn handler(kind: &str) -> Option<Handler<Shared>> {
    Work::KINDS.contains(&kind).then_some(run as Handler<Shared>)
}

fn run(shared: &SharedStore, job: Job, _: Origin) -> BoxFuture<'_, healthimaging::Result<Ran>> {
    async move { Ok(if carry_out(shared, job).await { Ran::Recorded } else { Ran::Left }) }.boxed()
}

/// Carries a write out; `false` when the store itself failed, so that it is still to be done.
///
/// What is wrong with the write is shown in the image set's state.
async fn carry_out(shared: &SharedStore, job: Job) -> bool {
    let (task, row) = (Arc::clone(shared), job.row);
    let work = Work::of(&job);
    let done = tokio::task::spawn_blocking(move || carry_out_blocking(&task, row, Work::of(&job)?))
        .await
        .map_err(StoreError::from)
        .flatten();
    let ended = match done {
        Ok(Aftermath::Nothing) => Ok(true),
        Ok(Aftermath::CleanUp) => delete::clean_up(shared, row).await,
        Err(error) => Err(error),
    };
    if ended.as_ref().is_err_and(StoreError::is_full)
        && let Err(error) = make_room(shared, work).await
    {
        tracing::debug!(row, ?error, "no room could be made for a deletion");
    }
    ended.unwrap_or_else(|error| {
        tracing::error!(row, ?error, "an acknowledged write could not be ended; it is tried again");
        false
    })
}

/// Makes room on a full disk, where the work is a deletion.
async fn make_room(shared: &SharedStore, work: Result<Work>) -> Result<()> {
    match work? {
        Work::DeleteImageSet { row: set } => delete::make_room(shared, set).await,
        Work::CleanUp => shared.reserve.release().map(drop),
        _ => Ok(()),
    }
}

/// What is left to do once a write is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aftermath {
    /// Nothing.
    Nothing,
    /// Rows were erased: their packs and traces in the log have to go, and then the noted work.
    CleanUp,
}

fn carry_out_blocking(shared: &SharedStore, row: i64, work: Work) -> Result<Aftermath> {
    match work {
        Work::CreateDatastore { row: datastore } => {
            set_status(shared, row, datastore, DatastoreStatus::Active)?;
        }
        Work::DeleteDatastore { row: datastore } => {
            set_status(shared, row, datastore, DatastoreStatus::Deleted)?;
        }
        Work::Update(work) => {
            update::carry_out(shared, row, &work)?;
        }
        Work::Copy(work) => copy::carry_out(shared, row, &work)?,
        Work::DeleteImageSet { row: set } => {
            delete::carry_out(shared, row, set)?;
            return Ok(Aftermath::CleanUp);
        }
        Work::CleanUp => return Ok(Aftermath::CleanUp),
    }
    Ok(Aftermath::Nothing)
}

fn set_status(shared: &Shared, row: i64, datastore: i64, status: DatastoreStatus) -> Result<()> {
    let at = shared.now();
    shared.catalogue.write_blocking(|transaction| {
        if take(transaction, row)? {
            datastores::set_status(transaction, datastore, status, at)?;
        }
        Ok(())
    })
}

/// The message of a version whose write failed. Refusals are told as they are; faults are logged.
pub(crate) fn failure_message(row: i64, error: StoreError) -> String {
    let told = matches!(&error, StoreError::Told(_));
    if !told {
        tracing::error!(row, ?error, "an acknowledged write failed");
    }
    wire_message(healthimaging::Error::from(error).message())
}

/// Fits a message to the rule of the service model: up to 2048 letters, digits, `_`, back quotes and
/// characters from the space to the colon.
fn wire_message(message: &str) -> String {
    message
        .chars()
        .map(|c| match c {
            ';' => ',',
            ' '..=':' | '_' | '`' => c,
            c if c.is_alphanumeric() => c,
            _ => ' ',
        })
        .take(2048)
        .collect()
}
