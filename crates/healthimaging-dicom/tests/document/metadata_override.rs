//! Values of an import job in place of the file's.

use dicom_core::{Tag, VR};
use healthimaging::ErrorKind;
use healthimaging_dicom::{DataSet, InstanceJson, MetadataOverride, Value};
use serde_json::{Value as Json, json};

use crate::slice::{SERIES, SOP, data_set, document, elements, text};

fn apply(json: &Json) -> DataSet {
    let mut instance = data_set(elements(SOP));
    let read = MetadataOverride::parse(json.to_string().as_bytes()).unwrap();
    read.apply(&mut instance).unwrap();
    instance
}

fn value(data_set: &DataSet, group: u16, element: u16) -> &Value {
    &data_set.elements[&Tag(group, element)].value
}

#[test]
fn replaces_and_adds() {
    // PS3.18 §F.4 writes values so.
    let changed = apply(&json!({
        "00080090": {"vr": "PN", "Value": [{"Alphabetic": "^Bob^^Dr.", "Phonetic": "b"}]},
        "00100030": {"vr": "DA"},
        "00101030": {"vr": "DS", "Value": [72.5]},
        "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]},
        "00091002": {"vr": "UN", "InlineBinary": "z0x9"},
        "00080008": {"vr": "CS", "Value": ["DERIVED", null, "AXIAL"]},
        "00181310": {"vr": "US", "Value": [256, 0, 0, 256]},
        "00100000": {"vr": "UL", "Value": [7]},
    }));
    assert_eq!(value(&changed, 0x0008, 0x0090), &text("^Bob^^Dr.==b"));
    assert_eq!(value(&changed, 0x0010, 0x0030), &Value::Empty);
    assert_eq!(value(&changed, 0x0010, 0x1030), &text("72.5"));
    assert_eq!(value(&changed, 0x0009, 0x1002), &Value::Bytes(vec![0xCF, 0x4C, 0x7D]));
    assert_eq!(value(&changed, 0x0008, 0x0008), &text("DERIVED\\\\AXIAL"));
    let matrix = Value::Unsigned(vec![256, 0, 0, 256]);
    assert_eq!(value(&changed, 0x0018, 0x1310), &matrix);
    assert!(!changed.elements.contains_key(&Tag(0x0010, 0x0000)));
    let item = data_set([(0x0008_1155, VR::UI, text("1.2"))]);
    assert_eq!(value(&changed, 0x0008, 0x1140), &Value::Items(vec![item]));
    assert_eq!(value(&changed, 0x0010, 0x0010), &text("DOE^JANE"));
}

#[test]
fn is_for_the_instance_that_it_names() {
    let of = |uid: &str, sex: &str| json!({"00080018": {"vr": "UI", "Value": [uid]}, "00100040": {"vr": "CS", "Value": [sex]}});
    let changed = apply(&json!([of(SOP, "M"), of("2.25.404", "O")]));
    assert_eq!(value(&changed, 0x0010, 0x0040), &text("M"));
    assert_eq!(value(&changed, 0x0008, 0x0018), &text(SOP));
}

#[test]
fn changes_no_uid() {
    for (tag, uid) in [
        ("0020000D", json!(["2.25.404"])),
        ("0020000E", json!([])),
        ("00080016", json!(["2.25.404"])),
    ] {
        let changes = json!({tag: {"vr": "UI", "Value": uid}}).to_string();
        let changes = MetadataOverride::parse(changes.as_bytes()).unwrap();
        let error = changes.apply(&mut data_set(elements(SOP))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{tag}");
    }
}

#[test]
fn takes_what_dicomweb_gives() {
    let document = document(&[SOP]);
    let model = InstanceJson::of(&document, SERIES, SOP, &|_| String::new()).unwrap();
    let mut model = serde_json::to_value(model).unwrap();
    // What describes the file and the pixels may not be replaced.
    model
        .as_object_mut()
        .unwrap()
        .retain(|tag, _| !tag.starts_with("0002") && !tag.starts_with("0028"));
    let changed = apply(&model);
    // DS and IS come back as numbers, so their padding goes; the rest is the same.
    let original = data_set(elements(SOP));
    assert_eq!(changed.elements.len(), original.elements.len());
    for (tag, element) in &original.elements {
        let found = &changed.elements[tag];
        assert_eq!(found.vr, element.vr, "{tag}");
        if !matches!(element.vr, VR::DS | VR::IS) {
            assert_eq!(found.value, element.value, "{tag}");
        }
    }
}

#[test]
fn refuses_what_is_not_the_model() {
    for bad in [
        "",
        "7",
        "[7]",
        r#"{"PatientName":{"vr":"PN"}}"#,
        r#"{"00100010":"DOE^JANE"}"#,
        r#"{"00100010":{"vr":"QQ"}}"#,
        r#"{"00100010":{"vr":"PN","Value":["DOE^JANE"]}}"#,
        r#"{"00100010":{"vr":"PN","Value":[{"Alphabet":"A"}]}}"#,
        r#"{"00181310":{"vr":"US","Value":[70000]}}"#,
        r#"{"00181310":{"vr":"US","Value":"7"}}"#,
        r#"{"00091002":{"vr":"UN","InlineBinary":"?"}}"#,
        r#"{"00091002":{"Value":[1]}}"#,
        r#"{"00081140":{"vr":"SQ","Value":[{"00081155":{"vr":"US","Value":["x"]}}]}}"#,
        r#"{"00181310":{"vr":"US","InlineBinary":"AAAA"}}"#,
        r#"{"00091002":{"vr":"UN","BulkDataURI":"http://x"}}"#,
        r#"{"00020010":{"vr":"UI","Value":["1.2.840.10008.1.2"]}}"#,
        r#"{"00280010":{"vr":"US","Value":[256]}}"#,
        r#"{"7FE00010":{"vr":"OW","InlineBinary":"AAAA"}}"#,
    ] {
        let error = MetadataOverride::parse(bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{bad}");
        assert!(!error.message().contains("DOE"));
    }
}
