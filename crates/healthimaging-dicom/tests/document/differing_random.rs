//! Any instances of one series, in any order and any parts: each comes back as it was sent.

use std::collections::BTreeMap;

use dicom_core::VR;
use healthimaging_dicom::{DataSet, Document, SplitInstance, UpdateDocuments, UpdateRules, Value};
use proptest::prelude::*;
use serde_json::json;

use crate::slice::{SERIES, data_set, elements, json as written, meta, text};

/// One file: which instance it is, and which of its values each attribute has.
#[derive(Debug, Clone)]
struct Sent {
    instance: u8,
    values: Vec<u8>,
}

impl Sent {
    fn sop_uid(&self) -> String {
        format!("2.25.1001.1.{}", self.instance)
    }

    fn data_set(&self) -> DataSet {
        let mut all = elements(&self.sop_uid());
        let attributes = attributes();
        for ((tag, vr, known), chosen) in attributes.iter().zip(&self.values) {
            all.retain(|(held, ..)| held != tag);
            let value = known.get(usize::from(*chosen)).cloned();
            all.extend(value.map(|value| (*tag, *vr, value)));
        }
        data_set(all)
    }

    fn split(&self) -> SplitInstance {
        Document::new_instance(&meta(), self.data_set())
    }
}

/// Attributes of every level and kind, and the values that they take; with a number beyond them there
/// is no attribute.
fn attributes() -> Vec<(u32, VR, Vec<Value>)> {
    let code = |code: &str| {
        let private = (0x0009_1001, VR::LO, text(code));
        let creator = (0x0009_0010, VR::LO, text("ACME"));
        Value::Items(vec![data_set([(0x0008_0100, VR::SH, text(code)), creator, private])])
    };
    vec![
        (0x0010_0040, VR::CS, vec![Value::Empty, text("F"), text("M")]),
        (0x0010_1030, VR::DS, vec![Value::Empty, text("61.5"), text("62")]),
        (0x0008_1032, VR::SQ, vec![Value::Items(Vec::new()), code("A"), code("B"), code("A  ")]),
        (0x0008_1030, VR::LO, vec![text("CHEST"), text("CHEST  "), text("  CHEST")]),
        (0x0020_0060, VR::CS, vec![Value::Empty, text("L"), text("R")]),
        (0x0018_1020, VR::LO, vec![Value::Empty, text("a\\b"), text("b")]),
        (
            0x0028_0120,
            VR::US,
            vec![Value::Empty, Value::Unsigned(vec![0]), Value::Unsigned(vec![7])],
        ),
    ]
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let one = (0..4_u8, prop::collection::vec(0..5_u8, attributes().len()))
        .prop_map(|(instance, values)| Sent { instance, values });
    prop::collection::vec(one, 1..12)
}

/// The last of each instance.
fn latest(files: &[Sent]) -> BTreeMap<String, &Sent> {
    files.iter().map(|file| (file.sop_uid(), file)).collect()
}

fn check(document: &Document, expected: &BTreeMap<String, &Sent>) {
    let uids: Vec<_> = document.series[SERIES].instances.keys().collect();
    assert_eq!(uids, expected.keys().collect::<Vec<_>>());
    for (sop_uid, file) in expected {
        let mut all = document.data_set(SERIES, sop_uid).unwrap();
        all.elements.retain(|tag, _| tag.group() > 2);
        assert_eq!(all, file.data_set(), "{sop_uid}");
        let split = document.split_instance(SERIES, sop_uid).unwrap();
        assert_eq!(split, file.split());
    }
    // No level shows what no instance has: searches would find it.
    let levels = [&document.patient, &document.study, &document.series[SERIES].attributes];
    for key in levels.into_iter().flat_map(|level| level.keys()) {
        let follows = |uid: &&String| !document.differing(SERIES, uid).contains(&key.as_str());
        assert!(document.series[SERIES].instances.keys().any(|uid| follows(&uid)), "{key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_comes_back_as_it_was_sent(files in sent(), cuts in prop::collection::vec(any::<bool>(), 12)) {
        let mut one_by_one = Document::default();
        for file in &files {
            one_by_one.add(file.split());
        }
        check(&one_by_one, &latest(&files));
        let json = written(&one_by_one);
        let read = Document::from_json(json.as_bytes(), one_by_one.details()).unwrap();
        prop_assert_eq!(&read, &one_by_one);

        // In parts that are joined first, none of which holds an instance twice.
        let mut in_parts = Document::default();
        let mut part: Vec<&Sent> = Vec::new();
        for (file, cut) in files.iter().zip(&cuts) {
            if *cut || part.iter().any(|held| held.instance == file.instance) {
                join(&mut in_parts, &part);
                part.clear();
            }
            part.push(file);
        }
        join(&mut in_parts, &part);
        prop_assert_eq!(&in_parts, &one_by_one);
    }

    #[test]
    fn removing_some_changes_none_of_the_rest(files in sent(), removed in 0..4_u8) {
        let mut document = Document::default();
        for file in &files {
            document.add(file.split());
        }
        let mut expected = latest(&files);
        let uid = format!("2.25.1001.1.{removed}");
        prop_assume!(expected.len() > 1 && expected.remove(&uid).is_some());
        let removable = json!({"SchemaVersion": 1.1,
            "Study": {"Series": {SERIES: {"Instances": {uid: {}}}}}});
        let documents = UpdateDocuments::parse(None, Some(removable.to_string().as_bytes())).unwrap();
        documents.apply(&mut document, &UpdateRules::default()).unwrap();
        check(&document, &expected);
    }
}

fn join(document: &mut Document, part: &[&Sent]) {
    let mut joined = Document::default();
    for file in part {
        joined.add(file.split());
    }
    for file in part {
        document.add(joined.split_instance(SERIES, &file.sop_uid()).unwrap());
    }
}
