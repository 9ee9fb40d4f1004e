//! The metadata document: the form of every kind of value, and of private elements.

use healthimaging_phantoms::{InMemDicomObject, PrimitiveValue, Tag, TransferSyntax, VR, tags};
use serde_json::{Value, json};

use crate::metadata::{attributes, slice};
use healthimaging_testing::rig::Rig;
use healthimaging_testing::rig::image_sets::{only_instance, only_series};

pub(crate) async fn integers_and_floats_are_numbers(rig: &Rig) {
    let phantom = slice()
        .with(tags::SMALLEST_IMAGE_PIXEL_VALUE, VR::SS, PrimitiveValue::from(-7_i16))
        .with(tags::SIMPLE_FRAME_LIST, VR::UL, PrimitiveValue::from(4_000_000_000_u32))
        .with(tags::REFERENCE_PIXEL_X0, VR::SL, PrimitiveValue::from(-2_000_000_000_i32))
        .with(tags::PHYSICAL_DELTA_X, VR::FD, PrimitiveValue::from(-0.079_374_999_990_686_76_f64))
        .with(tags::PHYSICAL_DELTA_Y, VR::FD, PrimitiveValue::from(1.0_f64))
        .with(tags::EXAMINED_BODY_THICKNESS, VR::FL, PrimitiveValue::from(0.5_f32));
    let found = attributes(rig, phantom).await;
    assert_eq!(found["Rows"], 16);
    assert_eq!(found["SmallestImagePixelValue"], -7);
    assert_eq!(found["SimpleFrameList"], json!([4_000_000_000_u32]));
    assert_eq!(found["ReferencePixelX0"], -2_000_000_000);
    assert_eq!(found["PhysicalDeltaX"], -0.079_374_999_990_686_76);
    assert_eq!(found["PhysicalDeltaY"].to_string(), "1");
    assert_eq!(found["ExaminedBodyThickness"], 0.5);
}

pub(crate) async fn decimal_and_integer_strings_keep_their_padding(rig: &Rig) {
    let phantom = slice()
        .with(tags::RESCALE_SLOPE, VR::DS, "1")
        .with(tags::KVP, VR::DS, " 1.20E+2")
        .with(tags::INSTANCE_NUMBER, VR::IS, "+07");
    let found = attributes(rig, phantom).await;
    assert_eq!(found["RescaleSlope"], "1 ");
    assert_eq!(found["KVP"], " 1.20E+2");
    assert_eq!(found["InstanceNumber"], "+07 ");
}

pub(crate) async fn text_is_a_string_and_a_uid_has_no_nul(rig: &Rig) {
    let phantom = slice()
        .sop_uid("2.25.3")
        .with(tags::IMAGE_COMMENTS, VR::LT, "two\r\nlines\\one value")
        .with(tags::CONTENT_TIME, VR::TM, "101500.25")
        .with(tags::ACQUISITION_DATE_TIME, VR::DT, "20240102030405.5+0100");
    let found = attributes(rig, phantom).await;
    assert_eq!(found["SOPInstanceUID"], "2.25.3");
    assert_eq!(found["ImageComments"], "two\r\nlines\\one value");
    assert_eq!(found["ContentTime"], "101500.25");
    let moment = found["AcquisitionDateTime"].as_str().unwrap();
    assert_eq!(moment, "20240102030405.5+0100");
}

pub(crate) async fn a_name_is_text_with_its_groups(rig: &Rig) {
    let phantom =
        slice().character_set("ISO_IR 192").patient("Yamada^Tarou=山田^太郎=やまだ^たろう", "P");
    let (store, set) = rig.holding(phantom).await;
    let document = rig.document(&store, &set).await;
    let name = document["Patient"]["DICOM"]["PatientName"].as_str().unwrap();
    assert_eq!(name, "Yamada^Tarou=山田^太郎=やまだ^たろう");
}

