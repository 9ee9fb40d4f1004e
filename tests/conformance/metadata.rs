//! The metadata document: its shape, its levels, and the form of every kind of value.

use std::collections::BTreeSet;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use flate2::read::GzDecoder;
use healthimaging::ErrorKind;
use healthimaging::model::GetImageSetMetadataRequest;
use healthimaging_phantoms::{
    InMemDicomObject, Phantom, PrimitiveValue, Tag, TransferSyntax, VR, tags,
};
use serde_json::{Value, json};
use std::io::Read;

use crate::levels::{PATIENT, SERIES, STUDY};
use crate::rig::{Rig, refused};

fn slice() -> Phantom {
    Phantom::ct().size(16, 16)
}

/// The attributes of the only instance of a file with these changes.
async fn attributes(rig: &Rig, phantom: Phantom) -> Value {
    let (store, set) = rig.holding(phantom).await;
    rig.only_instance(&store, &set).await["DICOM"].take()
}

/// The keys of a JSON object.
fn keys(object: &Value) -> BTreeSet<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

pub(crate) async fn the_document_is_json_in_gzip(rig: &Rig) {
    let (store, set) = rig.holding(slice()).await;
    let request = GetImageSetMetadataRequest {
        datastore_id: store,
        image_set_id: set,
        version_id: None,
    };
    let found = rig.service.get_image_set_metadata(request).await.unwrap();
    assert_eq!(found.content_type, "application/json");
    assert_eq!(found.content_encoding, "gzip");
    let packed = found.image_set_metadata.collect(1 << 20).await.unwrap();
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    let mut text = String::new();
    GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.starts_with('{'));
}

pub(crate) async fn the_document_has_the_shape_of_the_service(rig: &Rig) {
    let (store, set) = rig
        .holding(
            slice()
                .study_uid("2.25.1")
                .series_uid("2.25.2")
                .sop_uid("2.25.3"),
        )
        .await;
    let document = rig.document(&store, &set).await;
    let top = [
        "SchemaVersion",
        "DatastoreID",
        "ImageSetID",
        "Patient",
        "Study",
    ];
    assert_eq!(keys(&document), BTreeSet::from(top));
    assert_eq!(document["SchemaVersion"], "1.1");
    assert_eq!(document["DatastoreID"], store.as_str());
    assert_eq!(document["ImageSetID"], set.as_str());
    assert_eq!(keys(&document["Patient"]), BTreeSet::from(["DICOM"]));
    assert_eq!(
        keys(&document["Study"]),
        BTreeSet::from(["DICOM", "Series"])
    );
    assert_eq!(document["Study"]["DICOM"]["StudyInstanceUID"], "2.25.1");
    let series = &document["Study"]["Series"]["2.25.2"];
    assert_eq!(keys(series), BTreeSet::from(["DICOM", "Instances"]));
    assert_eq!(series["DICOM"]["SeriesInstanceUID"], "2.25.2");
    let instance = &series["Instances"]["2.25.3"];
    let parts = [
        "DICOM",
        "DICOMVRs",
        "StoredTransferSyntaxUID",
        "ChecksumType",
        "ImageFrames",
    ];
    assert_eq!(keys(instance), BTreeSet::from(parts));
    assert_eq!(instance["DICOM"]["SOPInstanceUID"], "2.25.3");
    assert_eq!(instance["DICOMVRs"], json!({}));
    assert_eq!(
        instance["StoredTransferSyntaxUID"],
        "1.2.840.10008.1.2.4.202"
    );
    assert_eq!(instance["ChecksumType"], "DECOMPRESSED");
}

