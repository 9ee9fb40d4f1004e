//! The store as the contract sees it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use healthimaging::model::{
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
use healthimaging::{Body, DatastoreId, DatastoreName, DicomWeb, HealthImaging, Limits, Result};

use crate::config::LocalConfig;
use crate::error::StoreError;
use crate::shared::{Shared, SharedStore};
use crate::{keeper, operations, web};

/// AWS HealthImaging in a folder.
///
/// Asynchronous writes, import jobs and upkeep run as tasks of the Tokio runtime that called.
pub struct LocalStore {
    pub(crate) shared: SharedStore,
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStore").finish_non_exhaustive()
    }
}

impl LocalStore {
    /// Opens the store in `config.data_dir`, making it when it is missing.
    ///
    /// A store of a newer format is refused.
    pub async fn open(config: LocalConfig) -> Result<Arc<Self>> {
        healthimaging_pixels::prepare();
        let shared = tokio::task::spawn_blocking(move || Shared::open(config))
            .await
            .map_err(StoreError::Task)??;
        let shared = Arc::new(shared);
        shared.tasks.spawn(keeper::keep(Arc::clone(&shared)));
        Ok(Arc::new(Self { shared }))
    }

    /// Whether the folder cannot be written to, so that the store can only be read.
    pub fn is_read_only(&self) -> bool {
        self.shared.is_read_only
    }

    /// Fails unless the store answers: its catalog is where it was and can be read, and its packs are there.
    pub async fn check(&self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let checked = tokio::task::spawn_blocking(move || {
            shared.catalogue.check()?;
            shared.packs.check_folder()
        });
        Ok(checked.await.map_err(StoreError::Task)??)
    }

    /// The data store of this name that is `ACTIVE` or about to be; it is made when there is none. Of
    /// processes that ask at once, one makes it.
    ///
    /// Several of that name are a `Conflict`.
    pub async fn find_or_create_datastore(&self, name: DatastoreName) -> Result<DatastoreId> {
        let shared = Arc::clone(&self.shared);
        let work = async move { operations::datastores::find_or_create(&shared, name).await };
        self.shared.to_the_end(work).await
    }

    /// Waits for writes under way; jobs stop at the next file, and go on when the store is opened again.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        if let Err(error) = keeper::write_accesses(&self.shared).await {
            tracing::warn!(%error, "could not note when image sets were read");
        }
        self.shared.sign_off();
    }
}

/// Writes one line for each operation: hands it to the module that does it. A write goes on when its
/// caller goes away; a read needs no task of its own.
macro_rules! delegate {
    (
        $trait:ident;
        { $($rest:item)* }
        reads { $($reading:ident: $asked:ty => $answer:ty, $by:path;)* }
        writes { $($writing:ident: $request:ty => $response:ty, $path:path;)* }
    ) => {
        #[async_trait]
        impl $trait for LocalStore {
            $($rest)*
            $(async fn $reading(&self, request: $asked) -> Result<$answer> {
                Ok($by(&self.shared, request).await?)
            })*
            $(async fn $writing(&self, request: $request) -> Result<$response> {
                let shared = Arc::clone(&self.shared);
                let work = async move { $path(&shared, request).await.map_err(StoreError::from) };
                self.shared.to_the_end(work).await
            })*
        }
    };
}

delegate! {
    HealthImaging;
    {
        fn limits(&self) -> Limits {
            Limits { page_size: operations::paging::PAGE_SIZE, rate: |_| None, web_rate: None }
        }
    }
    reads {
        count_image_sets: DatastoreId => Option<ImageSetCount>,
            operations::search::count;
        get_datastore: GetDatastoreRequest => GetDatastoreResponse,
            operations::datastores::get;
        list_datastores: ListDatastoresRequest => ListDatastoresResponse,
            operations::datastores::list;
        get_dicom_import_job: GetDicomImportJobRequest => GetDicomImportJobResponse,
            operations::import_jobs::get;
        list_dicom_import_jobs: ListDicomImportJobsRequest => ListDicomImportJobsResponse,
            operations::import_jobs::list;
        search_image_sets: SearchImageSetsRequest => SearchImageSetsResponse,
            operations::search::search;
        get_image_set: GetImageSetRequest => GetImageSetResponse,
            operations::image_sets::get;
        get_image_set_metadata: GetImageSetMetadataRequest => GetImageSetMetadataResponse,
            operations::image_sets::metadata;
        get_image_frame: GetImageFrameRequest => GetImageFrameResponse,
            operations::image_sets::frame;
        list_image_set_versions: ListImageSetVersionsRequest => ListImageSetVersionsResponse,
            operations::image_sets::versions;
        list_tags_for_resource: ListTagsForResourceRequest => ListTagsForResourceResponse,
            operations::tags::list;
    }
    writes {
        create_datastore: CreateDatastoreRequest => CreateDatastoreResponse,
            operations::datastores::create;
        delete_datastore: DeleteDatastoreRequest => DeleteDatastoreResponse,
            operations::datastores::delete;
        start_dicom_import_job: StartDicomImportJobRequest => StartDicomImportJobResponse,
            operations::import_jobs::start;
        update_image_set_metadata: UpdateImageSetMetadataRequest => UpdateImageSetMetadataResponse,
            operations::update::update;
        copy_image_set: CopyImageSetRequest => CopyImageSetResponse,
            operations::copy::copy;
        delete_image_set: DeleteImageSetRequest => DeleteImageSetResponse,
            operations::delete::delete;
        tag_resource: TagResourceRequest => TagResourceResponse,
            operations::tags::tag;
        untag_resource: UntagResourceRequest => UntagResourceResponse,
            operations::tags::untag;
    }
}

delegate! {
    DicomWeb;
    {}
    reads {
        retrieve_instance: RetrieveInstanceRequest => RetrieveInstanceResponse,
            web::retrieve_instance;
        retrieve_frames: RetrieveFramesRequest => RetrieveFramesResponse,
            web::retrieve_frames;
        retrieve_bulkdata: RetrieveBulkdataRequest => RetrieveBulkdataResponse,
            web::retrieve_bulkdata;
        instance_metadata: InstanceMetadataRequest => Body,
            web::instance_metadata;
        series_metadata: SeriesMetadataRequest => Body,
            web::series_metadata;
        search: SearchDicomRequest => Vec<DicomJson>,
            web::search;
    }
    writes {
        store_instances: StoreInstancesRequest => StoreInstancesResponse,
            web::store_instances;
    }
}
