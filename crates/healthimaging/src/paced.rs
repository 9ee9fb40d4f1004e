//! A back end that is called no oftener than it allows.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use crate::dicomweb::DicomWeb;
use crate::error::{Error, ErrorKind, Result};
use crate::id::DatastoreId;
use crate::model::{
    CopyImageSetRequest, CopyImageSetResponse, CreateDatastoreRequest, CreateDatastoreResponse,
    DeleteDatastoreRequest, DeleteDatastoreResponse, DeleteImageSetRequest, DeleteImageSetResponse,
    DicomJson, GetDatastoreRequest, GetDatastoreResponse, GetDicomImportJobRequest,
    GetDicomImportJobResponse, GetImageFrameRequest, GetImageFrameResponse,
    GetImageSetMetadataRequest, GetImageSetMetadataResponse, GetImageSetRequest,
    GetImageSetResponse, ImageSetCount, InstanceMetadataRequest, ListDatastoresRequest,
    ListDatastoresResponse, ListDicomImportJobsRequest, ListDicomImportJobsResponse,
    ListImageSetVersionsRequest, ListImageSetVersionsResponse, ListTagsForResourceRequest,
    ListTagsForResourceResponse, RetrieveBulkdataRequest, RetrieveBulkdataResponse,
    RetrieveFramesRequest, RetrieveFramesResponse, RetrieveInstanceRequest,
    RetrieveInstanceResponse, SearchDicomRequest, SearchImageSetsRequest, SearchImageSetsResponse,
    SeriesMetadataRequest, StartDicomImportJobRequest, StartDicomImportJobResponse,
    StoreInstancesRequest, StoreInstancesResponse, TagResourceRequest, TagResourceResponse,
    UntagResourceRequest, UntagResourceResponse, UpdateImageSetMetadataRequest,
    UpdateImageSetMetadataResponse,
};
use crate::operation::{Limits, Operation, Rate};
use crate::service::HealthImaging;

/// A call that is throttled is made this often at most.
const TRIES: u32 = 6;
/// The pause after the first throttling answer; doubled after each more.
const PAUSE: Duration = Duration::from_millis(500);
/// The rate is never slowed down to less than this part of itself.
const SLOWEST: f64 = 1.0 / 16.0;
/// What a call that is not throttled gives back of a rate that was slowed down.
const RECOVERY: f64 = 1.0 / 32.0;

/// Lets calls through at the rates of [`Limits`], each operation by itself, in the order they came.
///
/// A throttling answer halves the rate for a while, and calls that may be made twice are made again.
#[derive(Debug)]
pub struct Paced<T: ?Sized> {
    inner: Arc<T>,
    pace: Arc<Pace>,
}

impl<T: ?Sized> Paced<T> {
    /// Paces `inner`; everything that shares `pace` shares its rates.
    pub fn new(inner: Arc<T>, pace: Arc<Pace>) -> Self {
        Self { inner, pace }
    }
}

/// The rates that are left at this moment, for one account.
#[derive(Debug)]
pub struct Pace {
    factor: f64,
    operations: [Option<Bucket>; Operation::ALL.len()],
    web: [Option<Bucket>; WebCall::COUNT],
}

/// The calls of [`DicomWeb`].
#[derive(Clone, Copy)]
enum WebCall {
    RetrieveInstance,
    RetrieveFrames,
    RetrieveBulkdata,
    InstanceMetadata,
    SeriesMetadata,
    Search,
    StoreInstances,
}

impl WebCall {
    const COUNT: usize = Self::StoreInstances as usize + 1;
}

impl Pace {
    /// Full buckets; `factor` times the rates that are allowed, such as 0.5 to leave half to others.
    #[must_use]
    pub fn new(limits: &Limits, factor: f64) -> Self {
        let limits = Limits { factor, ..*limits };
        let rates = Operation::ALL.map(|operation| limits.rate_of(operation));
        Self {
            factor,
            operations: rates.map(|rate| rate.map(Bucket::new)),
            web: [limits.rate_of_web(); WebCall::COUNT].map(|rate| rate.map(Bucket::new)),
        }
    }

    fn operation(&self, operation: Operation) -> Option<&Bucket> {
        self.operations.get(operation as usize)?.as_ref()
    }

    fn web(&self, call: WebCall) -> Option<&Bucket> {
        self.web.get(call as usize)?.as_ref()
    }
}

/// One call, when its turn has come.
async fn once<R>(bucket: Option<&Bucket>, call: impl Future<Output = Result<R>>) -> Result<R> {
    let Some(bucket) = bucket else {
        return call.await;
    };
    bucket.take().await;
    let answer = call.await;
    bucket.learn(answer.as_ref().err()).await;
    answer
}

/// The same, again while the service throttles.
async fn again<R, F>(bucket: Option<&Bucket>, call: impl Fn() -> F) -> Result<R>
where
    F: Future<Output = Result<R>>,
{
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match once(bucket, call()).await {
            Err(error) if error.kind() == ErrorKind::Throttled => sleep(pause).await,
            settled => return settled,
        }
        pause *= 2;
    }
    once(bucket, call()).await
}

/// Tokens that come at a rate; each call takes one.
struct Bucket {
    per_second: f64,
    burst: f64,
    state: Mutex<State>,
}

