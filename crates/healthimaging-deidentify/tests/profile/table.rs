//! Each row of the table, as the test reads it.

use healthimaging_dicom::{DataSet, Element, Value};
use healthimaging_phantoms::{Tag, VR, tags};

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

use super::{deidentifier, instance, items, run, text};

const STANDARD: &str = include_str!("../../data/table_e1_1.tsv");
const SUPPLEMENT: &str = include_str!("../../data/supplement.tsv");

/// Tag, action of the Basic Profile, actions by column.
pub(crate) fn rows() -> impl Iterator<Item = (Tag, &'static str, Vec<&'static str>)> {
    STANDARD.lines().chain(SUPPLEMENT.lines()).filter_map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        let (group, element) = line.strip_prefix('(')?.get(..9)?.split_once(',')?;
        let group = u16::from_str_radix(group, 16).ok()?;
        let tag = Tag(group, u16::from_str_radix(element, 16).ok()?);
        Some((tag, fields[2], fields[3..].to_vec()))
    })
}

pub(crate) fn vr(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::LO, |entry| entry.vr().relaxed())
}

/// A value of a VR that can be found again.
fn planted(vr: VR) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    match vr {
        VR::DA => text("20040119"),
        VR::TM => text("072731"),
        VR::DT => text("20040119072731"),
        VR::AS => text("045Y"),
        VR::DS | VR::IS => text("4711"),
        VR::UI => text("1.2.840.4711"),
        VR::US | VR::UL => Value::Unsigned(vec![4711]),
        VR::SS | VR::SL => Value::Signed(vec![4711]),
        VR::FD => Value::Double(vec![4711.0]),
        VR::FL => Value::Float(vec![4711.0]),
        VR::OB | VR::OW | VR::UN => Value::Bytes(b"SECRET!!".to_vec()),
        VR::SQ => Value::Items(vec![{
            let mut item = DataSet::default();
            let value = Value::Text("Secret text".to_owned());
            item.elements.insert(tags::CODE_MEANING, Element { vr: VR::LO, value });
            item
        }]),
        VR::CS => text("SECRET"),
        _ => text("Secret text"),
    }
}

fn element(tag: Tag) -> Element {
    let vr = vr(tag);
    Element { vr, value: planted(vr) }
}

fn is_empty(value: &Value) -> bool {
    matches!(value, Value::Empty) || matches!(value, Value::Items(items) if items.is_empty())
}

/// Whether an attribute in a data set of its own, and in an item, is what the code says.
fn check(tag: Tag, code: &str, options: &[&str]) {
    let item = instance([(tag, element(tag))]);
    let around = (tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, items(vec![item.clone()]));
    let mut outer = item;
    outer.elements.extend([around]);
    let done = run(outer, options).data_set;
    let Some(Value::Items(inner)) = done.value(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE) else {
        panic!("the items are left")
    };
    for data_set in [&done, &inner[0]] {
        if tag.group() < 8 {
            assert!(data_set.value(tag).is_none(), "{tag} is no part of a data set");
            continue;
        }
        let found = data_set.elements.get(&tag);
        let is_same = found.is_some_and(|found| found.value == planted(vr(tag)));
        match code {
            "X" => assert!(found.is_none(), "{tag} is removed"),
            // Empty is allowed, and the name becomes a pseudonym.
            "Z" | "X/Z" if tag != tags::PATIENT_NAME => {
                assert!(is_empty(&found.unwrap().value), "{tag} is empty");
            }
            "Z" | "D" | "X/D" | "Z/D" | "X/Z/D" | "U" => {
                let found = found.unwrap_or_else(|| panic!("{tag} is present"));
                assert!(!is_empty(&found.value) && !is_same, "{tag} is replaced");
                assert_eq!(found.vr, vr(tag), "{tag}");
            }
            "X/Z/U*" => assert!(found.is_some(), "{tag} is present"),
            "K" => assert!(is_same || vr(tag) == VR::SQ && found.is_some(), "{tag} is kept"),
            code => panic!("{code} has no rule"),
        }
    }
}

#[test]
fn every_row_does_what_the_basic_profile_says() {
    let mut checked = 0;
    for (tag, code, _) in rows() {
        check(tag, code, &[]);
        checked += 1;
    }
    assert!(checked > 660, "{checked}");
}

