//! Updates and deletions of single image sets.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::try_join_all;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use healthimaging::model::{
    DeleteImageSetRequest, DeleteImageSetResponse, GetImageSetMetadataRequest, GetImageSetRequest,
    ImageSetProperties, ImageSetState, ImageSetWorkflowStatus, MetadataUpdates,
    UpdateImageSetMetadataRequest, UpdateImageSetMetadataResponse,
};
use healthimaging::{DatastoreId, Error, ErrorKind, ImageSetId, Result, VersionId, read_json};

use healthimaging_workflows::change::{forms, one_update};
use healthimaging_workflows::document;
use healthimaging_workflows::{Plan, PlannedImageSet, PlannedStudy};

use crate::answer::Reply;
use crate::arguments::WaitSeconds;
use crate::context::Context;
use crate::tool::{CallEffect, ConditionalTool, Effect, PlannedTool};
use crate::wait;

/// Update the metadata of an image set, as a new version. Documents have the form of the metadata:
/// {"SchemaVersion":"1.1","Study":{"DICOM":{"StudyDescription":"x"}}}. Removing instances or series,
/// reverting, and changing Patient ID or Study UID are planned and confirmed first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateImageSetMetadata {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Image set ID
    image_set_id: ImageSetId,
    /// Latest version that you know
    latest_version_id: VersionId,
    /// Documents to set or remove, as objects or base64; or a version to revert to
    update_image_set_metadata_updates: Updates,
    /// Allow UIDs, sequences and private elements on non-primary image sets
    force: Option<bool>,
    /// Update all primary image sets of the study
    include_study_image_sets: Option<bool>,
    wait_seconds: Option<WaitSeconds>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Updates {
    /// Attributes to set or remove
    #[serde(rename = "DICOMUpdates")]
    dicom_updates: Option<DicomUpdates>,
    /// Version to restore
    #[serde(rename = "revertToVersionId")]
    revert_to_version_id: Option<VersionId>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DicomUpdates {
    /// Metadata document: attributes to set
    updatable_attributes: Option<Document>,
    /// Metadata document: what to remove
    removable_attributes: Option<Document>,
}

/// A document from the caller: a JSON object, its text, or that text in base64.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
struct Document(Bytes);

impl TryFrom<Value> for Document {
    type Error = Error;

    fn try_from(written: Value) -> Result<Self> {
        const WANTED: &str = "must be a JSON object, or one encoded in base64";
        let text = match written {
            Value::Object(object) => Value::Object(object).to_string().into_bytes(),
            Value::String(text) if text.trim_start().starts_with('{') => text.into_bytes(),
            Value::String(text) => {
                STANDARD.decode(text.trim()).map_err(|_| Error::validation(WANTED))?
            }
            _ => return Err(Error::validation(WANTED)),
        };
        let IgnoredAny = read_json("document", &text)?;
        Ok(Self(Bytes::from(text)))
    }
}

impl JsonSchema for Document {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Document".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "object" }, { "type": "string" }] })
    }
}

impl TryFrom<Updates> for MetadataUpdates {
    type Error = Error;

    fn try_from(updates: Updates) -> Result<Self> {
        match (updates.dicom_updates, updates.revert_to_version_id) {
            (None, Some(version)) => Ok(Self::RevertToVersion(version)),
            (Some(DicomUpdates { updatable_attributes, removable_attributes }), None)
                if updatable_attributes.is_some() || removable_attributes.is_some() =>
            {
                Ok(Self::DicomUpdates {
                    removable_attributes: removable_attributes.map(|document| document.0),
                    updatable_attributes: updatable_attributes.map(|document| document.0),
                })
            }
            _ => Err(Error::validation(
                "update_image_set_metadata_updates must have either DICOMUpdates (with \
                 updatableAttributes, removableAttributes or both) or revertToVersionId",
            )),
        }
    }
}

impl PlannedTool for UpdateImageSetMetadata {
    const NAME: &'static str = "update_image_set_metadata";
    const TITLE: &'static str = "Update image set metadata";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f", "latest_version_id": "1", "update_image_set_metadata_updates": {"DICOMUpdates": {"updatableAttributes": {"SchemaVersion": "1.1", "Study": {"DICOM": {"StudyDescription": "CT CHEST"}}}}}, "wait_seconds": 60}"#;
    const EFFECT: Effect = Effect::Writes;
    type Output = UpdateImageSetMetadataResponse;

