//! One CT slice whole: every level, the order of keys, and what grouping and searching see.

use std::collections::BTreeMap;

use healthimaging::ImageFrameId;
use healthimaging_dicom::{
    ChecksumType, Document, FrameChecksum, GroupKey, ImageFrame, InstanceDetails, SeriesKey,
    StudyKey,
};

use crate::slice::{SERIES, SOP, document, json, only, split};

const GOLDEN: &str = r#"{"SchemaVersion":"1.1","DatastoreID":"0f1e2d3c4b5a69788796a5b4c3d2e1f0","ImageSetID":"a0b1c2d3e4f5061728394a5b6c7d8e9f",
 "Patient":{"DICOM":{"OtherPatientNames":["DOE^J"],"PatientBirthDate":null,"PatientID":"MRN-0042","PatientName":"DOE^JANE","PatientSex":"F"}},
 "Study":{"DICOM":{"AccessionNumber":"ACC77","PatientWeight":"61.5 ","ReferringPhysicianName":null,"StudyDate":"20260214","StudyID":"S1","StudyInstanceUID":"2.25.1001","StudyTime":"101500.000"},
  "Series":{"2.25.1001.1":{"DICOM":{"FrameOfReferenceUID":"2.25.9","Manufacturer":"ACME","Modality":"CT","SeriesInstanceUID":"2.25.1001.1","SeriesNumber":"3 ","SoftwareVersions":["v2"]},
   "Instances":{"2.25.1001.1.1":{
    "DICOM":{"FileMetaInformationGroupLength":192,"FileMetaInformationVersion":"AAE=","MediaStorageSOPClassUID":"1.2.840.10008.5.1.4.1.1.2","MediaStorageSOPInstanceUID":"2.25.1001.1.1","TransferSyntaxUID":"1.2.840.10008.1.2.1","SpecificCharacterSet":["ISO_IR 192"],"ImageType":["ORIGINAL","PRIMARY","AXIAL"],"SOPClassUID":"1.2.840.10008.5.1.4.1.1.2","SOPInstanceUID":"2.25.1001.1.1",
     "DerivationCodeSequence":[{"CodeValue":"113040","CodingSchemeDesignator":"DCM","CodeMeaning":"Lossy Compression"}],
     "00190010":"ACME PRIV","00191001":"97","00191002":"AAEC",
     "InstanceNumber":"1 ","PatientOrientation":null,"ImagePositionPatient":["0","0","-12.5"],"SamplesPerPixel":1,"PhotometricInterpretation":"MONOCHROME2","Rows":512,"Columns":512,"PixelSpacing":["0.7","0.7 "],"BitsAllocated":16,"BitsStored":12,"HighBit":11,"PixelRepresentation":0,"WindowCenter":["40"],"WindowWidth":["400 "],"RescaleIntercept":"-1024 ","RescaleSlope":"1 "},
    "DICOMVRs":{"00190010":"LO","00191001":"DS","00191002":"UN"},
    "StoredTransferSyntaxUID":"1.2.840.10008.1.2.4.202","ChecksumType":"DECOMPRESSED",
    "ImageFrames":[{"ID":"5c0ffee05c0ffee05c0ffee05c0ffee0","PixelDataChecksumFromBaseToFullResolution":[{"Width":512,"Height":512,"Checksum":3632233996}],"MinPixelValue":0,"MaxPixelValue":3071,"FrameSizeInBytes":187654}]}}}}}}"#;

fn stored() -> Document {
    let mut split = split(SOP);
    split.instance.stored_transfer_syntax = Some("1.2.840.10008.1.2.4.202".to_owned());
    split.instance.checksum_type = Some(ChecksumType::Decompressed);
    split.instance.frames.push(ImageFrame {
        id: ImageFrameId::try_from("5c0ffee05c0ffee05c0ffee05c0ffee0").unwrap(),
        checksums: vec![FrameChecksum { width: 512, height: 512, checksum: 3_632_233_996 }],
        min: Some(0),
        max: Some(3071),
        size: 187_654,
    });
    let mut document = Document::default();
    document.add(split);
    document
}

#[test]
fn is_written_as_the_service_writes_it() {
    // Parsing keeps the order of keys; only the line breaks go.
    let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(json(&stored()), golden.to_string());
}