struct State {
    tokens: f64,
    filled: Instant,
    /// The part of the rate that is used, 1 unless calls were throttled.
    part: f64,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        let burst = f64::from(rate.burst);
        Self {
            per_second: rate.per_second,
            burst,
            state: Mutex::new(State {
                tokens: burst,
                filled: Instant::now(),
                part: 1.0,
            }),
        }
    }

    /// Waits for a token. Who waits holds the lock, whose order is that of arrival.
    async fn take(&self) {
        let mut state = self.state.lock().await;
        self.fill(&mut state);
        if state.tokens < 1.0 {
            let missing = (1.0 - state.tokens) / (self.per_second * state.part);
            let until = Instant::now() + Duration::from_secs_f64(missing);
            sleep_until(until).await;
            state.filled = until;
            state.tokens = 1.0;
        }
        state.tokens -= 1.0;
    }

    fn fill(&self, state: &mut State) {
        let now = Instant::now();
        let gone = now.saturating_duration_since(state.filled).as_secs_f64();
        state.tokens = (state.tokens + gone * self.per_second * state.part).min(self.burst);
        state.filled = now;
    }

    /// Slows down after a throttling answer, and recovers with every other one.
    async fn learn(&self, error: Option<&Error>) {
        let throttled = error.is_some_and(|error| error.kind() == ErrorKind::Throttled);
        let mut state = self.state.lock().await;
        self.fill(&mut state);
        if throttled {
            state.tokens = 0.0;
            state.part = (state.part / 2.0).max(SLOWEST);
        } else {
            state.part = (state.part + RECOVERY).min(1.0);
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("per_second", &self.per_second)
            .field("burst", &self.burst)
            .finish_non_exhaustive()
    }
}

/// Writes one line for each operation: those that may be made again when throttled, and the others.
macro_rules! paced {
    (
        $trait:ident, $kind:ident, $bucket:ident;
        again { $($again:ident $again_name:ident: $again_in:ty => $again_out:ty),* $(,)? }
        once { $($once:ident $once_name:ident: $once_in:ty => $once_out:ty),* $(,)? }
        $($rest:item)*
    ) => {
        #[async_trait]
        impl<T: $trait + ?Sized> $trait for Paced<T> {
            $($rest)*
            $(async fn $again(&self, request: $again_in) -> Result<$again_out> {
                let bucket = self.pace.$bucket($kind::$again_name);
                again(bucket, || self.inner.$again(request.clone())).await
            })*
            $(async fn $once(&self, request: $once_in) -> Result<$once_out> {
                let bucket = self.pace.$bucket($kind::$once_name);
                once(bucket, self.inner.$once(request)).await
            })*
        }
    };
}

paced! {
    HealthImaging, Operation, operation;
    again {
        get_datastore GetDatastore: GetDatastoreRequest => GetDatastoreResponse,
        list_datastores ListDatastores: ListDatastoresRequest => ListDatastoresResponse,
        delete_datastore DeleteDatastore: DeleteDatastoreRequest => DeleteDatastoreResponse,
        get_dicom_import_job GetDicomImportJob:
            GetDicomImportJobRequest => GetDicomImportJobResponse,
        list_dicom_import_jobs ListDicomImportJobs:
            ListDicomImportJobsRequest => ListDicomImportJobsResponse,
        search_image_sets SearchImageSets: SearchImageSetsRequest => SearchImageSetsResponse,
        get_image_set GetImageSet: GetImageSetRequest => GetImageSetResponse,
        get_image_set_metadata GetImageSetMetadata:
            GetImageSetMetadataRequest => GetImageSetMetadataResponse,
        get_image_frame GetImageFrame: GetImageFrameRequest => GetImageFrameResponse,
        list_image_set_versions ListImageSetVersions:
            ListImageSetVersionsRequest => ListImageSetVersionsResponse,
        // Bound to a version, so that it is done once at most.
        update_image_set_metadata UpdateImageSetMetadata:
            UpdateImageSetMetadataRequest => UpdateImageSetMetadataResponse,
        delete_image_set DeleteImageSet: DeleteImageSetRequest => DeleteImageSetResponse,
        tag_resource TagResource: TagResourceRequest => TagResourceResponse,
        untag_resource UntagResource: UntagResourceRequest => UntagResourceResponse,
        list_tags_for_resource ListTagsForResource:
            ListTagsForResourceRequest => ListTagsForResourceResponse,
    }
    once {
        create_datastore CreateDatastore: CreateDatastoreRequest => CreateDatastoreResponse,
        start_dicom_import_job StartDicomImportJob:
            StartDicomImportJobRequest => StartDicomImportJobResponse,
        copy_image_set CopyImageSet: CopyImageSetRequest => CopyImageSetResponse,
    }
    fn limits(&self) -> Limits {
        Limits {
            factor: self.pace.factor,
            ..self.inner.limits()
        }
    }
    async fn count_image_sets(&self, datastore_id: DatastoreId) -> Result<Option<ImageSetCount>> {
        self.inner.count_image_sets(datastore_id).await
    }
}

paced! {
    DicomWeb, WebCall, web;
    again {
        retrieve_instance RetrieveInstance: RetrieveInstanceRequest => RetrieveInstanceResponse,
        retrieve_frames RetrieveFrames: RetrieveFramesRequest => RetrieveFramesResponse,
        retrieve_bulkdata RetrieveBulkdata: RetrieveBulkdataRequest => RetrieveBulkdataResponse,
        instance_metadata InstanceMetadata: InstanceMetadataRequest => DicomJson,
        series_metadata SeriesMetadata: SeriesMetadataRequest => Vec<DicomJson>,
        search Search: SearchDicomRequest => Vec<DicomJson>,
    }
    once {
        store_instances StoreInstances: StoreInstancesRequest => StoreInstancesResponse,
    }
}
