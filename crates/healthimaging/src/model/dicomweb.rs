//! DICOMweb.

use std::fmt;

use futures::stream::BoxStream;

use crate::body::Body;
use crate::error::Result;
use crate::id::{DatastoreId, ImageSetId, Uid};

/// One data set in the DICOM JSON Model (`PS3.18 Annex F`).
pub type DicomJson = serde_json::Map<String, serde_json::Value>;

/// Output of `instance_metadata`: a JSON array of one data set.
pub type InstanceMetadataResponse = Body;
/// Output of `series_metadata`: a JSON array of data sets.
pub type SeriesMetadataResponse = Body;
/// Output of `search`.
pub type SearchDicomResponse = Vec<DicomJson>;

/// Transfer syntax to retrieve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferSyntaxChoice {
    /// As it is stored: `transfer-syntax=*`.
    Stored,
    /// A named one.
    Uid(Uid),
}

/// Input of `retrieve_instance`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrieveInstanceRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Study Instance UID.
    pub study_instance_uid: Uid,
    /// Series Instance UID.
    pub series_instance_uid: Uid,
    /// SOP Instance UID.
    pub sop_instance_uid: Uid,
    /// ID of the image set, primary or not; the primary one if absent.
    pub image_set_id: Option<ImageSetId>,
    /// Transfer syntax to return.
    pub transfer_syntax: TransferSyntaxChoice,
}

/// Output of `retrieve_instance`.
#[derive(Debug)]
pub struct RetrieveInstanceResponse {
    /// The transfer syntax of the file.
    pub transfer_syntax_uid: String,
    /// The Part 10 file.
    pub instance: Body,
    /// Name of the content: responses to the same request with the same name have the same content. Absent if the back end has none.
    pub content_name: Option<String>,
}

/// Input of `retrieve_frames`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrieveFramesRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Study Instance UID.
    pub study_instance_uid: Uid,
    /// Series Instance UID.
    pub series_instance_uid: Uid,
    /// SOP Instance UID.
    pub sop_instance_uid: Uid,
    /// ID of the image set, primary or not; the primary one if absent.
    pub image_set_id: Option<ImageSetId>,
    /// Numbers of the frames, from 1, in any order, each once.
    pub frames: Vec<u32>,
    /// Transfer syntax to return.
    pub transfer_syntax: TransferSyntaxChoice,
    /// Rows and columns that are enough of a single frame in its stored transfer syntax: then the back end may return a lower
    /// resolution that has as many, in Explicit VR Little Endian.
    pub enough: Option<(u32, u32)>,
    /// Whether frame 1 stands for all pixel data where a back end has kept it as one piece.
    pub is_whole: bool,
}

/// Output of `retrieve_frames`.
pub struct RetrieveFramesResponse {
    /// The transfer syntax of the frames.
    pub transfer_syntax_uid: String,
    /// Rows and columns of the frame, if it is a lower resolution.
    pub lower_resolution: Option<(u32, u32)>,
    /// Frames, in the order of the request.
    pub frames: BoxStream<'static, Result<Body>>,
    /// Name of the content: responses to the same request with the same name have the same content. Absent if the back end has none.
    pub content_name: Option<String>,
}

impl fmt::Debug for RetrieveFramesResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetrieveFramesResponse")
            .field("transfer_syntax_uid", &self.transfer_syntax_uid)
            .finish_non_exhaustive()
    }
}

/// Input of `retrieve_bulkdata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrieveBulkdataRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Study Instance UID.
    pub study_instance_uid: Uid,
    /// Series Instance UID.
    pub series_instance_uid: Uid,
    /// SOP Instance UID.
    pub sop_instance_uid: Uid,
    /// ID of the image set, primary or not; the primary one if absent.
    pub image_set_id: Option<ImageSetId>,
    /// The last part of a `BulkDataURI` in the metadata.
    pub bulkdata_id: String,
}