pub(crate) async fn every_listed_attribute_stands_at_its_level(rig: &Rig) {
    let mut phantom = slice();
    let identifying = [
        tags::PATIENT_ID,
        tags::STUDY_INSTANCE_UID,
        tags::SERIES_INSTANCE_UID,
        tags::MODALITY,
    ];
    for (tag, keyword) in PATIENT.iter().chain(&STUDY).chain(&SERIES) {
        let entry = StandardDataDictionary.by_tag(*tag).unwrap();
        assert_eq!(entry.alias(), *keyword);
        if !identifying.contains(tag) {
            phantom = match entry.vr().relaxed() {
                VR::SQ => phantom.with_sequence(*tag, Vec::new()),
                vr => phantom.with(*tag, vr, PrimitiveValue::Empty),
            };
        }
    }
    let (store, set) = rig.holding(phantom).await;
    let document = rig.document(&store, &set).await;
    let series = document["Study"]["Series"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    let levels = [
        (&document["Patient"]["DICOM"], &PATIENT[..]),
        (&document["Study"]["DICOM"], &STUDY[..]),
        (&series["DICOM"], &SERIES[..]),
    ];
    for (found, listed) in levels {
        assert_eq!(
            keys(found),
            listed.iter().map(|(_, keyword)| *keyword).collect()
        );
    }
}

pub(crate) async fn what_is_listed_nowhere_stands_at_the_instance(rig: &Rig) {
    let unlisted = [
        (
            tags::INSTANCE_CREATION_DATE,
            VR::DA,
            "20240101",
            "InstanceCreationDate",
        ),
        (
            tags::TIMEZONE_OFFSET_FROM_UTC,
            VR::SH,
            "+0100",
            "TimezoneOffsetFromUTC",
        ),
        (Tag(0x0010, 0x1000), VR::LO, "P-2", "OtherPatientIDs"),
        (tags::PATIENT_ADDRESS, VR::LO, "Nowhere", "PatientAddress"),
        (
            tags::REQUESTED_PROCEDURE_DESCRIPTION,
            VR::LO,
            "CT",
            "RequestedProcedureDescription",
        ),
        (
            tags::PERFORMED_PROCEDURE_STEP_START_DATE,
            VR::DA,
            "20240101",
            "PerformedProcedureStepStartDate",
        ),
    ];
    let phantom = unlisted
        .iter()
        .fold(slice(), |phantom, (tag, vr, value, _)| {
            phantom.with(*tag, *vr, *value)
        });
    let found = attributes(rig, phantom).await;
    for (_, _, _, keyword) in unlisted {
        assert!(found.get(keyword).is_some(), "{keyword} in {found}");
    }
    assert!(found.get("SpecificCharacterSet").is_some());
}

/// The keywords of all elements of a Part 10 file, pixel data aside, as dicom-rs reads them.
fn keywords_of(file: &[u8]) -> Vec<String> {
    let object = dicom_object::from_reader(&file[128..]).unwrap();
    let tags = object.iter().map(|element| element.header().tag);
    tags.filter(|tag| *tag != tags::PIXEL_DATA)
        .map(|tag| {
            StandardDataDictionary
                .by_tag(tag)
                .unwrap()
                .alias()
                .to_owned()
        })
        .collect()
}

pub(crate) async fn every_element_stands_at_one_level_and_none_is_invented(rig: &Rig) {
    for phantom in [
        slice(),
        Phantom::radiograph().size(16, 16),
        Phantom::report(),
    ] {
        let mut wanted = keywords_of(&phantom.clone().build());
        let (store, set) = rig.holding(phantom).await;
        let document = rig.document(&store, &set).await;
        let series = document["Study"]["Series"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap();
        let instance = crate::rig::image_sets::only_instance(&document);
        let levels = [
            &document["Patient"]["DICOM"],
            &document["Study"]["DICOM"],
            &series["DICOM"],
            &instance["DICOM"],
        ];
        let mut found: Vec<String> = levels
            .iter()
            .flat_map(|level| level.as_object().unwrap().keys().cloned())
            .filter(|keyword| !META.contains(&keyword.as_str()))
            .collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
    }
}

/// Keywords of group 0002 (PS3.10 §7.1).
const META: [&str; 7] = [
    "FileMetaInformationGroupLength",
    "FileMetaInformationVersion",
    "MediaStorageSOPClassUID",
    "MediaStorageSOPInstanceUID",
    "TransferSyntaxUID",
    "ImplementationClassUID",
    "ImplementationVersionName",
];

pub(crate) async fn file_meta_information_stands_at_the_instance(rig: &Rig) {
    let phantom = slice()
        .sop_uid("2.25.3")
        .transfer_syntax(TransferSyntax::ImplicitVrLittleEndian);
    let file = phantom.clone().build();
    let found = attributes(rig, phantom).await;
    // The value of (0002,0000), which stands first: PS3.10 §7.1.
    let length = u32::from_le_bytes(file[140..144].try_into().unwrap());
    assert_eq!(found["FileMetaInformationGroupLength"], length);
    assert_eq!(found["FileMetaInformationVersion"], "AAE=");
    assert_eq!(
        found["MediaStorageSOPClassUID"],
        "1.2.840.10008.5.1.4.1.1.2"
    );
    assert_eq!(found["MediaStorageSOPInstanceUID"], "2.25.3");
    assert_eq!(found["TransferSyntaxUID"], "1.2.840.10008.1.2");
    assert_eq!(
        found["ImplementationVersionName"]
            .as_str()
            .unwrap()
            .trim_end(),
        "PHANTOMS"
    );
}

pub(crate) async fn pixel_data_is_left_out(rig: &Rig) {
    let found = attributes(rig, slice()).await;
    assert_eq!(found.get("PixelData"), None);
}

pub(crate) async fn integers_and_floats_are_numbers(rig: &Rig) {
    let phantom = slice()
        .with(
            tags::SMALLEST_IMAGE_PIXEL_VALUE,
            VR::SS,
            PrimitiveValue::from(-7_i16),
        )
        .with(
            tags::SIMPLE_FRAME_LIST,
            VR::UL,
            PrimitiveValue::from(4_000_000_000_u32),
        )
        .with(
            tags::REFERENCE_PIXEL_X0,
            VR::SL,
            PrimitiveValue::from(-2_000_000_000_i32),
        )
        .with(
            tags::PHYSICAL_DELTA_X,
            VR::FD,
            PrimitiveValue::from(-0.079_374_999_990_686_76_f64),
        )
        .with(
            tags::PHYSICAL_DELTA_Y,
            VR::FD,
            PrimitiveValue::from(1.0_f64),
        )
        .with(
            tags::EXAMINED_BODY_THICKNESS,
            VR::FL,
            PrimitiveValue::from(0.5_f32),
        );
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
    assert_eq!(
        found["ImageComments"].as_str().unwrap().trim_end(),
        "two\r\nlines\\one value"
    );
    assert_eq!(
        found["ContentTime"].as_str().unwrap().trim_end(),
        "101500.25"
    );
    let moment = found["AcquisitionDateTime"].as_str().unwrap();
    assert_eq!(moment.trim_end(), "20240102030405.5+0100");
}

pub(crate) async fn a_name_is_text_with_its_groups(rig: &Rig) {
    let phantom = slice()
        .character_set("ISO_IR 192")
        .patient("Yamada^Tarou=山田^太郎=やまだ^たろう", "P");
    let (store, set) = rig.holding(phantom).await;
    let document = rig.document(&store, &set).await;
    let name = document["Patient"]["DICOM"]["PatientName"]
        .as_str()
        .unwrap();
    assert_eq!(name.trim_end(), "Yamada^Tarou=山田^太郎=やまだ^たろう");
}

pub(crate) async fn text_is_unicode_whatever_the_character_set(rig: &Rig) {
    let phantom = slice()
        .character_set("ISO_IR 100")
        .patient("Müller^Jürgen", "P");
    let (store, set) = rig.holding(phantom).await;
    let document = rig.document(&store, &set).await;
    let name = document["Patient"]["DICOM"]["PatientName"]
        .as_str()
        .unwrap();
    assert_eq!(name.trim_end(), "Müller^Jürgen");
    let instance = crate::rig::image_sets::only_instance(&document);
    assert_eq!(
        instance["DICOM"]["SpecificCharacterSet"],
        json!(["ISO_IR 100"])
    );
}

pub(crate) async fn an_attribute_tag_is_eight_upper_case_digits(rig: &Rig) {
    let pointed = PrimitiveValue::Tags([Tag(0x0018, 0x106a)].as_slice().into());
    let phantom = slice().with(tags::DIMENSION_INDEX_POINTER, VR::AT, pointed);
    let found = attributes(rig, phantom).await;
    assert_eq!(found["DimensionIndexPointer"], "0018106A");
}

pub(crate) async fn binary_values_are_base64(rig: &Rig) {
    let phantom = slice()
        .with(
            tags::ICC_PROFILE,
            VR::OB,
            PrimitiveValue::U8([0, 1, 2, 255].as_slice().into()),
        )
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
    let found = &crate::rig::image_sets::only_instance(&document)["DICOM"];
    assert_eq!(found["WindowCenter"], json!(["40"]));
    assert_eq!(
        found["ImageType"].to_string(),
        r#"["ORIGINAL","PRIMARY","","0015"]"#
    );
    let position = &found["ImageOrientationPatient"];
    assert_eq!(position.as_array().unwrap().len(), 6);
    let series = document["Study"]["Series"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
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
    let found = &crate::rig::image_sets::only_instance(&document)["DICOM"];
    for keyword in ["PatientOrientation", "ContentDate", "ExposureTime"] {
        assert_eq!(found.get(keyword), Some(&Value::Null), "{keyword}");
    }
    assert_eq!(
        document["Patient"]["DICOM"].get("PatientBirthDate"),
        Some(&Value::Null)
    );
}

fn item(elements: &[(Tag, VR, &str)]) -> InMemDicomObject {
    let elements = elements
        .iter()
        .map(|(tag, vr, value)| dicom_core::DataElement::new(*tag, *vr, *value));
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
    let code = json!({"CodeValue": "113040", "CodingSchemeDesignator": "DCM "});
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
    assert_eq!(found["00190010"].as_str().unwrap().trim_end(), "ACME PRIV");
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
    let nested = item(&[
        (Tag(0x0019, 0x0010), VR::LO, "ACME"),
        (Tag(0x0019, 0x1001), VR::SH, "in"),
    ]);
    let phantom = slice().with_sequence(tags::SOURCE_IMAGE_SEQUENCE, vec![nested]);
    let (store, set) = rig.holding(phantom).await;
    let instance = rig.only_instance(&store, &set).await;
    assert_eq!(
        instance["DICOM"]["SourceImageSequence"],
        json!([{"00190010": "ACME", "00191001": "in"}])
    );
    assert_eq!(
        instance["DICOMVRs"],
        json!({"00190010": "LO", "00191001": "SH"})
    );
}

pub(crate) async fn private_elements_of_implicit_files_are_unknown(rig: &Rig) {
    let phantom = slice()
        .private(0x0019, "ACME", 0x01, VR::SH, "abcd")
        .transfer_syntax(TransferSyntax::ImplicitVrLittleEndian);
    let (store, set) = rig.holding(phantom).await;
    let instance = rig.only_instance(&store, &set).await;
    assert_eq!(
        instance["DICOMVRs"],
        json!({"00190010": "LO", "00191001": "UN"})
    );
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

pub(crate) async fn the_encoding_of_a_file_does_not_show_in_its_attributes(rig: &Rig) {
    let mut documents = Vec::new();
    for syntax in [
        TransferSyntax::ExplicitVrLittleEndian,
        TransferSyntax::ImplicitVrLittleEndian,
        TransferSyntax::ExplicitVrBigEndian,
        TransferSyntax::DeflatedExplicitVrLittleEndian,
    ] {
        let (store, set) = rig.holding(slice().transfer_syntax(syntax)).await;
        let mut instance = rig.only_instance(&store, &set).await;
        assert_eq!(instance["DICOM"]["TransferSyntaxUID"], syntax.uid());
        for varying in ["TransferSyntaxUID", "FileMetaInformationGroupLength"] {
            instance["DICOM"].as_object_mut().unwrap().remove(varying);
        }
        instance["ImageFrames"][0]["ID"] = Value::Null;
        documents.push(instance);
    }
    for other in &documents[1..] {
        assert_eq!(other, &documents[0]);
    }
}

pub(crate) async fn an_unknown_image_set_or_version_has_no_metadata(rig: &Rig) {
    let (store, set) = rig.holding(slice()).await;
    let unknown = "0123456789abcdef0123456789abcdef".parse().unwrap();
    refused(
        rig.try_document(&store, &unknown, None).await,
        ErrorKind::NotFound,
    );
    for version in [0, 2, 99] {
        let answer = rig.try_document(&store, &set, Some(version.into())).await;
        refused(answer, ErrorKind::NotFound);
    }
}
