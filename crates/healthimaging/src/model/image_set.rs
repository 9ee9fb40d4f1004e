//! Image sets: state, metadata, frames, versions, change, copy, deletion.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words;
use crate::Timestamp;
use crate::body::Body;
use crate::id::{DatastoreId, ImageFrameId, ImageSetId, NextToken, ResourceArn, VersionId};

words! {
    /// State of an image set.
    ImageSetState {
        /// Ready.
        Active = "ACTIVE",
        /// A write is under way; reads work, other writes are refused.
        Locked = "LOCKED",
        /// Deleted.
        Deleted = "DELETED",
    }
}

words! {
    /// Status of the last write to an image set.
    #[expect(missing_docs, reason = "the words say it")]
    ImageSetWorkflowStatus {
        Created = "CREATED",
        Copied = "COPIED",
        Copying = "COPYING",
        CopyingWithReadOnlyAccess = "COPYING_WITH_READ_ONLY_ACCESS",
        CopyFailed = "COPY_FAILED",
        Updating = "UPDATING",
        UpdatingForStudyConsistency = "UPDATING_FOR_STUDY_CONSISTENCY",
        Updated = "UPDATED",
        UpdateFailed = "UPDATE_FAILED",
        Deleting = "DELETING",
        Deleted = "DELETED",
        Importing = "IMPORTING",
        Imported = "IMPORTED",
        ImportFailed = "IMPORT_FAILED",
    }
}

words! {
    /// Storage tier of an image set.
    StorageTier {
        /// Read in the last 30 days.
        FrequentAccess = "FREQUENT_ACCESS",
        /// Not read for 30 days; reads stay instant.
        ArchiveInstantAccess = "ARCHIVE_INSTANT_ACCESS",
    }
}

/// What was overridden when a version was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Overrides {
    /// The write was made with `force`.
    pub forced: bool,
}

/// Input of `GetImageSet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetImageSetRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Its ID.
    pub image_set_id: ImageSetId,
    /// Version; the latest if absent.
    pub version_id: Option<VersionId>,
}

/// Output of `GetImageSet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GetImageSetResponse {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Its properties.
    #[serde(flatten)]
    pub properties: ImageSetProperties,
    /// ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_set_arn: Option<ResourceArn>,
    /// Time of the last read of its metadata or a frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_accessed_at: Option<Timestamp>,
    /// Storage tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_tier: Option<StorageTier>,
}

/// State of a version of an image set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ImageSetProperties {
    /// ID of the image set.
    pub image_set_id: ImageSetId,
    /// Version.
    pub version_id: VersionId,
    /// State.
    pub image_set_state: ImageSetState,
    /// Status of the last write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_set_workflow_status: Option<ImageSetWorkflowStatus>,
    /// Creation time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Time of the last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Deletion time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Reason why the write that made this version failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What was overridden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
    /// Whether it belongs to the primary hierarchy, which DICOMweb shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_primary: Option<bool>,
}

/// Input of `ListImageSetVersions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListImageSetVersionsRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Its ID.
    pub image_set_id: ImageSetId,
    /// Token of the page before; the first page if absent.
    pub next_token: Option<NextToken>,
    /// Page size, 1 to 50.
    pub max_results: Option<u32>,
}

/// Output of `ListImageSetVersions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListImageSetVersionsResponse {
    /// Versions, newest first.
    pub image_set_properties_list: Vec<ImageSetProperties>,
    /// Token of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<NextToken>,
}

/// Input of `GetImageSetMetadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetImageSetMetadataRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Its ID.
    pub image_set_id: ImageSetId,
    /// Version; the latest if absent.
    pub version_id: Option<VersionId>,
}

/// Output of `GetImageSetMetadata`.
#[derive(Debug)]
pub struct GetImageSetMetadataResponse {
    /// The document: JSON, compressed with gzip. The embedded store names its content, and reads a large one when
    /// the body is read.
    pub image_set_metadata: Body,
    /// `application/json`.
    pub content_type: String,
    /// `gzip`.
    pub content_encoding: String,
}

/// Input of `GetImageFrame`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetImageFrameRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// ID of the image set.
    pub image_set_id: ImageSetId,
    /// ID of the frame.
    pub image_frame_id: ImageFrameId,
}