/// Output of `retrieve_bulkdata`.
#[derive(Debug)]
pub struct RetrieveBulkdataResponse {
    /// Value as in a file of Explicit VR Little Endian.
    pub bulkdata: Body,
    /// Name of the content: responses to the same request with the same name have the same content. Absent if the back end has none.
    pub content_name: Option<String>,
}

/// Input of `instance_metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceMetadataRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Study Instance UID.
    pub study_instance_uid: Uid,
    /// Series Instance UID.
    pub series_instance_uid: Uid,
    /// SOP Instance UID.
    pub sop_instance_uid: Uid,
    /// ID of the image set, primary or not; the primary one if absent.
    pub image_set_id: Option<ImageSetId>,
}

/// Input of `series_metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesMetadataRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Study Instance UID.
    pub study_instance_uid: Uid,
    /// Series Instance UID.
    pub series_instance_uid: Uid,
    /// ID of the image set, primary or not; the primary one if absent.
    pub image_set_id: Option<ImageSetId>,
}

/// Level to search for, and its parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchLevel {
    /// Studies.
    Studies,
    /// Series, of one study or of all.
    Series(Option<Uid>),
    /// Instances, of one study or of all, of one series or of all.
    Instances(Option<Uid>, Option<Uid>),
}

/// Input of `search`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchDicomRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Level to search for.
    pub level: SearchLevel,
    /// Match keys (keyword or eight hexadecimal digits) and their values, as in a query string.
    pub filters: Vec<(String, String)>,
    /// Attributes to return in addition to the default ones: keyword, eight hexadecimal digits, or `all`.
    pub include_fields: Vec<String>,
    /// Matches names by prefixes of their words, case-insensitively.
    pub fuzzy_matching: bool,
    /// Maximum number of results, 1 to 1000; 1000 if absent.
    pub limit: Option<u32>,
    /// Number of results to skip.
    pub offset: u32,
}

impl SearchDicomRequest {
    /// Returns a search for everything at a level, with the default attributes.
    #[must_use]
    pub const fn all(datastore_id: DatastoreId, level: SearchLevel) -> Self {
        Self {
            datastore_id,
            level,
            filters: Vec::new(),
            include_fields: Vec::new(),
            fuzzy_matching: false,
            limit: None,
            offset: 0,
        }
    }
}

/// Input of `store_instances`.
pub struct StoreInstancesRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Refuses instances of other studies, when given.
    pub study_instance_uid: Option<Uid>,
    /// Part 10 files, one after another.
    pub instances: BoxStream<'static, Result<Body>>,
}

impl fmt::Debug for StoreInstancesRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreInstancesRequest")
            .field("datastore_id", &self.datastore_id)
            .field("study_instance_uid", &self.study_instance_uid)
            .finish_non_exhaustive()
    }
}

/// Output of `store_instances`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInstancesResponse {
    /// Stored instances.
    pub stored: Vec<StoredInstance>,
    /// Instances that were not stored.
    pub failed: Vec<FailedInstance>,
}

/// An instance that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInstance {
    /// Index in the request, from 0.
    pub position: usize,
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Study Instance UID.
    pub study_instance_uid: String,
    /// Series Instance UID.
    pub series_instance_uid: String,
    /// Location.
    pub image_set_id: ImageSetId,
    /// Whether it is in the primary hierarchy.
    pub is_primary: bool,
    /// Warning reason (0008,1196), such as `0xB100`.
    pub warning_reason: Option<u16>,
}

/// An instance that is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedInstance {
    /// Index in the request, from 0.
    pub position: usize,
    /// SOP Class UID, where it could be read.
    pub sop_class_uid: Option<String>,
    /// SOP Instance UID, where it could be read.
    pub sop_instance_uid: Option<String>,
    /// Failure reason (0008,1197) of `PS3.18 Annex I.2.2`, such as `0xC000`.
    pub failure_reason: u16,
    /// Description of the failure, without patient data.
    pub message: String,
}
