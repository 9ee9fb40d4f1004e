//! A back end with somebody between it and its callers: to delay calls, to count them, to die over one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use healthimaging::model::{
    CopyImageSetRequest, CopyImageSetResponse, CreateDatastoreRequest, CreateDatastoreResponse,
    DeleteDatastoreRequest, DeleteDatastoreResponse, DeleteImageSetRequest, DeleteImageSetResponse,
    GetDatastoreRequest, GetDatastoreResponse, GetDicomImportJobRequest, GetDicomImportJobResponse,
    GetImageFrameRequest, GetImageFrameResponse, GetImageSetMetadataRequest,
    GetImageSetMetadataResponse, GetImageSetRequest, GetImageSetResponse, ImageSetCount,
    ListDatastoresRequest, ListDatastoresResponse, ListDicomImportJobsRequest,
    ListDicomImportJobsResponse, ListImageSetVersionsRequest, ListImageSetVersionsResponse,
    ListTagsForResourceRequest, ListTagsForResourceResponse, SearchImageSetsRequest,
    SearchImageSetsResponse, StartDicomImportJobRequest, StartDicomImportJobResponse,
    TagResourceRequest, TagResourceResponse, UntagResourceRequest, UntagResourceResponse,
    UpdateImageSetMetadataRequest, UpdateImageSetMetadataResponse,
};
use healthimaging::{DatastoreId, HealthImaging, Limits, Result};

/// Who stands between.
#[async_trait]
pub(crate) trait Gate: Send + Sync + 'static {
    /// Before a call reaches the back end.
    async fn before(&self);
    /// Before its answer reaches the caller.
    async fn after(&self);
}

/// The 18 operations, each through the gate.
pub(crate) struct Between<G> {
    pub(crate) inner: Arc<dyn HealthImaging>,
    pub(crate) gate: Arc<G>,
}

impl<G> fmt::Debug for Between<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

macro_rules! between {
    ($($call:ident: $request:ty => $response:ty),* $(,)?) => {
        #[async_trait]
        impl<G: Gate> HealthImaging for Between<G> {
            fn limits(&self) -> Limits {
                self.inner.limits()
            }

            async fn count_image_sets(
                &self,
                datastore_id: DatastoreId,
            ) -> Result<Option<ImageSetCount>> {
                self.inner.count_image_sets(datastore_id).await
            }

            $(async fn $call(&self, request: $request) -> Result<$response> {
                self.gate.before().await;
                let answer = self.inner.$call(request).await;
                self.gate.after().await;
                answer
            })*
        }
    };
}

between! {
    create_datastore: CreateDatastoreRequest => CreateDatastoreResponse,
    get_datastore: GetDatastoreRequest => GetDatastoreResponse,
    list_datastores: ListDatastoresRequest => ListDatastoresResponse,
    delete_datastore: DeleteDatastoreRequest => DeleteDatastoreResponse,
    start_dicom_import_job: StartDicomImportJobRequest => StartDicomImportJobResponse,
    get_dicom_import_job: GetDicomImportJobRequest => GetDicomImportJobResponse,
    list_dicom_import_jobs: ListDicomImportJobsRequest => ListDicomImportJobsResponse,
    search_image_sets: SearchImageSetsRequest => SearchImageSetsResponse,
    get_image_set: GetImageSetRequest => GetImageSetResponse,
    get_image_set_metadata: GetImageSetMetadataRequest => GetImageSetMetadataResponse,
    get_image_frame: GetImageFrameRequest => GetImageFrameResponse,
    list_image_set_versions: ListImageSetVersionsRequest => ListImageSetVersionsResponse,
    update_image_set_metadata: UpdateImageSetMetadataRequest => UpdateImageSetMetadataResponse,
    copy_image_set: CopyImageSetRequest => CopyImageSetResponse,
    delete_image_set: DeleteImageSetRequest => DeleteImageSetResponse,
    tag_resource: TagResourceRequest => TagResourceResponse,
    untag_resource: UntagResourceRequest => UntagResourceResponse,
    list_tags_for_resource: ListTagsForResourceRequest => ListTagsForResourceResponse,
}
