//! Deleting an image set: rows, documents and frames are erased; a tombstone without patient data stays.

use healthimaging::ImageSetId;
use healthimaging::model::{
    DeleteImageSetRequest, DeleteImageSetResponse, ImageSetState, ImageSetWorkflowStatus,
};

use super::deferred;
use crate::catalog::writes::{self, Work};
use crate::catalog::{Tx, datastores, image_sets, packs, tags, tombstone};
use crate::clock::Millis;
use crate::error::Result;
use crate::shared::{Shared, SharedStore};

/// Deletes an image set: `LOCKED` and `DELETING` now, gone soon. One that is deleted stays so.
pub(crate) async fn delete(
    shared: &SharedStore,
    request: DeleteImageSetRequest,
) -> Result<DeleteImageSetResponse> {
    let at = shared.now();
    let owner = shared.lifecycle.process.clone();
    let DeleteImageSetRequest { datastore_id, image_set_id } = request.clone();
    let acknowledge = || {
        let (datastore_id, image_set_id) = (datastore_id.clone(), image_set_id.clone());
        let owner = owner.clone();
        shared.catalog.write(move |tx| {
            let datastore = datastores::find_active(tx, &datastore_id)?;
            let set = image_sets::find(tx, datastore.row, &image_set_id)?;
            if set.state == ImageSetState::Deleted {
                return Ok(None);
            }
            set.check_unlocked()?;
            let (state, workflow) = (ImageSetState::Locked, ImageSetWorkflowStatus::Deleting);
            image_sets::set_state(tx, set.row, state, workflow, at)?;
            let work = Work::DeleteImageSet { row: set.row };
            writes::insert(tx, &owner, &work, at).map(Some)
        })
    };
    let work = shared.blobs.freeing(acknowledge).await?;
    let (state, workflow) = match work {
        Some(_) => (ImageSetState::Locked, ImageSetWorkflowStatus::Deleting),
        None => (ImageSetState::Deleted, ImageSetWorkflowStatus::Deleted),
    };
    deferred::spawn(shared, work);
    Ok(DeleteImageSetResponse {
        datastore_id: request.datastore_id,
        image_set_id: request.image_set_id,
        image_set_state: state,
        image_set_workflow_status: workflow,
    })
}

/// Erases the rows of an image set except for its tombstone, and disowns its packs. The rest is left to
/// [`clean_up`], in any process.
pub(crate) fn carry_out(shared: &Shared, row: i64, set: i64) -> Result<()> {
    let at = shared.now();
    let erasing = Work::DeleteImageSet { row: set };
    let erased = shared.catalog.write_blocking(|tx| {
        if writes::replace(tx, row, &erasing, &Work::CleanUp)? {
            return erase(tx, set, at).map(Some);
        }
        Ok(None)
    })?;
    if let Some(id) = erased {
        shared.caches.documents.forget(&id);
        shared.caches.frames.clear();
    }
    Ok(())
}

fn erase(tx: &Tx<'_>, set: i64, at: Millis) -> Result<ImageSetId> {
    let found = image_sets::at(tx, set)?;
    packs::disown(tx, set)?;
    tags::clear(tx, &tags::image_set_key(&found.id))?;
    tombstone::erase(tx, set, at)
}

/// Makes room on a full disk for a deletion that was acknowledged: releases the space that is kept for that,
/// and removes the packs of the image set before its rows. The deletion cannot be undone any more.
pub(crate) async fn make_room(shared: &SharedStore, set: i64) -> Result<()> {
    shared.blobs.reserve.release()?;
    shared.catalog.write(move |tx| packs::disown(tx, set)).await?;
    shared.blobs.sweep().await.map(drop)
}

/// Removes the packs that a deletion left, and traces of it in the catalog and its log.
///
/// `false` if a reader uses the log: try again later.
pub(crate) async fn clean_up(shared: &SharedStore, row: i64) -> Result<bool> {
    shared.blobs.sweep().await?;
    shared.catalog.scrub().await?;
    let emptied = shared.catalog.empty_log().await?;
    if emptied {
        let done = move |tx: &Tx<'_>| writes::take(tx, row);
        shared.catalog.write(done).await?;
    }
    Ok(emptied)
}
