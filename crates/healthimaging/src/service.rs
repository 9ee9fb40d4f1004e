//! The seam: the operations of AWS HealthImaging.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
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

/// The 18 operations of AWS HealthImaging.
///
/// Promises that every back end keeps:
/// * What is acknowledged is durable.
/// * Writes to image sets are asynchronous: the answer shows the state in between (`LOCKED`), the
///   result is seen with [`get_image_set`](Self::get_image_set). A failed write also leaves a version.
/// * A reader sees a whole version of an image set or none of it.
/// * Pages hold at most [`Limits::page_size`] items; tokens are opaque and bound to their query.
#[async_trait]
pub trait HealthImaging: Send + Sync + fmt::Debug {
    /// What this back end allows.
    fn limits(&self) -> Limits;

    /// How many image sets a data store holds, deleted ones apart; `None` from a back end that can only
    /// find out by searching. No operation of the API.
    async fn count_image_sets(&self, datastore_id: DatastoreId) -> Result<Option<ImageSetCount>>;

    /// Creates a data store. The same client token with the same input answers with the first result.
    async fn create_datastore(
        &self,
        request: CreateDatastoreRequest,
    ) -> Result<CreateDatastoreResponse>;

    /// Tells all about a data store.
    async fn get_datastore(&self, request: GetDatastoreRequest) -> Result<GetDatastoreResponse>;

    /// Lists data stores, newest first.
    async fn list_datastores(
        &self,
        request: ListDatastoresRequest,
    ) -> Result<ListDatastoresResponse>;

    /// Deletes an empty data store; one that holds image sets is a `Conflict`.
    async fn delete_datastore(
        &self,
        request: DeleteDatastoreRequest,
    ) -> Result<DeleteDatastoreResponse>;

    /// Starts importing every DICOM Part 10 object under a prefix.
    async fn start_dicom_import_job(
        &self,
        request: StartDicomImportJobRequest,
    ) -> Result<StartDicomImportJobResponse>;

    /// Tells how an import job stands.
    async fn get_dicom_import_job(
        &self,
        request: GetDicomImportJobRequest,
    ) -> Result<GetDicomImportJobResponse>;

    /// Lists the import jobs of a data store, newest first.
    async fn list_dicom_import_jobs(
        &self,
        request: ListDicomImportJobsRequest,
    ) -> Result<ListDicomImportJobsResponse>;

    /// Finds image sets; deleted ones never, locked and non-primary ones too.
    async fn search_image_sets(
        &self,
        request: SearchImageSetsRequest,
    ) -> Result<SearchImageSetsResponse>;

    /// Tells the state of an image set, of its latest version unless one is named.
    async fn get_image_set(&self, request: GetImageSetRequest) -> Result<GetImageSetResponse>;

    /// The metadata document of an image set: JSON, compressed with gzip.
    async fn get_image_set_metadata(
        &self,
        request: GetImageSetMetadataRequest,
    ) -> Result<GetImageSetMetadataResponse>;

    /// One stored frame, in the encoding it is stored in.
    async fn get_image_frame(&self, request: GetImageFrameRequest)
    -> Result<GetImageFrameResponse>;

    /// Lists the versions of an image set, newest first.
    async fn list_image_set_versions(
        &self,
        request: ListImageSetVersionsRequest,
    ) -> Result<ListImageSetVersionsResponse>;

    /// Changes the metadata of an image set, giving a new version.
    async fn update_image_set_metadata(
        &self,
        request: UpdateImageSetMetadataRequest,
    ) -> Result<UpdateImageSetMetadataResponse>;

    /// Copies an image set, whole or in part, to a new one or into another one.
    async fn copy_image_set(&self, request: CopyImageSetRequest) -> Result<CopyImageSetResponse>;

    /// Deletes an image set with all its versions and frames.
    async fn delete_image_set(
        &self,
        request: DeleteImageSetRequest,
    ) -> Result<DeleteImageSetResponse>;

    /// Adds tags to a data store or an image set; a key that is there is overwritten.
    async fn tag_resource(&self, request: TagResourceRequest) -> Result<TagResourceResponse>;

    /// Removes tags; a key that is not there is fine.
    async fn untag_resource(&self, request: UntagResourceRequest) -> Result<UntagResourceResponse>;

    /// Lists the tags of a data store or an image set.
    async fn list_tags_for_resource(
        &self,
        request: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse>;
}
