//! What carries out each kind of acknowledged write.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use healthimaging::model::DatastoreStatus;
use healthimaging_jobs::{Handler, Job, Origin, Ran};

use super::{copy, delete, update};
use crate::catalog::datastores;
use crate::catalog::writes::{self, Work};
use crate::error::{Result, StoreError};
use crate::shared::{Shared, SharedStore};

/// The handler of writes of a kind.
pub(crate) fn handler(kind: &str) -> Option<Handler<Shared>> {
    Work::KINDS.contains(&kind).then_some(run as Handler<Shared>)
}

fn run(shared: &SharedStore, job: Job, _: Origin) -> BoxFuture<'_, healthimaging::Result<Ran>> {
    async move { Ok(if carry_out(shared, job).await { Ran::Recorded } else { Ran::Left }) }.boxed()
}

/// Carries a write out; `false` if the store itself failed, so that it is still to be done.
///
/// Why a write failed is shown in the status of its image set.
async fn carry_out(shared: &SharedStore, job: Job) -> bool {
    let (task, row) = (Arc::clone(shared), job.row);
    let work = Work::of(&job);
    let done = tokio::task::spawn_blocking(move || carry_out_blocking(&task, row, Work::of(&job)?))
        .await
        .map_err(StoreError::from)
        .flatten();
    let ended = match done {
        Ok(false) => Ok(true),
        Ok(true) => delete::clean_up(shared, row).await,
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
        Work::CleanUp => shared.blobs.reserve.release().map(drop),
        _ => Ok(()),
    }
}

/// Carries a write out; returns whether rows were erased: their packs and traces in the log have to go next, and
/// then the recorded work.
fn carry_out_blocking(shared: &SharedStore, row: i64, work: Work) -> Result<bool> {
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
            return Ok(true);
        }
        Work::CleanUp => return Ok(true),
    }
    Ok(false)
}

fn set_status(shared: &Shared, row: i64, datastore: i64, status: DatastoreStatus) -> Result<()> {
    let at = shared.now();
    shared.catalog.write_blocking(|tx| {
        if writes::take(tx, row)? {
            datastores::set_status(tx, datastore, status, at)?;
        }
        Ok(())
    })
}
