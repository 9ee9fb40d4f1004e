//! Copying image sets: whole or in part, to a new set, into another one, or into the primary hierarchy.

use healthimaging::model::{
    CopiedImageSetProperties, CopyImageSetRequest, CopyImageSetResponse, DicomCopies,
    ImageSetState, ImageSetWorkflowStatus,
};
use healthimaging::{DatastoreId, Error, ImageSetId, JobId};
use healthimaging_dicom::{CopySelection, Document, LevelConflicts};

use super::copied_blobs::CopiedBlobs;
use super::deferred;
use super::hierarchy;
use crate::catalog::Tx;
use crate::catalog::content::{self, Content, StoredContent};
use crate::catalog::datastores;
use crate::catalog::documents::{blob_ids, pack};
use crate::catalog::image_sets::{self, Force, Hierarchy, ImageSetRow, NewImageSet};
use crate::catalog::writes::{self, CopyKind, CopyWork, Work};
use crate::clock::Millis;
use crate::config::Grouping;
use crate::documents::{OpenDocument, unpack, unpack_at_once};
use crate::error::{Result, StoreError};
use crate::quotas::within;
use crate::shared::{Shared, SharedStore};

/// Checks what can be checked at once, and locks both sets; the copy itself follows.
pub(crate) async fn copy(
    shared: &SharedStore,
    request: CopyImageSetRequest,
) -> Result<CopyImageSetResponse> {
    let information = &request.copy_image_set_information;
    if request.promote_to_primary && information.destination_image_set.is_some() {
        return Err(Error::validation(
            "promoteToPrimary finds the destination itself; leave destinationImageSet out",
        )
        .into());
    }
    if let Some(copies) = &information.source_image_set.dicom_copies {
        let length = copies.copiable_attributes.chars().count();
        if !(1..=DicomCopies::LONGEST).contains(&length) {
            return Err(Error::validation(format!(
                "copiableAttributes must have 1 to {} characters, not {length}",
                DicomCopies::LONGEST
            ))
            .into());
        }
    }
    let selection = information.source_image_set.dicom_copies.as_ref();
    let selection = selection.map(|copies| CopySelection::parse(&copies.copiable_attributes));
    check_selection(shared, &request, selection.transpose()?).await?;
    let at = shared.now();
    let owner = shared.lifecycle.process.clone();
    let datastore_id = request.datastore_id.clone();
    let grouping = shared.config.grouping;
    let (begun, work) =
        shared.catalog.write(move |tx| begin(tx, &request, grouping, &owner, at)).await?;
    deferred::spawn(shared, Some(work));
    let Begun { source, destination } = begun;
    Ok(CopyImageSetResponse {
        source_image_set_properties: properties(
            shared,
            &datastore_id,
            &source,
            ImageSetWorkflowStatus::CopyingWithReadOnlyAccess,
        )?,
        destination_image_set_properties: properties(
            shared,
            &datastore_id,
            &destination,
            ImageSetWorkflowStatus::Copying,
        )?,
        datastore_id,
    })
}

/// Refuses a selection that the source does not hold, and more frames than the quota.
async fn check_selection(
    shared: &SharedStore,
    request: &CopyImageSetRequest,
    selection: Option<CopySelection>,
) -> Result<()> {
    let quota = shared.config.quotas.copy_frames;
    if selection.is_none() && quota == u64::MAX {
        return Ok(());
    }
    let (datastore, source) = (&request.datastore_id, &request.source_image_set_id);
    let (datastore, source) = (datastore.clone(), source.clone());
    let read = shared.catalog.read(move |reader| {
        let set = image_sets::find_in(reader, &datastore, &source)?;
        set.check_unlocked()?;
        let Some(stored) = content::latest(reader, &set)? else {
            return Ok(());
        };
        let document = unpack(&stored)?;
        let frames_of = |copied: &Document| {
            copied.instances().map(|instance| instance.frames.len() as u64).sum()
        };
        let frames = match &selection {
            Some(selection) => frames_of(&selection.select(&document)?),
            None => frames_of(&document),
        };
        Ok(within(quota, frames, "image frames of a copy")?)
    });
    read.await
}