/// Output of `GetImageFrame`.
#[derive(Debug)]
pub struct GetImageFrameResponse {
    /// The frame as stored, such as an HTJ2K codestream.
    pub image_frame: Body,
    /// Media type of the stored encoding, such as `image/jph`.
    pub content_type: String,
}

/// Input of `UpdateImageSetMetadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateImageSetMetadataRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Its ID.
    pub image_set_id: ImageSetId,
    /// Latest version as the caller has read it; another one is a `Conflict`.
    pub latest_version_id: VersionId,
    /// Allows UIDs, sequences, private elements and the like on sets that are not primary.
    pub force: bool,
    /// Applies the update to all primary sets of the study, all or none.
    pub include_study_image_sets: bool,
    /// Changes.
    pub updates: MetadataUpdates,
}

/// Changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataUpdates {
    /// Documents in the form of the metadata document, UTF-8 JSON of 1 to 30,000 bytes each; one at least.
    DicomUpdates {
        /// Attributes, instances or series to remove.
        removable_attributes: Option<Bytes>,
        /// Attributes to set.
        updatable_attributes: Option<Bytes>,
    },
    /// Makes a new version with the content of this one.
    RevertToVersion(VersionId),
}

/// Output of `UpdateImageSetMetadata`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UpdateImageSetMetadataResponse {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Its ID.
    pub image_set_id: ImageSetId,
    /// Version that is being made.
    pub latest_version_id: VersionId,
    /// `LOCKED`.
    pub image_set_state: ImageSetState,
    /// `UPDATING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_set_workflow_status: Option<ImageSetWorkflowStatus>,
    /// Creation time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Time of the last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Information about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Input of `CopyImageSet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyImageSetRequest {
    /// ID of the data store of source and destination.
    pub datastore_id: DatastoreId,
    /// Parts to copy.
    pub source_image_set_id: ImageSetId,
    /// Version, part of it, and destination.
    pub copy_image_set_information: CopyImageSetInformation,
    /// Copies even where patient, study or series metadata disagree; the destination's values stay.
    pub force: bool,
    /// Puts the copy into the primary hierarchy.
    pub promote_to_primary: bool,
}

/// Version to copy, part of it, and destination, as the API spells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub struct CopyImageSetInformation {
    /// The source.
    pub source_image_set: CopySource,
    /// The destination; a new image set, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_image_set: Option<CopyDestination>,
}

/// The source of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub struct CopySource {
    /// Latest version as the caller has read it; another one is a `Conflict`.
    pub latest_version_id: VersionId,
    /// A part of the set; the whole of it, when absent.
    #[serde(rename = "DICOMCopies", default, skip_serializing_if = "Option::is_none")]
    pub dicom_copies: Option<DicomCopies>,
}

/// A part of an image set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub struct DicomCopies {
    /// JSON text in the form of the metadata document, naming the instances; 1 to 260,000 characters.
    pub copiable_attributes: String,
}

impl DicomCopies {
    /// Maximum length of `copiable_attributes`, in characters (`medical-imaging/2023-07-19`).
    pub const LONGEST: usize = 260_000;
}

/// The destination of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub struct CopyDestination {
    /// ID of the image set.
    pub image_set_id: ImageSetId,
    /// Latest version as the caller has read it; another one is a `Conflict`.
    pub latest_version_id: VersionId,
}

/// Output of `CopyImageSet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CopyImageSetResponse {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// The source.
    pub source_image_set_properties: CopiedImageSetProperties,
    /// The destination.
    pub destination_image_set_properties: CopiedImageSetProperties,
}

/// Source or destination of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct CopiedImageSetProperties {
    /// ID of the image set.
    pub image_set_id: ImageSetId,
    /// Its latest version.
    pub latest_version_id: VersionId,
    /// State.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_set_state: Option<ImageSetState>,
    /// Status of the write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_set_workflow_status: Option<ImageSetWorkflowStatus>,
    /// Creation time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Time of the last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_set_arn: Option<ResourceArn>,
}

/// Input of `DeleteImageSet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteImageSetRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// ID of the image set; all its versions are deleted.
    pub image_set_id: ImageSetId,
}

/// Output of `DeleteImageSet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeleteImageSetResponse {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// Its ID.
    pub image_set_id: ImageSetId,
    /// `LOCKED`; `DELETED` when it already was.
    pub image_set_state: ImageSetState,
    /// `DELETING`; `DELETED` when it already was.
    pub image_set_workflow_status: ImageSetWorkflowStatus,
}
