//! Image sets: properties, versions, metadata, frames.

use std::sync::Arc;

use axum::response::Response;
use healthimaging::model::{
    self, GetImageFrameRequest, GetImageSetMetadataRequest, GetImageSetRequest, ImageSetState,
    ImageSetWorkflowStatus, ListImageSetVersionsRequest, Overrides, StorageTier,
};
use healthimaging::{
    DatastoreId, HealthImaging, ImageFrameId, ImageSetId, NextToken, ResourceArn, Result, VersionId,
};
use http::{HeaderValue, header};
use serde::Deserialize;

use super::wire::{EpochSeconds, List, wire};
use crate::byte_range::ranged;
use crate::call::{Call, json};
use crate::content::streamed;

wire! {
    Got from model::GetImageSetResponse {
        datastore_id: DatastoreId,
        #[serde(flatten)]
        properties: Properties,
        ;
        image_set_arn: ResourceArn,
        last_accessed_at: EpochSeconds,
        storage_tier: StorageTier,
    }
}

wire! {
    Properties from model::ImageSetProperties {
        image_set_id: ImageSetId,
        version_id: VersionId,
        image_set_state: ImageSetState,
        ;
        image_set_workflow_status: ImageSetWorkflowStatus,
        created_at: EpochSeconds,
        updated_at: EpochSeconds,
        deleted_at: EpochSeconds,
        message: String,
        overrides: Overrides,
        is_primary: bool,
    }
}

pub(super) async fn get(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = GetImageSetRequest {
        datastore_id: call.path("datastoreId")?,
        image_set_id: call.path("imageSetId")?,
        version_id: call.query("version")?,
    };
    json(&Got::from(service.get_image_set(request).await?))
}

wire! {
    Versions from model::ListImageSetVersionsResponse {
        image_set_properties_list: List<Version>,
        ;
        next_token: NextToken,
    }
}

wire! {
    Version from model::ImageSetProperties {
        image_set_id: ImageSetId,
        version_id: VersionId,
        image_set_state: ImageSetState,
        ;
        // Spelled this way in the service model, only here.
        #[serde(rename = "ImageSetWorkflowStatus")]
        image_set_workflow_status: ImageSetWorkflowStatus,
        created_at: EpochSeconds,
        updated_at: EpochSeconds,
        deleted_at: EpochSeconds,
        message: String,
        overrides: Overrides,
        is_primary: bool,
    }
}

pub(super) async fn versions(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = ListImageSetVersionsRequest {
        datastore_id: call.path("datastoreId")?,
        image_set_id: call.path("imageSetId")?,
        next_token: call.query("nextToken")?,
        max_results: call.page_size()?,
    };
    json(&Versions::from(service.list_image_set_versions(request).await?))
}

pub(super) async fn metadata(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = GetImageSetMetadataRequest {
        datastore_id: call.path("datastoreId")?,
        image_set_id: call.path("imageSetId")?,
        version_id: call.query("version")?,
    };
    let found = service.get_image_set_metadata(request).await?;
    let mut response = streamed(found.image_set_metadata, &found.content_type).await?;
    if let Ok(encoding) = HeaderValue::from_str(&found.content_encoding) {
        response.headers_mut().insert(header::CONTENT_ENCODING, encoding);
    }
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ImageFrameInformation {
    image_frame_id: ImageFrameId,
}

pub(super) async fn frame(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let body: ImageFrameInformation = call.body()?;
    let request = GetImageFrameRequest {
        datastore_id: call.path("datastoreId")?,
        image_set_id: call.path("imageSetId")?,
        image_frame_id: body.image_frame_id,
    };
    let found = service.get_image_frame(request).await?;
    ranged(&call.headers, found.image_frame, &found.content_type).await
}
