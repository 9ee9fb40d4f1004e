//! Values of an import job in place of the file's.

use dicom_core::{Tag, VR};
use healthimaging::ErrorKind;
use healthimaging_dicom::{DataSet, InstanceJson, MetadataOverride, Value};
use serde_json::{Value as Json, json};

use crate::slice::{SERIES, SOP, data_set, document, elements, text};

fn apply(json: &Json) -> DataSet {
    let mut instance = data_set(elements(SOP));
    let read = MetadataOverride::parse(json.to_string().as_bytes()).unwrap();
    read.apply(&mut instance);
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
        "00280010": {"vr": "US", "Value": [256]},
    }));
    assert_eq!(value(&changed, 0x0008, 0x0090), &text("^Bob^^Dr.==b"));
    assert_eq!(value(&changed, 0x0010, 0x0030), &Value::Empty);
    assert_eq!(value(&changed, 0x0010, 0x1030), &text("72.5"));
    assert_eq!(
        value(&changed, 0x0009, 0x1002),
        &Value::Bytes(vec![0xCF, 0x4C, 0x7D])
    );
    assert_eq!(value(&changed, 0x0008, 0x0008), &text("DERIVED\\\\AXIAL"));
    assert_eq!(value(&changed, 0x0028, 0x0010), &Value::Unsigned(vec![256]));
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
    let other =
        apply(&json!({"0020000D": {"vr": "UI", "Value": ["2.25.404"]}, "00100040": {"vr": "CS"}}));
    assert_eq!(value(&other, 0x0010, 0x0040), &text("F"));
}

#[test]
fn takes_what_dicomweb_gives() {
    let document = document(&[SOP]);
    let model = InstanceJson::of(&document, SERIES, SOP, &|_| String::new()).unwrap();
    let changed = apply(&serde_json::to_value(model).unwrap());
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
        r#"{"00280010":{"vr":"US","Value":[70000]}}"#,
        r#"{"00280010":{"vr":"US","Value":"7"}}"#,
        r#"{"00091002":{"vr":"UN","InlineBinary":"?"}}"#,
        r#"{"00091002":{"Value":[1]}}"#,
        r#"{"00081140":{"vr":"SQ","Value":[{"00081155":{"vr":"US","Value":["x"]}}]}}"#,
        r#"{"7FE00010":{"vr":"OW","InlineBinary":"AAAA"}}"#,
    ] {
        let error = MetadataOverride::parse(bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{bad}");
        assert!(!error.message().contains("DOE"));
    }
}
