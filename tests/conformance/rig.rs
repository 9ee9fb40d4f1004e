//! A fresh store for one case, and the few steps that most cases begin with.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use healthimaging::model::{
    CreateDatastoreRequest, DatastoreStatus, DicomImportJobProperties, GetDatastoreRequest,
    GetDicomImportJobRequest, GetImageFrameRequest, GetImageSetMetadataRequest, GetImageSetRequest,
    GetImageSetResponse, ImageSetState, ImageSetsMetadataSummary, JobStatus, MetadataUpdates,
    SearchCriteria, SearchImageSetsRequest, StartDicomImportJobRequest,
    UpdateImageSetMetadataRequest, UpdateImageSetMetadataResponse,
};
use healthimaging::{
    DatastoreId, DicomWeb, Error, ErrorKind, HealthImaging, ImageFrameId, ImageSetId, JobId,
    ObjectUri, Page, VersionId, sweep,
};
use healthimaging_phantoms::Phantom;
use serde_json::Value;
use tempfile::TempDir;

/// The two faces of one opened store.
pub(crate) struct Backend {
    pub(crate) service: Arc<dyn HealthImaging>,
    pub(crate) web: Arc<dyn DicomWeb>,
}

/// What a back end is opened with.
pub(crate) struct Opening {
    /// Where it keeps its data; the same folder is opened several times by some cases.
    pub(crate) data_dir: PathBuf,
    /// The folder that imports may read and write.
    pub(crate) allowed: PathBuf,
    /// How long an image set stays locked when it is written.
    pub(crate) write_delay: Duration,
}

/// How a rig opens its store.
pub(crate) type Open = fn(Opening) -> BoxFuture<'static, Backend>;

/// A store of its own for one case.
pub(crate) struct Rig {
    pub(crate) service: Arc<dyn HealthImaging>,
    pub(crate) web: Arc<dyn DicomWeb>,
    open: Open,
    folder: Arc<TempDir>,
    imports: Arc<AtomicU32>,
}

/// How an import ended, with its output files parsed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) job: DicomImportJobProperties,
    /// The `jobSummary` of the manifest.
    pub(crate) summary: Value,
    pub(crate) success: Vec<Value>,
    pub(crate) failure: Vec<Value>,
    pub(crate) warning: Vec<Value>,
}

/// Far beyond what any step needs: to reach it is a failure.
const PATIENCE: Duration = Duration::from_mins(2);
/// Longer than any case runs.
const FOR_EVER: Duration = Duration::from_hours(1);
/// Nothing in this suite is larger.
const LIMIT: u64 = 1 << 30;

