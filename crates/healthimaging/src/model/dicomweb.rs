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

/// In which transfer syntax to retrieve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferSyntaxChoice {
    /// As it is stored: `transfer-syntax=*`.
    Stored,
    /// In this one.
    Uid(Uid),
}

/// Input of `retrieve_instance`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrieveInstanceRequest {
    /// In which data store.
    pub datastore_id: DatastoreId,
    /// Of which study.
    pub study_instance_uid: Uid,
    /// Of which series.
    pub series_instance_uid: Uid,
    /// Which instance.
    pub sop_instance_uid: Uid,
    /// In this image set, primary or not; in the primary one, when absent.
    pub image_set_id: Option<ImageSetId>,
    /// In which transfer syntax.
    pub transfer_syntax: TransferSyntaxChoice,
}

/// Output of `retrieve_instance`.
#[derive(Debug)]
pub struct RetrieveInstanceResponse {
    /// The transfer syntax of the file.
    pub transfer_syntax_uid: String,
    /// The Part 10 file.
    pub instance: Body,
    /// Names the content: to the same request, the same name is the same content. Absent where the back end has none.
    pub content_name: Option<String>,
}

/// Input of `retrieve_frames`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrieveFramesRequest {
    /// In which data store.
    pub datastore_id: DatastoreId,
    /// Of which study.
    pub study_instance_uid: Uid,
    /// Of which series.
    pub series_instance_uid: Uid,
    /// Of which instance.
    pub sop_instance_uid: Uid,
    /// In this image set, primary or not; in the primary one, when absent.
    pub image_set_id: Option<ImageSetId>,
    /// Numbers of the frames, from 1, in any order, each once.
    pub frames: Vec<u32>,
    /// In which transfer syntax.
    pub transfer_syntax: TransferSyntaxChoice,
}

/// Output of `retrieve_frames`.
pub struct RetrieveFramesResponse {
    /// The transfer syntax of the frames.
    pub transfer_syntax_uid: String,
    /// The frames, in the order asked for.
    pub frames: BoxStream<'static, Result<Body>>,
    /// Names the content: to the same request, the same name is the same content. Absent where the back end has none.
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
    /// In which data store.
    pub datastore_id: DatastoreId,
    /// Of which study.
    pub study_instance_uid: Uid,
    /// Of which series.
    pub series_instance_uid: Uid,
    /// Of which instance.
    pub sop_instance_uid: Uid,
    /// In this image set, primary or not; in the primary one, when absent.
    pub image_set_id: Option<ImageSetId>,
    /// The last part of a `BulkDataURI` in the metadata.
    pub bulkdata_id: String,
}

/// Output of `retrieve_bulkdata`.
#[derive(Debug)]
pub struct RetrieveBulkdataResponse {
    /// The value as it is in a file of Explicit VR Little Endian.
    pub bulkdata: Body,
    /// Names the content: to the same request, the same name is the same content. Absent where the back end has none.
    pub content_name: Option<String>,
}

/// Input of `instance_metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceMetadataRequest {
    /// In which data store.
    pub datastore_id: DatastoreId,
    /// Of which study.
    pub study_instance_uid: Uid,
    /// Of which series.
    pub series_instance_uid: Uid,
    /// Which instance.
    pub sop_instance_uid: Uid,
    /// In this image set, primary or not; in the primary one, when absent.
    pub image_set_id: Option<ImageSetId>,
}

/// Input of `series_metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesMetadataRequest {
    /// In which data store.
    pub datastore_id: DatastoreId,
    /// Of which study.
    pub study_instance_uid: Uid,
    /// Which series.
    pub series_instance_uid: Uid,
    /// In this image set, primary or not; in the primary one, when absent.
    pub image_set_id: Option<ImageSetId>,
}

/// What to search for, and under what.
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
    /// In which data store.
    pub datastore_id: DatastoreId,
    /// What to search for.
    pub level: SearchLevel,
    /// Match keys (keyword or eight hexadecimal digits) and their values, as in a query string.
    pub filters: Vec<(String, String)>,
    /// Attributes to return beside the usual ones: keyword, eight hexadecimal digits, or `all`.
    pub include_fields: Vec<String>,
    /// Matches names by the beginnings of their words, whatever the case.
    pub fuzzy_matching: bool,
    /// Most results, 1 to 1000; 1000, when absent.
    pub limit: Option<u32>,
    /// How many results to skip.
    pub offset: u32,
}

/// Input of `store_instances`.
pub struct StoreInstancesRequest {
    /// Into which data store.
    pub datastore_id: DatastoreId,
    /// Refuses instances of other studies, when given.
    pub study_instance_uid: Option<Uid>,
    /// The Part 10 files, one after the other.
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
    /// What is stored.
    pub stored: Vec<StoredInstance>,
    /// What is not.
    pub failed: Vec<FailedInstance>,
}

/// An instance that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInstance {
    /// Place in the request, from 0.
    pub position: usize,
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Study Instance UID.
    pub study_instance_uid: String,
    /// Series Instance UID.
    pub series_instance_uid: String,
    /// Where it is.
    pub image_set_id: ImageSetId,
    /// Whether it is in the primary hierarchy.
    pub is_primary: bool,
    /// Warning reason (0008,1196), such as `0xB100`.
    pub warning_reason: Option<u16>,
}

/// An instance that is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedInstance {
    /// Place in the request, from 0.
    pub position: usize,
    /// SOP Class UID, where it could be read.
    pub sop_class_uid: Option<String>,
    /// SOP Instance UID, where it could be read.
    pub sop_instance_uid: Option<String>,
    /// Failure reason (0008,1197) of `PS3.18 Annex I.2.2`, such as `0xC000`.
    pub failure_reason: u16,
    /// What is wrong, in words without patient data.
    pub message: String,
}
