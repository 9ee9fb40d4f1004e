//! The operations of both traits, each listed once, and what a back end allows of them.
//!
//! The traits, their enumerations, [`Call`](crate::Call) and what wraps a back end are generated from
//! these two tables.

/// Passes the table of the 18 operations to a macro, one row for each:
/// `/// docs` `EFFECT OPERATION "NAME": METHOD(REQUEST) -> RESPONSE;`.
///
/// Requests and responses are types of [`model`](crate::model).
#[macro_export]
macro_rules! with_operations {
    ($callback:ident $($context:tt)*) => {
        $callback! {
            $($context)*
            /// Creates a data store. The same client token with the same input answers with the first result.
            Writes CreateDatastore "CreateDatastore":
                create_datastore(CreateDatastoreRequest) -> CreateDatastoreResponse;
            /// Returns the properties of a data store.
            Reads GetDatastore "GetDatastore":
                get_datastore(GetDatastoreRequest) -> GetDatastoreResponse;
            /// Lists data stores, newest first.
            Reads ListDatastores "ListDatastores":
                list_datastores(ListDatastoresRequest) -> ListDatastoresResponse;
            /// Deletes an empty data store; one that holds image sets is a `Conflict`.
            Destroys DeleteDatastore "DeleteDatastore":
                delete_datastore(DeleteDatastoreRequest) -> DeleteDatastoreResponse;
            /// Starts importing every DICOM Part 10 object under a prefix.
            Writes StartDicomImportJob "StartDICOMImportJob":
                start_dicom_import_job(StartDicomImportJobRequest) -> StartDicomImportJobResponse;
            /// Returns the status of an import job.
            Reads GetDicomImportJob "GetDICOMImportJob":
                get_dicom_import_job(GetDicomImportJobRequest) -> GetDicomImportJobResponse;
            /// Lists the import jobs of a data store, newest first.
            Reads ListDicomImportJobs "ListDICOMImportJobs":
                list_dicom_import_jobs(ListDicomImportJobsRequest) -> ListDicomImportJobsResponse;
            /// Finds image sets: locked and non-primary ones too, deleted ones never.
            Reads SearchImageSets "SearchImageSets":
                search_image_sets(SearchImageSetsRequest) -> SearchImageSetsResponse;
            /// Returns the state of an image set, of its latest version unless the request names one.
            Reads GetImageSet "GetImageSet":
                get_image_set(GetImageSetRequest) -> GetImageSetResponse;
            /// Returns the metadata document of an image set: JSON, compressed with gzip.
            Reads GetImageSetMetadata "GetImageSetMetadata":
                get_image_set_metadata(GetImageSetMetadataRequest) -> GetImageSetMetadataResponse;
            /// Returns one stored frame, in the encoding it is stored in.
            Reads GetImageFrame "GetImageFrame":
                get_image_frame(GetImageFrameRequest) -> GetImageFrameResponse;
            /// Lists the versions of an image set, newest first.
            Reads ListImageSetVersions "ListImageSetVersions":
                list_image_set_versions(ListImageSetVersionsRequest) -> ListImageSetVersionsResponse;
            /// Changes the metadata of an image set, which makes a new version. An update that takes
            /// something away destroys ([`effect`](crate::model::UpdateImageSetMetadataRequest::effect)).
            Writes UpdateImageSetMetadata "UpdateImageSetMetadata":
                update_image_set_metadata(UpdateImageSetMetadataRequest) -> UpdateImageSetMetadataResponse;
            /// Copies an image set, whole or in part, to a new one or into an existing one.
            Writes CopyImageSet "CopyImageSet":
                copy_image_set(CopyImageSetRequest) -> CopyImageSetResponse;
            /// Deletes an image set with all its versions and frames.
            Destroys DeleteImageSet "DeleteImageSet":
                delete_image_set(DeleteImageSetRequest) -> DeleteImageSetResponse;
            /// Adds tags to a data store or an image set; an existing key is overwritten.
            Writes TagResource "TagResource":
                tag_resource(TagResourceRequest) -> TagResourceResponse;
            /// Removes tags; absent keys are ignored.
            Writes UntagResource "UntagResource":
                untag_resource(UntagResourceRequest) -> UntagResourceResponse;
            /// Lists the tags of a data store or an image set.
            Reads ListTagsForResource "ListTagsForResource":
                list_tags_for_resource(ListTagsForResourceRequest) -> ListTagsForResourceResponse;
        }
    };
}

