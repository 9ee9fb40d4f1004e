//! Requests, responses and what they are made of: the shapes of the AWS API under their own names.
//!
//! Responses serialize in snake case. The documents that a caller writes (search criteria, copy
//! information) have the API's spelling, on every face.

mod datastore;
mod dicomweb;
mod image_set;
mod import;
mod search;
mod tags;

pub use datastore::{
    CreateDatastoreRequest, CreateDatastoreResponse, DatastoreProperties, DatastoreStatus,
    DatastoreSummary, DeleteDatastoreRequest, DeleteDatastoreResponse, GetDatastoreRequest,
    GetDatastoreResponse, ListDatastoresRequest, ListDatastoresResponse, LosslessStorageFormat,
};
pub use dicomweb::{
    DicomJson, FailedInstance, InstanceMetadataRequest, InstanceMetadataResponse,
    RetrieveBulkdataRequest, RetrieveBulkdataResponse, RetrieveFramesRequest,
    RetrieveFramesResponse, RetrieveInstanceRequest, RetrieveInstanceResponse, SearchDicomRequest,
    SearchDicomResponse, SearchLevel, SeriesMetadataRequest, SeriesMetadataResponse,
    StoreInstancesRequest, StoreInstancesResponse, StoredInstance, TransferSyntaxChoice,
};
pub use image_set::{
    CopiedImageSetProperties, CopyDestination, CopyImageSetInformation, CopyImageSetRequest,
    CopyImageSetResponse, CopySource, DeleteImageSetRequest, DeleteImageSetResponse, DicomCopies,
    GetImageFrameRequest, GetImageFrameResponse, GetImageSetMetadataRequest,
    GetImageSetMetadataResponse, GetImageSetRequest, GetImageSetResponse, ImageSetProperties,
    ImageSetState, ImageSetWorkflowStatus, ListImageSetVersionsRequest,
    ListImageSetVersionsResponse, MetadataUpdates, Overrides, StorageTier,
    UpdateImageSetMetadataRequest, UpdateImageSetMetadataResponse,
};
pub use import::{
    DicomImportJobProperties, DicomImportJobSummary, DicomJsonMetadataImportConfiguration,
    DicomMetadataMapping, GetDicomImportJobRequest, GetDicomImportJobResponse, ImportConfiguration,
    JobStatus, ListDicomImportJobsRequest, ListDicomImportJobsResponse, StartDicomImportJobRequest,
    StartDicomImportJobResponse,
};
pub use search::{
    DicomTags, ImageSetCount, ImageSetsMetadataSummary, Operator, SearchCriteria, SearchFilter,
    SearchImageSetsRequest, SearchImageSetsResponse, SearchValue, Sort, SortField, SortOrder,
    StudyDateAndTime,
};
pub use tags::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, TagResourceRequest,
    TagResourceResponse, UntagResourceRequest, UntagResourceResponse,
};

/// Declares an enumeration of the service, with its words in upper case on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[schemars(inline)]
        pub enum $name {
            $($(#[$item_doc])* #[serde(rename = $word)] $item),+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$item),+];

            /// Returns the word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$item => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::error::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|item| item.as_str() == text).ok_or_else(|| {
                    crate::error::Error::validation(format!(
                        "unknown value; known are {}",
                        [$($word),+].join(", "),
                    ))
                })
            }
        }
    };
}
use words;
