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
use crate::index::{datastores, image_sets, packs as pack_rows};
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
    let work = shared
        .catalogue
        .write(move |transaction| {
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
        .await?;
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
    transaction.execute("DELETE FROM instance WHERE image_set = ?1", [set])?;
    transaction.execute(
        "UPDATE image_set_version SET state = 'DELETED', workflow = 'DELETED', message = NULL,
             document = NULL, details = NULL, document_crc32 = NULL, details_crc32 = NULL,
             content_version = NULL
         WHERE image_set = ?1",
        [set],
    )?;
    transaction.execute(
        "UPDATE image_set SET state = 'DELETED', workflow = 'DELETED', deleted_at = ?2,
             updated_at = ?2, patient_id = NULL, issuer_of_patient_id = NULL, patient_name = NULL,
             patient_birth_date = NULL, patient_birth_time = NULL, patient_sex = NULL,
             study_instance_uid = NULL, study_date = NULL, study_time = NULL, study_datetime = '',
             accession_number = NULL, study_id = NULL, study_description = NULL,
             referring_physician_name = NULL, series_instance_uid = NULL, series_number = NULL,
             modality = NULL, body_part = NULL, series_description = NULL, series_date = NULL,
             series_time = NULL, pps_start_date = NULL, pps_start_time = NULL,
             series_count = NULL, instance_count = NULL, frame_count = NULL
         WHERE row = ?1",
        (set, at),
    )?;
    Ok(found.id)
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
