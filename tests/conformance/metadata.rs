//! The metadata document: its shape, and the level at which each attribute stands.

use std::collections::BTreeSet;
use std::io::Read;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use flate2::read::GzDecoder;
use healthimaging::ErrorKind;
use healthimaging::model::GetImageSetMetadataRequest;
use healthimaging_phantoms::{Phantom, PrimitiveValue, Tag, TransferSyntax, VR, tags};
use serde_json::{Value, json};

use crate::levels::{PATIENT, SERIES, STUDY};
use healthimaging_testing::rig::image_sets::{only_instance, only_series};
use healthimaging_testing::rig::{Rig, refused};

pub(crate) fn slice() -> Phantom {
    Phantom::ct().size(16, 16)
}

/// The attributes of the only instance of a file with these changes.
pub(crate) async fn attributes(rig: &Rig, phantom: Phantom) -> Value {
    let (store, set) = rig.holding(phantom).await;
    rig.only_instance(&store, &set).await["DICOM"].take()
}

/// The keys of a JSON object.
fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

pub(crate) async fn the_document_is_json_in_gzip(rig: &Rig) {
    let (store, set) = rig.holding(slice()).await;
    let request =
        GetImageSetMetadataRequest { datastore_id: store, image_set_id: set, version_id: None };
    let found = rig.service.get_image_set_metadata(request).await.unwrap();
    assert_eq!(found.content_type, "application/json");
    assert_eq!(found.content_encoding, "gzip");
    let packed = found.image_set_metadata.collect(1 << 20).await.unwrap();
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    let mut text = String::new();
    GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    assert!(text.starts_with('{'));
}

pub(crate) async fn the_document_has_the_shape_of_the_service(rig: &Rig) {
    let (store, set) =
        rig.holding(slice().study_uid("2.25.1").series_uid("2.25.2").sop_uid("2.25.3")).await;
    let document = rig.document(&store, &set).await;
    let top = ["SchemaVersion", "DatastoreID", "ImageSetID", "Patient", "Study"];
    assert_eq!(keys(&document), BTreeSet::from(top));
    assert_eq!(document["SchemaVersion"], "1.1");
    assert_eq!(document["DatastoreID"], store.as_str());
    assert_eq!(document["ImageSetID"], set.as_str());
    assert_eq!(keys(&document["Patient"]), BTreeSet::from(["DICOM"]));
    assert_eq!(keys(&document["Study"]), BTreeSet::from(["DICOM", "Series"]));
    assert_eq!(document["Study"]["DICOM"]["StudyInstanceUID"], "2.25.1");
    let series = &document["Study"]["Series"]["2.25.2"];
    assert_eq!(keys(series), BTreeSet::from(["DICOM", "Instances"]));
    assert_eq!(series["DICOM"]["SeriesInstanceUID"], "2.25.2");
    let instance = &series["Instances"]["2.25.3"];
    let parts = ["DICOM", "DICOMVRs", "StoredTransferSyntaxUID", "ChecksumType", "ImageFrames"];
    assert_eq!(keys(instance), BTreeSet::from(parts));
    assert_eq!(instance["DICOM"]["SOPInstanceUID"], "2.25.3");
    assert_eq!(instance["DICOMVRs"], json!({}));
    assert_eq!(instance["StoredTransferSyntaxUID"], "1.2.840.10008.1.2.4.202");
    assert_eq!(instance["ChecksumType"], "DECOMPRESSED");
}

pub(crate) async fn every_listed_attribute_stands_at_its_level(rig: &Rig) {
    let mut phantom = slice();
    let identifying =
        [tags::PATIENT_ID, tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::MODALITY];
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
    let series = only_series(&document);
    let levels = [
        (&document["Patient"]["DICOM"], &PATIENT[..]),
        (&document["Study"]["DICOM"], &STUDY[..]),
        (&series["DICOM"], &SERIES[..]),
    ];
    for (found, listed) in levels {
        assert_eq!(keys(found), listed.iter().map(|(_, keyword)| *keyword).collect());
    }
}

pub(crate) async fn what_is_listed_nowhere_stands_at_the_instance(rig: &Rig) {
    let unlisted = [
        (tags::INSTANCE_CREATION_DATE, VR::DA, "20240101", "InstanceCreationDate"),
        (tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "+0100", "TimezoneOffsetFromUTC"),
        (Tag(0x0010, 0x1000), VR::LO, "P-2", "OtherPatientIDs"),
        (tags::PATIENT_ADDRESS, VR::LO, "Nowhere", "PatientAddress"),
        (tags::REQUESTED_PROCEDURE_DESCRIPTION, VR::LO, "CT", "RequestedProcedureDescription"),
        (
            tags::PERFORMED_PROCEDURE_STEP_START_DATE,
            VR::DA,
            "20240101",
            "PerformedProcedureStepStartDate",
        ),
    ];
    let phantom = unlisted
        .iter()
        .fold(slice(), |phantom, (tag, vr, value, _)| phantom.with(*tag, *vr, *value));
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
        .map(|tag| StandardDataDictionary.by_tag(tag).unwrap().alias().to_owned())
        .collect()
}

pub(crate) async fn every_element_stands_at_one_level_and_none_is_invented(rig: &Rig) {
    for phantom in [slice(), Phantom::radiograph().size(16, 16), Phantom::report()] {
        let mut wanted = keywords_of(&phantom.clone().build());
        let (store, set) = rig.holding(phantom).await;
        let document = rig.document(&store, &set).await;
        let series = only_series(&document);
        let instance = only_instance(&document);
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
    let phantom = slice().sop_uid("2.25.3").transfer_syntax(TransferSyntax::ImplicitVrLittleEndian);
    let file = phantom.clone().build();
    let found = attributes(rig, phantom).await;
    // The value of (0002,0000), which stands first: PS3.10 §7.1.
    let length = u32::from_le_bytes(file[140..144].try_into().unwrap());
    assert_eq!(found["FileMetaInformationGroupLength"], length);
    assert_eq!(found["FileMetaInformationVersion"], "AAE=");
    assert_eq!(found["MediaStorageSOPClassUID"], "1.2.840.10008.5.1.4.1.1.2");
    assert_eq!(found["MediaStorageSOPInstanceUID"], "2.25.3");
    assert_eq!(found["TransferSyntaxUID"], "1.2.840.10008.1.2");
    assert_eq!(found["ImplementationVersionName"].as_str().unwrap().trim_end(), "PHANTOMS");
}

pub(crate) async fn pixel_data_is_left_out(rig: &Rig) {
    let found = attributes(rig, slice()).await;
    assert_eq!(found.get("PixelData"), None);
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
    refused(rig.try_document(&store, &unknown, None).await, ErrorKind::NotFound);
    for version in [0, 2, 99] {
        let answer = rig.try_document(&store, &set, Some(version.into())).await;
        refused(answer, ErrorKind::NotFound);
    }
}
