//! Changes of image sets: updates, copies, deletion.

use std::sync::Arc;

use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use healthimaging::model::{
    self, CopyImageSetRequest, DeleteImageSetRequest, ImageSetState, ImageSetWorkflowStatus,
    MetadataUpdates, UpdateImageSetMetadataRequest,
};
use healthimaging::{
    DatastoreId, Error, HealthImaging, ImageSetId, ResourceArn, Result, VersionId,
};
use serde::Deserialize;

use super::wire::{EpochSeconds, wire};
use crate::call::{Call, json};

/// Union: exactly one member is present.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Updates {
    #[serde(rename = "DICOMUpdates")]
    dicom_updates: Option<DicomUpdates>,
    revert_to_version_id: Option<VersionId>,
}

/// Documents in base64.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DicomUpdates {
    removable_attributes: Option<String>,
    updatable_attributes: Option<String>,
}

impl TryFrom<Updates> for MetadataUpdates {
    type Error = Error;

    fn try_from(updates: Updates) -> Result<Self> {
        match (updates.dicom_updates, updates.revert_to_version_id) {
            (Some(documents), None) => Ok(Self::DicomUpdates {
                removable_attributes: decoded(
                    "removableAttributes",
                    documents.removable_attributes,
                )?,
                updatable_attributes: decoded(
                    "updatableAttributes",
                    documents.updatable_attributes,
                )?,
            }),
            (None, Some(version)) => Ok(Self::RevertToVersion(version)),
            _ => Err(Error::validation(
                "the body must have either DICOMUpdates or revertToVersionId",
            )),
        }
    }
}

fn decoded(name: &str, text: Option<String>) -> Result<Option<Bytes>> {
    let decode = |text: String| match BASE64_STANDARD.decode(text) {
        Ok(bytes) => Ok(Bytes::from(bytes)),
        Err(_) => Err(Error::validation(format!("{name} is not base64"))),
    };
    text.map(decode).transpose()
}

wire! {
    Updated from model::UpdateImageSetMetadataResponse {
        datastore_id: DatastoreId,
        image_set_id: ImageSetId,
        latest_version_id: VersionId,
        image_set_state: ImageSetState,
        ;
        image_set_workflow_status: ImageSetWorkflowStatus,
        created_at: EpochSeconds,
        updated_at: EpochSeconds,
        message: String,
    }
}

pub(super) async fn update(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = UpdateImageSetMetadataRequest {
        datastore_id: call.path("datastoreId")?,
        image_set_id: call.path("imageSetId")?,
        latest_version_id: call.required("latestVersion")?,
        force: call.flag("force")?,
        include_study_image_sets: call.flag("includeStudyImageSets")?,
        updates: call.body::<Updates>()?.try_into()?,
    };
    json(&Updated::from(service.update_image_set_metadata(request).await?))
}

wire! {
    Copied from model::CopyImageSetResponse {
        datastore_id: DatastoreId,
        source_image_set_properties: CopiedProperties,
        destination_image_set_properties: CopiedProperties,
    }
}

wire! {
    CopiedProperties from model::CopiedImageSetProperties {
        image_set_id: ImageSetId,
        latest_version_id: VersionId,
        ;
        image_set_state: ImageSetState,
        image_set_workflow_status: ImageSetWorkflowStatus,
        created_at: EpochSeconds,
        updated_at: EpochSeconds,
        image_set_arn: ResourceArn,
    }
}

pub(super) async fn copy(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = CopyImageSetRequest {
        datastore_id: call.path("datastoreId")?,
        source_image_set_id: call.path("imageSetId")?,
        copy_image_set_information: call.body()?,
        force: call.flag("force")?,
        promote_to_primary: call.flag("promoteToPrimary")?,
    };
    json(&Copied::from(service.copy_image_set(request).await?))
}

wire! {
    Deleted from model::DeleteImageSetResponse {
        datastore_id: DatastoreId,
        image_set_id: ImageSetId,
        image_set_state: ImageSetState,
        image_set_workflow_status: ImageSetWorkflowStatus,
    }
}

pub(super) async fn delete(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = DeleteImageSetRequest {
        datastore_id: call.path("datastoreId")?,
        image_set_id: call.path("imageSetId")?,
    };
    json(&Deleted::from(service.delete_image_set(request).await?))
}
