//! Which attribute belongs to which level of the document.

use std::collections::HashMap;
use std::sync::LazyLock;

use dicom_core::Tag;

use super::dictionary;

use Level::{Patient, Series, Study};

/// A level of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `Patient`.
    Patient,
    /// `Study`.
    Study,
    /// A series.
    Series,
    /// An instance.
    Instance,
}

impl Level {
    /// The level of an element of the data set's root; everything not listed is the instance's.
    pub(crate) fn of(tag: Tag) -> Self {
        let number = u32::from(tag.group()) << 16 | u32::from(tag.element());
        LEVELS
            .binary_search_by_key(&number, |(known, _)| *known)
            .ok()
            .and_then(|found| LEVELS.get(found))
            .map_or(Self::Instance, |(_, level)| *level)
    }

    /// The level of a key of the document.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        static KEYS: LazyLock<HashMap<&str, Level>> = LazyLock::new(|| {
            let known = LEVELS.iter().filter_map(|(number, level)| {
                let tag = Tag((number >> 16) as u16, (number & 0xFFFF) as u16);
                Some((dictionary::keyword(tag)?, *level))
            });
            known.collect()
        });
        KEYS.get(key).copied().unwrap_or(Self::Instance)
    }

    /// The name for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Patient => "Patient",
            Study => "Study",
            Series => "Series",
            Self::Instance => "Instance",
        }
    }
}

