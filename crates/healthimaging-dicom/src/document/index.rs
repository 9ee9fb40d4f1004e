//! What grouping and searching look at.

use healthimaging::Matching;
use serde_json::Value;

use super::{
    Attributes, Document, GroupKey, Instance, InstanceIndex, Series, SeriesKey, SplitInstance,
    StudyKey, same,
};

impl SplitInstance {
    /// Which image set the instance belongs to.
    #[must_use]
    pub fn group_key(&self) -> GroupKey {
        group_key(&self.patient, &self.study, &self.series)
    }

    /// As [`Self::group_key`], where every attribute of the patient, study and series levels decides.
    #[must_use]
    pub fn strict_group_key(&self) -> GroupKey {
        strict(self.group_key(), [&self.patient, &self.study, &self.series])
    }
}

impl Document {
    /// Which image set the instances of a series belong to; `None` when the series is not here.
    #[must_use]
    pub fn group_key(&self, series_uid: &str) -> Option<GroupKey> {
        let series = self.series.get(series_uid)?;
        Some(group_key(&self.patient, &self.study, &series.attributes))
    }

    /// As [`Self::group_key`], where every attribute of the patient, study and series levels decides.
    #[must_use]
    pub fn strict_group_key(&self, series_uid: &str) -> Option<GroupKey> {
        let series = self.series.get(series_uid)?;
        let levels = [&self.patient, &self.study, &series.attributes];
        Some(strict(self.group_key(series_uid)?, levels))
    }

    /// What searches for instances look at, series by series.
    pub fn instance_index(&self) -> impl Iterator<Item = InstanceIndex> {
        self.series.iter().flat_map(|(series_uid, series)| {
            series
                .instances
                .iter()
                .map(|(sop_uid, instance)| instance_index(series_uid, sop_uid, instance))
        })
    }

    /// As [`Self::instance_index`], of one instance; `None` if it is not here.
    #[must_use]
    pub fn index_of_instance(&self, series_uid: &str, sop_uid: &str) -> Option<InstanceIndex> {
        let instance = self.instance(series_uid, sop_uid)?;
        Some(instance_index(series_uid, sop_uid, instance))
    }

    /// An instance.
    #[must_use]
    pub fn instance(&self, series_uid: &str, sop_uid: &str) -> Option<&Instance> {
        self.series.get(series_uid)?.instances.get(sop_uid)
    }

    /// All instances, to be changed.
    pub fn instances_mut(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.series.values_mut().flat_map(|series| series.instances.values_mut())
    }
}

impl Instance {
    /// Lengths of the frames as they are stored, in bytes.
    pub(crate) fn stored_sizes(&self) -> impl Iterator<Item = u64> {
        let header = self.details.frame_header;
        self.frames.iter().map(move |frame| frame.size.saturating_sub(header))
    }
}

impl Series {
    /// The instances, in the order of their UIDs.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }
}

fn instance_index(series_uid: &str, sop_uid: &str, instance: &Instance) -> InstanceIndex {
    let attributes = &instance.attributes;
    InstanceIndex {
        series_instance_uid: series_uid.to_owned(),
        sop_instance_uid: sop_uid.to_owned(),
        sop_class_uid: owned(attributes, "SOPClassUID"),
        instance_number: integer(attributes, "InstanceNumber"),
        rows: integer(attributes, "Rows"),
        columns: integer(attributes, "Columns"),
        bits_allocated: integer(attributes, "BitsAllocated"),
        number_of_frames: integer(attributes, "NumberOfFrames"),
        warning_reason: instance.warning_reason(),
    }
}

fn group_key(patient: &Attributes, study: &Attributes, series: &Attributes) -> GroupKey {
    let of = |attributes, key| owned(attributes, key).unwrap_or_default();
    GroupKey {
        study: StudyKey {
            study_instance_uid: of(study, "StudyInstanceUID"),
            patient_id: of(patient, "PatientID"),
            accession_number: of(study, "AccessionNumber"),
            study_date: of(study, "StudyDate"),
            study_id: of(study, "StudyID"),
        },
        series: SeriesKey {
            series_instance_uid: of(series, "SeriesInstanceUID"),
            series_number: of(series, "SeriesNumber"),
        },
        levels: None,
    }
}

fn strict(key: GroupKey, levels: [&Attributes; 3]) -> GroupKey {
    let all = levels.map(same::comparable);
    GroupKey { levels: Some(Value::from(all.to_vec()).to_string()), ..key }
}

/// Text without the padding that carries no meaning (`PS3.5 §6.2`).
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\0'])
}

/// The first value as text; `None` when there is none.
pub(crate) fn text<'a>(attributes: &'a Attributes, key: &str) -> Option<&'a str> {
    let value = match attributes.get(key)? {
        Value::Array(values) => values.first()?,
        value => value,
    };
    value.as_str().map(trimmed).filter(|text| !text.is_empty())
}

/// The first value as a whole number, whether it is stored as text (IS, `3.0` too) or as a number (US).
pub(crate) fn integer<T: TryFrom<i64>>(attributes: &Attributes, key: &str) -> Option<T> {
    let number = match attributes.get(key)? {
        Value::Number(number) => number.as_i64()?,
        _ => Matching::Number.stored(text(attributes, key)?).first()?.parse().ok()?,
    };
    T::try_from(number).ok()
}

fn owned(attributes: &Attributes, key: &str) -> Option<String> {
    text(attributes, key).map(str::to_owned)
}

/// A count, as the index has it.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
