//! A store in a temporary folder, with the calls that tests make often.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use flate2::read::GzDecoder;
use healthimaging::model::{
    CreateDatastoreRequest, DatastoreStatus, GetDatastoreRequest, GetImageFrameRequest,
    GetImageSetMetadataRequest, GetImageSetRequest, GetImageSetResponse, ImageSetState,
    ImageSetsMetadataSummary, JobStatus, ListImageSetVersionsRequest, MetadataUpdates,
    SearchCriteria, SearchImageSetsRequest, UpdateImageSetMetadataRequest,
};
use healthimaging::{DatastoreId, Error, HealthImaging, ImageFrameId, ImageSetId};
use healthimaging_local::{Clock, LocalConfig, LocalStore};
use serde_json::Value;
use tempfile::TempDir;

/// Far more than any stored document or frame of these tests.
const LIMIT: u64 = 100_000_000;

/// An open store with one data store.
pub(crate) struct Fixture {
    pub(crate) store: Arc<LocalStore>,
    pub(crate) datastore: DatastoreId,
    pub(crate) folder: TempDir,
    now: Arc<AtomicI64>,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with_delay(Duration::ZERO).await
    }

    /// Writes stay in their in-between state for `delay`, or until the store is closed.
    pub(crate) async fn with_delay(delay: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(1_767_225_600_000));
        // The data store is made without the delay.
        let store = LocalStore::open(config(&folder, &now)).await.unwrap();
        let datastore = active_datastore(&store).await;
        store.close().await;
        drop(store);
        let store = LocalStore::open(LocalConfig { write_delay: delay, ..config(&folder, &now) })
            .await
            .unwrap();
        Self { store, datastore, folder, now }
    }

    /// Opens the folder once more, as another process would.
    pub(crate) async fn open_again(&self) -> Arc<LocalStore> {
        LocalStore::open(config(&self.folder, &self.now)).await.unwrap()
    }

    /// Moves the clock on.
    pub(crate) fn pass(&self, time: Duration) {
        let time = i64::try_from(time.as_millis()).unwrap();
        self.now.fetch_add(time, Ordering::SeqCst);
    }

    /// Imports files; they must all be taken.
    pub(crate) async fn import(&self, files: &[Vec<u8>]) {
        let folder = tempfile::tempdir().unwrap();
        for (number, file) in files.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{number:04}.dcm")), file).unwrap();
        }
        let paths = [folder.path().to_owned()];
        let summary = self.store.import_paths(&self.datastore, &paths, |_| ()).await.unwrap();
        assert_eq!(summary.status, JobStatus::Completed, "{summary:?}");
        assert!(summary.refused.failed.is_empty(), "{summary:?}");
    }

    /// Imports files that make one image set, and returns it.
    pub(crate) async fn import_one_set(&self, files: &[Vec<u8>]) -> ImageSetId {
        let before = self.all().await;
        self.import(files).await;
        let mut new = self.all().await;
        new.retain(|set| before.iter().all(|old| old.image_set_id != set.image_set_id));
        let [set] = &new[..] else {
            panic!("{} new image sets", new.len());
        };
        set.image_set_id.clone()
    }

    pub(crate) async fn all(&self) -> Vec<ImageSetsMetadataSummary> {
        self.search(SearchCriteria::default()).await.unwrap()
    }

    /// The first page of a search.
    pub(crate) async fn search(
        &self,
        search_criteria: SearchCriteria,
    ) -> Result<Vec<ImageSetsMetadataSummary>, Error> {
        let request = SearchImageSetsRequest {
            datastore_id: self.datastore.clone(),
            search_criteria,
            next_token: None,
            max_results: None,
        };
        let found = self.store.search_image_sets(request).await?;
        Ok(found.image_sets_metadata_summaries)
    }

    pub(crate) async fn get(&self, id: &ImageSetId) -> Result<GetImageSetResponse, Error> {
        let request = GetImageSetRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: id.clone(),
            version_id: None,
        };
        self.store.get_image_set(request).await
    }

    /// The state of an image set once no write is under way.
    pub(crate) async fn settled(&self, id: &ImageSetId) -> GetImageSetResponse {
        loop {
            let found = self.get(id).await.unwrap();
            if found.properties.image_set_state != ImageSetState::Locked {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn metadata(&self, id: &ImageSetId, version: Option<u32>) -> Value {
        let bytes = self.metadata_bytes(id, version).await.unwrap();
        serde_json::from_reader(GzDecoder::new(&bytes[..])).unwrap()
    }

    pub(crate) async fn metadata_bytes(
        &self,
        id: &ImageSetId,
        version: Option<u32>,
    ) -> Result<Bytes, Error> {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: id.clone(),
            version_id: version.map(Into::into),
        };
        let found = self.store.get_image_set_metadata(request).await?;
        found.image_set_metadata.collect(LIMIT).await
    }

    pub(crate) async fn frame(&self, id: &ImageSetId, frame: &str) -> Result<Bytes, Error> {
        let request = GetImageFrameRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: id.clone(),
            image_frame_id: ImageFrameId::try_from(frame).unwrap(),
        };
        let found = self.store.get_image_frame(request).await?;
        found.image_frame.collect(LIMIT).await
    }

    /// `(version, state, workflow)`, newest first.
    pub(crate) async fn history(&self, id: &ImageSetId) -> Vec<(String, String, String)> {
        let request = ListImageSetVersionsRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: id.clone(),
            next_token: None,
            max_results: None,
        };
        let listed = self.store.list_image_set_versions(request).await.unwrap();
        let versions = listed.image_set_properties_list.into_iter();
        versions
            .map(|version| {
                (
                    version.version_id.to_string(),
                    version.image_set_state.to_string(),
                    version.image_set_workflow_status.unwrap().to_string(),
                )
            })
            .collect()
    }

    pub(crate) fn update_request(
        &self,
        id: &ImageSetId,
        latest: u32,
        updates: MetadataUpdates,
    ) -> UpdateImageSetMetadataRequest {
        UpdateImageSetMetadataRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: id.clone(),
            latest_version_id: latest.into(),
            force: false,
            include_study_image_sets: false,
            updates,
        }
    }
}

