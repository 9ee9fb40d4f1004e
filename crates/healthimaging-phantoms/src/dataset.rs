//! Attributes of each kind of object, besides its pixels.

use dicom_core::value::DataSetSequence;
use std::borrow::Cow;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use crate::seed::uid;

type Text = (Tag, VR, &'static str);

const COMMON: &[Text] = &[
    (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
    (tags::STUDY_DATE, VR::DA, "20240115"),
    (tags::SERIES_DATE, VR::DA, "20240115"),
    (tags::STUDY_TIME, VR::TM, "093000"),
    (tags::SERIES_TIME, VR::TM, "093100"),
    (tags::ACCESSION_NUMBER, VR::SH, "ACC0001"),
    (tags::MANUFACTURER, VR::LO, "PHANTOM WORKS"),
    (tags::MANUFACTURER_MODEL_NAME, VR::LO, "SEEDED 1"),
    (tags::INSTITUTION_NAME, VR::LO, "Synthetic General"),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "REFERRER^SYNTHETIC"),
    (tags::PATIENT_NAME, VR::PN, "PHANTOM^SYNTHETIC"),
    (tags::PATIENT_ID, VR::LO, "PHANTOM-1"),
    (tags::PATIENT_BIRTH_DATE, VR::DA, "19700101"),
    (tags::PATIENT_SEX, VR::CS, "O"),
    (tags::STUDY_ID, VR::SH, "1"),
    (tags::SERIES_NUMBER, VR::IS, "1"),
    (tags::INSTANCE_NUMBER, VR::IS, "1"),
];

const CT: &[Text] = &[
    (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
    (tags::MODALITY, VR::CS, "CT"),
    (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL"),
    (tags::BODY_PART_EXAMINED, VR::CS, "CHEST"),
    (tags::STUDY_DESCRIPTION, VR::LO, "CHEST W/O CONTRAST"),
    (tags::SERIES_DESCRIPTION, VR::LO, "AX 1.0mm STD"),
    (tags::SLICE_THICKNESS, VR::DS, "1.0"),
    (tags::KVP, VR::DS, "120"),
    (tags::EXPOSURE_TIME, VR::IS, "500"),
    (tags::X_RAY_TUBE_CURRENT, VR::IS, "210"),
    (tags::CONVOLUTION_KERNEL, VR::SH, "STD"),
    (tags::PATIENT_POSITION, VR::CS, "HFS"),
    (tags::ACQUISITION_NUMBER, VR::IS, "1"),
    (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
    (tags::POSITION_REFERENCE_INDICATOR, VR::LO, ""),
    (tags::WINDOW_CENTER, VR::DS, "40"),
    (tags::WINDOW_WIDTH, VR::DS, "400"),
    (tags::RESCALE_TYPE, VR::LO, "HU"),
];

const MR: &[Text] = &[
    (tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE),
    (tags::MODALITY, VR::CS, "MR"),
    (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\M\\SE"),
    (tags::BODY_PART_EXAMINED, VR::CS, "HEAD"),
    (tags::STUDY_DESCRIPTION, VR::LO, "HEAD ROUTINE"),
    (tags::SERIES_DESCRIPTION, VR::LO, "AX T1"),
    (tags::SCANNING_SEQUENCE, VR::CS, "SE"),
    (tags::SEQUENCE_VARIANT, VR::CS, "NONE"),
    (tags::SCAN_OPTIONS, VR::CS, ""),
    (tags::MR_ACQUISITION_TYPE, VR::CS, "2D"),
    (tags::SLICE_THICKNESS, VR::DS, "5"),
    (tags::REPETITION_TIME, VR::DS, "500"),
    (tags::ECHO_TIME, VR::DS, "12"),
    (tags::ECHO_TRAIN_LENGTH, VR::IS, "1"),
    (tags::MAGNETIC_FIELD_STRENGTH, VR::DS, "1.5"),
    (tags::PATIENT_POSITION, VR::CS, "HFS"),
    (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
    (tags::POSITION_REFERENCE_INDICATOR, VR::LO, ""),
    (tags::WINDOW_CENTER, VR::DS, "420"),
    (tags::WINDOW_WIDTH, VR::DS, "850"),
];

const ULTRASOUND: &[Text] = &[
    (tags::SOP_CLASS_UID, VR::UI, uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE),
    (tags::MODALITY, VR::CS, "US"),
    (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY"),
    (tags::BODY_PART_EXAMINED, VR::CS, "HEART"),
    (tags::STUDY_DESCRIPTION, VR::LO, "ECHOCARDIOGRAM"),
    (tags::SERIES_DESCRIPTION, VR::LO, "APICAL 4 CHAMBER COLOUR"),
    (tags::FRAME_TIME, VR::DS, "40"),
    (tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00"),
];

const RADIOGRAPH: &[Text] = &[
    (tags::SOP_CLASS_UID, VR::UI, uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION),
    (tags::MODALITY, VR::CS, "DX"),
    (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY"),
    (tags::PRESENTATION_INTENT_TYPE, VR::CS, "FOR PRESENTATION"),
    (tags::BODY_PART_EXAMINED, VR::CS, "CHEST"),
    (tags::STUDY_DESCRIPTION, VR::LO, "CHEST 1 VIEW"),
    (tags::SERIES_DESCRIPTION, VR::LO, "PA"),
    (tags::VIEW_POSITION, VR::CS, "PA"),
    (tags::IMAGE_LATERALITY, VR::CS, "U"),
    (tags::IMAGER_PIXEL_SPACING, VR::DS, "0.28\\0.28"),
    (tags::PIXEL_INTENSITY_RELATIONSHIP, VR::CS, "LIN"),
    (tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00"),
    (tags::PRESENTATION_LUT_SHAPE, VR::CS, "INVERSE"),
    (tags::RESCALE_INTERCEPT, VR::DS, "0"),
    (tags::RESCALE_SLOPE, VR::DS, "1"),
    (tags::RESCALE_TYPE, VR::LO, "US"),
    (tags::WINDOW_CENTER, VR::DS, "2000"),
    (tags::WINDOW_WIDTH, VR::DS, "3600"),
];

const REPORT: &[Text] = &[
    (tags::SOP_CLASS_UID, VR::UI, uids::BASIC_TEXT_SR_STORAGE),
    (tags::MODALITY, VR::CS, "SR"),
    (tags::STUDY_DESCRIPTION, VR::LO, "CHEST W/O CONTRAST"),
    (tags::SERIES_DESCRIPTION, VR::LO, "REPORT"),
    (tags::CONTENT_DATE, VR::DA, "20240115"),
    (tags::CONTENT_TIME, VR::TM, "101500"),
    (tags::VALUE_TYPE, VR::CS, "CONTAINER"),
    (tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE"),
    (tags::COMPLETION_FLAG, VR::CS, "COMPLETE"),
    (tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED"),
];

/// A kind of object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Ct,
    Mr,
    Ultrasound,
    Radiograph,
    Report,
}

/// The attributes of a fresh object of its kind.
pub(crate) fn fresh(kind: Kind) -> InMemDicomObject {
    let own = match kind {
        Kind::Ct => CT,
        Kind::Mr => MR,
        Kind::Ultrasound => ULTRASOUND,
        Kind::Radiograph => RADIOGRAPH,
        Kind::Report => REPORT,
    };
    let texts =
        COMMON.iter().chain(own).map(|(tag, vr, value)| DataElement::new(*tag, *vr, *value));
    let mut object = InMemDicomObject::from_element_iter(texts);
    match kind {
        Kind::Ultrasound => {
            // Frame Increment Pointer names Frame Time (PS3.3 §C.7.6.6).
            let pointer = PrimitiveValue::Tags([tags::FRAME_TIME].as_slice().into());
            object.put(DataElement::new(tags::FRAME_INCREMENT_POINTER, VR::AT, pointer));
        }
        Kind::Radiograph => {
            let one = PrimitiveValue::from(1i16);
            object.put(DataElement::new(tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN, VR::SS, one));
        }
        Kind::Report => {
            object.put(sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![report_title()]));
            object.put(sequence(tags::CONTENT_SEQUENCE, vec![finding()]));
        }
        Kind::Ct | Kind::Mr => {}
    }
    object
}

/// The UIDs that `seed` gives to an object of its kind; CT and its report share the study.
pub(crate) fn identify(object: &mut InMemDicomObject, seed: u64) {
    let modality = object.element(tags::MODALITY).ok().and_then(|e| e.to_str().ok());
    let modality = modality.map(Cow::into_owned).unwrap_or_default();
    for (tag, path) in [
        (tags::STUDY_INSTANCE_UID, ["study", ""]),
        (tags::SERIES_INSTANCE_UID, ["series", modality.as_str()]),
        (tags::SOP_INSTANCE_UID, ["instance", modality.as_str()]),
        (tags::FRAME_OF_REFERENCE_UID, ["frame of reference", ""]),
    ] {
        object.put(DataElement::new(tag, VR::UI, uid(seed, &path)));
    }
}

/// A sequence element of these items.
pub(crate) fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

fn code(value: &str, scheme: &str, meaning: &str) -> InMemDicomObject {
    InMemDicomObject::from_element_iter([
        DataElement::new(tags::CODE_VALUE, VR::SH, value),
        DataElement::new(tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme),
        DataElement::new(tags::CODE_MEANING, VR::LO, meaning),
    ])
}

fn report_title() -> InMemDicomObject {
    code("18748-4", "LN", "Diagnostic imaging report")
}

fn finding() -> InMemDicomObject {
    let mut item = InMemDicomObject::from_element_iter([
        DataElement::new(tags::RELATIONSHIP_TYPE, VR::CS, "CONTAINS"),
        DataElement::new(tags::VALUE_TYPE, VR::CS, "TEXT"),
        DataElement::new(tags::TEXT_VALUE, VR::UT, "Synthetic lungs without findings."),
    ]);
    let name = code("121071", "DCM", "Finding");
    item.put(sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![name]));
    item
}
