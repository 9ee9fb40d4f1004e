use super::{Attribute, AttributeLevel, Matching, QueryLevel};

use AttributeLevel::{Instance, Patient, Series, Study};
use Matching::{Date, Number, PersonName, Text, Time, Uid};

const fn new(
    (tag, keyword, vr): (u32, &'static str, &'static str),
    level: AttributeLevel,
    matching: Matching,
) -> Attribute {
    let query_level = match level {
        Patient | Study => QueryLevel::Study,
        Series => QueryLevel::Series,
        Instance => QueryLevel::Instance,
    };
    Attribute {
        keyword,
        tag,
        vr,
        level,
        query_level,
        matching,
        wire_name: None,
        is_key: false,
        is_returned: false,
        longest: None,
    }
}

impl Attribute {
    /// Image sets are looked up by it.
    const fn key(self) -> Self {
        Self { is_key: true, ..self }
    }

    /// Results of QIDO-RS have it by default.
    const fn returned(self) -> Self {
        Self { is_returned: true, ..self }
    }

    /// `SearchImageSets` has it under this name.
    const fn wire(self, name: &'static str) -> Self {
        Self { wire_name: Some(name), ..self }
    }

    /// The service takes at most so many characters.
    const fn up_to(self, longest: usize) -> Self {
        Self { longest: Some(longest), ..self }
    }

    /// The instances hold it, and QIDO-RS has it for series.
    const fn of_series(self) -> Self {
        Self { query_level: QueryLevel::Series, ..self }
    }
}

/// Every attribute by which image sets, studies, series and instances are found or summarized, in the
/// order of the tags.
pub const ATTRIBUTES: [Attribute; 30] = [
    new((0x0008_0016, "SOPClassUID", "UI"), Instance, Uid).returned(),
    new((0x0008_0018, "SOPInstanceUID", "UI"), Instance, Uid).up_to(256).key().returned(),
    new((0x0008_0020, "StudyDate", "DA"), Study, Date)
        .up_to(18)
        .key()
        .returned()
        .wire("DICOMStudyDate"),
    new((0x0008_0021, "SeriesDate", "DA"), Series, Date),
    new((0x0008_0030, "StudyTime", "TM"), Study, Time).up_to(28).returned().wire("DICOMStudyTime"),
    new((0x0008_0031, "SeriesTime", "TM"), Series, Time),
    new((0x0008_0050, "AccessionNumber", "SH"), Study, Text)
        .up_to(256)
        .key()
        .returned()
        .wire("DICOMAccessionNumber"),
    new((0x0008_0060, "Modality", "CS"), Series, Text).returned().wire("DICOMSeriesModality"),
    new((0x0008_0090, "ReferringPhysicianName", "PN"), Study, PersonName).returned(),
    new((0x0008_1030, "StudyDescription", "LO"), Study, Text)
        .up_to(256)
        .returned()
        .wire("DICOMStudyDescription"),
    new((0x0008_103E, "SeriesDescription", "LO"), Series, Text).returned(),
    new((0x0008_1196, "WarningReason", "US"), Instance, Number).returned(),
    new((0x0010_0010, "PatientName", "PN"), Patient, PersonName)
        .up_to(256)
        .key()
        .returned()
        .wire("DICOMPatientName"),
    new((0x0010_0020, "PatientID", "LO"), Patient, Text)
        .up_to(256)
        .key()
        .returned()
        .wire("DICOMPatientId"),
    new((0x0010_0021, "IssuerOfPatientID", "LO"), Patient, Text),
    new((0x0010_0030, "PatientBirthDate", "DA"), Patient, Date)
        .up_to(18)
        .returned()
        .wire("DICOMPatientBirthDate"),
    new((0x0010_0032, "PatientBirthTime", "TM"), Patient, Time).returned(),
    new((0x0010_0040, "PatientSex", "CS"), Patient, Text)
        .up_to(16)
        .returned()
        .wire("DICOMPatientSex"),
    new((0x0018_0015, "BodyPartExamined", "CS"), Series, Text).wire("DICOMSeriesBodyPart"),
    new((0x0020_000D, "StudyInstanceUID", "UI"), Study, Uid)
        .up_to(256)
        .key()
        .returned()
        .wire("DICOMStudyInstanceUID"),
    new((0x0020_000E, "SeriesInstanceUID", "UI"), Series, Uid)
        .up_to(256)
        .key()
        .returned()
        .wire("DICOMSeriesInstanceUID"),
    new((0x0020_0010, "StudyID", "SH"), Study, Text)
        .up_to(256)
        .key()
        .returned()
        .wire("DICOMStudyId"),
    new((0x0020_0011, "SeriesNumber", "IS"), Series, Number).returned().wire("DICOMSeriesNumber"),
    new((0x0020_0013, "InstanceNumber", "IS"), Instance, Number).returned(),
    new((0x0028_0008, "NumberOfFrames", "IS"), Instance, Number).returned(),
    new((0x0028_0010, "Rows", "US"), Instance, Number).returned(),
    new((0x0028_0011, "Columns", "US"), Instance, Number).returned(),
    new((0x0028_0100, "BitsAllocated", "US"), Instance, Number).returned(),
    new((0x0040_0244, "PerformedProcedureStepStartDate", "DA"), Instance, Date)
        .of_series()
        .returned(),
    new((0x0040_0245, "PerformedProcedureStepStartTime", "TM"), Instance, Time)
        .of_series()
        .returned(),
];
