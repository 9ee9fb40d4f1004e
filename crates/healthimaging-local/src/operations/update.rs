//! Changing metadata: set, remove, revert; for one image set or for all primary sets of a study.

use std::str;

use bytes::Bytes;
use healthimaging::model::{
    ImageSetState, ImageSetWorkflowStatus, MetadataUpdates, UpdateImageSetMetadataRequest,
    UpdateImageSetMetadataResponse,
};
use healthimaging::{Error, JobId};
use healthimaging_dicom::{Document, UpdateDocuments, UpdateRules};

use super::deferred;
use crate::catalog::Tx;
use crate::catalog::content::{self, Content};
use crate::catalog::datastores;
use crate::catalog::documents::pack;
use crate::catalog::image_sets::{self, Force, ImageSetRow};
use crate::catalog::writes::{self, Change, Scope, UpdateTarget, UpdateWork, Work};
use crate::clock::Millis;
use crate::documents::unpack;
use crate::error::{Result, StoreError};
use crate::quotas::{Quotas, within};
use crate::shared::{Shared, SharedStore};

/// Bytes of one update document, at most, as in the service model.
const LONGEST_DOCUMENT: usize = 30_000;

/// Checks what can be checked at once, and locks; the change itself follows.
pub(crate) async fn update(
    shared: &SharedStore,
    request: UpdateImageSetMetadataRequest,
) -> Result<UpdateImageSetMetadataResponse> {
    let change = checked_change(&request, &shared.config.quotas)?;
    check_targets(shared, &request, &change).await?;
    let at = shared.now();
    let owner = shared.lifecycle.process.clone();
    let (answer, work) =
        shared.catalog.write(move |tx| begin(tx, &request, change, &owner, at)).await?;
    deferred::spawn(shared, Some(work));
    Ok(answer)
}

fn checked_change(request: &UpdateImageSetMetadataRequest, quotas: &Quotas) -> Result<Change> {
    let (updatable, removable) = match &request.updates {
        MetadataUpdates::RevertToVersion(version) => {
            if request.include_study_image_sets {
                return Err(Error::validation(
                    "revertToVersionId cannot be used with includeStudyImageSets; revert each \
                     image set on its own",
                )
                .into());
            }
            return Ok(Change::Revert {
                version: u32::try_from(version.number()).map_err(|_| unknown_version())?,
            });
        }
        MetadataUpdates::DicomUpdates { updatable_attributes, removable_attributes } => {
            (updatable_attributes, removable_attributes)
        }
    };
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
    within(
        quotas.update_bytes,
        length(updatable) + length(removable),
        "bytes of update documents",
    )?;
    let (updatable, removable) = (
        document("updatableAttributes", updatable.as_ref())?,
        document("removableAttributes", removable.as_ref())?,
    );
    let documents = parse(updatable.as_deref(), removable.as_deref())?;
    if request.include_study_image_sets && !documents.is_study_wide_only() {
        return Err(Error::validation(
            "with includeStudyImageSets only patient and study attributes can be changed",
        )
        .into());
    }
    Ok(Change::Documents { updatable, removable })
}

/// Refuses at once an update of series or instances that the image set does not hold.
async fn check_targets(
    shared: &SharedStore,
    request: &UpdateImageSetMetadataRequest,
    change: &Change,
) -> Result<()> {
    let Change::Documents { updatable, removable } = change else {
        return Ok(());
    };
    let documents = parse(updatable.as_deref(), removable.as_deref())?;
    if documents.is_study_wide_only() {
        return Ok(());
    }
    let request = request.clone();
    let read = shared.catalog.read(move |reader| {
        let set = image_sets::find_in(reader, &request.datastore_id, &request.image_set_id)?;
        set.check_unlocked()?;
        set.check_latest(&request.latest_version_id)?;
        if let Some(stored) = content::latest(reader, &set)? {
            let document = unpack(&stored)?;
            documents.check_targets(&document)?;
        }
        Ok(())
    });
    read.await
}

fn document(name: &str, bytes: Option<&Bytes>) -> Result<Option<String>> {
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    if !(1..=LONGEST_DOCUMENT).contains(&bytes.len()) {
        return Err(Error::validation(format!(
            "{name} must have 1 to {LONGEST_DOCUMENT} bytes, not {}",
            bytes.len()
        ))
        .into());
    }
    let text = str::from_utf8(bytes)
        .map_err(|_| Error::validation(format!("{name} must be JSON in UTF-8")))?;
    Ok(Some(text.to_owned()))
}

fn parse(updatable: Option<&str>, removable: Option<&str>) -> Result<UpdateDocuments> {
    Ok(UpdateDocuments::parse(updatable.map(str::as_bytes), removable.map(str::as_bytes))?)
}

fn unknown_version() -> StoreError {
    Error::validation("revertToVersionId names a version that the image set does not have").into()
}

