//! A back end that refuses every write.

use std::sync::Arc;

use async_trait::async_trait;

use crate::body::Body;
use crate::dicomweb::DicomWeb;
use crate::error::{Error, ErrorKind, Result};
use crate::gate::gate;
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
use crate::operation::Limits;
use crate::service::HealthImaging;

/// Lets reads through to another back end, and refuses writes with `AccessDenied`.
#[derive(Debug, Clone)]
pub struct ReadOnly<T: ?Sized>(Arc<T>);

impl<T: ?Sized> ReadOnly<T> {
    /// Makes `inner` read-only.
    pub fn new(inner: Arc<T>) -> Self {
        Self(inner)
    }
}

fn refusal<R>() -> Result<R> {
    Err(Error::new(
        ErrorKind::AccessDenied,
        "this server is read-only; start it without --read-only to change anything",
    ))
}

gate! {
    ReadOnly: HealthImaging;
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
    }
    refuses {
        create_datastore: CreateDatastoreRequest => CreateDatastoreResponse,
        delete_datastore: DeleteDatastoreRequest => DeleteDatastoreResponse,
        start_dicom_import_job: StartDicomImportJobRequest => StartDicomImportJobResponse,
        update_image_set_metadata: UpdateImageSetMetadataRequest => UpdateImageSetMetadataResponse,
        copy_image_set: CopyImageSetRequest => CopyImageSetResponse,
        delete_image_set: DeleteImageSetRequest => DeleteImageSetResponse,
        tag_resource: TagResourceRequest => TagResourceResponse,
        untag_resource: UntagResourceRequest => UntagResourceResponse,
    }
    fn limits(&self) -> Limits {
        self.0.limits()
    }
}

gate! {
    ReadOnly: DicomWeb;
    passes {
        retrieve_instance: RetrieveInstanceRequest => RetrieveInstanceResponse,
        retrieve_frames: RetrieveFramesRequest => RetrieveFramesResponse,
        retrieve_bulkdata: RetrieveBulkdataRequest => RetrieveBulkdataResponse,
        instance_metadata: InstanceMetadataRequest => Body,
        series_metadata: SeriesMetadataRequest => Body,
        search: SearchDicomRequest => Vec<DicomJson>,
    }
    refuses {
        store_instances: StoreInstancesRequest => StoreInstancesResponse,
    }
}
