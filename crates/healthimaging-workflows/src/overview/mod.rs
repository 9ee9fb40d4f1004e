//! What a data store holds: counts and bytes by modality, patient, month and transfer syntax.

mod failed;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::model::{GetImageSetMetadataRequest, ImageSetsMetadataSummary};
use healthimaging::{DatastoreId, ErrorKind, HealthImaging, ImageSetId, Result, Timestamp};

use crate::document::{self, FETCHED_AT_ONCE};
use crate::find::{self, Criteria, MOST_EXAMINED, is_primary};

pub use failed::{FailedImport, FailedImports, failed_imports};

/// Image sets of which the newest and the largest are listed.
const LISTED: usize = 5;

/// Content of a data store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Overview {
    /// Image sets, primary or not.
    pub image_sets: usize,
    /// Those that are not primary.
    pub non_primary_image_sets: usize,
    /// Patient IDs; the absent one counts.
    pub patients: usize,
    /// Study Instance UIDs.
    pub studies: usize,
    /// Instances of all image sets.
    pub instances: u64,
    /// Bytes of the stored frames of the image sets that were measured; absent if none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Image sets that were measured, the newest ones: bytes and transfer syntaxes are theirs alone.
    pub image_sets_measured: usize,
    /// By Modality (0008,0060).
    pub by_modality: Vec<Group>,
    /// By Patient ID (0010,0020), the largest: by bytes if all image sets were measured, otherwise by instances.
    pub by_patient: Vec<Group>,
    /// By month of the Study Date (0008,0020), the latest.
    pub by_month: Vec<Group>,
    /// By transfer syntax of the stored frames.
    pub by_transfer_syntax: Vec<Group>,
    /// The largest of the image sets that were measured.
    pub largest: Vec<Listed>,
    /// The newest image sets.
    pub newest: Vec<Listed>,
    /// The newest image sets that are not primary.
    pub non_primary: Vec<Listed>,
}

/// Image sets that have a value in common.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Group {
    /// The value; absent where image sets have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Number of image sets.
    pub image_sets: usize,
    /// Number of instances.
    pub instances: u64,
    /// Bytes of frames of those that were measured; absent if none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// How many were measured, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_sets_measured: Option<usize>,
}

/// An image set.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Listed {
    /// ID.
    pub image_set_id: ImageSetId,
    /// Patient ID (0010,0020).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// Modality (0008,0060).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
    /// Creation time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Number of instances.
    pub instances: u64,
    /// Bytes of frames, if it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// An instance, as far as it is measured.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Measured {
    #[serde(rename = "StoredTransferSyntaxUID")]
    transfer_syntax: Option<String>,
    #[serde(rename = "ImageFrames")]
    frames: Option<Vec<Frame>>,
}

#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "FrameSizeInBytes", default)]
    bytes: Option<u64>,
}

/// Sizes of an image set: instances and bytes by transfer syntax.
pub(crate) type Sizes = BTreeMap<Option<String>, (u64, u64)>;

/// Summarizes a data store: all of its image sets are counted, and the `most` newest ones are measured by reading their
/// metadata. Lists of patients and months have at most `top` entries.
///
/// # Errors
/// `Validation` if there are more image sets than are examined.
pub async fn overview(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    top: usize,
    most: usize,
) -> Result<Overview> {
    let found = find::all(service, datastore_id, &Criteria::default(), MOST_EXAMINED).await?;
    let mut sets = found.image_sets;
    // Newest first.
    sets.reverse();
    let measured: Vec<ImageSetId> =
        sets.iter().take(most).map(|set| set.image_set_id.clone()).collect();
    let reads = measured.into_iter().map(|id| sizes(service, datastore_id, id));
    let sizes: Vec<Option<Sizes>> =
        stream::iter(reads).buffered(FETCHED_AT_ONCE).try_collect().await?;
    let mut overview = Overview {
        image_sets: sets.len(),
        non_primary_image_sets: sets.iter().filter(|set| !is_primary(set)).count(),
        image_sets_measured: sizes.iter().flatten().count(),
        ..Overview::default()
    };
    let mut groups = Groups::default();
    let mut listed = Vec::new();
    let mut sizes = sizes.into_iter();
    for set in &sets {
        let size = sizes.next().flatten();
        let bytes = size.as_ref().map(|size| size.values().map(|(_, bytes)| bytes).sum::<u64>());
        let one = Listed::of(set, bytes);
        overview.instances += one.instances;
        add(&mut overview.bytes, bytes);
        groups.add(set, &one, size.as_ref());
        listed.push((is_primary(set), one));
    }
    let Groups { modality, patient, month, transfer_syntax, study } = groups;
    (overview.patients, overview.studies) = (patient.len(), study.len());
    let is_all_measured = overview.image_sets_measured == overview.image_sets;
    let by_size = |group: &Group| {
        let bytes = group.bytes.filter(|_| is_all_measured);
        Reverse((bytes, group.instances))
    };
    overview.by_modality = sorted(modality, by_size, usize::MAX);
    overview.by_patient = sorted(patient, by_size, top);
    overview.by_month = sorted(month, |group| Reverse(group.value.clone()), top);
    overview.by_transfer_syntax = sorted(transfer_syntax, by_size, usize::MAX);
    let first = |keep: fn(bool) -> bool| {
        let kept = listed.iter().filter(move |(is_primary, _)| keep(*is_primary));
        kept.take(LISTED).map(|(_, one)| one.clone()).collect()
    };
    (overview.newest, overview.non_primary) = (first(|_| true), first(|is_primary| !is_primary));
    listed.sort_by_key(|(_, one)| Reverse(one.bytes));
    let largest = listed.into_iter().map(|(_, one)| one).filter(|one| one.bytes.is_some());
    overview.largest = largest.take(LISTED).collect();
    Ok(overview)
}

