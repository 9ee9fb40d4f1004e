//! Instances of one series that differ in an attribute of a higher level.

use dicom_core::{Tag, VR};
use healthimaging_dicom::{
    CopySelection, DataSet, Document, InstanceJson, LevelConflicts, SplitInstance, UpdateDocuments,
    UpdateRules, Value,
};
use serde_json::{Value as Json, json};

use crate::slice::{SERIES, SOP, data_set, elements, json as written, meta, text};

const SECOND: &str = "2.25.1001.1.2";
const THIRD: &str = "2.25.1001.1.3";

const LATERALITY: u32 = 0x0020_0060;
const PADDING: u32 = 0x0028_0120;
const SEX: u32 = 0x0010_0040;
const PROCEDURE: u32 = 0x0008_1032;

type Changes<'a> = &'a [(u32, VR, Option<Value>)];

fn whole(sop_uid: &str, changes: Changes<'_>) -> DataSet {
    let mut all = elements(sop_uid);
    for (tag, vr, value) in changes {
        all.retain(|(known, ..)| known != tag);
        all.extend(value.clone().map(|value| (*tag, *vr, value)));
    }
    data_set(all)
}

fn with(sop_uid: &str, changes: Changes<'_>) -> SplitInstance {
    Document::new_instance(&meta(), whole(sop_uid, changes))
}

fn side(letter: &str) -> (u32, VR, Option<Value>) {
    (LATERALITY, VR::CS, Some(text(letter)))
}

/// What an instance is, with group 0002 left out.
fn seen(document: &Document, sop_uid: &str) -> DataSet {
    let mut all = document.data_set(SERIES, sop_uid).unwrap();
    all.elements.retain(|tag, _| tag.group() > 2);
    all
}

fn two(first: Changes<'_>, second: Changes<'_>) -> Document {
    let mut document = Document::default();
    document.add(with(SOP, first));
    document.add(with(SECOND, second));
    assert_eq!(seen(&document, SOP), whole(SOP, first));
    assert_eq!(seen(&document, SECOND), whole(SECOND, second));
    document
}

fn reason(document: &Document, sop_uid: &str) -> Option<u16> {
    document.instance(SERIES, sop_uid).unwrap().warning_reason()
}

#[test]
fn each_keeps_its_own_value() {
    let document = two(&[side("L")], &[side("R")]);
    assert_eq!(document.series[SERIES].attributes["Laterality"], "L");
    let second = document.instance(SERIES, SECOND).unwrap();
    assert_eq!(second.attributes["Laterality"], "R");
    let keys: Vec<_> = second.attributes.keys().collect();
    let at = |key: &str| keys.iter().position(|known| *known == key).unwrap();
    assert!(at("ImagePositionPatient") < at("Laterality"));
    assert!(at("Laterality") < at("SamplesPerPixel"), "in the order of tags");
    assert_eq!(document.differing(SERIES, SECOND), ["Laterality"]);
    assert_eq!(document.differing(SERIES, SOP), [""; 0]);
    assert_eq!((reason(&document, SOP), reason(&document, SECOND)), (None, Some(0xB000)));
}

#[test]
fn missing_empty_and_set_are_three_things() {
    let values = [None, Some(Value::Empty), Some(text("L")), Some(text("R"))];
    for (tag, vr) in [(LATERALITY, VR::CS), (SEX, VR::CS), (0x0008_1030, VR::LO)] {
        for first in &values {
            for second in &values {
                let [one, other] = [first, second].map(|value| [(tag, vr, value.clone())]);
                let document = two(&one, &other);
                let differs = usize::from(first != second);
                assert_eq!(document.differing(SERIES, SECOND).len(), differs);
                let json = written(&document);
                let read = Document::from_json(json.as_bytes(), document.details()).unwrap();
                assert_eq!(read, document);
            }
        }
    }
}

#[test]
fn what_an_instance_lacks_is_marked_where_nobody_is_served() {
    let document = two(&[side("L")], &[]);
    assert_eq!(document.differing(SERIES, SECOND), ["Laterality"]);
    assert_eq!(written(&document).matches("Laterality").count(), 1);
    assert!(document.details()[SECOND].absent.contains("Laterality"));
    let shown = InstanceJson::of(&document, SERIES, SECOND, &|_| String::new()).unwrap();
    let shown = serde_json::to_value(&shown).unwrap();
    assert_eq!(shown.get("00200060"), None);
    assert_eq!(shown["00081196"], json!({"vr": "US", "Value": [45056]}));
}