/// The attributes that are lifted out of the instance, in the order of their tags (the developer
/// guide of AWS HealthImaging, "Metadata normalization").
const LEVELS: [(u32, Level); 140] = [
    (0x0008_0020, Study),   // StudyDate
    (0x0008_0021, Series),  // SeriesDate
    (0x0008_0030, Study),   // StudyTime
    (0x0008_0031, Series),  // SeriesTime
    (0x0008_0050, Study),   // AccessionNumber
    (0x0008_0051, Study),   // IssuerOfAccessionNumberSequence
    (0x0008_0060, Series),  // Modality
    (0x0008_0070, Series),  // Manufacturer
    (0x0008_0080, Series),  // InstitutionName
    (0x0008_0081, Series),  // InstitutionAddress
    (0x0008_0090, Study),   // ReferringPhysicianName
    (0x0008_0096, Study),   // ReferringPhysicianIdentificationSequence
    (0x0008_009C, Study),   // ConsultingPhysicianName
    (0x0008_009D, Study),   // ConsultingPhysicianIdentificationSequence
    (0x0008_1010, Series),  // StationName
    (0x0008_1030, Study),   // StudyDescription
    (0x0008_1032, Study),   // ProcedureCodeSequence
    (0x0008_103E, Series),  // SeriesDescription
    (0x0008_103F, Series),  // SeriesDescriptionCodeSequence
    (0x0008_1040, Series),  // InstitutionalDepartmentName
    (0x0008_1041, Series),  // InstitutionalDepartmentTypeCodeSequence
    (0x0008_1048, Study),   // PhysiciansOfRecord
    (0x0008_1049, Study),   // PhysiciansOfRecordIdentificationSequence
    (0x0008_1050, Series),  // PerformingPhysicianName
    (0x0008_1052, Series),  // PerformingPhysicianIdentificationSequence
    (0x0008_1060, Study),   // NameOfPhysiciansReadingStudy
    (0x0008_1062, Study),   // PhysiciansReadingStudyIdentificationSequence
    (0x0008_1070, Series),  // OperatorsName
    (0x0008_1072, Series),  // OperatorIdentificationSequence
    (0x0008_1080, Study),   // AdmittingDiagnosesDescription
    (0x0008_1084, Study),   // AdmittingDiagnosesCodeSequence
    (0x0008_1090, Series),  // ManufacturerModelName
    (0x0008_1110, Study),   // ReferencedStudySequence
    (0x0008_1111, Series),  // ReferencedPerformedProcedureStepSequence
    (0x0008_1120, Patient), // ReferencedPatientSequence
    (0x0008_1250, Series),  // RelatedSeriesSequence
    (0x0010_0010, Patient), // PatientName
    (0x0010_0020, Patient), // PatientID
    (0x0010_0021, Patient), // IssuerOfPatientID
    (0x0010_0022, Patient), // TypeOfPatientID
    (0x0010_0024, Patient), // IssuerOfPatientIDQualifiersSequence
    (0x0010_0026, Patient), // SourcePatientGroupIdentificationSequence
    (0x0010_0027, Patient), // GroupOfPatientsIdentificationSequence
    (0x0010_0030, Patient), // PatientBirthDate
    (0x0010_0032, Patient), // PatientBirthTime
    (0x0010_0033, Patient), // PatientBirthDateInAlternativeCalendar
    (0x0010_0034, Patient), // PatientDeathDateInAlternativeCalendar
    (0x0010_0035, Patient), // PatientAlternativeCalendar
    (0x0010_0040, Patient), // PatientSex
    (0x0010_0200, Patient), // QualityControlSubject
    (0x0010_0212, Patient), // StrainDescription
    (0x0010_0213, Patient), // StrainNomenclature
    (0x0010_0216, Patient), // StrainStockSequence
    (0x0010_0218, Patient), // StrainAdditionalInformation
    (0x0010_0219, Patient), // StrainCodeSequence
    (0x0010_0221, Patient), // GeneticModificationsSequence
    (0x0010_1001, Patient), // OtherPatientNames
    (0x0010_1002, Patient), // OtherPatientIDsSequence
    (0x0010_1010, Study),   // PatientAge
    (0x0010_1020, Study),   // PatientSize
    (0x0010_1021, Study),   // PatientSizeCodeSequence
    (0x0010_1022, Study),   // PatientBodyMassIndex
    (0x0010_1023, Study),   // MeasuredAPDimension
    (0x0010_1024, Study),   // MeasuredLateralDimension
    (0x0010_1030, Study),   // PatientWeight
    (0x0010_1100, Patient), // ReferencedPatientPhotoSequence
    (0x0010_2000, Study),   // MedicalAlerts
    (0x0010_2110, Study),   // Allergies
    (0x0010_2160, Patient), // EthnicGroup
    (0x0010_2180, Study),   // Occupation
    (0x0010_21A0, Study),   // SmokingStatus
    (0x0010_21B0, Study),   // AdditionalPatientHistory
    (0x0010_21C0, Study),   // PregnancyStatus
    (0x0010_21D0, Study),   // LastMenstrualDate
    (0x0010_2201, Patient), // PatientSpeciesDescription
    (0x0010_2202, Patient), // PatientSpeciesCodeSequence
    (0x0010_2203, Study),   // PatientSexNeutered
    (0x0010_2210, Series),  // AnatomicalOrientationType
    (0x0010_2292, Patient), // PatientBreedDescription
    (0x0010_2293, Patient), // PatientBreedCodeSequence
    (0x0010_2294, Patient), // BreedRegistrationSequence
    (0x0010_2297, Patient), // ResponsiblePerson
    (0x0010_2298, Patient), // ResponsiblePersonRole
    (0x0010_2299, Patient), // ResponsibleOrganization
    (0x0010_4000, Patient), // PatientComments
    (0x0012_0010, Patient), // ClinicalTrialSponsorName
    (0x0012_0020, Patient), // ClinicalTrialProtocolID
    (0x0012_0021, Patient), // ClinicalTrialProtocolName
    (0x0012_0030, Patient), // ClinicalTrialSiteID
    (0x0012_0031, Patient), // ClinicalTrialSiteName
    (0x0012_0040, Patient), // ClinicalTrialSubjectID
    (0x0012_0042, Patient), // ClinicalTrialSubjectReadingID
    (0x0012_0050, Study),   // ClinicalTrialTimePointID
    (0x0012_0051, Study),   // ClinicalTrialTimePointDescription
    (0x0012_0052, Study),   // LongitudinalTemporalOffsetFromEvent
    (0x0012_0053, Study),   // LongitudinalTemporalEventType
    (0x0012_0060, Series),  // ClinicalTrialCoordinatingCenterName
    (0x0012_0062, Patient), // PatientIdentityRemoved
    (0x0012_0063, Patient), // DeidentificationMethod
    (0x0012_0064, Patient), // DeidentificationMethodCodeSequence
    (0x0012_0071, Series),  // ClinicalTrialSeriesID
    (0x0012_0072, Series),  // ClinicalTrialSeriesDescription
    (0x0012_0081, Patient), // ClinicalTrialProtocolEthicsCommitteeName
    (0x0012_0082, Patient), // ClinicalTrialProtocolEthicsCommitteeApprovalNumber
    (0x0012_0083, Study),   // ConsentForClinicalTrialUseSequence
    (0x0018_0015, Series),  // BodyPartExamined
    (0x0018_1000, Series),  // DeviceSerialNumber
    (0x0018_1002, Series),  // DeviceUID
    (0x0018_1008, Series),  // GantryID
    (0x0018_100A, Series),  // UDISequence
    (0x0018_100B, Series),  // ManufacturerDeviceClassUID
    (0x0018_1020, Series),  // SoftwareVersions
    (0x0018_1030, Series),  // ProtocolName
    (0x0018_1050, Series),  // SpatialResolution
    (0x0018_1200, Series),  // DateOfLastCalibration
    (0x0018_1201, Series),  // TimeOfLastCalibration
    (0x0018_5100, Series),  // PatientPosition
    (0x0020_000D, Study),   // StudyInstanceUID
    (0x0020_000E, Series),  // SeriesInstanceUID
    (0x0020_0010, Study),   // StudyID
    (0x0020_0011, Series),  // SeriesNumber
    (0x0020_0052, Series),  // FrameOfReferenceUID
    (0x0020_0060, Series),  // Laterality
    (0x0020_1040, Series),  // PositionReferenceIndicator
    (0x0028_0108, Series),  // SmallestPixelValueInSeries
    (0x0028_0109, Series),  // LargestPixelValueInSeries
    (0x0028_0120, Series),  // PixelPaddingValue
    (0x0032_1033, Study),   // RequestingService
    (0x0032_1034, Study),   // RequestingServiceCodeSequence
    (0x0032_1066, Study),   // ReasonForVisit
    (0x0032_1067, Study),   // ReasonForVisitCodeSequence
    (0x0038_0010, Study),   // AdmissionID
    (0x0038_0014, Study),   // IssuerOfAdmissionIDSequence
    (0x0038_0060, Study),   // ServiceEpisodeID
    (0x0038_0062, Study),   // ServiceEpisodeDescription
    (0x0038_0064, Study),   // IssuerOfServiceEpisodeIDSequence
    (0x0038_0500, Study),   // PatientState
    (0x0040_0275, Series),  // RequestAttributesSequence
    (0x0040_1012, Study),   // ReasonForPerformedProcedureCodeSequence
    (0x300A_0700, Series),  // TreatmentSessionUID
];