pub(crate) async fn sizes(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    image_set_id: ImageSetId,
) -> Result<Option<Sizes>> {
    let request = GetImageSetMetadataRequest {
        datastore_id: datastore_id.clone(),
        image_set_id,
        version_id: None,
    };
    let document = match document::streamed::<Measured>(service, request).await {
        Ok(document) => document,
        // Deleted during the call.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut sizes = Sizes::new();
    for instance in document.instances() {
        let (instances, bytes) = sizes.entry(instance.transfer_syntax.clone()).or_default();
        *instances += 1;
        let frames = instance.frames.iter().flatten();
        *bytes += frames.filter_map(|frame| frame.bytes).sum::<u64>();
    }
    Ok(Some(sizes))
}

type Grouped = BTreeMap<Option<String>, Group>;

#[derive(Default)]
struct Groups {
    modality: Grouped,
    patient: Grouped,
    month: Grouped,
    transfer_syntax: Grouped,
    study: Grouped,
}

impl Groups {
    fn add(&mut self, set: &ImageSetsMetadataSummary, one: &Listed, sizes: Option<&Sizes>) {
        let tags = set.dicom_tags.as_ref();
        let month = tags.and_then(|tags| tags.study_date.as_deref()).and_then(month_of);
        let study = tags.and_then(|tags| tags.study_instance_uid.clone());
        for (grouped, value) in [
            (&mut self.modality, one.modality.clone()),
            (&mut self.patient, one.patient_id.clone()),
            (&mut self.month, month),
            (&mut self.study, study),
        ] {
            count(grouped, value, one.instances, one.bytes);
        }
        for (transfer_syntax, (instances, bytes)) in sizes.into_iter().flatten() {
            count(&mut self.transfer_syntax, transfer_syntax.clone(), *instances, Some(*bytes));
        }
    }
}

fn count(grouped: &mut Grouped, value: Option<String>, instances: u64, bytes: Option<u64>) {
    let group = grouped.entry(value).or_default();
    group.image_sets += 1;
    group.instances += instances;
    add(&mut group.bytes, bytes);
    *group.image_sets_measured.get_or_insert_default() += usize::from(bytes.is_some());
}

fn add(sum: &mut Option<u64>, bytes: Option<u64>) {
    if let Some(bytes) = bytes {
        *sum.get_or_insert_default() += bytes;
    }
}

/// The groups in an order, equal ones by value.
fn sorted<K: Ord>(grouped: Grouped, order: impl Fn(&Group) -> K, most: usize) -> Vec<Group> {
    let groups = grouped.into_iter().map(|(value, group)| {
        let measured = group.image_sets_measured.filter(|measured| *measured < group.image_sets);
        Group { value, image_sets_measured: measured, ..group }
    });
    let mut groups: Vec<Group> = groups.collect();
    groups.sort_by_key(order);
    groups.truncate(most);
    groups
}

/// `YYYY-MM` of a date.
fn month_of(date: &str) -> Option<String> {
    let digits: String = date.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}-{}", digits.get(..4)?, digits.get(4..6)?))
}

impl Listed {
    fn of(set: &ImageSetsMetadataSummary, bytes: Option<u64>) -> Self {
        let tags = set.dicom_tags.as_ref();
        let text = |value: Option<&String>| {
            let text = value.map(|text| text.trim().to_owned());
            text.filter(|text| !text.is_empty())
        };
        let instances = tags.and_then(|tags| tags.number_of_study_related_instances);
        Self {
            image_set_id: set.image_set_id.clone(),
            patient_id: text(tags.and_then(|tags| tags.patient_id.as_ref())),
            modality: text(tags.and_then(|tags| tags.series_modality.as_ref())),
            created_at: set.created_at,
            instances: u64::from(instances.unwrap_or(0)),
            bytes,
        }
    }
}