/// Passes the table of the DICOMweb operations to a macro, in the rows of [`with_operations!`].
#[macro_export]
macro_rules! with_web_operations {
    ($callback:ident $($context:tt)*) => {
        $callback! {
            $($context)*
            /// Returns one instance as a Part 10 file, with all changes made since its import (WADO-RS).
            ///
            /// A transfer syntax that cannot be made is `NotAcceptable`; the stored one always can.
            Reads RetrieveInstance "RetrieveInstance":
                retrieve_instance(RetrieveInstanceRequest) -> RetrieveInstanceResponse;
            /// Returns frames of one instance (WADO-RS).
            ///
            /// A transfer syntax that cannot be made is `NotAcceptable`; the stored one always can. Frames
            /// that do not exist, or cannot be separated, are `NotFound`.
            Reads RetrieveFrames "RetrieveFrames":
                retrieve_frames(RetrieveFramesRequest) -> RetrieveFramesResponse;
            /// Returns a large value to which the metadata only refers (WADO-RS).
            Reads RetrieveBulkdata "RetrieveBulkdata":
                retrieve_bulkdata(RetrieveBulkdataRequest) -> RetrieveBulkdataResponse;
            /// Returns the attributes of one instance, without bulk data (WADO-RS metadata): a JSON array
            /// of one data set in the DICOM JSON Model.
            ///
            /// `BulkDataURI` is a path from the root, `/datastore/ID/studies/…`. So is Retrieve URL
            /// (0008,1190) of a search result.
            Reads InstanceMetadata "InstanceMetadata":
                instance_metadata(InstanceMetadataRequest) -> InstanceMetadataResponse;
            /// Returns the attributes of every instance of a series, by instance number (WADO-RS metadata):
            /// a JSON array.
            Reads SeriesMetadata "SeriesMetadata":
                series_metadata(SeriesMetadataRequest) -> SeriesMetadataResponse;
            /// Finds studies, series or instances (QIDO-RS); an unknown match key is `Validation`.
            Reads SearchDicom "Search": search(SearchDicomRequest) -> SearchDicomResponse;
            /// Stores Part 10 files (STOW-RS); each has its own outcome, and those stored are durable.
            Writes StoreInstances "StoreInstances":
                store_instances(StoreInstancesRequest) -> StoreInstancesResponse;
        }
    };
}

macro_rules! enumerate {
    (
        $trait:ident $name:ident
        $($(#[$doc:meta])* $effect:ident $operation:ident $api:literal:
            $method:ident($request:ident) -> $response:ident;)*
    ) => {
        #[doc = concat!("An operation of [`", stringify!($trait), "`](crate::", stringify!($trait), ").")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$doc])* $operation),*
        }

        impl $name {
            /// All of them, in the order of the trait.
            pub const ALL: [Self; [$($api),*].len()] = [$(Self::$operation),*];

            /// Returns the name in the API.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$operation => $api),*
                }
            }
        }
    };
}
with_operations!(enumerate HealthImaging Operation);
with_web_operations!(enumerate DicomWeb WebOperation);

/// Rate limit of an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Calls per second, sustained.
    pub per_second: f64,
    /// Calls at once after a pause.
    pub burst: u32,
}

/// Quotas of a back end.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum number of items per page.
    pub page_size: u32,
    /// Rate limit of an operation; `None` if there is none.
    pub rate: fn(Operation) -> Option<Rate>,
    /// Rate limit of each DICOMweb operation; `None` if there is none.
    pub web_rate: Option<Rate>,
    /// Maximum number of image frames per copy; `None` if there is none.
    pub copy_frames: Option<u64>,
}
