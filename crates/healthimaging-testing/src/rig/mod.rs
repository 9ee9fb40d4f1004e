//! A fresh store for one case, and the few steps that most cases begin with.

pub mod image_sets;
pub mod import;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use healthimaging::model::{CreateDatastoreRequest, DatastoreStatus, GetDatastoreRequest};
use healthimaging::{DatastoreId, DicomWeb, Error, ErrorKind, HealthImaging};
use tempfile::TempDir;

/// The two faces of one opened store.
#[derive(Debug)]
pub struct Backend {
    /// The 18 operations.
    pub service: Arc<dyn HealthImaging>,
    /// DICOMweb.
    pub web: Arc<dyn DicomWeb>,
}

/// What a back end is opened with.
#[derive(Debug)]
pub struct Opening {
    /// Where it keeps its data; the same folder is opened several times by some cases.
    pub data_dir: PathBuf,
    /// The folder that imports may read and write.
    pub allowed: PathBuf,
    /// How long an image set stays locked when it is written.
    pub write_delay: Duration,
}

/// How a rig opens its store.
pub type Open = fn(Opening) -> BoxFuture<'static, Backend>;

/// A store of its own for one case.
#[derive(Debug)]
pub struct Rig {
    /// The 18 operations.
    pub service: Arc<dyn HealthImaging>,
    /// DICOMweb.
    pub web: Arc<dyn DicomWeb>,
    open: Open,
    folder: Arc<TempDir>,
    imports: Arc<AtomicU32>,
}

/// Far beyond what any step needs: to reach it is a failure.
const PATIENCE: Duration = Duration::from_mins(2);
/// Longer than any case runs.
const FOR_EVER: Duration = Duration::from_hours(1);

impl Rig {
    /// A rig with an empty store.
    pub async fn new(open: Open) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path().join("objects")).unwrap();
        let backend = open(opening(folder.path(), Duration::ZERO)).await;
        Self { service: backend.service, web: backend.web, open, folder, imports: Arc::default() }
    }

    /// A rig on the folder that another one left.
    pub async fn again(open: Open, folder: TempDir) -> Self {
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
    pub fn leave(self) -> TempDir {
        Arc::into_inner(self.folder).unwrap()
    }

    /// A second back end on the same data.
    pub async fn beside(&self) -> Self {
        self.opened(Duration::ZERO).await
    }

    /// The same data, opened so that the writes it accepts stay under way.
    pub async fn held(&self) -> Self {
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
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder that may be read and written.
    pub fn objects(&self) -> PathBuf {
        self.folder.path().join("objects")
    }

    /// An ACTIVE data store.
    pub async fn datastore(&self) -> DatastoreId {
        self.datastore_as(CreateDatastoreRequest::default()).await
    }

    /// Creates a data store and waits until it is ACTIVE.
    pub async fn datastore_as(&self, request: CreateDatastoreRequest) -> DatastoreId {
        let made = self.service.create_datastore(request).await.unwrap();
        let store = made.datastore_id;
        self.wait_datastore(&store, DatastoreStatus::Active).await;
        store
    }

    /// Waits until a data store is in this state.
    pub async fn wait_datastore(&self, store: &DatastoreId, wanted: DatastoreStatus) {
        until(async || {
            let request = GetDatastoreRequest { datastore_id: store.clone() };
            let found = self.service.get_datastore(request).await.unwrap();
            (found.datastore_properties.datastore_status == wanted).then_some(())
        })
        .await;
    }
}

fn opening(folder: &Path, write_delay: Duration) -> Opening {
    Opening { data_dir: folder.join("data"), allowed: folder.join("objects"), write_delay }
}

/// Polls until there is an answer.
pub async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
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
pub fn refused<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(!error.message().is_empty());
    error.message().to_owned()
}

/// The bytes of a stream that must not fail.
pub async fn all_bytes(body: healthimaging::Body) -> Vec<u8> {
    let pieces: Vec<Bytes> = body.into_stream().map(Result::unwrap).collect().await;
    pieces.concat()
}
