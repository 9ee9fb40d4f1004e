//! The image set metadata document: one patient, one study, its series and their instances.
//!
//! [`Document`] is its one form; what is read of each instance is its parameter.

pub(crate) mod dictionary;
pub(crate) mod implied;
pub(crate) mod index;
pub(crate) mod levels;
pub(crate) mod limits;
pub(crate) mod merge;
pub(crate) mod rebuild;
pub(crate) mod same;
pub(crate) mod split;
pub(crate) mod texts;

mod details;
mod multi_valued;
mod parts;
mod search;
mod text;
mod transport;

use std::collections::BTreeMap;

use healthimaging::ImageFrameId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use details::{BulkValue, InstanceDetails};
pub use dictionary::{allows_several_values, key_of_json};
pub use levels::Level;
pub use parts::{FirstValues, InstanceOrder};
pub use search::{IndexValues, Summary, datetime};
pub use text::{DocumentText, InstanceSummary, InstanceText};

/// Attributes of one level: keyword, or eight upper-case hexadecimal digits where there is none → value.
pub type Attributes = Map<String, Value>;

/// The metadata of an image set, as `GetImageSetMetadata` shows it, and of each instance an `I`: the whole
/// [`Instance`], its [`InstanceText`], an [`InstanceSummary`], or [`serde::de::IgnoredAny`] for its UID alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<I = Instance> {
    /// Patient level.
    pub patient: Attributes,
    /// Study level.
    pub study: Attributes,
    /// The series, by `SeriesInstanceUID`; normally one.
    pub series: BTreeMap<String, Series<I>>,
}

/// A series of a [`Document`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, bound = "I: Deserialize<'de>")]
pub struct Series<I = Instance> {
    /// Series level.
    #[serde(rename = "DICOM")]
    pub attributes: Attributes,
    /// The instances, by `SOPInstanceUID`.
    #[serde(rename = "Instances")]
    pub instances: BTreeMap<String, I>,
}

/// An instance of a [`Series`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Instance {
    /// Everything that belongs to no higher level, and of what does, the values in which the instance
    /// differs from its image set; in the order of the tags, group 0002 first.
    pub attributes: Attributes,
    /// VR of each element that has no keyword, nested ones included: tag as eight hexadecimal digits → VR.
    pub vrs: BTreeMap<String, String>,
    /// Transfer syntax in which the frames are stored; absent for instances without pixel data.
    pub stored_transfer_syntax: Option<String>,
    /// What the checksums of the frames are taken of.
    pub checksum_type: Option<ChecksumType>,
    /// The frames, in their order.
    pub frames: Vec<ImageFrame>,
    /// What the document itself cannot express.
    pub details: InstanceDetails,
}

/// What the checksum of a frame is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChecksumType {
    /// The decoded pixels: little endian, samples of a pixel side by side.
    Decompressed,
    /// The stored bytes, for frames that are kept as received.
    Compressed,
}

/// A stored frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFrame {
    /// Where `GetImageFrame` finds it.
    pub id: ImageFrameId,
    /// Checksums, from the lowest resolution to the full one.
    pub checksums: Vec<FrameChecksum>,
    /// Lowest stored value, over all samples; absent for frames that are kept as received.
    pub min: Option<i64>,
    /// Highest stored value, over all samples; absent for frames that are kept as received.
    pub max: Option<i64>,
    /// Bytes that `GetImageFrame` returns.
    pub size: u64,
}

/// Checksum of a frame at one resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameChecksum {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// CRC-32 (IEEE).
    pub checksum: u32,
}

/// An instance on its own, parted into the levels; see [`Document::new_instance`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SplitInstance {
    /// Patient level.
    pub patient: Attributes,
    /// Study level.
    pub study: Attributes,
    /// Series level.
    pub series: Attributes,
    /// Instance level.
    pub instance: Instance,
    /// `StudyInstanceUID`, without padding.
    pub study_uid: String,
    /// `SeriesInstanceUID`, without padding.
    pub series_uid: String,
    /// `SOPInstanceUID`, without padding.
    pub sop_uid: String,
    /// Values that were too large to read. The caller that stores them puts each into
    /// `instance.details.bulk_data`, under `path`, with the id of the stored bytes.
    pub bulk_data: Vec<BulkElement>,
}

/// A value that was left in the source because of its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkElement {
    /// Where the element is: tags and item numbers from the root, such as `00091010` or
    /// `00400555/0/00091010`.
    pub path: String,
    /// Its VR.
    pub vr: String,
    /// First byte, from the start of the source.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
}

/// The seven attributes that decide which image set an instance belongs to, padding trimmed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey {
    /// Study level: must agree with the other primary image sets of the study.
    pub study: StudyKey,
    /// Series level.
    pub series: SeriesKey,
    /// All other attributes of the patient, study and series levels, where they decide too
    /// ([`SplitInstance::strict_group_key`]): two keys are the same if these are.
    pub levels: Option<String>,
}

/// The study part of a [`GroupKey`]; empty and absent are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as the attributes are")]
pub struct StudyKey {
    pub study_instance_uid: String,
    pub patient_id: String,
    pub accession_number: String,
    pub study_date: String,
    pub study_id: String,
}

/// The series part of a [`GroupKey`]; empty and absent are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as the attributes are")]
pub struct SeriesKey {
    pub series_instance_uid: String,
    pub series_number: String,
}

/// What searches for image sets, studies and series look at ([`healthimaging::ATTRIBUTES`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexAttributes {
    /// What results show: the value at the level of each attribute, of several series that of the first;
    /// of attributes of the instances, the value of the first that has one.
    pub summary: Summary,
    /// What match keys are compared with: each distinct value at the level or in any instance.
    pub values: IndexValues,
    /// Instances in the image set.
    pub instance_count: u32,
    /// Stored frames in the image set.
    pub frame_count: u32,
}

/// What searches for instances look at, padding trimmed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "named as the attributes are")]
pub struct InstanceIndex {
    pub series_instance_uid: String,
    pub sop_instance_uid: String,
    pub sop_class_uid: Option<String>,
    pub instance_number: Option<i32>,
    pub rows: Option<u32>,
    pub columns: Option<u32>,
    pub bits_allocated: Option<u32>,
    pub number_of_frames: Option<u32>,
    pub warning_reason: Option<u16>,
}
