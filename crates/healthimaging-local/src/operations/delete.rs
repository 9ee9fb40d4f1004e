//! Deleting an image set: rows, documents and frames go for good; a tombstone without patient data stays.

use healthimaging::ImageSetId;
use healthimaging::model::{
    DeleteImageSetRequest, DeleteImageSetResponse, ImageSetState, ImageSetWorkflowStatus,
};
use rusqlite::Transaction;

use super::pending::{self, Work};
use super::tags;
use crate::clock::Millis;
use crate::error::Result;
use crate::index::{datastores, image_sets, packs as pack_rows, tombstone};
use crate::packs;
use crate::shared::{Shared, SharedStore};

/// Deletes an image set: `LOCKED` and `DELETING` now, gone soon. One that is deleted stays so.
pub(crate) async fn delete(
    shared: &SharedStore,
    request: DeleteImageSetRequest,
) -> Result<DeleteImageSetResponse> {
    let at = shared.now();
    let owner = shared.process.clone();
    let DeleteImageSetRequest { datastore_id, image_set_id } = request.clone();
    let acknowledge = || {
        let (datastore_id, image_set_id) = (datastore_id.clone(), image_set_id.clone());
        let owner = owner.clone();
        shared.catalogue.write(move |transaction| {
            let datastore = datastores::find_active(transaction, &datastore_id)?;
            let set = image_sets::find(transaction, datastore.row, &image_set_id)?;
            if set.state == ImageSetState::Deleted {
                return Ok(None);
            }
            set.check_unlocked()?;
            let (state, workflow) = (ImageSetState::Locked, ImageSetWorkflowStatus::Deleting);
            image_sets::set_state(transaction, set.row, state, workflow, at)?;
            let work = Work::DeleteImageSet { row: set.row };
            pending::insert(transaction, &owner, &work, at).map(Some)
        })
    };
    let work = shared.freeing(acknowledge).await?;
    let (state, workflow) = match work {
        Some(_) => (ImageSetState::Locked, ImageSetWorkflowStatus::Deleting),
        None => (ImageSetState::Deleted, ImageSetWorkflowStatus::Deleted),
    };
    pending::spawn(shared, work);
    Ok(DeleteImageSetResponse {
        datastore_id: request.datastore_id,
        image_set_id: request.image_set_id,
        image_set_state: state,
        image_set_workflow_status: workflow,
    })
}

/// Erases the rows of an image set but for its tombstone, and orphans its packs. What is left to do,
/// by whichever process, is [`clean_up`].
pub(crate) fn carry_out(shared: &Shared, row: i64, set: i64) -> Result<()> {
    let at = shared.now();
    let erasing = Work::DeleteImageSet { row: set };
    let erased = shared.catalogue.write_blocking(|transaction| {
        if pending::replace(transaction, row, &erasing, &Work::CleanUp)? {
            return erase(transaction, set, at).map(Some);
        }
        Ok(None)
    })?;
    if let Some(id) = erased {
        shared.documents.forget(&id);
        shared.decoded.forget();
    }
    Ok(())
}

fn erase(transaction: &Transaction<'_>, set: i64, at: Millis) -> Result<ImageSetId> {
    let found = image_sets::at(transaction, set)?;
    pack_rows::disown(transaction, set)?;
    tags::clear(transaction, &tags::image_set_key(&found.id))?;
    tombstone::erase(transaction, set, at)
}

/// Makes room on a full disk for a deletion that was acknowledged: gives up the space that is kept for that,
/// and removes the packs of the image set before its rows. Nobody can stop the deletion any more.
pub(crate) async fn make_room(shared: &SharedStore, set: i64) -> Result<()> {
    shared.reserve.release()?;
    shared.catalogue.write(move |transaction| pack_rows::disown(transaction, set)).await?;
    packs::sweep(shared).await
}

/// Removes the packs that a deletion left, and what the catalogue and its log may still hold of them.
///
/// `false` when a reader of some process keeps the log: try again later.
pub(crate) async fn clean_up(shared: &SharedStore, row: i64) -> Result<bool> {
    packs::sweep(shared).await?;
    shared.catalogue.scrub().await?;
    let emptied = shared.catalogue.empty_log().await?;
    if emptied {
        let done = move |transaction: &Transaction<'_>| pending::take(transaction, row);
        shared.catalogue.write(done).await?;
    }
    Ok(emptied)
}
