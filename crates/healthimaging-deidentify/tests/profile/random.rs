//! A name in any attribute, of any VR, at any depth.

use std::sync::LazyLock;

use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;
use healthimaging_dicom::{DataSet, Element, Value};
use healthimaging_phantoms::{Tag, VR};
use proptest::prelude::*;

use super::hostile::KEEPING;
use super::{instance, run};

const VRS: [VR; 34] = [
    VR::AE,
    VR::AS,
    VR::AT,
    VR::CS,
    VR::DA,
    VR::DS,
    VR::DT,
    VR::FD,
    VR::FL,
    VR::IS,
    VR::LO,
    VR::LT,
    VR::OB,
    VR::OD,
    VR::OF,
    VR::OL,
    VR::OV,
    VR::OW,
    VR::PN,
    VR::SH,
    VR::SL,
    VR::SQ,
    VR::SS,
    VR::ST,
    VR::SV,
    VR::TM,
    VR::UC,
    VR::UI,
    VR::UL,
    VR::UN,
    VR::UR,
    VR::US,
    VR::UT,
    VR::UV,
];

/// Every attribute that the dictionary knows in the groups of instances.
static KNOWN: LazyLock<Vec<Tag>> = LazyLock::new(|| {
    let groups = (0x0008..0x0100).chain(0x3000..0x3012).filter(|group| group % 2 == 0);
    let tags = groups.flat_map(|group| (1..=0xFFFF).map(move |element| Tag(group, element)));
    tags.filter(|tag| StandardDataDictionary.by_tag(*tag).is_some()).collect()
});

/// Tags of the table, of the dictionary, and any.
fn tag() -> impl Strategy<Value = Tag> {
    let listed: Vec<Tag> = super::table::rows().map(|(tag, ..)| tag).collect();
    prop_oneof![
        4 => prop::sample::select(listed),
        6 => prop::sample::select(KNOWN.to_vec()),
        1 => (0x5000_u16..0x6100, any::<u16>()).prop_map(|(g, e)| Tag(g, e)),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(g, e)| Tag(g, e)),
    ]
    // The patient is given, and the values of some attributes come from lists.
    .prop_filter("given", |tag| !GIVEN.contains(tag))
}

/// Attributes that [`instance`] sets, and those whose values are terms and not looked at.
const GIVEN: [Tag; 15] = [
    Tag(0x0008, 0x0005),
    Tag(0x0008, 0x0008),
    Tag(0x0008, 0x0016),
    Tag(0x0008, 0x0060),
    Tag(0x0008, 0x0070),
    Tag(0x0008, 0x0100),
    Tag(0x0008, 0x0102),
    Tag(0x0008, 0x0103),
    Tag(0x0008, 0x0119),
    Tag(0x0008, 0x0120),
    Tag(0x0008, 0x1090),
    Tag(0x0008, 0x9007),
    Tag(0x0010, 0x0010),
    Tag(0x0010, 0x0020),
    Tag(0x0018, 0x1020),
];

fn value(planted: &'static str) -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => Just(Value::Text(planted.to_owned())),
        1 => Just(Value::Text(format!("20040119\\{planted}"))),
        1 => Just(Value::Text(format!("see {planted}, 1.2.3"))),
        2 => Just(Value::Bytes(format!("\0{planted}\0").into_bytes())),
    ]
}

fn element() -> impl Strategy<Value = (Tag, Element)> {
    let planted = prop::sample::select(vec!["Planted", "PLANTED^Person", "planted"]);
    // Mostly the VR of the dictionary: others are removed before anything looks at the value.
    let vr = prop::option::weighted(0.2, prop::sample::select(VRS.to_vec()));
    let leaf = (tag(), vr, planted.prop_flat_map(value)).prop_map(|(tag, vr, value)| {
        let vr = vr.unwrap_or_else(|| super::table::vr(tag));
        (tag, Element { vr, value })
    });
    leaf.prop_recursive(4, 24, 4, |inner| {
        (tag(), prop::collection::vec(inner, 1..4)).prop_map(|(tag, elements)| {
            let mut item = DataSet::default();
            item.elements.extend(elements);
            (tag, Element { vr: VR::SQ, value: Value::Items(vec![item]) })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_name_is_nowhere_in_the_result(elements in prop::collection::vec(element(), 1..24)) {
        let made = instance(elements);
        for options in [&[][..], &["retain-modified-dates"], &KEEPING] {
            let done = run(made.clone(), options);
            for (tag, element) in &done.data_set.elements {
                let mut shown = String::new();
                show(&element.value, &mut shown);
                prop_assert!(!shown.to_lowercase().contains("planted"), "{tag} {}: {shown}", element.vr);
            }
            let report = serde_json::to_string(&done.report).unwrap();
            prop_assert!(!report.to_lowercase().contains("planted"));
        }
    }
}

/// All texts and bytes, and where they are.
fn show(value: &Value, to: &mut String) {
    match value {
        Value::Text(text) => to.push_str(text),
        Value::Bytes(bytes) => to.push_str(&String::from_utf8_lossy(bytes)),
        Value::Items(items) => {
            for (tag, element) in items.iter().flat_map(|item| &item.elements) {
                to.extend(["\n", &tag.to_string(), " "]);
                show(&element.value, to);
            }
        }
        _ => {}
    }
}