pub(crate) async fn text_is_unicode_whatever_the_character_set(rig: &Rig) {
    let phantom = slice().character_set("ISO_IR 100").patient("Müller^Jürgen", "P");
    let (store, set) = rig.holding(phantom).await;
    let document = rig.document(&store, &set).await;
    let name = document["Patient"]["DICOM"]["PatientName"].as_str().unwrap();
    assert_eq!(name, "Müller^Jürgen");
    let instance = only_instance(&document);
    assert_eq!(instance["DICOM"]["SpecificCharacterSet"], json!(["ISO_IR 100"]));
}

pub(crate) async fn an_attribute_tag_is_eight_upper_case_digits(rig: &Rig) {
    let pointed = PrimitiveValue::Tags([Tag(0x0018, 0x106a)].as_slice().into());
    let phantom = slice().with(tags::DIMENSION_INDEX_POINTER, VR::AT, pointed);
    let found = attributes(rig, phantom).await;
    assert_eq!(found["DimensionIndexPointer"], "0018106A");
}

pub(crate) async fn binary_values_are_base64(rig: &Rig) {
    let phantom = slice()
        .with(tags::ICC_PROFILE, VR::OB, PrimitiveValue::U8([0, 1, 2, 255].as_slice().into()))
        .with(
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            VR::OW,
            PrimitiveValue::U16([0x0102, 0xfffe].as_slice().into()),
        );
    let found = attributes(rig, phantom).await;
    assert_eq!(found["ICCProfile"], "AAEC/w==");
    // Little endian, as the words stand in the file.
    assert_eq!(found["RedPaletteColorLookupTableData"], "AgH+/w==");
}

