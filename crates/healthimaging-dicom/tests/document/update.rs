//! Updates: every form of document, every restriction.

use dicom_core::VR;
use healthimaging::ErrorKind;
use healthimaging_dicom::{Document, UpdateDocuments, UpdateRules, Value};
use serde_json::{Value as Json, json};

use crate::slice::{SERIES, SOP, document, document_with, json as written, only};

pub(crate) const OTHER: &str = "2.25.1001.1.2";
const PLAIN: UpdateRules = UpdateRules { primary: false, force: false, study_wide: false };
const FORCED: UpdateRules = UpdateRules { primary: false, force: true, study_wide: false };
const PRIMARY: UpdateRules = UpdateRules { primary: true, force: false, study_wide: false };

pub(crate) fn parse(
    updatable: Option<&Json>,
    removable: Option<&Json>,
) -> Result<UpdateDocuments, ErrorKind> {
    let bytes = |json: Option<&Json>| json.map(|json| json.to_string().into_bytes());
    UpdateDocuments::parse(bytes(updatable).as_deref(), bytes(removable).as_deref())
        .map_err(|error| error.kind())
}

fn set(document: &mut Document, changes: &Json, rules: UpdateRules) -> Result<(), String> {
    let changes = parse(Some(changes), None).map_err(|kind| format!("{kind:?}"))?;
    changes.apply(document, &rules).map_err(|failure| checked(failure.message))
}

fn remove(document: &mut Document, changes: &Json, rules: UpdateRules) -> Result<(), String> {
    let changes = parse(None, Some(changes)).map_err(|kind| format!("{kind:?}"))?;
    changes.apply(document, &rules).map_err(|failure| checked(failure.message))
}

/// The characters that the service model allows in a message: words, space to colon, and a backtick.
pub(crate) fn checked(message: String) -> String {
    let allowed = |c: char| c.is_alphanumeric() || c == '_' || c == '`' || (' '..=':').contains(&c);
    assert!(!message.is_empty() && message.chars().all(allowed), "{message}");
    message
}

fn patient(key: &str, value: impl Into<Json>) -> Json {
    json!({"SchemaVersion": 1.1, "Patient": {"DICOM": {key: value.into()}}})
}

fn study(key: &str, value: impl Into<Json>) -> Json {
    json!({"SchemaVersion": 1.1, "Study": {"DICOM": {key: value.into()}}})
}

fn series(key: &str, value: impl Into<Json>) -> Json {
    json!({"SchemaVersion": 1.1, "Study": {"Series": {SERIES: {"DICOM": {key: value.into()}}}}})
}

fn instance_node(node: impl Into<Json>) -> Json {
    json!({"SchemaVersion": "1.1", "Study": {"Series": {SERIES: {"Instances": {SOP: node.into()}}}}})
}

fn instance(key: &str, value: impl Into<Json>) -> Json {
    instance_node(json!({"DICOM": {key: value.into()}}))
}

#[test]
fn sets_an_attribute_at_each_level() {
    let mut changed = document(&[SOP]);
    set(&mut changed, &patient("PatientName", "MX^MX"), PLAIN).unwrap();
    set(&mut changed, &study("StudyDescription", "CT CHEST"), PLAIN).unwrap();
    set(&mut changed, &series("SeriesDescription", "x"), PLAIN).unwrap();
    set(&mut changed, &instance("InstanceNumber", "7"), PLAIN).unwrap();
    assert_eq!(changed.patient["PatientName"], "MX^MX");
    assert_eq!(changed.study["StudyDescription"], "CT CHEST");
    assert_eq!(changed.series[SERIES].attributes["SeriesDescription"], "x");
    assert_eq!(only(&changed).attributes["InstanceNumber"], "7");
    // What was not named stays.
    assert_eq!(changed.patient["PatientID"], "MRN-0042");
}

