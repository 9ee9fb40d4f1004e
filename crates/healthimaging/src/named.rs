//! What requests and answers name, for records of calls: IDs, and values that identify patients or their objects.

use crate::body::Body;
use crate::model::{
    CopyImageSetRequest, CopyImageSetResponse, CreateDatastoreRequest, CreateDatastoreResponse,
    DeleteDatastoreRequest, DeleteDatastoreResponse, DeleteImageSetRequest, DeleteImageSetResponse,
    GetDatastoreRequest, GetDatastoreResponse, GetDicomImportJobRequest, GetDicomImportJobResponse,
    GetImageFrameRequest, GetImageFrameResponse, GetImageSetMetadataRequest,
    GetImageSetMetadataResponse, GetImageSetRequest, GetImageSetResponse, InstanceMetadataRequest,
    ListDatastoresRequest, ListDatastoresResponse, ListDicomImportJobsRequest,
    ListDicomImportJobsResponse, ListImageSetVersionsRequest, ListImageSetVersionsResponse,
    ListTagsForResourceRequest, ListTagsForResourceResponse, MetadataUpdates,
    RetrieveBulkdataRequest, RetrieveBulkdataResponse, RetrieveFramesRequest,
    RetrieveFramesResponse, RetrieveInstanceRequest, RetrieveInstanceResponse, SearchDicomRequest,
    SearchDicomResponse, SearchImageSetsRequest, SearchImageSetsResponse, SeriesMetadataRequest,
    StartDicomImportJobRequest, StartDicomImportJobResponse, StoreInstancesRequest,
    StoreInstancesResponse, TagResourceRequest, TagResourceResponse, UntagResourceRequest,
    UntagResourceResponse, UpdateImageSetMetadataRequest, UpdateImageSetMetadataResponse,
};