pub(crate) async fn several_values_are_an_array_even_when_there_is_one(rig: &Rig) {
    let phantom = slice()
        .with(tags::WINDOW_CENTER, VR::DS, "40")
        .with(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\\\0015")
        .with(tags::SOFTWARE_VERSIONS, VR::LO, "1.06");
    let (store, set) = rig.holding(phantom).await;
    let document = rig.document(&store, &set).await;
    let found = &only_instance(&document)["DICOM"];
    assert_eq!(found["WindowCenter"], json!(["40"]));
    assert_eq!(found["ImageType"].to_string(), r#"["ORIGINAL","PRIMARY","","0015"]"#);
    let position = &found["ImageOrientationPatient"];
    assert_eq!(position.as_array().unwrap().len(), 6);
    let series = only_series(&document);
    assert_eq!(series["DICOM"]["SoftwareVersions"], json!(["1.06"]));
}

pub(crate) async fn empty_values_are_null(rig: &Rig) {
    let phantom = slice()
        .with(tags::PATIENT_ORIENTATION, VR::CS, PrimitiveValue::Empty)
        .with(tags::CONTENT_DATE, VR::DA, PrimitiveValue::Empty)
        .with(tags::EXPOSURE_TIME, VR::IS, PrimitiveValue::Empty)
        .with(tags::PATIENT_BIRTH_DATE, VR::DA, PrimitiveValue::Empty);
    let (store, set) = rig.holding(phantom).await;
    let document = rig.document(&store, &set).await;
    let found = &only_instance(&document)["DICOM"];
    for keyword in ["PatientOrientation", "ContentDate", "ExposureTime"] {
        assert_eq!(found.get(keyword), Some(&Value::Null), "{keyword}");
    }
    assert_eq!(document["Patient"]["DICOM"].get("PatientBirthDate"), Some(&Value::Null));
}

fn item(elements: &[(Tag, VR, &str)]) -> InMemDicomObject {
    let elements =
        elements.iter().map(|(tag, vr, value)| dicom_core::DataElement::new(*tag, *vr, *value));
    InMemDicomObject::from_element_iter(elements)
}

pub(crate) async fn sequences_are_arrays_of_objects(rig: &Rig) {
    let code = item(&[
        (tags::CODE_VALUE, VR::SH, "113040"),
        (tags::CODING_SCHEME_DESIGNATOR, VR::SH, "DCM"),
    ]);
    let mut outer = item(&[(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "2.25.5")]);
    outer.put(dicom_core::DataElement::new(
        tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
        VR::SQ,
        healthimaging_phantoms::DataSetSequence::from(vec![code.clone(), code]),
    ));
    let phantom = slice().with_sequence(tags::SOURCE_IMAGE_SEQUENCE, vec![outer]);
    let found = attributes(rig, phantom).await;
    let code = json!({"CodeValue": "113040", "CodingSchemeDesignator": "DCM"});
    assert_eq!(
        found["SourceImageSequence"],
        json!([{
            "ReferencedSOPInstanceUID": "2.25.5",
            "PurposeOfReferenceCodeSequence": [code, code],
        }])
    );
}

pub(crate) async fn private_elements_have_hexadecimal_keys_and_their_vr_apart(rig: &Rig) {
    let phantom = slice()
        .private(0x0019, "ACME PRIV", 0x01, VR::DS, "97")
        .private(
            0x0019,
            "ACME PRIV",
            0x02,
            VR::UN,
            PrimitiveValue::U8([0, 1, 2, 3].as_slice().into()),
        )
        .private(0x7fdd, "OTHER", 0xab, VR::US, PrimitiveValue::from(7_u16));
    let (store, set) = rig.holding(phantom).await;
    let instance = rig.only_instance(&store, &set).await;
    let found = &instance["DICOM"];
    assert_eq!(found["00190010"], "ACME PRIV");
    assert_eq!(found["00191001"], "97");
    assert_eq!(found["00191002"], "AAECAw==");
    assert_eq!(found["7FDD10AB"], 7);
    assert_eq!(
        instance["DICOMVRs"],
        json!({
            "00190010": "LO", "00191001": "DS", "00191002": "UN",
            "7FDD0010": "LO", "7FDD10AB": "US",
        })
    );
}

pub(crate) async fn private_elements_in_items_have_their_vr_with_the_instance(rig: &Rig) {
    let nested =
        item(&[(Tag(0x0019, 0x0010), VR::LO, "ACME"), (Tag(0x0019, 0x1001), VR::SH, "in")]);
    let phantom = slice().with_sequence(tags::SOURCE_IMAGE_SEQUENCE, vec![nested]);
    let (store, set) = rig.holding(phantom).await;
    let instance = rig.only_instance(&store, &set).await;
    assert_eq!(
        instance["DICOM"]["SourceImageSequence"],
        json!([{"00190010": "ACME", "00191001": "in"}])
    );
    assert_eq!(instance["DICOMVRs"], json!({"00190010": "LO", "00191001": "SH"}));
}

pub(crate) async fn private_elements_of_implicit_files_are_unknown(rig: &Rig) {
    let phantom = slice()
        .private(0x0019, "ACME", 0x01, VR::SH, "abcd")
        .transfer_syntax(TransferSyntax::ImplicitVrLittleEndian);
    let (store, set) = rig.holding(phantom).await;
    let instance = rig.only_instance(&store, &set).await;
    assert_eq!(instance["DICOMVRs"], json!({"00190010": "LO", "00191001": "UN"}));
    assert_eq!(instance["DICOM"]["00190010"], "ACME");
    assert_eq!(instance["DICOM"]["00191001"], "YWJjZA==");
}

pub(crate) async fn a_private_value_over_1_megabyte_is_null_with_its_vr(rig: &Rig) {
    let large = PrimitiveValue::U8(vec![7; (1 << 20) + 2].into());
    let phantom = slice().private(0x0019, "ACME", 0x01, VR::OB, large);
    let (store, set) = rig.holding(phantom).await;
    let instance = rig.only_instance(&store, &set).await;
    assert_eq!(instance["DICOM"].get("00191001"), Some(&Value::Null));
    assert_eq!(instance["DICOMVRs"]["00191001"], "OB");
}
