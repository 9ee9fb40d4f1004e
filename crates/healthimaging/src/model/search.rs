//! Searching image sets.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::image_set::StorageTier;
use super::words;
use crate::Timestamp;
use crate::attributes::Attribute;
use crate::id::{DatastoreId, ImageSetId, NextToken};

words! {
    /// How a filter compares.
    Operator {
        /// The same; one value.
        Equal = "EQUAL",
        /// From the first to the second value, both included.
        Between = "BETWEEN",
    }
}

words! {
    /// What results are sorted by.
    SortField {
        /// When the image set last changed.
        UpdatedAt = "updatedAt",
        /// When the image set was made.
        CreatedAt = "createdAt",
        /// When the study was made.
        StudyDateAndTime = "DICOMStudyDateAndTime",
    }
}

words! {
    /// Direction of sorting.
    SortOrder {
        /// Smallest first.
        Asc = "ASC",
        /// Largest first.
        Desc = "DESC",
    }
}

/// Input of `SearchImageSets`.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchImageSetsRequest {
    /// ID of the data store.
    pub datastore_id: DatastoreId,
    /// What to find; everything, when empty.
    pub search_criteria: SearchCriteria,
    /// Token of the page before; the first page if absent.
    pub next_token: Option<NextToken>,
    /// Page size, 1 to 50.
    pub max_results: Option<u32>,
}

/// What to find, as the API spells it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct SearchCriteria {
    /// One or two filters, both of which must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<SearchFilter>,
    /// The order; newest change first, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Sort>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct SearchFilter {
    /// One value for `EQUAL`, two of one kind for `BETWEEN`.
    pub values: Vec<SearchValue>,
    /// How to compare.
    pub operator: Operator,
}

/// The order of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub struct Sort {
    /// Direction.
    pub sort_order: SortOrder,
    /// By what.
    pub sort_field: SortField,
}

/// A value to compare with, of exactly one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum SearchValue {
    /// Patient ID (0010,0020).
    #[serde(rename = "DICOMPatientId")]
    PatientId(String),
    /// Accession Number (0008,0050).
    #[serde(rename = "DICOMAccessionNumber")]
    AccessionNumber(String),
    /// Study ID (0020,0010).
    #[serde(rename = "DICOMStudyId")]
    StudyId(String),
    /// Study Instance UID (0020,000D).
    #[serde(rename = "DICOMStudyInstanceUID")]
    StudyInstanceUid(String),
    /// Series Instance UID (0020,000E).
    #[serde(rename = "DICOMSeriesInstanceUID")]
    SeriesInstanceUid(String),
    /// When the image set was made: ISO 8601 text, or seconds since 1970.
    #[serde(rename = "createdAt")]
    CreatedAt(
        #[serde(with = "moment")]
        #[schemars(with = "String")]
        Timestamp,
    ),
    /// When the image set last changed: ISO 8601 text, or seconds since 1970.
    #[serde(rename = "updatedAt")]
    UpdatedAt(
        #[serde(with = "moment")]
        #[schemars(with = "String")]
        Timestamp,
    ),
    /// Study Date and Time (0008,0020) (0008,0030).
    #[serde(rename = "DICOMStudyDateAndTime")]
    StudyDateAndTime(StudyDateAndTime),
    /// Whether the image set belongs to the primary hierarchy.
    #[serde(rename = "isPrimary")]
    IsPrimary(bool),
}

impl SearchValue {
    /// Returns the attribute that the value is compared with, and the text; `None` for values that are no
    /// single attribute.
    #[must_use]
    pub fn attribute(&self) -> Option<(&'static Attribute, &str)> {
        let (name, text) = match self {
            Self::PatientId(text) => ("PatientID", text),
            Self::AccessionNumber(text) => ("AccessionNumber", text),
            Self::StudyId(text) => ("StudyID", text),
            Self::StudyInstanceUid(text) => ("StudyInstanceUID", text),
            Self::SeriesInstanceUid(text) => ("SeriesInstanceUID", text),
            Self::CreatedAt(_)
            | Self::UpdatedAt(_)
            | Self::StudyDateAndTime(_)
            | Self::IsPrimary(_) => return None,
        };
        Some((Attribute::named(name)?, text))
    }
}

/// Date and time of a study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct StudyDateAndTime {
    /// `YYYYMMDD`.
    #[serde(rename = "DICOMStudyDate")]
    pub study_date: String,
    /// `HHmmss.FFFFFF`; midnight, when absent.
    #[serde(rename = "DICOMStudyTime", default, skip_serializing_if = "Option::is_none")]
    pub study_time: Option<String>,
}

