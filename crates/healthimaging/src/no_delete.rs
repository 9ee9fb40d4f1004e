//! A back end that refuses what takes something away.

use std::sync::Arc;

use async_trait::async_trait;

use crate::effect::Effect;
use crate::error::{Error, ErrorKind, Result};
use crate::gate::gate;
use crate::id::DatastoreId;
use crate::model::{
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
use crate::operation::Limits;
use crate::service::HealthImaging;

/// Lets reads and writes through to another back end, and refuses with `AccessDenied` what takes something away: deletions,
/// updates that remove instances or series, and reverts.
#[derive(Debug, Clone)]
pub struct NoDelete<T: ?Sized>(Arc<T>);

impl<T: ?Sized> NoDelete<T> {
    /// Makes `inner` keep what it has.
    pub fn new(inner: Arc<T>) -> Self {
        Self(inner)
    }
}

fn refusal<R>() -> Result<R> {
    Err(Error::new(
        ErrorKind::AccessDenied,
        "this server deletes nothing, removes no instance or series and reverts to no version; start it without \
         --no-delete to do so",
    ))
}

gate! {
    NoDelete: HealthImaging;
    passes {
        count_image_sets: DatastoreId => Option<ImageSetCount>,
        get_datastore: GetDatastoreRequest => GetDatastoreResponse,
        list_datastores: ListDatastoresRequest => ListDatastoresResponse,
        get_dicom_import_job: GetDicomImportJobRequest => GetDicomImportJobResponse,
        list_dicom_import_jobs: ListDicomImportJobsRequest => ListDicomImportJobsResponse,
        search_image_sets: SearchImageSetsRequest => SearchImageSetsResponse,
        get_image_set: GetImageSetRequest => GetImageSetResponse,
        get_image_set_metadata: GetImageSetMetadataRequest => GetImageSetMetadataResponse,
        get_image_frame: GetImageFrameRequest => GetImageFrameResponse,
        list_image_set_versions: ListImageSetVersionsRequest => ListImageSetVersionsResponse,
        list_tags_for_resource: ListTagsForResourceRequest => ListTagsForResourceResponse,
        create_datastore: CreateDatastoreRequest => CreateDatastoreResponse,
        start_dicom_import_job: StartDicomImportJobRequest => StartDicomImportJobResponse,
        copy_image_set: CopyImageSetRequest => CopyImageSetResponse,
        tag_resource: TagResourceRequest => TagResourceResponse,
        untag_resource: UntagResourceRequest => UntagResourceResponse,
    }
    refuses {
        delete_datastore: DeleteDatastoreRequest => DeleteDatastoreResponse,
        delete_image_set: DeleteImageSetRequest => DeleteImageSetResponse,
    }
    fn limits(&self) -> Limits {
        self.0.limits()
    }
    async fn update_image_set_metadata(
        &self,
        request: UpdateImageSetMetadataRequest,
    ) -> Result<UpdateImageSetMetadataResponse> {
        match request.effect()? {
            Effect::Destroys => refusal(),
            Effect::Reads | Effect::Writes => self.0.update_image_set_metadata(request).await,
        }
    }
}