#[test]
fn numbers_sequences_and_private_elements_in_them_differ_too() {
    let padding = |value: i64, vr| match vr {
        VR::SS => (PADDING, vr, Some(Value::Signed(vec![value]))),
        _ => (PADDING, vr, Some(Value::Unsigned(vec![value.unsigned_abs()]))),
    };
    let signed = (0x0028_0103, VR::US, Some(Value::Unsigned(vec![1])));
    two(&[padding(0, VR::US)], &[padding(-2000, VR::SS), signed.clone()]);
    two(&[padding(1, VR::US)], &[padding(1, VR::SS), signed]);
    let procedure = |vr, private: &str| {
        let item = data_set([
            (0x0008_0100, VR::SH, text("C1")),
            (0x0009_0010, VR::LO, text("ACME")),
            (0x0009_1001, vr, text(private)),
        ]);
        (PROCEDURE, VR::SQ, Some(Value::Items(vec![item])))
    };
    let document = two(&[procedure(VR::LO, "a")], &[procedure(VR::LO, "b")]);
    assert_eq!(document.differing(SERIES, SECOND), ["ProcedureCodeSequence"]);
    let document = two(&[procedure(VR::LO, "a")], &[procedure(VR::SH, "a")]);
    assert_eq!(document.differing(SERIES, SECOND), [""; 0], "the VR lies in the details");
    let document = two(&[side("L")], &[(LATERALITY, VR::LO, Some(text("L")))]);
    assert_eq!(document.differing(SERIES, SECOND), [""; 0]);
}

#[test]
fn padding_is_no_difference() {
    let mut document = Document::default();
    document.add(with(SOP, &[side("L")]));
    let padded = [side("L   "), (0x0020_0011, VR::IS, Some(text(" 3")))];
    document.add(with(SECOND, &padded));
    assert_eq!(document.differing(SERIES, SECOND), [""; 0]);
    assert!(!written(&document).contains("L  "));
    assert_eq!(seen(&document, SECOND), whole(SECOND, &padded), "it comes back with its padding");
    let series = json!({"Laterality": "R", "SeriesNumber": "3"});
    update(Some(of_series(&series)), None, &mut document);
    let details = &document.instance(SERIES, SECOND).unwrap().details;
    assert_eq!(details.texts.len(), 0, "an update covers what lies beside the document");
}

#[test]
fn a_corrected_file_brings_its_values() {
    let mut document = Document::default();
    document.add(with(SOP, &[side("L"), (SEX, VR::CS, Some(text("M")))]));
    document.add(with(SOP, &[side("R"), (SEX, VR::CS, None)]));
    assert_eq!(document.series[SERIES].attributes["Laterality"], "R");
    assert_eq!(document.patient.get("PatientSex"), None);
    assert_eq!(document.differing(SERIES, SOP), [""; 0]);
}

#[test]
fn corrected_files_of_a_whole_series_bring_their_values() {
    let mut document = two(&[side("L")], &[side("L")]);
    document.add(with(SOP, &[side("R")]));
    assert_eq!(document.series[SERIES].attributes["Laterality"], "L");
    assert_eq!(document.differing(SERIES, SOP), ["Laterality"]);
    document.add(with(SECOND, &[side("R")]));
    assert_eq!(document.series[SERIES].attributes["Laterality"], "R");
    let mut expected = Document::default();
    expected.add(with(SOP, &[side("R")]));
    expected.add(with(SECOND, &[side("R")]));
    assert_eq!(document, expected);
    // And the one that loses it last takes it from the level, marks and all.
    document.add(with(SOP, &[]));
    document.add(with(SECOND, &[]));
    assert_eq!(document.series[SERIES].attributes.get("Laterality"), None);
    assert!(document.instances().all(|one| one.details.absent.is_empty()));
}

fn update(updatable: Option<Json>, removable: Option<Json>, document: &mut Document) {
    let bytes = |json: Option<Json>| json.map(|json| json.to_string());
    let (updatable, removable) = (bytes(updatable), bytes(removable));
    let documents = UpdateDocuments::parse(
        updatable.as_deref().map(str::as_bytes),
        removable.as_deref().map(str::as_bytes),
    );
    let rules = UpdateRules { primary: false, force: true, study_wide: false };
    documents.unwrap().apply(document, &rules).unwrap();
}

fn of_series(dicom: &Json) -> Json {
    json!({"SchemaVersion": 1.1, "Study": {"Series": {SERIES: {"DICOM": dicom}}}})
}

