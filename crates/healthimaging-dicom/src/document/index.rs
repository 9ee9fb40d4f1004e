//! What grouping and searching look at.

use serde_json::Value;

use super::{
    Attributes, Document, GroupKey, IndexAttributes, Instance, InstanceIndex, Series, SeriesKey,
    SplitInstance, StudyKey, same,
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

    /// What searches for image sets, studies and series look at; of several series the first.
    #[must_use]
    pub fn index_attributes(&self) -> IndexAttributes {
        let none = Attributes::new();
        let series = self.series.values().next();
        let series = series.map_or(&none, |series| &series.attributes);
        let of_instances = |key| self.instances().find_map(|found| owned(&found.attributes, key));
        IndexAttributes {
            patient_id: owned(&self.patient, "PatientID"),
            issuer_of_patient_id: owned(&self.patient, "IssuerOfPatientID"),
            patient_name: owned(&self.patient, "PatientName"),
            patient_birth_date: owned(&self.patient, "PatientBirthDate"),
            patient_birth_time: owned(&self.patient, "PatientBirthTime"),
            patient_sex: owned(&self.patient, "PatientSex"),
            study_instance_uid: owned(&self.study, "StudyInstanceUID"),
            study_date: owned(&self.study, "StudyDate"),
            study_time: owned(&self.study, "StudyTime"),
            accession_number: owned(&self.study, "AccessionNumber"),
            study_id: owned(&self.study, "StudyID"),
            study_description: owned(&self.study, "StudyDescription"),
            referring_physician_name: owned(&self.study, "ReferringPhysicianName"),
            series_instance_uid: owned(series, "SeriesInstanceUID"),
            series_number: integer(series, "SeriesNumber"),
            modality: owned(series, "Modality"),
            body_part: owned(series, "BodyPartExamined"),
            series_description: owned(series, "SeriesDescription"),
            series_date: owned(series, "SeriesDate"),
            series_time: owned(series, "SeriesTime"),
            pps_start_date: of_instances("PerformedProcedureStepStartDate"),
            pps_start_time: of_instances("PerformedProcedureStepStartTime"),
            instance_count: count(self.instances().count()),
            frame_count: count(self.instances().map(|found| found.frames.len()).sum()),
        }
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

    /// An instance.
    #[must_use]
    pub fn instance(&self, series_uid: &str, sop_uid: &str) -> Option<&Instance> {
        self.series.get(series_uid)?.instances.get(sop_uid)
    }

    /// All instances, series by series.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.series.values().flat_map(Series::instances)
    }

    pub(crate) fn instances_mut(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.series.values_mut().flat_map(|series| series.instances.values_mut())
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

/// The first value as a number, whether it is stored as text (IS) or as a number (US).
pub(crate) fn integer<T: TryFrom<i64>>(attributes: &Attributes, key: &str) -> Option<T> {
    let number = match attributes.get(key)? {
        Value::Number(number) => number.as_i64()?,
        _ => text(attributes, key)?.parse().ok()?,
    };
    T::try_from(number).ok()
}

fn owned(attributes: &Attributes, key: &str) -> Option<String> {
    text(attributes, key).map(str::to_owned)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