#[test]
fn is_read_back_whole() {
    let document = stored();
    let read = Document::from_json(json(&document).as_bytes(), document.details()).unwrap();
    assert_eq!(read, document);
}

#[test]
fn damage_is_told_without_a_panic() {
    let whole = json(&stored());
    for end in 0..whole.len() {
        let cut = whole.get(..end).unwrap();
        assert!(Document::from_json(cut.as_bytes(), BTreeMap::new()).is_err(), "{end}");
    }
}

#[test]
fn groups_by_seven_attributes_without_padding() {
    let expected = GroupKey {
        study: StudyKey {
            study_instance_uid: "2.25.1001".to_owned(),
            patient_id: "MRN-0042".to_owned(),
            accession_number: "ACC77".to_owned(),
            study_date: "20260214".to_owned(),
            study_id: "S1".to_owned(),
        },
        series: SeriesKey { series_instance_uid: SERIES.to_owned(), series_number: "3".to_owned() },
        levels: None,
    };
    assert_eq!(split(SOP).group_key(), expected);
    assert_eq!(stored().group_key(SERIES), Some(expected));
    assert_eq!(stored().group_key("2.25.7"), None);
}

#[test]
fn searches_see_trimmed_values() {
    let index = stored().index_attributes();
    assert_eq!(index.summary.get("PatientName").map(String::as_str), Some("DOE^JANE"));
    assert_eq!(index.summary.get("PatientBirthDate"), None);
    assert_eq!(index.series_number(), Some(3));
    assert_eq!(index.study_datetime(), "20260214101500.000000");
    assert!(index.values.contains(&(0x0010_0010, "doe^jane".to_owned())));
    assert!(index.values.contains(&(0x0020_0011, "3".to_owned())));
    assert_eq!((index.instance_count, index.frame_count), (1, 1));
    let instances: Vec<_> = stored().instance_index().collect();
    assert_eq!(instances.len(), 1);
    assert_eq!(instances[0].instance_number, Some(1));
    assert_eq!((instances[0].rows, instances[0].bits_allocated), (Some(512), Some(16)));
    assert_eq!(instances[0].number_of_frames, None);
}

#[test]
fn first_stored_levels_win_and_a_second_copy_replaces() {
    let mut document = document(&[SOP, "2.25.1001.1.2"]);
    let mut other = split("2.25.1001.1.3");
    other.patient.insert("PatientSex".to_owned(), "M".into());
    other.series.insert("Modality".to_owned(), "MR".into());
    document.add(other);
    assert_eq!(document.patient["PatientSex"], "F");
    assert_eq!(document.series[SERIES].attributes["Modality"], "CT");

    let mut again = split(SOP);
    again.instance.attributes.insert("InstanceNumber".to_owned(), "9".into());
    document.add(again);
    assert_eq!(document.instances().count(), 3);
    let replaced = document.instance(SERIES, SOP).unwrap();
    assert_eq!(replaced.attributes["InstanceNumber"], "9");
}

#[test]
fn instances_stand_in_the_order_of_their_numbers() {
    let mut document = Document::default();
    for (uid, number) in [("2.25.1", Some("10")), ("2.25.2", Some("9 ")), ("2.25.3", None)] {
        let mut split = split(uid);
        match number {
            Some(number) => {
                split.instance.attributes.insert("InstanceNumber".into(), number.into())
            }
            None => split.instance.attributes.remove("InstanceNumber"),
        };
        document.add(split);
    }
    let json = json(&document);
    let at = |uid: &str| json.find(&format!("\"{uid}\":{{\"DICOM\"")).unwrap();
    assert!(at("2.25.2") < at("2.25.1") && at("2.25.1") < at("2.25.3"));
    assert_eq!(only(&document).details, InstanceDetails::default());
}

#[test]
fn over_long_and_malformed_values_are_told() {
    let mut odd = split(SOP);
    assert!(odd.over_long_attributes().is_empty() && odd.malformed_uids().is_empty());
    odd.patient.insert("PatientSex".to_owned(), "F".repeat(17).into());
    odd.study.insert("StudyInstanceUID".to_owned(), "1..2".into());
    assert_eq!(odd.over_long_attributes(), [("PatientSex", 16)]);
    assert_eq!(odd.malformed_uids(), ["StudyInstanceUID"]);
}