fn begin(
    tx: &Tx<'_>,
    request: &UpdateImageSetMetadataRequest,
    change: Change,
    owner: &str,
    at: Millis,
) -> Result<(UpdateImageSetMetadataResponse, JobId)> {
    let set = image_sets::find_in(tx, &request.datastore_id, &request.image_set_id)?;
    set.check_unlocked()?;
    set.check_latest(&request.latest_version_id)?;
    if let Change::Revert { version } = change {
        check_revert(tx, &set, version)?;
    }
    let scope = if request.include_study_image_sets { Scope::Study } else { Scope::ImageSet };
    let force = if request.force { Force::Yes } else { Force::No };
    let mut targets = vec![lock(tx, &set, ImageSetWorkflowStatus::Updating, force, at)?];
    if scope == Scope::Study {
        for other in others_of_study(tx, &set)? {
            other.check_unlocked()?;
            let workflow = ImageSetWorkflowStatus::UpdatingForStudyConsistency;
            targets.push(lock(tx, &other, workflow, force, at)?);
        }
    }
    let work = Work::Update(UpdateWork { targets, change, forced: request.force, scope });
    let row = writes::insert(tx, owner, &work, at)?;
    let answer = UpdateImageSetMetadataResponse {
        datastore_id: request.datastore_id.clone(),
        image_set_id: set.id.clone(),
        latest_version_id: set.next_version()?.into(),
        image_set_state: ImageSetState::Locked,
        image_set_workflow_status: Some(ImageSetWorkflowStatus::Updating),
        created_at: Some(set.created_at.into()),
        updated_at: Some(at.into()),
        message: None,
    };
    Ok((answer, row))
}

fn lock(
    tx: &Tx<'_>,
    set: &ImageSetRow,
    workflow: ImageSetWorkflowStatus,
    force: Force,
    at: Millis,
) -> Result<UpdateTarget> {
    let version = content::begin_version(tx, set, workflow, force, at)?;
    Ok(UpdateTarget { set: set.row, version })
}

fn check_revert(tx: &Tx<'_>, set: &ImageSetRow, version: u32) -> Result<()> {
    let found = image_sets::version(tx, set.row, version.into());
    match found {
        Ok(found) if found.content_version.is_some() => Ok(()),
        Ok(_) => Err(Error::validation("revertToVersionId names a version without content").into()),
        Err(StoreError::Public(_)) => Err(unknown_version()),
        Err(other) => Err(other),
    }
}

fn others_of_study(tx: &Tx<'_>, set: &ImageSetRow) -> Result<Vec<ImageSetRow>> {
    if !set.is_primary {
        return Err(Error::validation(
            "includeStudyImageSets needs a primary image set; this one is not",
        )
        .into());
    }
    let Some(study) = image_sets::study_of(tx, set.row)? else {
        return Ok(Vec::new());
    };
    let primaries = image_sets::primaries(tx, set.datastore, &study)?;
    let others = primaries.into_iter().map(|primary| primary.set);
    Ok(others.filter(|other| other.row != set.row).collect())
}

/// The content of one target after the change.
struct Changed {
    target: UpdateTarget,
    content: Content,
    /// The version that holds this content already.
    older: Option<u32>,
}

/// Makes the change, for all targets or for none.
pub(crate) fn carry_out(shared: &Shared, row: i64, work: &UpdateWork) -> Result<()> {
    let changed: Result<Vec<Changed>> =
        work.targets.iter().map(|target| change(shared, work, *target)).collect();
    let changed = changed.map_err(|error| deferred::failure_message(row, error));
    let at = shared.now();
    shared.catalog.write_blocking(|tx| {
        if !writes::take(tx, row)? {
            return Ok(());
        }
        let message = match &changed {
            Ok(changed) => return end_well(tx, changed, at),
            Err(message) => message,
        };
        let workflow = ImageSetWorkflowStatus::UpdateFailed;
        for target in &work.targets {
            content::fail(tx, target.set, target.version, workflow, message, at)?;
        }
        Ok(())
    })
}

fn end_well(tx: &Tx<'_>, changed: &[Changed], at: Millis) -> Result<()> {
    let workflow = ImageSetWorkflowStatus::Updated;
    for Changed { target: UpdateTarget { set, version }, content, older } in changed {
        match older {
            Some(older) => {
                let older = (*older, content);
                content::complete_with_older(tx, *set, *version, workflow, older, at)?;
            }
            None => content::complete(tx, *set, *version, workflow, content, at)?,
        }
    }
    Ok(())
}

fn change(shared: &Shared, work: &UpdateWork, target: UpdateTarget) -> Result<Changed> {
    let source = match work.change {
        Change::Documents { .. } => target.version,
        Change::Revert { version } => version,
    };
    let (set, older, mut document, datastore) = shared.catalog.read_blocking(|reader| {
        let set = image_sets::at(reader, target.set)?;
        let version = image_sets::version(reader, target.set, source.into())?;
        let stored = content::stored(reader, target.set, &version)?.ok_or_else(|| {
            StoreError::Damaged("the image set has no metadata to change".to_owned())
        })?;
        let datastore = datastores::at(reader, set.datastore)?;
        Ok((set, version.content_version, unpack(&stored)?, datastore))
    })?;
    let older = match &work.change {
        Change::Documents { updatable, removable } => {
            let documents = parse(updatable.as_deref(), removable.as_deref())?;
            apply(&documents, &mut document, work, &set)?;
            None
        }
        Change::Revert { .. } => older,
    };
    Ok(Changed {
        target,
        content: pack(&document, &datastore.id, &set.id, &shared.config.quotas)?,
        older,
    })
}

fn apply(
    documents: &UpdateDocuments,
    document: &mut Document,
    work: &UpdateWork,
    set: &ImageSetRow,
) -> Result<()> {
    let rules = UpdateRules {
        primary: set.is_primary,
        force: work.forced,
        study_wide: work.scope == Scope::Study,
    };
    documents.apply(document, &rules).map_err(|failure| Error::validation(failure.message).into())
}