fn properties(
    shared: &SharedStore,
    datastore: &DatastoreId,
    set: &ImageSetRow,
    workflow: ImageSetWorkflowStatus,
) -> Result<CopiedImageSetProperties> {
    Ok(CopiedImageSetProperties {
        image_set_arn: Some(shared.config.image_set_arn(datastore, &set.id)?),
        image_set_id: set.id.clone(),
        latest_version_id: set.latest_version.into(),
        image_set_state: Some(ImageSetState::Locked),
        image_set_workflow_status: Some(workflow),
        created_at: Some(set.created_at.into()),
        updated_at: Some(set.updated_at.into()),
    })
}

struct Begun {
    source: ImageSetRow,
    destination: ImageSetRow,
}

fn begin(
    tx: &Tx<'_>,
    request: &CopyImageSetRequest,
    grouping: Grouping,
    owner: &str,
    at: Millis,
) -> Result<(Begun, JobId)> {
    let information = &request.copy_image_set_information;
    let source = image_sets::find_in(tx, &request.datastore_id, &request.source_image_set_id)?;
    source.check_unlocked()?;
    source.check_latest(&information.source_image_set.latest_version_id)?;
    let version = image_sets::latest_version(tx, &source)?;
    if version.content_version.is_none() {
        return Err(Error::conflict("the source image set has no content to copy").into());
    }
    let (kind, destination) = destination(tx, request, grouping, &source, at)?;
    // The content of the source stays as it is, and so does the time of its last change.
    image_sets::set_state(
        tx,
        source.row,
        ImageSetState::Locked,
        ImageSetWorkflowStatus::CopyingWithReadOnlyAccess,
        source.updated_at,
    )?;
    let work = Work::Copy(CopyWork {
        source: source.row,
        source_version: source.latest_version,
        source_workflow: source.workflow,
        destination: destination.row,
        destination_version: destination.latest_version,
        selection: information
            .source_image_set
            .dicom_copies
            .as_ref()
            .map(|copies| copies.copiable_attributes.clone()),
        forced: request.force,
        kind,
    });
    let row = writes::insert(tx, owner, &work, at)?;
    let begun = Begun { source, destination };
    Ok((begun, row))
}

/// Finds or makes the destination, and locks it.
fn destination(
    tx: &Tx<'_>,
    request: &CopyImageSetRequest,
    grouping: Grouping,
    source: &ImageSetRow,
    at: Millis,
) -> Result<(CopyKind, ImageSetRow)> {
    let force = if request.force { Force::Yes } else { Force::No };
    let named = &request.copy_image_set_information.destination_image_set;
    let existing = match named {
        Some(named) => {
            let set = image_sets::find_live(tx, source.datastore, &named.image_set_id)?;
            if set.row == source.row {
                return Err(Error::validation("source and destination are the same").into());
            }
            set.check_unlocked()?;
            set.check_latest(&named.latest_version_id)?;
            Some(set)
        }
        None if request.promote_to_primary => hierarchy::primary_place(tx, source, grouping)?,
        None => None,
    };
    if let Some(set) = existing {
        let workflow = ImageSetWorkflowStatus::Copying;
        content::begin_version(tx, &set, workflow, force, at)?;
        let kind = if request.promote_to_primary { CopyKind::PromoteInto } else { CopyKind::Merge };
        return Ok((kind, image_sets::at(tx, set.row)?));
    }
    let (kind, hierarchy) = if request.promote_to_primary {
        (CopyKind::Promote, Hierarchy::Primary)
    } else {
        (CopyKind::New, Hierarchy::NonPrimary)
    };
    let new = NewImageSet {
        id: &ImageSetId::random()?,
        datastore: source.datastore,
        hierarchy,
        state: ImageSetState::Locked,
        workflow: ImageSetWorkflowStatus::Copying,
        force,
    };
    let row = image_sets::insert(tx, &new, at)?;
    Ok((kind, image_sets::at(tx, row)?))
}

/// What a copy adds.
struct Copied {
    content: Content,
    blobs: CopiedBlobs,
}