#[test]
fn every_row_keeps_what_an_option_retains() {
    let columns = [
        (1, "retain-uids"),
        (2, "retain-device-identity"),
        (3, "retain-institution-identity"),
        (4, "retain-patient-characteristics"),
        (5, "retain-full-dates"),
    ];
    for (column, option) in columns {
        let mut checked = 0;
        for (tag, basic, actions) in rows() {
            match actions[column] {
                "" => check(tag, basic, &[option]),
                "K" => check(tag, "K", &[option]),
                _ => continue,
            }
            checked += 1;
        }
        assert!(checked > 600, "{option}: {checked}");
    }
}

#[test]
fn every_date_of_the_table_moves_with_modified_dates() {
    let mut checked = 0;
    for (tag, _, actions) in rows() {
        let vr = vr(tag);
        if actions[6] != "C" || !matches!(vr, VR::DA | VR::DT | VR::TM) {
            continue;
        }
        let done = run(instance([(tag, element(tag))]), &["retain-modified-dates"]).data_set;
        let moved = done.text(tag).unwrap_or_else(|| panic!("{tag} is present"));
        if vr == VR::TM {
            assert_eq!(moved, "072731", "{tag}");
        } else {
            assert!(!moved.starts_with("20040119") && !moved.starts_with("1900"), "{tag}");
            assert!(vr == VR::DA || moved.ends_with("072731"), "{tag}");
        }
        checked += 1;
    }
    assert!(checked > 160, "{checked}");
}

#[test]
fn descriptions_are_cleaned_where_the_table_says_so() {
    let mut checked = 0;
    for (tag, _, actions) in rows() {
        if actions[7] != "C" || !matches!(vr(tag), VR::LO | VR::SH | VR::ST | VR::LT | VR::UT) {
            continue;
        }
        let made = instance([(tag, text(vr(tag), "slab of PERSON"))]);
        let done = run(made, &["clean-descriptors"]).data_set;
        assert_eq!(done.text(tag), Some("slab of ***"), "{tag}");
        checked += 1;
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn empty_values_stay_empty() {
    for (tag, code, _) in rows().filter(|(tag, ..)| tag.group() >= 8) {
        let empty = if vr(tag) == VR::SQ { Value::Items(Vec::new()) } else { Value::Empty };
        let done = run(instance([(tag, Element { vr: vr(tag), value: empty })]), &[]).data_set;
        let found = done.elements.get(&tag);
        assert!(found.is_none_or(|found| is_empty(&found.value)), "{tag} {code}");
    }
}

#[test]
fn pseudonyms_and_uids_are_the_same_in_every_run_and_differ_by_key() {
    let made = || instance([(tags::FRAME_OF_REFERENCE_UID, text(VR::UI, "1.2.3.4"))]);
    let (first, second) = (run(made(), &[]).data_set, run(made(), &[]).data_set);
    assert_eq!(first, second);
    let frame = first.text(tags::FRAME_OF_REFERENCE_UID).unwrap();
    assert_eq!(Some(frame), first.text(tags::SOP_INSTANCE_UID));
    assert_eq!(frame, deidentifier(&[]).uid("1.2.3.4"));
    assert!(frame.starts_with("2.25.") && frame.len() <= 64);
    assert_eq!(first.text(tags::PATIENT_ID).unwrap(), deidentifier(&[]).patient_id("MRN-4711"));
    let key = healthimaging_deidentify::Key::try_from([8; 32].as_slice()).unwrap();
    let profile = healthimaging_deidentify::Profile::default();
    let other = healthimaging_deidentify::Deidentifier::new(profile, key);
    assert_ne!(other.uid("1.2.3.4"), frame);
}

#[test]
fn registered_uids_stay() {
    for uid in ["1.2.840.10008.1.4.1.1", "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2"] {
        let done = run(instance([(tags::FRAME_OF_REFERENCE_UID, text(VR::UI, uid))]), &[]);
        assert_eq!(done.data_set.text(tags::FRAME_OF_REFERENCE_UID), Some(uid));
    }
    // A UID under the root of the standard that the standard does not register is replaced.
    let uid = "1.2.840.10008.5.1.4.1.1.2.4711";
    let done = run(instance([(tags::FRAME_OF_REFERENCE_UID, text(VR::UI, uid))]), &[]);
    assert_ne!(done.data_set.text(tags::FRAME_OF_REFERENCE_UID), Some(uid));
    // Private classes and coding schemes are definitions too.
    let scheme =
        items(vec![super::data_set([(tags::CODING_SCHEME_UID, text(VR::UI, "1.3.6.1.4.1.4711"))])]);
    let made = instance([(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, scheme)]);
    let done = format!("{:?}", run(made, &[]).data_set);
    assert!(done.contains("1.3.6.1.4.1.4711"));
}
