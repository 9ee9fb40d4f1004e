//! Acknowledged writes that are carried out after the answer.
//!
//! The request's transaction leaves a row in `pending`; carrying it out is one transaction that also
//! removes the row, so that it happens once, by whichever process. When the process that accepted it
//! dies, another one does it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use healthimaging::model::DatastoreStatus;
use healthimaging_jobs::{Needs, Runner};
use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::{Deserialize, Serialize};

use super::copy::CopyWork;
use super::update::UpdateWork;
use super::{copy, delete, update};
use crate::clock::Millis;
use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;
use crate::index::datastores;
use crate::shared::{Shared, SharedStore};

/// When a write that the store could not end is tried again, such as on a full disk.
const RETRY: Duration = Duration::from_secs(5);

/// A write that is still to be carried out, as the catalogue keeps it.
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

/// Notes a write in the transaction that acknowledges it, and returns its row for [`spawn`].
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    owner: &str,
    work: &Work,
    at: Millis,
) -> Result<i64> {
    transaction.execute(
        "INSERT INTO pending (owner, work, created_at) VALUES (?1, ?2, ?3)",
        (owner, to_json(work)?, at),
    )?;
    Ok(transaction.last_insert_rowid())
}

fn to_json(work: &Work) -> Result<String> {
    serde_json::to_string(work)
        .map_err(|_| StoreError::Damaged("a write could not be noted".to_owned()))
}

/// Notes what is left of a write within the transaction that carries it out; `false` when somebody did.
pub(crate) fn replace(
    transaction: &Transaction<'_>,
    row: i64,
    work: &Work,
    rest: &Work,
) -> Result<bool> {
    let replaced = transaction.execute(
        "UPDATE pending SET work = ?3 WHERE row = ?1 AND work = ?2",
        (row, to_json(work)?, to_json(rest)?),
    )?;
    Ok(replaced == 1)
}

/// Removes the row of a write within the transaction that carries it out; `false` when somebody did.
pub(crate) fn take(transaction: &Transaction<'_>, row: i64) -> Result<bool> {
    Ok(transaction.execute("DELETE FROM pending WHERE row = ?1", [row])? == 1)
}

/// Carries a write out in the background, after the configured delay.
pub(crate) fn spawn(shared: &SharedStore, row: Option<i64>) {
    let Some(row) = row else {
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
        while !carry_out(&task, row).await {
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                // Whoever opens the store next does it.
                () = task.closing.cancelled() => return,
            }
        }
    });
}

/// Carries a write out; `false` when the store itself failed, so that it is still to be done.
///
/// What is wrong with the write is shown in the image set's state.
async fn carry_out(shared: &SharedStore, row: i64) -> bool {
    let task = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || carry_out_blocking(&task, row))
        .await
        .map_err(StoreError::from)
        .flatten();
    let ended = match done {
        Ok(Aftermath::Nothing) => Ok(true),
        Ok(Aftermath::CleanUp) => delete::clean_up(shared, row).await,
        Err(error) => Err(error),
    };
    if ended.as_ref().is_err_and(StoreError::is_full)
        && let Err(error) = make_room(shared, row).await
    {
        tracing::debug!(row, ?error, "no room could be made for a deletion");
    }
    ended.unwrap_or_else(|error| {
        tracing::error!(row, ?error, "an acknowledged write could not be ended; it is tried again");
        false
    })
}

/// Makes room on a full disk, where the work is a deletion.
async fn make_room(shared: &SharedStore, row: i64) -> Result<()> {
    match shared.catalogue.read(move |connection| load(connection, row)).await? {
        Some(Work::DeleteImageSet { row: set }) => delete::make_room(shared, set).await,
        Some(Work::CleanUp) => shared.reserve.release().map(drop),
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

fn carry_out_blocking(shared: &SharedStore, row: i64) -> Result<Aftermath> {
    let Some(work) = shared.catalogue.read_blocking(|c| load(c, row))? else {
        return Ok(Aftermath::Nothing);
    };
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

fn load(connection: &Connection, row: i64) -> Result<Option<Work>> {
    let json: Option<String> = connection
        .query_row("SELECT work FROM pending WHERE row = ?1", [row], |row| row.get(0))
        .optional()?;
    json.as_deref().map(from_json).transpose()
}

fn from_json(json: &str) -> Result<Work> {
    serde_json::from_str(json)
        .map_err(|_| StoreError::Damaged("a noted write cannot be read".to_owned()))
}

impl Work {
    /// Whether it begins to delete; the clean-up behind a deletion does not.
    fn deletes(&self) -> bool {
        match self {
            Self::DeleteDatastore { .. } | Self::DeleteImageSet { .. } => true,
            Self::CreateDatastore { .. } | Self::Update(_) | Self::Copy(_) | Self::CleanUp => false,
        }
    }
}

/// Carries out the writes of processes that have died, but for deletions that this process may not begin.
pub(crate) async fn adopt(shared: &SharedStore) -> Result<()> {
    let (own, runner) = (shared.process.clone(), shared.config.runner.clone());
    let left: BTreeMap<String, Vec<i64>> =
        shared.catalogue.read(move |connection| by_owner(connection, &own, &runner)).await?;
    for (owner, rows) in left {
        let lock = shared.process_lock(&owner);
        let files = shared.config.files.clone();
        let lock = tokio::task::spawn_blocking(move || FileLock::try_acquire(&files, &lock));
        // It can be had when the process has died.
        let Some(lock) = lock.await?? else {
            continue;
        };
        tracing::info!(writes = rows.len(), "taking over the writes of a process that died");
        for row in rows {
            carry_out(shared, row).await;
        }
        lock.remove()?;
    }
    Ok(())
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

/// Writes that other processes noted and `runner` may carry out, oldest first.
fn by_owner(
    connection: &Connection,
    except: &str,
    runner: &Runner,
) -> Result<BTreeMap<String, Vec<i64>>> {
    let mut left: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut statement = connection
        .prepare_cached("SELECT owner, row, work FROM pending WHERE owner <> ?1 ORDER BY row")?;
    let mut rows = statement.query([except])?;
    while let Some(row) = rows.next()? {
        let needs =
            Needs { deletes: from_json(&row.get::<_, String>(2)?)?.deletes(), ..Needs::default() };
        if runner.check(&needs).is_ok() {
            left.entry(row.get(0)?).or_default().push(row.get(1)?);
        }
    }
    Ok(left)
}