    async fn plan(&self, context: &Context) -> Result<Plan> {
        let datastore_id = context.datastore(self.datastore_id.clone()).await?;
        one_update::plan(context.service(), &self.request(datastore_id)?).await
    }

    async fn carry_out(self, _: Plan, context: &Context) -> Result<Reply<Self::Output>> {
        self.act(context).await
    }
}

impl UpdateImageSetMetadata {
    fn request(&self, datastore_id: DatastoreId) -> Result<UpdateImageSetMetadataRequest> {
        let updates = self.update_image_set_metadata_updates.clone().try_into()?;
        forms::check(&updates, self.force == Some(true))?;
        Ok(UpdateImageSetMetadataRequest {
            datastore_id,
            image_set_id: self.image_set_id.clone(),
            latest_version_id: self.latest_version_id.clone(),
            force: self.force == Some(true),
            include_study_image_sets: self.include_study_image_sets == Some(true),
            updates,
        })
    }
}

impl ConditionalTool for UpdateImageSetMetadata {
    const MAY_DESTROY: bool = true;

    async fn call_effect(&self, _: &Context) -> Result<CallEffect> {
        let updates: MetadataUpdates = self.update_image_set_metadata_updates.clone().try_into()?;
        let effect = updates.effect()?;
        Ok(CallEffect { effect, asks: effect == Effect::Destroys || updates.moves_images()? })
    }

    async fn act(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id.clone()).await?;
        let request = self.request(datastore_id)?;
        one_update::check(context.service(), &request).await?;
        let mut changed = context.service().update_image_set_metadata(request).await?;
        let ids = [changed.image_set_id.clone()];
        if let Some([settled]) =
            settle(context, &changed.datastore_id, &ids, self.wait_seconds).await?
        {
            check_made(&settled)?;
            changed.latest_version_id = settled.version_id;
            changed.image_set_state = settled.image_set_state;
            changed.image_set_workflow_status = settled.image_set_workflow_status;
            changed.updated_at = settled.updated_at;
            changed.message = settled.message;
        }
        let text = format!(
            "Image set {} version {} is {}{}.",
            changed.image_set_id,
            changed.latest_version_id,
            changed.image_set_state,
            changed.image_set_workflow_status.map(|done| format!(", {done}")).unwrap_or_default(),
        );
        Ok(Reply::new(changed, text))
    }
}

/// Returns an error for a failed write, with the reason of the service.
pub(super) fn check_made(set: &ImageSetProperties) -> Result<()> {
    let (what, left) = match set.image_set_workflow_status {
        Some(ImageSetWorkflowStatus::UpdateFailed) => ("make the change (UPDATE_FAILED)", false),
        // A new image set of the failed copy remains, empty.
        Some(ImageSetWorkflowStatus::CopyFailed) => {
            ("make the copy (COPY_FAILED)", set.version_id.number() == 1)
        }
        _ => return Ok(()),
    };
    let why = set.message.as_deref().unwrap_or("the service gave no reason");
    let id = &set.image_set_id;
    let left =
        if left { format!("; image set {id} remains empty: delete it") } else { String::new() };
    Err(Error::validation(format!("the service did not {what} of image set {id}: {why}{left}")))
}

/// Waits until no image set is locked, and returns the state of each; `None` when the caller does not wait.
pub(super) async fn settle<const N: usize>(
    context: &Context,
    datastore_id: &DatastoreId,
    image_set_ids: &[ImageSetId; N],
    wait: Option<WaitSeconds>,
) -> Result<Option<[ImageSetProperties; N]>> {
    let Some(wait) = context.wait_for_write(wait) else {
        return Ok(None);
    };
    let unlocked = |sets: &[ImageSetProperties; N]| {
        sets.iter().all(|set| set.image_set_state != ImageSetState::Locked)
    };
    let get = |image_set_id: &ImageSetId| {
        let request = GetImageSetRequest {
            datastore_id: datastore_id.clone(),
            image_set_id: image_set_id.clone(),
            version_id: None,
        };
        async move {
            let set = context.service().get_image_set(request).await?;
            Ok::<_, Error>(set.properties)
        }
    };
    let look = async || {
        let sets = try_join_all(image_set_ids.iter().map(get)).await?;
        sets.try_into().map_err(|_| Error::internal("an image set is missing", "not one each"))
    };
    wait::until(context, wait, "image set is locked", unlocked, look).await.map(Some)
}