#[test]
fn an_update_of_a_level_is_one_of_every_instance() {
    for second in [&[side("R")][..], &[], &[(LATERALITY, VR::CS, Some(Value::Empty))]] {
        let mut document = two(&[side("L")], second);
        update(Some(of_series(&json!({"Laterality": "B"}))), None, &mut document);
        for sop_uid in [SOP, SECOND] {
            assert_eq!(seen(&document, sop_uid), whole(sop_uid, &[side("B")]));
        }
        let mut document = two(&[side("L")], second);
        update(None, Some(of_series(&json!({"Laterality": null}))), &mut document);
        for sop_uid in [SOP, SECOND] {
            assert_eq!(seen(&document, sop_uid), whole(sop_uid, &[]));
        }
        assert_eq!(reason(&document, SECOND), None);
    }
    let sex = |sex: &str| (SEX, VR::CS, Some(text(sex)));
    let mut document = two(&[sex("F")], &[sex("M")]);
    let patient = json!({"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientSex": "O"}}});
    update(Some(patient), None, &mut document);
    assert_eq!(seen(&document, SECOND), whole(SECOND, &[sex("O")]));
}

#[test]
fn removing_the_instance_that_gave_a_value_changes_no_other() {
    let mut document = two(&[side("L")], &[side("R")]);
    document.add(with(THIRD, &[]));
    let removed = json!({SOP: {}});
    let removable =
        json!({"SchemaVersion": 1.1, "Study": {"Series": {SERIES: {"Instances": removed}}}});
    update(None, Some(removable), &mut document);
    assert_eq!(seen(&document, SECOND), whole(SECOND, &[side("R")]));
    assert_eq!(seen(&document, THIRD), whole(THIRD, &[]));
    assert!(!written(&document).contains("\"Laterality\":\"L\""), "no instance has it any more");
}

#[test]
fn copies_carry_what_is_an_instance_s_own() {
    let source = two(&[side("L")], &[side("R")]);
    let named = json!({"SchemaVersion": "1.1",
        "Study": {"Series": {SERIES: {"Instances": {SECOND: {}}}}}});
    let selected = CopySelection::parse(&named.to_string()).unwrap().select(&source).unwrap();
    assert_eq!(seen(&selected, SECOND), whole(SECOND, &[side("R")]));
    let mut alone = selected.clone();
    alone.settle();
    assert_eq!(seen(&alone, SECOND), whole(SECOND, &[side("R")]));
    assert_eq!(alone.differing(SERIES, SECOND), [""; 0]);

    let mut destination = Document::default();
    destination.add(with(THIRD, &[side("L")]));
    let before = destination.clone();
    destination.join(&alone, LevelConflicts::Refuse).unwrap_err();
    assert_eq!(destination, before);
    // The levels of the image sets agree, so the instance joins with its own value.
    destination.join(&selected, LevelConflicts::Refuse).unwrap();
    assert_eq!(seen(&destination, SECOND), whole(SECOND, &[side("R")]));
    let mut destination = before.clone();
    destination.join(&alone, LevelConflicts::KeepBoth).unwrap();
    assert_eq!(seen(&destination, SECOND), whole(SECOND, &[side("R")]));
    assert_eq!(destination.differing(SERIES, SECOND), ["Laterality"]);

    let mut destination = before.clone();
    destination.join(&alone, LevelConflicts::KeepDestination).unwrap();
    assert_eq!(seen(&destination, SECOND), whole(SECOND, &[side("L")]));

    // Forced or not, what an instance has otherwise than its own image set stays.
    for conflicts in [LevelConflicts::Refuse, LevelConflicts::KeepDestination] {
        let mut destination = before.clone();
        destination.join(&source, conflicts).unwrap();
        assert_eq!(seen(&destination, SECOND), whole(SECOND, &[side("R")]));
        assert_eq!(seen(&destination, SOP), whole(SOP, &[side("L")]));
    }
}

#[test]
fn an_instance_comes_out_of_its_document_as_it_went_in() {
    let document = two(&[side("L"), (SEX, VR::CS, None)], &[(LATERALITY, VR::CS, None)]);
    for (sop_uid, changes) in
        [(SOP, &[side("L"), (SEX, VR::CS, None)][..]), (SECOND, &[(LATERALITY, VR::CS, None)])]
    {
        let mut again = Document::default();
        again.add(document.split_instance(SERIES, sop_uid).unwrap());
        let mut expected = Document::default();
        expected.add(with(sop_uid, changes));
        assert_eq!(again, expected);
    }
    assert!(document.split_instance(SERIES, THIRD).is_none());
    assert_eq!(seen(&document, SOP).elements.get(&Tag(0x0010, 0x0040)), None);
}
