//! Values by VR, and back.

use std::collections::BTreeMap;

use dicom_core::{Tag, VR};
use healthimaging_dicom::{DataSet, Document, Element, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::slice::{
    SERIES, SOP, data_set, document_with, elements, json as written, meta, only, text,
};

/// The value that the document shows for one element.
fn shown(tag: u32, vr: VR, value: Value) -> Json {
    let document = document_with(tag, vr, value);
    let written: Json = serde_json::from_str(&written(&document)).unwrap();
    let series = &written["Study"]["Series"][SERIES];
    let levels = [
        &written["Patient"]["DICOM"],
        &written["Study"]["DICOM"],
        &series["DICOM"],
        &series["Instances"][SOP]["DICOM"],
    ];
    let before: Json = serde_json::from_str(&written_without(tag)).unwrap();
    let old = &before["Study"]["Series"][SERIES];
    let old = [
        &before["Patient"]["DICOM"],
        &before["Study"]["DICOM"],
        &old["DICOM"],
        &old["Instances"][SOP]["DICOM"],
    ];
    let new = levels.iter().zip(old).flat_map(|(level, old)| {
        level.as_object().unwrap().iter().filter(move |(key, _)| old.get(key.as_str()).is_none())
    });
    let new: Vec<_> = new.collect();
    assert_eq!(new.len(), 1, "{new:?}");
    new[0].1.clone()
}

fn written_without(tag: u32) -> String {
    let mut all = elements(SOP);
    all.retain(|(known, ..)| *known != tag);
    let mut document = Document::default();
    document.add(Document::new_instance(&meta(), data_set(all)));
    written(&document)
}

#[test]
fn decimal_and_integer_strings_keep_their_padding_and_other_texts_lose_it() {
    assert_eq!(shown(0x0028_1053, VR::DS, text("-2.625000 ")), json!("-2.625000 "));
    assert_eq!(shown(0x0020_0013, VR::IS, text(" 7 ")), json!(" 7 "));
    for (tag, vr) in [
        (0x0008_0060, VR::CS),
        (0x0008_0050, VR::SH),
        (0x0008_103E, VR::LO),
        (0x0008_0081, VR::ST),
        (0x0010_21B0, VR::LT),
        (0x0040_A160, VR::UT),
        (0x0010_0010, VR::PN),
        (0x0010_1010, VR::AS),
        (0x0008_0020, VR::DA),
        (0x0008_0030, VR::TM),
        (0x0008_002A, VR::DT),
        (0x0008_0054, VR::AE),
        (0x0008_0119, VR::UC),
        (0x0008_1190, VR::UR),
        (0x0020_0052, VR::UI),
        (0x0019_1001, VR::LO),
    ] {
        for pads in ["", " ", "   ", "\0"] {
            let padded = text(&format!(" 1.2{pads}"));
            let found = shown(tag, vr, padded.clone());
            let one = found.as_array().map_or(&found, |all| &all[0]);
            assert_eq!(*one, json!(" 1.2"), "{tag:08X} {pads:?}");
            let document = document_with(tag, vr, padded.clone());
            let back = document.data_set(SERIES, SOP).unwrap();
            let tag = Tag((tag >> 16) as u16, (tag & 0xFFFF) as u16);
            let expected = data_set([(0, vr, padded)]);
            let expected = without_one_pad(expected).elements.into_values().next().unwrap();
            let found = without_one_pad(back).elements.remove(&tag).unwrap();
            assert_eq!(found.value, expected.value, "{tag} {pads:?}");
        }
        assert_eq!(shown(tag, vr, text("  ")), Json::Null);
    }
    assert_eq!(shown(0x0008_0008, VR::CS, text("A \\ B  \\  ")), json!(["A", " B", ""]));
    assert_eq!(
        shown(0x0010_0010, VR::PN, text("Yamada^Tarou=山田^太郎=やまだ^たろう")),
        json!("Yamada^Tarou=山田^太郎=やまだ^たろう")
    );
    // One value by the dictionary: a backslash in it does not part it.
    assert_eq!(shown(0x0020_4000, VR::LT, text("a\\b")), json!("a\\b"));
    assert_eq!(shown(0x0008_0060, VR::CS, text("CT\\MR")), json!("CT\\MR"));
}

#[test]
fn arrays_wherever_several_values_are_allowed() {
    assert_eq!(shown(0x0018_1020, VR::LO, text("1.06")), json!(["1.06"]));
    assert_eq!(
        shown(0x0008_0008, VR::CS, text("ORIGINAL\\PRIMARY\\\\0015")),
        json!(["ORIGINAL", "PRIMARY", "", "0015"])
    );
    assert_eq!(
        shown(0x0028_0009, VR::AT, Value::Tags(vec![Tag(0x0018, 0x1063)])),
        json!(["00181063"])
    );
    assert_eq!(shown(0x0008_001A, VR::UI, text("1.2\\1.3")), json!(["1.2", "1.3"]));
    assert_eq!(shown(0x6000_0050, VR::SS, Value::Signed(vec![1, -1])), json!([1, -1]));
}

#[test]
fn numbers_are_numbers() {
    assert_eq!(
        shown(0x0018_6028, VR::FD, Value::Double(vec![-0.079_374_999_990_686_76])),
        json!(-0.079_374_999_990_686_76)
    );
    assert_eq!(shown(0x0018_6028, VR::FD, Value::Double(vec![1.0])).to_string(), "1");
    assert_eq!(shown(0x0018_6028, VR::FD, Value::Double(vec![0.0])).to_string(), "0");
    assert_eq!(shown(0x0018_6028, VR::FD, Value::Double(vec![f64::NAN])), json!("NaN"));
    assert_eq!(shown(0x0028_0120, VR::SS, Value::Signed(vec![-2000])), json!(-2000));
}

#[test]
fn nothing_is_null() {
    assert_eq!(shown(0x0020_0020, VR::CS, Value::Empty), Json::Null);
    assert_eq!(shown(0x0008_1140, VR::SQ, Value::Items(Vec::new())), Json::Null);
    assert_eq!(shown(0x0029_1001, VR::UN, Value::Empty), json!(""));
    assert_eq!(shown(0x0029_1001, VR::LO, Value::Empty), Json::Null);
    assert_eq!(shown(0x0029_1001, VR::OB, Value::Bulk { offset: 9, length: 2 << 20 }), Json::Null);
}

#[test]
fn bytes_are_base64() {
    assert_eq!(shown(0x0029_1001, VR::OB, Value::Bytes(vec![0xFB, 0xFF, 0xFE])), json!("+//+"));
    assert_eq!(shown(0x6000_3000, VR::OW, Value::Bytes(vec![1, 2])), json!("AQI="));
}

#[test]
fn private_values_show_one_alone_and_several_as_an_array() {
    assert_eq!(shown(0x0029_1001, VR::DS, text("1.5 ")), json!("1.5 "));
    assert_eq!(shown(0x0029_1001, VR::DS, text("1\\2 ")), json!(["1", "2 "]));
    assert_eq!(shown(0x0029_1001, VR::US, Value::Unsigned(vec![7])), json!(7));
    assert_eq!(shown(0x0029_1001, VR::US, Value::Unsigned(vec![7, 8])), json!([7, 8]));
}

#[test]
fn private_vrs_are_told_for_nested_elements_too() {
    let item = data_set([
        (0x0029_0010, VR::LO, text("X")),
        (0x0029_1005, VR::FD, Value::Double(vec![2.5])),
    ]);
    let document = document_with(0x0040_0275, VR::SQ, Value::Items(vec![item]));
    let vrs = &only(&document).vrs;
    assert_eq!((vrs["00290010"].as_str(), vrs["00291005"].as_str()), ("LO", "FD"));
    let series = &document.series[SERIES].attributes;
    assert_eq!(series["RequestAttributesSequence"], json!([{"00290010": "X", "00291005": 2.5}]));
}

#[test]
fn pixel_data_is_left_out() {
    let document = document_with(0x7FE0_0010, VR::OW, Value::Bytes(vec![0; 8]));
    assert!(!written(&document).contains("PixelData\""));
}

/// Values that a reader can give, of every VR.
fn element() -> impl Strategy<Value = (VR, Value)> {
    let line = "[ -\\[\\]-~äあ]{1,20}";
    let lines = "[ -~äあ\\r\\n]{1,40}";
    prop_oneof![
        (
            prop::sample::select(vec![
                VR::LO,
                VR::SH,
                VR::PN,
                VR::UC,
                VR::CS,
                VR::AE,
                VR::DA,
                VR::TM
            ]),
            prop::collection::vec(line, 1..4)
        )
            .prop_map(|(vr, parts)| (vr, Value::Text(parts.join("\\")))),
        (prop::sample::select(vec![VR::LT, VR::ST, VR::UT, VR::UR]), lines)
            .prop_map(|(vr, text)| (vr, Value::Text(text))),
        prop::collection::vec("[0-9]{1,5}\\.?[0-9]{0,3} ?", 1..4)
            .prop_map(|parts| (VR::DS, Value::Text(parts.join("\\")))),
        prop::collection::vec("[1-9][0-9.]{0,8}[0-9]", 1..3)
            .prop_map(|parts| (VR::UI, Value::Text(parts.join("\\")))),
        prop::collection::vec(any::<u16>(), 1..4)
            .prop_map(|v| (VR::US, Value::Unsigned(v.into_iter().map(u64::from).collect()))),
        prop::collection::vec(any::<u32>(), 1..4)
            .prop_map(|v| (VR::UL, Value::Unsigned(v.into_iter().map(u64::from).collect()))),
        prop::collection::vec(any::<u64>(), 1..4).prop_map(|v| (VR::UV, Value::Unsigned(v))),
        prop::collection::vec(any::<i16>(), 1..4)
            .prop_map(|v| (VR::SS, Value::Signed(v.into_iter().map(i64::from).collect()))),
        prop::collection::vec(any::<i64>(), 1..4).prop_map(|v| (VR::SV, Value::Signed(v))),
        prop::collection::vec(
            prop::num::f32::NORMAL | prop::num::f32::ZERO | prop::num::f32::INFINITE,
            1..4
        )
        .prop_map(|v| (VR::FL, Value::Float(v))),
        prop::collection::vec(
            prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL,
            1..4
        )
        .prop_map(|v| (VR::FD, Value::Double(v))),
        prop::collection::vec((any::<u16>(), any::<u16>()), 1..4)
            .prop_map(|v| (VR::AT, Value::Tags(v.into_iter().map(|(g, e)| Tag(g, e)).collect()))),
        (
            prop::sample::select(vec![VR::OB, VR::OW, VR::OF, VR::OD, VR::OL, VR::OV, VR::UN]),
            prop::collection::vec(any::<u8>(), 1..40)
        )
            .prop_map(|(vr, bytes)| (vr, Value::Bytes(bytes))),
    ]
}

/// Standard tags of all levels, repeating groups, private and unknown ones.
fn tag() -> impl Strategy<Value = Tag> {
    prop_oneof![
        prop::sample::select(vec![
            Tag(0x0008, 0x0008),
            Tag(0x0010, 0x0010),
            Tag(0x0010, 0x1030),
            Tag(0x0018, 0x0015),
            Tag(0x0020, 0x4000),
            Tag(0x0028, 0x0106),
            Tag(0x0028, 0x3006),
            Tag(0x6000, 0x3000),
            Tag(0x6002, 0x3000),
            Tag(0x0008, 0x1155),
            Tag(0x0028, 0x0120),
            Tag(0x0018, 0x9004),
        ]),
        (0x0009_u16..0x7F00, any::<u16>())
            .prop_filter("group lengths and pixel data are apart", |(g, e)| *e != 0 && *g != 0x7FE0)
            .prop_map(|(g, e)| Tag(g | 1, e)),
        (0x0012_u16..0x7F00, any::<u16>())
            .prop_filter("group lengths are apart", |(_, e)| *e != 0)
            .prop_map(|(g, e)| Tag(g & !1, e)),
    ]
}

fn tree(depth: u32) -> BoxedStrategy<DataSet> {
    let leaf = (tag(), element());
    let elements = prop::collection::vec(leaf, 0..6);
    if depth == 0 {
        return elements.prop_map(|found| collect(found, Vec::new())).boxed();
    }
    let items = prop::collection::vec((tag(), prop::collection::vec(tree(depth - 1), 1..3)), 0..2);
    (elements, items).prop_map(|(found, items)| collect(found, items)).boxed()
}

fn collect(found: Vec<(Tag, (VR, Value))>, items: Vec<(Tag, Vec<DataSet>)>) -> DataSet {
    let plain = found.into_iter().map(|(tag, (vr, value))| (tag, Element { vr, value }));
    let items = items
        .into_iter()
        .map(|(tag, items)| (tag, Element { vr: VR::SQ, value: Value::Items(items) }));
    let elements: BTreeMap<_, _> = plain.chain(items).collect();
    DataSet { elements }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever a file holds, with whatever VR, comes back from the document as it was but for one pad,
    /// which a writer adds again, also after the document was written and read.
    #[test]
    fn every_element_comes_back(random in tree(3)) {
        let mut whole = data_set(elements(SOP));
        whole.elements.extend(random.elements);
        // These decide where the instance is; a random value would lose it.
        whole.elements.extend(data_set(elements(SOP).into_iter().filter(|(tag, ..)| {
            [0x0008_0018, 0x0020_000D, 0x0020_000E, 0x0028_0103].contains(tag)
        })).elements);
        let mut document = Document::default();
        document.add(Document::new_instance(&DataSet::default(), whole.clone()));
        let found = document.data_set(SERIES, SOP).unwrap();
        prop_assert_eq!(without_one_pad(found.clone()), without_one_pad(whole));
        let read = Document::from_json(written(&document).as_bytes(), document.details()).unwrap();
        prop_assert_eq!(read.data_set(SERIES, SOP).unwrap(), found);
    }

    /// A document of earlier forms, whose texts have their padding, becomes one of this form.
    #[test]
    fn texts_with_padding_are_trimmed_and_come_back(random in tree(2), pads in 0..4_usize) {
        let mut whole = data_set(elements(SOP));
        whole.elements.extend(random.elements.into_iter().filter(|(tag, _)| tag.0 >= 0x0018));
        whole.elements.extend(data_set(elements(SOP).into_iter().filter(|(tag, ..)| {
            [0x0008_0018, 0x0020_000D, 0x0020_000E, 0x0028_0103].contains(tag)
        })).elements);
        let mut document = Document::default();
        document.add(Document::new_instance(&DataSet::default(), whole.clone()));
        document.study.insert("StudyDescription".into(), ("CHEST".to_owned() + &" ".repeat(pads)).into());
        let series = document.series.get_mut(SERIES).unwrap();
        series.attributes.insert("SoftwareVersions".into(), json!(["a ", "b"]));
        let before = document.data_set(SERIES, SOP).unwrap();
        document.trim_texts();
        prop_assert_eq!(&document.study["StudyDescription"], "CHEST");
        prop_assert_eq!(&document.series[SERIES].attributes["SoftwareVersions"], &json!(["a", "b"]));
        let after = document.data_set(SERIES, SOP).unwrap();
        prop_assert_eq!(without_one_pad(after), without_one_pad(before));
        let trimmed = document.clone();
        document.trim_texts();
        prop_assert_eq!(document, trimmed);
    }
}

/// Texts without the pad that makes their length even.
fn without_one_pad(mut data_set: DataSet) -> DataSet {
    for element in data_set.elements.values_mut() {
        let pad = if element.vr == VR::UI { '\0' } else { ' ' };
        match &mut element.value {
            Value::Text(text) if text.len() > 1 && text.ends_with(pad) => _ = text.pop(),
            Value::Items(items) => {
                for item in items {
                    *item = without_one_pad(std::mem::take(item));
                }
            }
            _ => {}
        }
    }
    data_set
}
