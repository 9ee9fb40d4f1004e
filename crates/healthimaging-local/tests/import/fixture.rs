//! A store in a temporary folder, and a folder to import from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use healthimaging::model::{
    CreateDatastoreRequest, DatastoreStatus, GetDatastoreRequest, GetImageFrameRequest,
    GetImageSetMetadataRequest, ImageSetsMetadataSummary, JobStatus, SearchCriteria,
    SearchImageSetsRequest,
};
use healthimaging::{DatastoreId, HealthImaging, ImageFrameId, ImageSetId, Page, sweep};
use healthimaging_local::{ImportSummary, LocalConfig, LocalStore};
use serde_json::Value;
use tempfile::TempDir;

/// Far more than any stored document or frame of these tests.
const LIMIT: u64 = 1 << 30;

pub(crate) struct Fixture {
    pub(crate) store: Arc<LocalStore>,
    pub(crate) datastore: DatastoreId,
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(|config| config).await
    }

    /// Opened with other settings than the usual ones.
    pub(crate) async fn with(settings: impl FnOnce(LocalConfig) -> LocalConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(LocalConfig::new(folder.path().join("store")));
        let store = LocalStore::open(config).await.unwrap();
        let created = store.create_datastore(CreateDatastoreRequest::default()).await.unwrap();
        let datastore = created.datastore_id;
        let request = GetDatastoreRequest { datastore_id: datastore.clone() };
        loop {
            let found = store.get_datastore(request.clone()).await.unwrap();
            if found.datastore_properties.datastore_status == DatastoreStatus::Active {
                break;
            }
            tokio::task::yield_now().await;
        }
        Self { store, datastore, folder }
    }

    /// Where the input of a test goes.
    pub(crate) fn input(&self) -> PathBuf {
        self.folder.path().join("input")
    }

    /// Writes a file below the input.
    pub(crate) fn put(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.input().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) async fn import(&self, path: &Path) -> ImportSummary {
        let paths = [path.to_owned()];
        let imported = self.store.import_paths(&self.datastore, &paths, |_| ());
        let summary = imported.await.unwrap();
        assert_eq!(summary.status, JobStatus::Completed, "{summary:?}");
        summary
    }

    pub(crate) async fn image_sets(&self) -> Vec<ImageSetsMetadataSummary> {
        self.image_sets_of(&self.store).await
    }

    /// The image sets, as another opening of the store shows them.
    pub(crate) async fn image_sets_of(&self, store: &LocalStore) -> Vec<ImageSetsMetadataSummary> {
        use futures::TryStreamExt;
        sweep(1_000_000, |next_token| async {
            let found = store
                .search_image_sets(SearchImageSetsRequest {
                    datastore_id: self.datastore.clone(),
                    search_criteria: SearchCriteria::default(),
                    next_token,
                    max_results: None,
                })
                .await?;
            Ok(Page { items: found.image_sets_metadata_summaries, next_token: found.next_token })
        })
        .try_collect()
        .await
        .unwrap()
    }

    pub(crate) async fn metadata(&self, id: &ImageSetId) -> Value {
        Self::metadata_of(&self.store, &self.datastore, id).await
    }

    pub(crate) async fn metadata_of(
        store: &LocalStore,
        datastore: &DatastoreId,
        id: &ImageSetId,
    ) -> Value {
        let request = GetImageSetMetadataRequest {
            datastore_id: datastore.clone(),
            image_set_id: id.clone(),
            version_id: None,
        };
        let found = store.get_image_set_metadata(request).await.unwrap();
        let bytes = found.image_set_metadata.collect(LIMIT).await.unwrap();
        serde_json::from_reader(GzDecoder::new(&bytes[..])).unwrap()
    }

    pub(crate) async fn frame(
        &self,
        set: &ImageSetId,
        frame: &str,
    ) -> healthimaging::Result<Vec<u8>> {
        let found = self
            .store
            .get_image_frame(GetImageFrameRequest {
                datastore_id: self.datastore.clone(),
                image_set_id: set.clone(),
                image_frame_id: ImageFrameId::try_from(frame)?,
            })
            .await?;
        Ok(found.image_frame.collect(LIMIT).await?.to_vec())
    }

    /// The lines of an output file of a job.
    pub(crate) fn lines(summary: &ImportSummary, name: &str) -> Vec<Value> {
        let folder = summary.output_s3_uri.as_str().strip_prefix("file://").unwrap();
        let text = std::fs::read_to_string(Path::new(folder).join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The summary in the manifest of a job.
    pub(crate) fn manifest(summary: &ImportSummary) -> Value {
        let [manifest] = &Self::lines(summary, "job-output-manifest.json")[..] else {
            panic!("the manifest is one line");
        };
        manifest["jobSummary"].clone()
    }
}