/// What a request or an answer names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// IDs and ARNs of the service.
    pub ids: Vec<(&'static str, String)>,
    /// Values that identify a patient or an object of one, and paths: never shown as they are.
    pub identifying: Vec<(&'static str, String)>,
    /// Counts.
    pub counts: Vec<(&'static str, u64)>,
    /// Names of other members that were given.
    pub given: Vec<&'static str>,
}

impl Named {
    fn id(mut self, name: &'static str, id: &(impl ToString + ?Sized)) -> Self {
        self.ids.push((name, id.to_string()));
        self
    }

    fn identifying(mut self, name: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.identifying.push((name, value.to_string()));
        self
    }

    fn count(mut self, name: &'static str, count: usize) -> Self {
        self.counts.push((name, count as u64));
        self
    }

    fn given(mut self, name: &'static str, is_given: bool) -> Self {
        self.given.extend(is_given.then_some(name));
        self
    }
}

/// A request or an answer that names objects.
pub(crate) trait Names {
    /// Returns what it names.
    fn names(&self) -> Named {
        Named::default()
    }
}

macro_rules! names {
    ($($type:ident |$it:ident| $named:expr;)*) => {
        $(impl Names for $type {
            fn names(&self) -> Named {
                let $it = self;
                $named
            }
        })*
    };
}

macro_rules! names_nothing {
    ($($type:ident),* $(,)?) => {
        $(impl Names for $type {})*
    };
}

fn of_store(id: &crate::DatastoreId) -> Named {
    Named::default().id("datastore_id", id)
}

macro_rules! of_image_set {
    ($it:ident) => {
        of_store(&$it.datastore_id).id("image_set_id", &$it.image_set_id)
    };
}

macro_rules! of_series {
    ($it:ident) => {{
        let mut named = of_store(&$it.datastore_id)
            .identifying("study_instance_uid", &$it.study_instance_uid)
            .identifying("series_instance_uid", &$it.series_instance_uid);
        if let Some(id) = &$it.image_set_id {
            named = named.id("image_set_id", id);
        }
        named
    }};
}

macro_rules! of_instance {
    ($it:ident) => {
        of_series!($it).identifying("sop_instance_uid", &$it.sop_instance_uid)
    };
}

names! {
    CreateDatastoreRequest |it| Named::default().given("tags", !it.tags.is_empty());
    CreateDatastoreResponse |it| of_store(&it.datastore_id);
    GetDatastoreRequest |it| of_store(&it.datastore_id);
    DeleteDatastoreRequest |it| of_store(&it.datastore_id);
    StartDicomImportJobRequest |it| of_store(&it.datastore_id)
        .identifying("input_s3_uri", &it.input_s3_uri);
    StartDicomImportJobResponse |it| Named::default().id("job_id", &it.job_id);
    GetDicomImportJobRequest |it| of_store(&it.datastore_id).id("job_id", &it.job_id);
    ListDicomImportJobsRequest |it| of_store(&it.datastore_id);
    SearchImageSetsRequest |it| of_store(&it.datastore_id)
        .count("filters", it.search_criteria.filters.len());
    GetImageSetRequest |it| of_image_set!(it);
    GetImageSetMetadataRequest |it| of_image_set!(it);
    GetImageFrameRequest |it| of_image_set!(it).id("image_frame_id", &it.image_frame_id);
    ListImageSetVersionsRequest |it| of_image_set!(it);
    UpdateImageSetMetadataRequest |it| {
        let named = of_image_set!(it).id("latest_version_id", &it.latest_version_id);
        match &it.updates {
            MetadataUpdates::RevertToVersion(version) => named.id("revert_to_version_id", version),
            MetadataUpdates::DicomUpdates { removable_attributes, updatable_attributes } => named
                .given("removable_attributes", removable_attributes.is_some())
                .given("updatable_attributes", updatable_attributes.is_some()),
        }
    };
    CopyImageSetRequest |it| {
        let named = of_store(&it.datastore_id).id("source_image_set_id", &it.source_image_set_id);
        match &it.copy_image_set_information.destination_image_set {
            Some(to) => named.id("destination_image_set_id", &to.image_set_id),
            None => named,
        }
    };
    CopyImageSetResponse |it| Named::default()
        .id("destination_image_set_id", &it.destination_image_set_properties.image_set_id);
    DeleteImageSetRequest |it| of_image_set!(it);
    TagResourceRequest |it| Named::default()
        .id("resource_arn", &it.resource_arn).count("tags", it.tags.len());
    UntagResourceRequest |it| Named::default()
        .id("resource_arn", &it.resource_arn).count("tag_keys", it.tag_keys.len());
    ListTagsForResourceRequest |it| Named::default().id("resource_arn", &it.resource_arn);
    RetrieveInstanceRequest |it| of_instance!(it);
    RetrieveFramesRequest |it| of_instance!(it).count("frames", it.frames.len());
    RetrieveBulkdataRequest |it| of_instance!(it);
    InstanceMetadataRequest |it| of_instance!(it);
    SeriesMetadataRequest |it| of_series!(it);
    SearchDicomRequest |it| it.filters.iter().fold(
        of_store(&it.datastore_id).count("filters", it.filters.len()),
        |named, (_, value)| named.identifying("filter_values", value),
    );
    StoreInstancesRequest |it| match &it.study_instance_uid {
        Some(uid) => of_store(&it.datastore_id).identifying("study_instance_uid", uid),
        None => of_store(&it.datastore_id),
    };
    StoreInstancesResponse |it| {
        let counts = Named::default()
            .count("instances_stored", it.stored.len())
            .count("instances_failed", it.failed.len());
        let mut sets: Vec<_> = it.stored.iter().map(|one| one.image_set_id.to_string()).collect();
        sets.sort_unstable();
        sets.dedup();
        let named = sets.into_iter().fold(counts, |named, id| named.id("image_set_id", &id));
        let mut studies: Vec<_> = it.stored.iter().map(|one| &one.study_instance_uid).collect();
        studies.sort_unstable();
        studies.dedup();
        studies.into_iter().fold(named, |named, uid| named.identifying("study_instance_uids", uid))
    };
}

names_nothing! {
    GetDatastoreResponse, ListDatastoresRequest, ListDatastoresResponse, DeleteDatastoreResponse,
    GetDicomImportJobResponse, ListDicomImportJobsResponse, SearchImageSetsResponse,
    GetImageSetResponse, GetImageSetMetadataResponse, GetImageFrameResponse,
    ListImageSetVersionsResponse, UpdateImageSetMetadataResponse, DeleteImageSetResponse,
    TagResourceResponse, UntagResourceResponse, ListTagsForResourceResponse,
    RetrieveInstanceResponse, RetrieveFramesResponse, RetrieveBulkdataResponse,
    SearchDicomResponse, Body,
}
