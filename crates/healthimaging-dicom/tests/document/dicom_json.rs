//! DICOM JSON by the examples and tables of `PS3.18 Annex F`.

use dicom_core::{Tag, VR};
use healthimaging::ImageFrameId;
use healthimaging_dicom::{BulkValue, DataSet, Document, Element, InstanceJson, Value};
use serde_json::{Value as Json, json};

use crate::slice::{SERIES, SOP, document_with, text};

fn shown(document: &Document) -> serde_json::Map<String, Json> {
    let bulk = |value: &BulkValue| format!("bulkdata/{}", value.blob_id);
    let shown = InstanceJson::of(document, SERIES, SOP, &bulk).unwrap();
    serde_json::from_value(serde_json::to_value(shown).unwrap()).unwrap()
}

fn element(tag: u32, vr: VR, value: Value) -> Json {
    shown(&document_with(tag, vr, value))[&format!("{tag:08X}")].clone()
}

#[test]
fn names_have_their_groups() {
    let name = element(0x0010_0010, VR::PN, text("Yamada^Tarou=山田^太郎=やまだ^たろう"));
    let groups = json!({"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"});
    assert_eq!(name, json!({"vr": "PN", "Value": [groups]}));
    let name = element(0x0010_0010, VR::PN, text("A^B==C"));
    assert_eq!(name["Value"], json!([{"Alphabetic": "A^B", "Phonetic": "C"}]));
}

#[test]
fn numbers_strings_and_nothing() {
    assert_eq!(element(0x0020_0013, VR::IS, text("1 ")), json!({"vr": "IS", "Value": [1]}));
    assert_eq!(
        element(0x0028_0030, VR::DS, text("0.7\\-1e2 ")),
        json!({"vr": "DS", "Value": [0.7, -100.0]})
    );
    assert_eq!(element(0x0020_0013, VR::IS, text("one")), json!({"vr": "IS", "Value": ["one"]}));
    assert_eq!(
        element(0x0008_0008, VR::CS, text("A\\\\B")),
        json!({"vr": "CS", "Value": ["A", null, "B"]})
    );
    assert_eq!(element(0x0008_0090, VR::PN, Value::Empty), json!({"vr": "PN"}));
    assert_eq!(element(0x0008_0090, VR::PN, text("  ")), json!({"vr": "PN"}));
    assert_eq!(element(0x0008_1140, VR::SQ, Value::Items(Vec::new())), json!({"vr": "SQ"}));
    assert_eq!(
        element(0x0020_4000, VR::LT, text(" a\\b ")),
        json!({"vr": "LT", "Value": [" a\\b"]})
    );
}

#[test]
fn ambiguous_vrs_follow_the_pixel_representation() {
    assert_eq!(
        element(0x0028_0120, VR::US, Value::Unsigned(vec![7])),
        json!({"vr": "US", "Value": [7]})
    );
    // As the file had it, although the pixels are unsigned.
    assert_eq!(
        element(0x0028_0120, VR::SS, Value::Signed(vec![-7])),
        json!({"vr": "SS", "Value": [-7]})
    );
}

#[test]
fn private_vrs_and_bytes() {
    assert_eq!(
        element(0x0019_1002, VR::UN, Value::Bytes(vec![0, 1, 2])),
        json!({"vr": "UN", "InlineBinary": "AAEC"})
    );
    assert_eq!(element(0x0019_1001, VR::DS, text("97")), json!({"vr": "DS", "Value": [97]}));
}

#[test]
fn large_values_are_named_by_uri() {
    let mut document =
        document_with(0x0019_1002, VR::UN, Value::Bulk { offset: 0, length: 2 << 20 });
    let blob_id = ImageFrameId::try_from("b".repeat(32)).unwrap();
    let instances = &mut document.series.get_mut(SERIES).unwrap().instances;
    let details = &mut instances.get_mut(SOP).unwrap().details;
    let value = BulkValue { blob_id, length: 2 << 20, vr: "UN".to_owned() };
    details.bulk_data.insert("00191002".to_owned(), value);
    let uri = format!("bulkdata/{}", "b".repeat(32));
    assert_eq!(shown(&document)["00191002"], json!({"vr": "UN", "BulkDataURI": uri}));
}

#[test]
fn the_character_set_is_that_of_json() {
    let shown = element(0x0008_0005, VR::CS, text("\\ISO 2022 IR 87"));
    assert_eq!(shown, json!({"vr": "CS", "Value": ["ISO_IR 192"]}));
    let shown = element(0x0008_0005, VR::CS, Value::Empty);
    assert_eq!(shown, json!({"vr": "CS"}));
}

/// `PS3.5 §8.2.4`: Planar Configuration of JPEG 2000 is 0. Native frames as received keep their own.
#[test]
fn planar_configuration_is_that_of_the_stored_frames() {
    let planes = |syntax: &str, samples: u64| {
        let planar = Value::Unsigned(vec![1]);
        let mut document = document_with(0x0028_0006, VR::US, planar);
        let instances = &mut document.series.get_mut(SERIES).unwrap().instances;
        let instance = instances.get_mut(SOP).unwrap();
        instance.attributes.insert("SamplesPerPixel".to_owned(), samples.into());
        instance.stored_transfer_syntax = Some(syntax.to_owned());
        shown(&document)["00280006"].clone()
    };
    for syntax in ["4.90", "4.201", "4.202"] {
        let syntax = format!("1.2.840.10008.1.2.{syntax}");
        assert_eq!(planes(&syntax, 3), json!({"vr": "US", "Value": [0]}));
        assert_eq!(planes(&syntax, 1), json!({"vr": "US", "Value": [1]}));
    }
    assert_eq!(planes("1.2.840.10008.1.2.1", 3), json!({"vr": "US", "Value": [1]}));
}

#[test]
fn of_group_2_only_the_stored_transfer_syntax() {
    let mut document = document_with(0x0008_0060, VR::CS, text("CT"));
    let instances = &mut document.series.get_mut(SERIES).unwrap().instances;
    let instance = instances.get_mut(SOP).unwrap();
    instance.stored_transfer_syntax = Some("1.2.840.10008.1.2.4.202".to_owned());
    instance.details.warning_reason = Some(45_330);
    let shown = shown(&document);
    let group_2: Vec<_> = shown.keys().filter(|key| key.starts_with("0002")).collect();
    assert_eq!(group_2, ["00020010"]);
    assert_eq!(shown["00020010"]["Value"], json!(["1.2.840.10008.1.2.4.202"]));
    assert_eq!(shown["00081196"], json!({"vr": "US", "Value": [45_330]}));
    let keys: Vec<_> = shown.keys().collect();
    assert!(keys.is_sorted());
    assert!(InstanceJson::of(&document, SERIES, "2.25.0", &|_| String::new()).is_err());
}

#[test]
fn text_of_items_is_utf_8_too() {
    let mut item = DataSet::default();
    let (vr, value) = (VR::CS, text("ISO_IR 100"));
    item.elements.insert(Tag(0x0008, 0x0005), Element { vr, value });
    let shown = element(0x0040_A730, VR::SQ, Value::Items(vec![item]));
    assert_eq!(shown["Value"][0]["00080005"], json!({"vr": "CS", "Value": ["ISO_IR 192"]}));
}
