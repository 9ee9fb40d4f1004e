//! The studies that image sets add up to, from their summaries alone.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use healthimaging::model::{DicomTags, ImageSetsMetadataSummary};

use crate::find::is_primary;

/// A study.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Study {
    /// Study Instance UID (0020,000D).
    pub study_instance_uid: String,
    /// Patient ID (0010,0020).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// Study Date (0008,0020), `YYYYMMDD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_date: Option<String>,
    /// Study Time (0008,0030).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_time: Option<String>,
    /// Study Description (0008,1030).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_description: Option<String>,
    /// Study ID (0020,0010).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_id: Option<String>,
    /// Accession Number (0008,0050).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accession_number: Option<String>,
    /// Modalities of its series.
    pub modalities: BTreeSet<String>,
    /// How many series it has.
    pub series: usize,
    /// How many image sets of it are primary.
    pub primary_image_sets: usize,
    /// How many instances those hold.
    pub primary_instances: u64,
    /// How many image sets of it are not primary.
    pub other_image_sets: usize,
    /// How many instances those hold.
    pub other_instances: u64,
}

/// The studies of image sets, newest first; those without a date come last.
pub fn studies(image_sets: &[ImageSetsMetadataSummary]) -> Vec<Study> {
    let mut by_uid: BTreeMap<&str, Vec<&ImageSetsMetadataSummary>> = BTreeMap::new();
    for set in image_sets {
        let tags = set.dicom_tags.as_ref();
        let uid = tags.and_then(|tags| tags.study_instance_uid.as_deref());
        by_uid.entry(uid.unwrap_or_default()).or_default().push(set);
    }
    let mut studies: Vec<Study> = by_uid.into_iter().map(|(uid, sets)| study(uid, sets)).collect();
    // UIDs are in order already, and a stable sort keeps them so.
    studies.sort_by(|a, b| (&b.study_date, &b.study_time).cmp(&(&a.study_date, &a.study_time)));
    studies
}

fn study(uid: &str, mut sets: Vec<&ImageSetsMetadataSummary>) -> Study {
    // What the study is called, its primary image sets know best.
    sets.sort_by_key(|set| !is_primary(set));
    let tags = || sets.iter().filter_map(|set| set.dicom_tags.as_ref());
    let first = |attribute: fn(&DicomTags) -> &Option<String>| {
        tags().find_map(|tags| attribute(tags).clone())
    };
    let uids: BTreeSet<_> = tags().map(|tags| &tags.series_instance_uid).collect();
    // A set of several series shows only one in its summary, and how many there are.
    let counts = tags().filter_map(|tags| tags.number_of_study_related_series);
    let counted = counts.max().map_or(0, |most| most as usize);
    let mut study = Study {
        study_instance_uid: uid.to_owned(),
        patient_id: first(|tags| &tags.patient_id),
        study_date: first(|tags| &tags.study_date),
        study_time: first(|tags| &tags.study_time),
        study_description: first(|tags| &tags.study_description),
        study_id: first(|tags| &tags.study_id),
        accession_number: first(|tags| &tags.accession_number),
        modalities: tags().filter_map(|tags| tags.series_modality.clone()).collect(),
        series: uids.len().max(counted),
        ..Study::default()
    };
    for set in &sets {
        let tags = set.dicom_tags.as_ref();
        let instances = tags.and_then(|tags| tags.number_of_study_related_instances);
        let (sets, total) = if is_primary(set) {
            (&mut study.primary_image_sets, &mut study.primary_instances)
        } else {
            (&mut study.other_image_sets, &mut study.other_instances)
        };
        *sets += 1;
        *total += u64::from(instances.unwrap_or(0));
    }
    study
}