/// Makes the copy, and unlocks both sets.
pub(crate) fn carry_out(shared: &SharedStore, row: i64, work: &CopyWork) -> Result<()> {
    let copied = prepare(shared, work).map_err(|error| deferred::failure_message(row, error));
    let at = shared.now();
    let is_made = shared.catalog.write_blocking(|tx| {
        if !writes::take(tx, row)? {
            return Ok(false);
        }
        let ended = match &copied {
            Ok(copied) => end_well(tx, work, copied, shared.config.grouping, at)?,
            Err(message) => Err(message.clone()),
        };
        if let Err(message) = &ended {
            let workflow = ImageSetWorkflowStatus::CopyFailed;
            let (set, version) = (work.destination, work.destination_version);
            content::fail(tx, set, version, workflow, message, at)?;
            if work.kind == CopyKind::Promote {
                image_sets::set_hierarchy(tx, set, Hierarchy::NonPrimary)?;
            }
        }
        let source = image_sets::at(tx, work.source)?;
        image_sets::set_state(
            tx,
            source.row,
            ImageSetState::Active,
            work.source_workflow,
            source.updated_at,
        )?;
        Ok(ended.is_ok())
    })?;
    if let (true, Ok(copied)) = (is_made, copied) {
        copied.blobs.keep();
    }
    Ok(())
}

/// Gives the destination its content; `Err` holds the message of a copy that has become impossible.
fn end_well(
    tx: &Tx<'_>,
    work: &CopyWork,
    copied: &Copied,
    grouping: Grouping,
    at: Millis,
) -> Result<Result<(), String>> {
    if work.kind == CopyKind::Promote {
        let source = image_sets::at(tx, work.source)?;
        match hierarchy::primary_place(tx, &source, grouping) {
            Ok(None) => {}
            Ok(Some(_)) => {
                let message = "another primary image set of the series was made in the meantime";
                return Ok(Err(message.to_owned()));
            }
            Err(StoreError::Public(error)) => return Ok(Err(error.message().to_owned())),
            Err(other) => return Err(other),
        }
    }
    copied.blobs.adopt(tx, work.destination, at)?;
    content::complete(
        tx,
        work.destination,
        work.destination_version,
        ImageSetWorkflowStatus::Copied,
        &copied.content,
        at,
    )?;
    Ok(Ok(()))
}

fn prepare(shared: &SharedStore, work: &CopyWork) -> Result<Copied> {
    let source = document(shared, work.source, work.source_version, unpack)?
        .ok_or_else(|| StoreError::Damaged("the source image set has no metadata".to_owned()))?;
    let (source, _lease) = source.into_parts();
    let selected = match &work.selection {
        Some(selection) => CopySelection::parse(selection)?.select(&source)?,
        None => source,
    };
    let wanted = blob_ids(&selected).cloned().collect();
    let conflicts = match work.kind {
        CopyKind::PromoteInto => LevelConflicts::KeepBoth,
        _ if work.forced => LevelConflicts::KeepDestination,
        _ => LevelConflicts::Refuse,
    };
    let destination = document(shared, work.destination, work.destination_version, unpack_at_once)?;
    let (destination, _lease) = destination.map(OpenDocument::into_parts).unzip();
    let joined = if let Some(mut destination) = destination {
        let refused = destination.join(&selected, conflicts);
        refused.map_err(|failure| Error::validation(failure.message))?;
        destination
    } else {
        let mut alone = selected;
        alone.settle();
        alone
    };
    let (datastore, set) = shared.catalog.read_blocking(|reader| {
        let set = image_sets::at(reader, work.destination)?;
        Ok((datastores::at(reader, set.datastore)?, set))
    })?;
    let blobs = CopiedBlobs::make(shared, wanted, work.source, work.destination)?;
    shared.caches.accesses.note(work.destination, shared.now());
    Ok(Copied { content: pack(&joined, &datastore.id, &set.id, &shared.config.quotas)?, blobs })
}

fn document(
    shared: &Shared,
    set: i64,
    version: u32,
    unpack: fn(&StoredContent) -> Result<OpenDocument>,
) -> Result<Option<OpenDocument>> {
    let stored = shared.catalog.read_blocking(|reader| {
        let version = image_sets::version(reader, set, version.into())?;
        content::stored(reader, set, &version)
    })?;
    stored.as_ref().map(unpack).transpose()
}
