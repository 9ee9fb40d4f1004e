//! Search of image sets.

use std::sync::Arc;

use axum::response::Response;
use healthimaging::model::{self, DicomTags, SearchImageSetsRequest, Sort, StorageTier};
use healthimaging::{HealthImaging, ImageSetId, NextToken, Result};

use super::wire::{EpochSeconds, List, wire};
use crate::call::{Call, json};

wire! {
    Found from model::SearchImageSetsResponse {
        image_sets_metadata_summaries: List<Summary>,
        ;
        sort: Sort,
        next_token: NextToken,
    }
}

wire! {
    Summary from model::ImageSetsMetadataSummary {
        image_set_id: ImageSetId,
        ;
        version: u32,
        created_at: EpochSeconds,
        updated_at: EpochSeconds,
        last_accessed_at: EpochSeconds,
        storage_tier: StorageTier,
        is_primary: bool,
        #[serde(rename = "DICOMTags")]
        dicom_tags: DicomTags,
    }
}

pub(super) async fn search(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = SearchImageSetsRequest {
        datastore_id: call.path("datastoreId")?,
        search_criteria: call.body()?,
        next_token: call.query("nextToken")?,
        max_results: call.page_size()?,
    };
    json(&Found::from(service.search_image_sets(request).await?))
}