/// Output of `SearchImageSets`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SearchImageSetsResponse {
    /// Matches.
    pub image_sets_metadata_summaries: Vec<ImageSetsMetadataSummary>,
    /// The order that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<Sort>,
    /// Token of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<NextToken>,
}

/// Number of image sets of a data store; those being written count, deleted ones do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ImageSetCount {
    /// All of them.
    pub image_sets: u64,
    /// Those of the primary hierarchy.
    pub primary_image_sets: u64,
}

/// Summary of an image set.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ImageSetsMetadataSummary {
    /// ID.
    pub image_set_id: ImageSetId,
    /// Its latest version: a number here, a string everywhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Creation time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Time of the last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Time of the last read of its metadata or a frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_accessed_at: Option<Timestamp>,
    /// Storage tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_tier: Option<StorageTier>,
    /// Whether it belongs to the primary hierarchy, which DICOMweb shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_primary: Option<bool>,
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dicom_tags: Option<DicomTags>,
}

/// The sixteen attributes of a search result, under the API's names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(inline)]
#[expect(missing_docs, reason = "each is the DICOM attribute of that name")]
pub struct DicomTags {
    #[serde(rename = "DICOMPatientId", skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    #[serde(rename = "DICOMPatientName", skip_serializing_if = "Option::is_none")]
    pub patient_name: Option<String>,
    #[serde(rename = "DICOMPatientBirthDate", skip_serializing_if = "Option::is_none")]
    pub patient_birth_date: Option<String>,
    #[serde(rename = "DICOMPatientSex", skip_serializing_if = "Option::is_none")]
    pub patient_sex: Option<String>,
    #[serde(rename = "DICOMStudyInstanceUID", skip_serializing_if = "Option::is_none")]
    pub study_instance_uid: Option<String>,
    #[serde(rename = "DICOMStudyId", skip_serializing_if = "Option::is_none")]
    pub study_id: Option<String>,
    #[serde(rename = "DICOMStudyDescription", skip_serializing_if = "Option::is_none")]
    pub study_description: Option<String>,
    #[serde(rename = "DICOMNumberOfStudyRelatedSeries", skip_serializing_if = "Option::is_none")]
    pub number_of_study_related_series: Option<u32>,
    #[serde(
        rename = "DICOMNumberOfStudyRelatedInstances",
        skip_serializing_if = "Option::is_none"
    )]
    pub number_of_study_related_instances: Option<u32>,
    #[serde(rename = "DICOMAccessionNumber", skip_serializing_if = "Option::is_none")]
    pub accession_number: Option<String>,
    #[serde(rename = "DICOMSeriesInstanceUID", skip_serializing_if = "Option::is_none")]
    pub series_instance_uid: Option<String>,
    #[serde(rename = "DICOMSeriesModality", skip_serializing_if = "Option::is_none")]
    pub series_modality: Option<String>,
    #[serde(rename = "DICOMSeriesBodyPart", skip_serializing_if = "Option::is_none")]
    pub series_body_part: Option<String>,
    #[serde(rename = "DICOMSeriesNumber", skip_serializing_if = "Option::is_none")]
    pub series_number: Option<i32>,
    #[serde(rename = "DICOMStudyDate", skip_serializing_if = "Option::is_none")]
    pub study_date: Option<String>,
    #[serde(rename = "DICOMStudyTime", skip_serializing_if = "Option::is_none")]
    pub study_time: Option<String>,
}

/// A moment as callers write it: ISO 8601 text, or a number of seconds since 1970.
mod moment {
    use super::{DateTime, Deserialize, Deserializer, Serializer, Timestamp, Utc};
    use serde::de::Error as _;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(f64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        const WANTED: &str = "a moment such as 2026-01-31T12:00:00Z or seconds since 1970";
        let at = match Written::deserialize(from).map_err(|_| D::Error::custom(WANTED))? {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "`as` saturates, and the range is checked next"
            )]
            Written::Seconds(seconds) => {
                DateTime::<Utc>::from_timestamp_millis((seconds * 1000.0).round() as i64)
            }
            Written::Text(text) => {
                DateTime::parse_from_rfc3339(&text).ok().map(|at| at.with_timezone(&Utc))
            }
        };
        at.ok_or_else(|| D::Error::custom(WANTED))
    }
}