fn config(folder: &TempDir, now: &Arc<AtomicI64>) -> LocalConfig {
    let now = Arc::clone(now);
    LocalConfig {
        clock: Clock::from_fn(move || {
            DateTime::from_timestamp_millis(now.load(Ordering::SeqCst)).unwrap()
        }),
        ..LocalConfig::new(folder.path())
    }
}

async fn active_datastore(store: &LocalStore) -> DatastoreId {
    let created = store.create_datastore(CreateDatastoreRequest::default()).await.unwrap();
    wait_for_datastore(store, &created.datastore_id, DatastoreStatus::Active).await;
    created.datastore_id
}

pub(crate) async fn wait_for_datastore(
    store: &LocalStore,
    id: &DatastoreId,
    wanted: DatastoreStatus,
) {
    let request = GetDatastoreRequest { datastore_id: id.clone() };
    loop {
        let found = store.get_datastore(request.clone()).await.unwrap();
        if found.datastore_properties.datastore_status == wanted {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Every frame id in a metadata document, in its order.
pub(crate) fn frame_ids(metadata: &Value) -> Vec<String> {
    instances(metadata)
        .iter()
        .flat_map(|(_, instance)| instance["ImageFrames"].as_array().unwrap())
        .map(|frame| frame["ID"].as_str().unwrap().to_owned())
        .collect()
}

/// SOP Instance UIDs and instances of a metadata document.
pub(crate) fn instances(metadata: &Value) -> Vec<(String, &Value)> {
    metadata["Study"]["Series"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|series| series["Instances"].as_object().unwrap())
        .map(|(uid, instance)| (uid.clone(), instance))
        .collect()
}
