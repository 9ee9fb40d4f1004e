//! The attributes that searches know: where they are in the catalogue, and how they match.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

/// The level that an attribute belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Patient and study.
    Study,
    /// Series.
    Series,
    /// Instance.
    Instance,
}

/// How a value is compared (`PS3.4 §C.2.2.2`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matching {
    /// Single value or wildcards.
    Text,
    /// Single value or wildcards, whatever the case; fuzzy on request.
    Name,
    /// Single value or a list.
    Uid,
    /// Single value or a range.
    DateOrTime,
    /// A whole number.
    Number,
    /// A whole number; `*` for any.
    Warning,
    /// Any series of the study has it.
    ModalitiesInStudy,
    /// Only returned, never matched.
    None,
}

/// An attribute of the catalogue.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) tag: Tag,
    pub(super) keyword: &'static str,
    pub(super) vr: VR,
    pub(super) level: Level,
    /// Column, with its table.
    pub(super) column: &'static str,
    pub(super) matching: Matching,
}

const fn key(
    (tag, keyword, vr): (Tag, &'static str, VR),
    level: Level,
    column: &'static str,
    matching: Matching,
) -> Key {
    Key { tag, keyword, vr, level, column, matching }
}

/// Every attribute that can be matched, and those of `PS3.18 Tables 10.6.3-3` to `-5` that are stored.
pub(super) const KEYS: &[Key] = &[
    key(
        (tags::STUDY_DATE, "StudyDate", VR::DA),
        Level::Study,
        "image_set.study_date",
        Matching::DateOrTime,
    ),
    key(
        (tags::STUDY_TIME, "StudyTime", VR::TM),
        Level::Study,
        "image_set.study_time",
        Matching::DateOrTime,
    ),
    key(
        (tags::ACCESSION_NUMBER, "AccessionNumber", VR::SH),
        Level::Study,
        "image_set.accession_number",
        Matching::Text,
    ),
    key(
        (tags::MODALITIES_IN_STUDY, "ModalitiesInStudy", VR::CS),
        Level::Study,
        "image_set.modality",
        Matching::ModalitiesInStudy,
    ),
    key(
        (tags::REFERRING_PHYSICIAN_NAME, "ReferringPhysicianName", VR::PN),
        Level::Study,
        "image_set.referring_physician_name",
        Matching::Name,
    ),
    key(
        (tags::STUDY_DESCRIPTION, "StudyDescription", VR::LO),
        Level::Study,
        "image_set.study_description",
        Matching::Text,
    ),
    key(
        (tags::PATIENT_NAME, "PatientName", VR::PN),
        Level::Study,
        "image_set.patient_name",
        Matching::Name,
    ),
    key(
        (tags::PATIENT_ID, "PatientID", VR::LO),
        Level::Study,
        "image_set.patient_id",
        Matching::Text,
    ),
    key(
        (tags::PATIENT_BIRTH_DATE, "PatientBirthDate", VR::DA),
        Level::Study,
        "image_set.patient_birth_date",
        Matching::DateOrTime,
    ),
    key(
        (tags::PATIENT_BIRTH_TIME, "PatientBirthTime", VR::TM),
        Level::Study,
        "image_set.patient_birth_time",
        Matching::DateOrTime,
    ),
    key(
        (tags::PATIENT_SEX, "PatientSex", VR::CS),
        Level::Study,
        "image_set.patient_sex",
        Matching::None,
    ),
    key(
        (tags::STUDY_INSTANCE_UID, "StudyInstanceUID", VR::UI),
        Level::Study,
        "image_set.study_instance_uid",
        Matching::Uid,
    ),
    key((tags::STUDY_ID, "StudyID", VR::SH), Level::Study, "image_set.study_id", Matching::Text),
    key((tags::MODALITY, "Modality", VR::CS), Level::Series, "image_set.modality", Matching::Text),
    key(
        (tags::SERIES_DESCRIPTION, "SeriesDescription", VR::LO),
        Level::Series,
        "image_set.series_description",
        Matching::None,
    ),
    key(
        (tags::SERIES_INSTANCE_UID, "SeriesInstanceUID", VR::UI),
        Level::Series,
        "image_set.series_instance_uid",
        Matching::Uid,
    ),
    key(
        (tags::SERIES_NUMBER, "SeriesNumber", VR::IS),
        Level::Series,
        "image_set.series_number",
        Matching::Number,
    ),
    key(
        (tags::PERFORMED_PROCEDURE_STEP_START_DATE, "PerformedProcedureStepStartDate", VR::DA),
        Level::Series,
        "image_set.pps_start_date",
        Matching::DateOrTime,
    ),
    key(
        (tags::PERFORMED_PROCEDURE_STEP_START_TIME, "PerformedProcedureStepStartTime", VR::TM),
        Level::Series,
        "image_set.pps_start_time",
        Matching::DateOrTime,
    ),
    key(
        (tags::SOP_CLASS_UID, "SOPClassUID", VR::UI),
        Level::Instance,
        "instance.sop_class_uid",
        Matching::Uid,
    ),
    key(
        (tags::SOP_INSTANCE_UID, "SOPInstanceUID", VR::UI),
        Level::Instance,
        "instance.sop_instance_uid",
        Matching::Uid,
    ),
    key(
        (tags::WARNING_REASON, "WarningReason", VR::US),
        Level::Instance,
        "instance.warning_reason",
        Matching::Warning,
    ),
    key(
        (tags::INSTANCE_NUMBER, "InstanceNumber", VR::IS),
        Level::Instance,
        "instance.instance_number",
        Matching::None,
    ),
    key((tags::ROWS, "Rows", VR::US), Level::Instance, "instance.rows", Matching::None),
    key((tags::COLUMNS, "Columns", VR::US), Level::Instance, "instance.columns", Matching::None),
    key(
        (tags::BITS_ALLOCATED, "BitsAllocated", VR::US),
        Level::Instance,
        "instance.bits_allocated",
        Matching::None,
    ),
    key(
        (tags::NUMBER_OF_FRAMES, "NumberOfFrames", VR::IS),
        Level::Instance,
        "instance.number_of_frames",
        Matching::None,
    ),
];

/// The attribute that a caller names by keyword or by eight hexadecimal digits.
pub(super) fn named(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.keyword == name || hex(key.tag).eq_ignore_ascii_case(name))
}

/// A tag as DICOM JSON writes it.
pub(super) fn hex(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.group(), tag.element())
}