#[test]
fn a_new_instance_attribute_stands_in_its_place() {
    let mut changed = document(&[SOP]);
    set(&mut changed, &instance("ContentDate", "20260101"), PLAIN).unwrap();
    let json = written(&changed);
    assert!(
        json.contains(r#""SOPInstanceUID":"2.25.1001.1.1","ContentDate":"20260101""#),
        "{json}"
    );
}

#[test]
fn private_elements_need_force_and_a_vr() {
    let with_vr =
        instance_node(json!({"DICOM": {"001910F9": "97"}, "DICOMVRs": {"001910F9": "DS"}}));
    let without_vr = instance("001910F9", "97");
    let mut changed = document(&[SOP]);
    assert!(set(&mut changed, &with_vr, PLAIN).is_err());
    assert!(set(&mut changed, &without_vr, FORCED).is_err());
    set(&mut changed, &with_vr, FORCED).unwrap();
    assert_eq!(only(&changed).attributes["001910F9"], "97");
    assert_eq!(only(&changed).vrs["001910F9"], "DS");
    // Its VR is known by now.
    set(&mut changed, &instance("00191001", "5"), FORCED).unwrap();
    assert_eq!(only(&changed).attributes["00191001"], "5");
}

#[test]
fn uids_change_with_force_and_only_outside_the_primary_hierarchy() {
    let sop = instance("SOPInstanceUID", "2.25.5");
    let mut changed = document(&[SOP]);
    assert!(set(&mut changed, &sop, PLAIN).is_err());
    let primary = UpdateRules { primary: true, ..FORCED };
    assert!(set(&mut changed, &sop, primary).is_err());
    set(&mut changed, &sop, FORCED).unwrap();
    assert_eq!(changed.instance(SERIES, "2.25.5").unwrap().attributes["SOPInstanceUID"], "2.25.5");
    assert!(changed.instance(SERIES, SOP).is_none());
    set(&mut changed, &series("SeriesInstanceUID", "2.25.6"), FORCED).unwrap();
    assert!(changed.instance("2.25.6", "2.25.5").is_some());
    set(&mut changed, &study("StudyInstanceUID", "2.25.7"), FORCED).unwrap();
    assert_eq!(changed.study["StudyInstanceUID"], "2.25.7");
}

#[test]
fn a_uid_is_taken_once_and_well_formed() {
    let mut changed = document(&[SOP, OTHER]);
    let before = changed.clone();
    assert!(set(&mut changed, &instance("SOPInstanceUID", OTHER), FORCED).is_err());
    for bad in [json!("1.2.x"), json!(""), json!(null), json!(["1.2"]), json!(7)] {
        assert!(
            set(&mut changed, &instance("SOPInstanceUID", bad.clone()), FORCED).is_err(),
            "{bad}"
        );
    }
    assert_eq!(changed, before);
}

#[test]
fn removes_attributes_instances_and_series() {
    let mut changed = document(&[SOP, OTHER]);
    remove(&mut changed, &study("AccessionNumber", "whatever"), PLAIN).unwrap();
    assert!(!changed.study.contains_key("AccessionNumber"));
    remove(&mut changed, &patient("PatientSex", Json::Null), PLAIN).unwrap();
    assert!(!changed.patient.contains_key("PatientSex"));
    remove(&mut changed, &instance("RescaleSlope", "1"), PLAIN).unwrap();
    assert!(!changed.instance(SERIES, SOP).unwrap().attributes.contains_key("RescaleSlope"));
    remove(&mut changed, &instance_node(json!({})), PLAIN).unwrap();
    assert!(changed.instance(SERIES, SOP).is_none());
    assert_eq!(changed.instances().count(), 1);
}

#[test]
fn the_last_instance_and_the_only_series_stay() {
    let mut changed = document(&[SOP]);
    let before = changed.clone();
    let message = remove(&mut changed, &instance_node(json!({})), PLAIN).unwrap_err();
    assert!(message.contains("DeleteImageSet"), "{message}");
    let whole = json!({"SchemaVersion": 1.1, "Study": {"Series": {SERIES: {}}}});
    let message = remove(&mut changed, &whole, PLAIN).unwrap_err();
    assert!(message.contains("DeleteImageSet"), "{message}");
    assert_eq!(changed, before);
}

#[test]
fn one_of_two_series_goes() {
    let mut changed = document(&[SOP]);
    let second = changed.series[SERIES].clone();
    changed.series.insert("2.25.2".to_owned(), second);
    let whole = json!({"SchemaVersion": 1.1, "Study": {"Series": {"2.25.2": {}}}});
    remove(&mut changed, &whole, PLAIN).unwrap();
    assert_eq!(changed, document(&[SOP]));
}

#[test]
fn identifiers_are_never_removed() {
    let mut changed = document(&[SOP, OTHER]);
    assert!(remove(&mut changed, &study("StudyInstanceUID", ""), FORCED).is_err());
    assert!(remove(&mut changed, &instance("SOPInstanceUID", ""), FORCED).is_err());
}

#[test]
fn what_needs_force() {
    let cases = [
        study("StudyID", "2"),
        study("StudyInstanceUID", "2.25.7"),
        patient("OtherPatientNames", json!(["A^B"])),
        instance("ImageType", json!(["ORIGINAL", "PRIMARY"])),
        instance("ReferencedImageSequence", json!([{"ReferencedSOPInstanceUID": "1.2"}])),
        study("StudyDate", "yesterday"),
        instance("00291001", "x"),
    ];
    for changes in cases {
        let mut changed = document(&[SOP]);
        let before = changed.clone();
        assert!(set(&mut changed, &changes, PLAIN).is_err(), "{changes}");
        assert_eq!(changed, before);
    }
    let mut changed = document(&[SOP]);
    set(&mut changed, &study("StudyID", "2"), FORCED).unwrap();
    set(&mut changed, &patient("OtherPatientNames", "A^B"), FORCED).unwrap();
    let items = json!([{"ReferencedSOPInstanceUID": "1.2"}]);
    set(&mut changed, &instance("ReferencedImageSequence", items.clone()), FORCED).unwrap();
    assert_eq!(changed.patient["OtherPatientNames"], json!(["A^B"]));
    assert_eq!(only(&changed).attributes["ReferencedImageSequence"], items);
}

#[test]
fn unknown_keywords_fail_even_with_force() {
    let mut changed = document(&[SOP]);
    let message = set(&mut changed, &patient("PatientNickname", "DOE"), FORCED).unwrap_err();
    assert!(!message.contains("DOE"), "{message}");
}

#[test]
fn primary_sets_keep_patient_and_series_level() {
    let mut changed = document(&[SOP]);
    assert!(set(&mut changed, &patient("PatientSex", "M"), PRIMARY).is_err());
    assert!(remove(&mut changed, &patient("PatientSex", "F"), PRIMARY).is_err());
    assert!(set(&mut changed, &series("SeriesDescription", "x"), PRIMARY).is_err());
    set(&mut changed, &study("StudyDescription", "x"), PRIMARY).unwrap();
    set(&mut changed, &instance("InstanceNumber", 4), PRIMARY).unwrap();
    assert_eq!(only(&changed).attributes["InstanceNumber"], "4");
    let study_wide = UpdateRules { study_wide: true, ..PRIMARY };
    set(&mut changed, &patient("PatientSex", "M"), study_wide).unwrap();
    assert_eq!(changed.patient["PatientSex"], "M");
}

#[test]
fn shape_level_and_the_never_list_are_refused_at_once() {
    let cases = [
        json!([]),
        json!({"Patient": {"DICOM": {"PatientName": "X"}}}),
        json!({"SchemaVersion": "1.0", "Patient": {"DICOM": {"PatientName": "X"}}}),
        json!({"SchemaVersion": 1.1, "DatastoreID": "x"}),
        json!({"SchemaVersion": 1.1, "Series": {SERIES: {}}}),
        json!({"SchemaVersion": 1.1, "Study": {"2.25.1001": {"DICOM": {}}}}),
        json!({"SchemaVersion": 1.1, "Study": {"DICOM": []}}),
        instance_node(json!({"ImageFrames": []})),
        instance_node(json!({"DICOMVRs": {"00190010": "QQ"}})),
        instance_node(json!({"DICOMVRs": {"PatientName": "PN"}})),
        study("PatientName", "X"),
        patient("StudyDescription", "X"),
        series("InstanceNumber", "1"),
        instance("Modality", "CT"),
        patient("00190010", "X"),
        instance("PixelData", "AAAA"),
        instance("7FE00010", "AAAA"),
        instance("MinPixelValue", 1),
        instance("TransferSyntaxUID", "1.2"),
        study("DatastoreID", "x"),
    ];
    for changes in cases {
        assert_eq!(parse(Some(&changes), None), Err(ErrorKind::Validation), "{changes}");
        assert_eq!(parse(None, Some(&changes)), Err(ErrorKind::Validation), "{changes}");
    }
    assert!(UpdateDocuments::parse(None, None).is_err());
    assert!(UpdateDocuments::parse(Some(b"{"), None).is_err());
    assert!(UpdateDocuments::parse(Some(&[0xFF; 10]), None).is_err());
}

#[test]
fn up_to_30_000_bytes() {
    let sized = |length: usize| {
        let empty = patient("PatientComments", "").to_string().len();
        patient("PatientComments", "x".repeat(length - empty))
    };
    assert!(parse(Some(&sized(30_000)), None).is_ok());
    assert_eq!(parse(Some(&sized(30_001)), None), Err(ErrorKind::Validation));
}

#[test]
fn messages_hold_no_values() {
    let error = UpdateDocuments::parse(Some(br#"{"SchemaVersion":1.1,"DOE^JANE":1}"#), None);
    assert!(!error.unwrap_err().message().contains("DOE"));
    let json = study("PatientName", "DOE^JANE").to_string();
    let error = UpdateDocuments::parse(Some(json.as_bytes()), None).unwrap_err();
    assert!(error.message().contains("Patient level") && !error.message().contains("DOE"));
}

#[test]
fn targets_must_be_there() {
    let document = document(&[SOP]);
    let absent = json!({"SchemaVersion": 1.1, "Study": {"Series": {"2.25.404": {}}}});
    let error = parse(None, Some(&absent)).unwrap().check_targets(&document).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(remove(&mut document.clone(), &absent, PLAIN).is_err());
    let here = instance("InstanceNumber", "1");
    assert!(parse(Some(&here), None).unwrap().check_targets(&document).is_ok());
}

#[test]
fn study_wide_means_no_series_part() {
    assert!(parse(Some(&patient("PatientSex", "M")), None).unwrap().is_study_wide_only());
    assert!(!parse(Some(&instance("Rows", 1)), None).unwrap().is_study_wide_only());
}

#[test]
fn values_have_the_form_of_their_vr() {
    let good = [
        study("StudyDate", "20240229"),
        study("StudyTime", "235960.123456"),
        study("StudyTime", "10"),
        study("PatientAge", "012M"),
        study("PatientWeight", "61.5 "),
        study("PatientWeight", 61.5),
        patient("PatientSex", "O"),
        patient("PatientSex", Json::Null),
        patient("PatientName", "Müller^Änne=山田"),
        instance("AcquisitionDateTime", "20260214101500.5+0100"),
        instance("AcquisitionDateTime", "2026"),
        instance("Rows", 65_535),
        instance("ImageComments", "two\r\nlines"),
    ];
    let bad = [
        study("StudyDate", "20230229"),
        study("StudyDate", "2024-02-29"),
        study("StudyTime", "2561"),
        study("StudyTime", "126059"),
        study("StudyTime", "10150.5"),
        study("PatientAge", "12M"),
        study("PatientWeight", "heavy"),
        study("PatientWeight", "1e999"),
        patient("PatientSex", "female"),
        patient("PatientSex", true),
        patient("PatientName", "A=B=C=D"),
        patient("PatientID", "A\\B"),
        patient("PatientID", json!(["A"])),
        patient("PatientID", "x".repeat(257)),
        instance("AcquisitionDateTime", "20261301"),
        instance("Rows", 65_536),
        instance("Rows", "512"),
        instance("InstanceNumber", "1.5"),
        instance("SOPClassUID", "1..2"),
    ];
    for changes in good {
        let done = set(&mut document(&[SOP]), &changes, PLAIN);
        assert_eq!(done, Ok(()), "{changes}");
    }
    for changes in bad {
        assert!(set(&mut document(&[SOP]), &changes, PLAIN).is_err(), "{changes}");
    }
}

#[test]
fn the_service_s_own_lengths_hold_even_with_force() {
    let mut changed = document(&[SOP]);
    set(&mut changed, &patient("PatientID", "x".repeat(256)), PLAIN).unwrap();
    assert!(set(&mut changed, &patient("PatientID", "x".repeat(257)), FORCED).is_err());
}

#[test]
fn a_new_value_replaces_bulk_data() {
    let bulk_data = Value::Bulk { offset: 0, length: 2 << 20 };
    let mut changed = document_with(0x0019_1002, VR::UN, bulk_data);
    set(&mut changed, &instance("00191002", "AAEC"), FORCED).unwrap();
    let data_set = changed.data_set(SERIES, SOP).unwrap();
    let element = &data_set.elements[&dicom_core::Tag(0x0019, 0x1002)];
    assert_eq!(element.value, Value::Bytes(vec![0, 1, 2]));
}