/// Delete an image set permanently, with all its versions and frames.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteImageSet {
    /// ID or name
    datastore_id: DatastoreId,
    /// Image set ID
    image_set_id: ImageSetId,
    /// Leave out: all versions are deleted
    version_id: Option<VersionId>,
    wait_seconds: Option<WaitSeconds>,
}

impl PlannedTool for DeleteImageSet {
    const NAME: &'static str = "delete_image_set";
    const TITLE: &'static str = "Delete image set";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f"}"#;
    const EFFECT: Effect = Effect::Destroys;
    type Output = DeleteImageSetResponse;

    async fn plan(&self, context: &Context) -> Result<Plan> {
        if self.version_id.is_some() {
            return Err(Error::validation(
                "version_id: one version cannot be deleted; the tool deletes the image set with all \
                 its versions. Leave version_id out if that is intended",
            ));
        }
        let action = format!(
            "delete image set {} permanently, with all its versions and frames",
            self.image_set_id
        );
        let mut plan = Plan::new(action, self.datastore_id.clone());
        add_image_set(&mut plan, context, &self.image_set_id).await?;
        Ok(plan)
    }

    async fn carry_out(self, plan: Plan, context: &Context) -> Result<Reply<Self::Output>> {
        let request = DeleteImageSetRequest {
            datastore_id: plan.datastore_id,
            image_set_id: self.image_set_id,
        };
        let mut deleted = context.service().delete_image_set(request).await?;
        if let Some(wait) = context.wait_for_write(self.wait_seconds)
            && await_deletion(context, &deleted, wait).await? == ImageSetState::Deleted
        {
            deleted.image_set_state = ImageSetState::Deleted;
            deleted.image_set_workflow_status = ImageSetWorkflowStatus::Deleted;
        }
        let text =
            format!("Image set {} is {}.", deleted.image_set_id, deleted.image_set_workflow_status);
        Ok(Reply::new(deleted, text))
    }
}

/// Waits until an image set that is being deleted is no longer locked.
async fn await_deletion(
    context: &Context,
    deleted: &DeleteImageSetResponse,
    wait: WaitSeconds,
) -> Result<ImageSetState> {
    let look = async || {
        let request = GetImageSetRequest {
            datastore_id: deleted.datastore_id.clone(),
            image_set_id: deleted.image_set_id.clone(),
            version_id: None,
        };
        match context.service().get_image_set(request).await {
            Ok(found) => Ok(found.properties.image_set_state),
            // A deleted image set may be gone.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(ImageSetState::Deleted),
            Err(error) => Err(error),
        }
    };
    let unlocked = |state: &ImageSetState| *state != ImageSetState::Locked;
    wait::until(context, wait, "image set is being deleted", unlocked, look).await
}

/// Adds an image set to a plan, with its version, contents and patient.
pub(crate) async fn add_image_set(
    plan: &mut Plan,
    context: &Context,
    image_set_id: &ImageSetId,
) -> Result<()> {
    let datastore_id = plan.datastore_id.clone();
    let request = GetImageSetRequest {
        datastore_id: datastore_id.clone(),
        image_set_id: image_set_id.clone(),
        version_id: None,
    };
    let set = context.service().get_image_set(request).await?.properties;
    match set.image_set_state {
        ImageSetState::Active => {}
        ImageSetState::Locked => {
            return Err(Error::conflict(format!(
                "image set {image_set_id} is locked by another write; retry when it is ACTIVE"
            )));
        }
        ImageSetState::Deleted => {
            return Err(Error::not_found(format!("image set {image_set_id} is deleted already")));
        }
    }
    let request = GetImageSetMetadataRequest {
        datastore_id,
        image_set_id: image_set_id.clone(),
        version_id: None,
    };
    let mut instances = None;
    match document::contents(context.service(), request).await {
        Ok(contents) => {
            plan.add_studies([PlannedStudy::of(&contents)]);
            instances = Some(contents.instances().count());
        }
        // Unreadable metadata must not prevent a deletion.
        Err(_) => plan.notes.push(format!("The metadata of {image_set_id} is unreadable.")),
    }
    plan.image_sets.push(PlannedImageSet {
        image_set_id: image_set_id.clone(),
        version_id: set.version_id,
        instances,
        action: None,
    });
    Ok(())
}
