//! Image sets: asking for their state, documents and frames, searching for them, updating them.

use std::io::Read;

use bytes::Bytes;
use futures::TryStreamExt;
use healthimaging::model::{
    GetImageFrameRequest, GetImageSetMetadataRequest, GetImageSetRequest, GetImageSetResponse,
    ImageSetState, ImageSetsMetadataSummary, MetadataUpdates, SearchCriteria,
    SearchImageSetsRequest, UpdateImageSetMetadataRequest, UpdateImageSetMetadataResponse,
};
use healthimaging::{DatastoreId, Error, ImageFrameId, ImageSetId, Page, VersionId, sweep};
use serde_json::Value;

use super::{Rig, until};

/// Nothing in this suite is larger.
const LIMIT: u64 = 1 << 30;

impl Rig {
    /// The state of the latest version.
    pub async fn image_set(&self, store: &DatastoreId, set: &ImageSetId) -> GetImageSetResponse {
        self.try_image_set(store, set, None).await.unwrap()
    }

    /// The state of a version, or why not.
    pub async fn try_image_set(
        &self,
        store: &DatastoreId,
        set: &ImageSetId,
        version: Option<VersionId>,
    ) -> Result<GetImageSetResponse, Error> {
        let request = GetImageSetRequest {
            datastore_id: store.clone(),
            image_set_id: set.clone(),
            version_id: version,
        };
        self.service.get_image_set(request).await
    }

    /// Waits until a set is no longer locked.
    pub async fn wait_active(&self, store: &DatastoreId, set: &ImageSetId) -> GetImageSetResponse {
        until(async || {
            let found = self.image_set(store, set).await;
            (found.properties.image_set_state != ImageSetState::Locked).then_some(found)
        })
        .await
    }

    /// The metadata document of the latest version.
    pub async fn document(&self, store: &DatastoreId, set: &ImageSetId) -> Value {
        self.try_document(store, set, None).await.unwrap()
    }

    /// The metadata document of a version, or why not.
    pub async fn try_document(
        &self,
        store: &DatastoreId,
        set: &ImageSetId,
        version: Option<VersionId>,
    ) -> Result<Value, Error> {
        let request = GetImageSetMetadataRequest {
            datastore_id: store.clone(),
            image_set_id: set.clone(),
            version_id: version,
        };
        let found = self.service.get_image_set_metadata(request).await?;
        assert_eq!(found.content_type, "application/json");
        assert_eq!(found.content_encoding, "gzip");
        let packed = found.image_set_metadata.collect(LIMIT).await?;
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        Ok(serde_json::from_str(&text).unwrap())
    }

    /// The one instance of a document.
    pub async fn only_instance(&self, store: &DatastoreId, set: &ImageSetId) -> Value {
        only_instance(&self.document(store, set).await).clone()
    }

    /// A stored frame and its content type.
    pub async fn frame(
        &self,
        store: &DatastoreId,
        set: &ImageSetId,
        frame: &str,
    ) -> (Bytes, String) {
        self.try_frame(store, set, frame).await.unwrap()
    }

    /// A stored frame and its content type, or why not.
    pub async fn try_frame(
        &self,
        store: &DatastoreId,
        set: &ImageSetId,
        frame: &str,
    ) -> Result<(Bytes, String), Error> {
        let request = GetImageFrameRequest {
            datastore_id: store.clone(),
            image_set_id: set.clone(),
            image_frame_id: ImageFrameId::try_from(frame).unwrap(),
        };
        let found = self.service.get_image_frame(request).await?;
        Ok((found.image_frame.collect(LIMIT).await?, found.content_type))
    }

    /// Everything in a data store that matches, page by page.
    pub async fn search(
        &self,
        store: &DatastoreId,
        criteria: Value,
    ) -> Vec<ImageSetsMetadataSummary> {
        let criteria: SearchCriteria = serde_json::from_value(criteria).unwrap();
        sweep(10_000, |token| {
            let request = SearchImageSetsRequest {
                datastore_id: store.clone(),
                search_criteria: criteria.clone(),
                next_token: token,
                max_results: None,
            };
            async {
                let found = self.service.search_image_sets(request).await?;
                Ok(Page {
                    items: found.image_sets_metadata_summaries,
                    next_token: found.next_token,
                })
            }
        })
        .try_collect()
        .await
        .unwrap()
    }

    /// Ids of what matches.
    pub async fn found(&self, store: &DatastoreId, criteria: Value) -> Vec<ImageSetId> {
        let found = self.search(store, criteria).await;
        found.into_iter().map(|set| set.image_set_id).collect()
    }

    /// A request to set attributes, to be changed by the case.
    pub fn update_request(
        &self,
        store: &DatastoreId,
        set: &ImageSetId,
        version: u32,
        document: &Value,
    ) -> UpdateImageSetMetadataRequest {
        UpdateImageSetMetadataRequest {
            datastore_id: store.clone(),
            image_set_id: set.clone(),
            latest_version_id: version.into(),
            force: false,
            include_study_image_sets: false,
            updates: MetadataUpdates::DicomUpdates {
                removable_attributes: None,
                updatable_attributes: Some(document.to_string().into()),
            },
        }
    }

    /// Requests an update.
    pub async fn ask_update(
        &self,
        request: UpdateImageSetMetadataRequest,
    ) -> Result<UpdateImageSetMetadataResponse, Error> {
        self.service.update_image_set_metadata(request).await
    }

    /// Carries an update out to its end, good or bad.
    pub async fn update(&self, request: UpdateImageSetMetadataRequest) -> GetImageSetResponse {
        let (store, set) = (request.datastore_id.clone(), request.image_set_id.clone());
        self.ask_update(request).await.unwrap();
        self.wait_active(&store, &set).await
    }
}

/// The only series of a document.
pub fn only_series(document: &Value) -> &Value {
    let series = document["Study"]["Series"].as_object().unwrap();
    assert_eq!(series.len(), 1);
    series.values().next().unwrap()
}

/// The instances of the only series of a document, by SOP Instance UID.
pub fn instances(document: &Value) -> &serde_json::Map<String, Value> {
    only_series(document)["Instances"].as_object().unwrap()
}

/// The only instance of a document.
pub fn only_instance(document: &Value) -> &Value {
    let instances = instances(document);
    assert_eq!(instances.len(), 1);
    instances.values().next().unwrap()
}

/// The id of a frame of an instance, counted from 0.
pub fn frame_id(instance: &Value, index: usize) -> &str {
    instance["ImageFrames"][index]["ID"].as_str().unwrap()
}