impl Rig {
    /// A rig with an empty store.
    pub(crate) async fn new(open: Open) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path().join("objects")).unwrap();
        let backend = open(opening(folder.path(), Duration::ZERO)).await;
        Self {
            service: backend.service,
            web: backend.web,
            open,
            folder,
            imports: Arc::default(),
        }
    }

    /// A rig on the folder that another one left.
    pub(crate) async fn again(open: Open, folder: TempDir) -> Self {
        let backend = open(opening(folder.path(), Duration::ZERO)).await;
        Self {
            service: backend.service,
            web: backend.web,
            open,
            folder: Arc::new(folder),
            imports: Arc::default(),
        }
    }

    /// Leaves the store as it is, for another rig.
    pub(crate) fn leave(self) -> TempDir {
        Arc::into_inner(self.folder).unwrap()
    }

    /// A second back end on the same data.
    pub(crate) async fn beside(&self) -> Self {
        self.opened(Duration::ZERO).await
    }

    /// The same data, opened so that the writes it accepts stay under way.
    pub(crate) async fn held(&self) -> Self {
        self.opened(FOR_EVER).await
    }

    async fn opened(&self, write_delay: Duration) -> Self {
        let backend = (self.open)(opening(self.folder.path(), write_delay)).await;
        Self {
            service: backend.service,
            web: backend.web,
            open: self.open,
            folder: Arc::clone(&self.folder),
            imports: Arc::clone(&self.imports),
        }
    }

    /// Where the store keeps its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// An ACTIVE data store.
    pub(crate) async fn datastore(&self) -> DatastoreId {
        self.datastore_as(CreateDatastoreRequest::default()).await
    }

    /// An ACTIVE data store, made as asked.
    pub(crate) async fn datastore_as(&self, request: CreateDatastoreRequest) -> DatastoreId {
        let made = self.service.create_datastore(request).await.unwrap();
        let store = made.datastore_id;
        self.wait_datastore(&store, DatastoreStatus::Active).await;
        store
    }

    /// Waits until a data store is in this state.
    pub(crate) async fn wait_datastore(&self, store: &DatastoreId, wanted: DatastoreStatus) {
        until(async || {
            let request = GetDatastoreRequest {
                datastore_id: store.clone(),
            };
            let found = self.service.get_datastore(request).await.unwrap();
            (found.datastore_properties.datastore_status == wanted).then_some(())
        })
        .await;
    }

    /// A new empty folder that may be imported.
    pub(crate) fn new_folder(&self) -> PathBuf {
        let number = self.imports.fetch_add(1, Ordering::Relaxed);
        let path = self.objects().join(format!("input-{number}"));
        fs::create_dir(&path).unwrap();
        path
    }

    /// The folder that may be read and written.
    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.path().join("objects")
    }

    /// A request to import a folder, to be changed by the case.
    pub(crate) fn import_request(
        &self,
        store: &DatastoreId,
        input: &Path,
    ) -> StartDicomImportJobRequest {
        StartDicomImportJobRequest {
            job_name: None,
            datastore_id: store.clone(),
            data_access_role_arn: Some("arn:aws:iam::000000000000:role/import".parse().unwrap()),
            client_token: None,
            input_s3_uri: file_uri(input),
            output_s3_uri: Some(file_uri(&self.objects().join("output"))),
            input_owner_account_id: None,
            import_configuration: None,
        }
    }

    /// Imports files of these names; all of the outcome.
    pub(crate) async fn import<N: AsRef<Path>>(
        &self,
        store: &DatastoreId,
        files: impl IntoIterator<Item = (N, Vec<u8>)>,
    ) -> Outcome {
        let folder = self.new_folder();
        write_files(&folder, files);
        self.import_folder(store, &folder).await
    }

    /// Imports a folder; all of the outcome.
    pub(crate) async fn import_folder(&self, store: &DatastoreId, folder: &Path) -> Outcome {
        self.run(self.import_request(store, folder)).await
    }

    /// Runs an import to its COMPLETED end; all of the outcome.
    pub(crate) async fn run(&self, request: StartDicomImportJobRequest) -> Outcome {
        let store = request.datastore_id.clone();
        let started = self.service.start_dicom_import_job(request).await.unwrap();
        let job = self.wait_job(&store, &started.job_id).await;
        assert_eq!(job.job_status, JobStatus::Completed, "{:?}", job.message);
        Outcome::read(job)
    }

    /// Waits until a job has ended, well or not.
    pub(crate) async fn wait_job(
        &self,
        store: &DatastoreId,
        job: &JobId,
    ) -> DicomImportJobProperties {
        until(async || {
            let found = self.job(store, job).await;
            let ended = matches!(found.job_status, JobStatus::Completed | JobStatus::Failed);
            ended.then_some(found)
        })
        .await
    }

    /// How a job stands.
    pub(crate) async fn job(&self, store: &DatastoreId, job: &JobId) -> DicomImportJobProperties {
        let request = GetDicomImportJobRequest {
            datastore_id: store.clone(),
            job_id: job.clone(),
        };
        let found = self.service.get_dicom_import_job(request).await.unwrap();
        found.job_properties
    }

    /// A data store with one file in it, and the image set that it gave.
    pub(crate) async fn holding(&self, phantom: Phantom) -> (DatastoreId, ImageSetId) {
        let store = self.datastore().await;
        let set = self.put(&store, phantom).await;
        (store, set)
    }

    /// Imports one file, which must go in without remark; the image set it is in.
    pub(crate) async fn put(&self, store: &DatastoreId, phantom: Phantom) -> ImageSetId {
        let outcome = self.import(store, [("file.dcm", phantom.build())]).await;
        assert_eq!(outcome.warning, Vec::<Value>::new());
        outcome.only_set()
    }

    /// A data store in which a conflicting copy of the file is a set that is not primary.
    pub(crate) async fn holding_non_primary(&self, phantom: Phantom) -> (DatastoreId, ImageSetId) {
        let (store, _) = self
            .holding(phantom.clone().accession_number("PRIMARY"))
            .await;
        let set = self.put(&store, phantom.accession_number("DEVIANT")).await;
        let found = self.image_set(&store, &set).await;
        assert_eq!(found.properties.is_primary, Some(false));
        (store, set)
    }

    /// The state of the latest version.
    pub(crate) async fn image_set(
        &self,
        store: &DatastoreId,
        set: &ImageSetId,
    ) -> GetImageSetResponse {
        self.try_image_set(store, set, None).await.unwrap()
    }

    /// The state of a version, or why not.
    pub(crate) async fn try_image_set(
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
    pub(crate) async fn wait_active(
        &self,
        store: &DatastoreId,
        set: &ImageSetId,
    ) -> GetImageSetResponse {
        until(async || {
            let found = self.image_set(store, set).await;
            (found.properties.image_set_state != ImageSetState::Locked).then_some(found)
        })
        .await
    }

    /// The metadata document of the latest version.
    pub(crate) async fn document(&self, store: &DatastoreId, set: &ImageSetId) -> Value {
        self.try_document(store, set, None).await.unwrap()
    }

    /// The metadata document of a version, or why not.
    pub(crate) async fn try_document(
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
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_string(&mut text)
            .unwrap();
        Ok(serde_json::from_str(&text).unwrap())
    }

    /// The one instance of a document.
    pub(crate) async fn only_instance(&self, store: &DatastoreId, set: &ImageSetId) -> Value {
        only_instance(&self.document(store, set).await).clone()
    }

    /// A stored frame and its content type.
    pub(crate) async fn frame(
        &self,
        store: &DatastoreId,
        set: &ImageSetId,
        frame: &str,
    ) -> (Bytes, String) {
        self.try_frame(store, set, frame).await.unwrap()
    }

    /// A stored frame and its content type, or why not.
    pub(crate) async fn try_frame(
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
    pub(crate) async fn search(
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
    pub(crate) async fn found(&self, store: &DatastoreId, criteria: Value) -> Vec<ImageSetId> {
        let found = self.search(store, criteria).await;
        found.into_iter().map(|set| set.image_set_id).collect()
    }

    /// A request to set attributes, to be changed by the case.
    #[expect(
        clippy::unused_self,
        reason = "reads like the other requests of the rig"
    )]
    pub(crate) fn update_request(
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

    /// Asks for an update.
    pub(crate) async fn ask_update(
        &self,
        request: UpdateImageSetMetadataRequest,
    ) -> Result<UpdateImageSetMetadataResponse, Error> {
        self.service.update_image_set_metadata(request).await
    }

    /// Carries an update out to its end, good or bad.
    pub(crate) async fn update(
        &self,
        request: UpdateImageSetMetadataRequest,
    ) -> GetImageSetResponse {
        let (store, set) = (request.datastore_id.clone(), request.image_set_id.clone());
        self.ask_update(request).await.unwrap();
        self.wait_active(&store, &set).await
    }
}

impl Outcome {
    fn read(job: DicomImportJobProperties) -> Self {
        let folder = local_path(&job.output_s3_uri);
        let lines = |name: &str| match fs::read_to_string(folder.join(name)) {
            Ok(text) => text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            Err(_) => Vec::new(),
        };
        let manifest = fs::read(folder.join("job-output-manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        Self {
            summary: manifest["jobSummary"].clone(),
            success: lines("SUCCESS/success.ndjson"),
            failure: lines("FAILURE/failure.ndjson"),
            warning: lines("WARNING/warning.ndjson"),
            job,
        }
    }

    /// The one image set of an import in which every file went in.
    pub(crate) fn only_set(&self) -> ImageSetId {
        let sets = self.sets();
        assert_eq!(sets.len(), 1, "{:?}", self.summary);
        sets[0].clone()
    }

    /// The image sets of an import in which every file went in.
    pub(crate) fn sets(&self) -> Vec<ImageSetId> {
        assert_eq!(self.failure, Vec::<Value>::new());
        let sets = self.summary["imageSetsSummary"].as_array().unwrap();
        sets.iter().map(|set| id(&set["imageSetId"])).collect()
    }

    /// The image set that a file went into.
    pub(crate) fn set_of(&self, name: &str) -> ImageSetId {
        id(&line_of(&self.success, name)["importResponse"]["imageSetId"])
    }

    /// Why the only file was refused.
    pub(crate) fn only_refusal(&self) -> &str {
        assert_eq!(self.success, Vec::<Value>::new());
        assert_eq!(self.failure.len(), 1, "{:?}", self.failure);
        let exception = &self.failure[0]["exception"];
        assert_eq!(exception["exceptionType"], "ValidationException");
        exception["message"].as_str().unwrap()
    }
}

/// The line that speaks of a file.
pub(crate) fn line_of<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let speaks = |line: &&Value| {
        let key = line["inputFile"].as_str().unwrap();
        key == name || key.ends_with(&format!("/{name}"))
    };
    let mut found = lines.iter().filter(speaks);
    let line = found
        .next()
        .unwrap_or_else(|| panic!("no line for {name} in {lines:?}"));
    assert!(found.next().is_none(), "two lines for {name}");
    line
}

fn opening(folder: &Path, write_delay: Duration) -> Opening {
    Opening {
        data_dir: folder.join("data"),
        allowed: folder.join("objects"),
        write_delay,
    }
}

/// Writes files below a folder, making folders as needed.
pub(crate) fn write_files<N: AsRef<Path>>(
    folder: &Path,
    files: impl IntoIterator<Item = (N, Vec<u8>)>,
) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The `file://` URI of a folder.
pub(crate) fn file_uri(path: &Path) -> ObjectUri {
    let text = path.to_str().unwrap();
    ObjectUri::try_from(format!("file://{text}")).unwrap()
}

/// The folder that a `file://` URI names.
pub(crate) fn local_path(uri: &ObjectUri) -> PathBuf {
    PathBuf::from(uri.as_str().strip_prefix("file://").unwrap())
}

/// Asks again and again until there is an answer.
pub(crate) async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Checks that an operation was refused for this reason; the words of the refusal.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(!error.message().is_empty());
    error.message().to_owned()
}

/// The image set id in a JSON value.
pub(crate) fn id(value: &Value) -> ImageSetId {
    ImageSetId::try_from(value.as_str().unwrap()).unwrap()
}

/// The instances of the only series of a document, by SOP Instance UID.
pub(crate) fn instances(document: &Value) -> &serde_json::Map<String, Value> {
    let series = document["Study"]["Series"].as_object().unwrap();
    assert_eq!(series.len(), 1);
    series.values().next().unwrap()["Instances"]
        .as_object()
        .unwrap()
}

/// The only instance of a document.
pub(crate) fn only_instance(document: &Value) -> &Value {
    let instances = instances(document);
    assert_eq!(instances.len(), 1);
    instances.values().next().unwrap()
}

/// The id of a frame of an instance, counted from 0.
pub(crate) fn frame_id(instance: &Value, index: usize) -> &str {
    instance["ImageFrames"][index]["ID"].as_str().unwrap()
}

/// The bytes of a stream that must not fail.
pub(crate) async fn all_bytes(body: healthimaging::Body) -> Vec<u8> {
    let pieces: Vec<Bytes> = body.into_stream().map(Result::unwrap).collect().await;
    pieces.concat()
}
