//! A back end whose calls are rate-limited to its quotas.

use std::sync::Arc;

use async_trait::async_trait;

use crate::body::Body;
use crate::dicomweb::DicomWeb;
use crate::error::Result;
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
use crate::operation::{Limits, Operation};
use crate::pace::{Pace, WebCall, again, once};
use crate::service::HealthImaging;

/// Lets calls through at the rates of [`Limits`], each operation by itself, in the order they came.
///
/// A throttling answer halves the rate for a while, and the call is made again, since nothing was done; but
/// for one whose body was read away.
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

/// Writes one line for each operation: those that are made again when throttled, and the others.
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
        create_datastore CreateDatastore: CreateDatastoreRequest => CreateDatastoreResponse,
        get_datastore GetDatastore: GetDatastoreRequest => GetDatastoreResponse,
        list_datastores ListDatastores: ListDatastoresRequest => ListDatastoresResponse,
        delete_datastore DeleteDatastore: DeleteDatastoreRequest => DeleteDatastoreResponse,
        start_dicom_import_job StartDicomImportJob:
            StartDicomImportJobRequest => StartDicomImportJobResponse,
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
        update_image_set_metadata UpdateImageSetMetadata:
            UpdateImageSetMetadataRequest => UpdateImageSetMetadataResponse,
        copy_image_set CopyImageSet: CopyImageSetRequest => CopyImageSetResponse,
        delete_image_set DeleteImageSet: DeleteImageSetRequest => DeleteImageSetResponse,
        tag_resource TagResource: TagResourceRequest => TagResourceResponse,
        untag_resource UntagResource: UntagResourceRequest => UntagResourceResponse,
        list_tags_for_resource ListTagsForResource:
            ListTagsForResourceRequest => ListTagsForResourceResponse,
    }
    once {}
    fn limits(&self) -> Limits {
        self.inner.limits()
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
        instance_metadata InstanceMetadata: InstanceMetadataRequest => Body,
        series_metadata SeriesMetadata: SeriesMetadataRequest => Body,
        search Search: SearchDicomRequest => Vec<DicomJson>,
    }
    once {
        store_instances StoreInstances: StoreInstancesRequest => StoreInstancesResponse,
    }
}
