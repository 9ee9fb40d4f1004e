//! Content trees of structured reports.

use healthimaging_dicom::{DataSet, Value};
use healthimaging_phantoms::{VR, tags, uids};

use super::{data_set, instance, items, run, text};

fn code(value: &str, meaning: &str) -> DataSet {
    data_set([
        (tags::CODE_VALUE, text(VR::SH, value)),
        (tags::CODING_SCHEME_DESIGNATOR, text(VR::SH, "DCM")),
        (tags::CODE_MEANING, text(VR::LO, meaning)),
    ])
}

fn item(
    concept: DataSet,
    kind: &str,
    value: (healthimaging_phantoms::Tag, super::Element),
) -> DataSet {
    data_set([
        (tags::RELATIONSHIP_TYPE, text(VR::CS, "CONTAINS")),
        (tags::VALUE_TYPE, text(VR::CS, kind)),
        (tags::CONCEPT_NAME_CODE_SEQUENCE, items(vec![concept])),
        value,
    ])
}

fn report() -> DataSet {
    let finding = "Nodule of Planted, seen by Dr. Marie Curie on 19.01.2004";
    instance([
        (tags::SOP_CLASS_UID, text(VR::UI, uids::BASIC_TEXT_SR_STORAGE)),
        (tags::VALUE_TYPE, text(VR::CS, "CONTAINER")),
        (
            tags::CONTENT_SEQUENCE,
            items(vec![
                item(code("121071", "Finding"), "TEXT", (tags::TEXT_VALUE, text(VR::UT, finding))),
                item(
                    code("121008", "Person Observer Name"),
                    "PNAME",
                    (tags::PERSON_NAME, text(VR::PN, "Curie^Marie")),
                ),
                item(
                    code("121030", "Subject ID"),
                    "TEXT",
                    (tags::TEXT_VALUE, text(VR::UT, "a number that nothing else has")),
                ),
                item(
                    code("121032", "Subject Sex"),
                    "CODE",
                    (tags::CONCEPT_CODE_SEQUENCE, items(vec![code("121103", "Undetermined sex")])),
                ),
                item(
                    code("112039", "Tracking Identifier"),
                    "UIDREF",
                    (tags::UID, text(VR::UI, "1.2.3.4")),
                ),
                item(
                    code("121206", "Distance"),
                    "NUM",
                    (
                        tags::MEASURED_VALUE_SEQUENCE,
                        items(vec![data_set([(tags::NUMERIC_VALUE, text(VR::DS, "12.5"))])]),
                    ),
                ),
            ]),
        ),
    ])
}

fn content(data_set: &DataSet) -> &[DataSet] {
    match data_set.value(tags::CONTENT_SEQUENCE) {
        Some(Value::Items(items)) => items,
        _ => panic!("content is present"),
    }
}

#[test]
fn the_basic_profile_leaves_one_item_of_dummy_text() {
    let done = run(report(), &[]).data_set;
    let [only] = content(&done) else { panic!("one item") };
    assert_eq!(only.text(tags::VALUE_TYPE), Some("TEXT"));
    assert_eq!(only.text(tags::TEXT_VALUE), Some("REMOVED"));
    // A second pass replaces it by the same.
    assert_eq!(content(&run(done.clone(), &[]).data_set), content(&done));
}

#[test]
fn clean_structured_content_keeps_findings_and_no_names() {
    let done = run(report(), &["clean-structured-content"]).data_set;
    let tree = content(&done);
    assert_eq!(tree.len(), 6);
    assert_eq!(tree[0].text(tags::TEXT_VALUE), Some("Nodule of ***, seen by *** on ***"));
    assert_eq!(tree[1].text(tags::PERSON_NAME), Some("REMOVED"));
    assert_eq!(tree[2].text(tags::TEXT_VALUE), Some("REMOVED"));
    let sex = format!("{:?}", tree[3].value(tags::CONCEPT_CODE_SEQUENCE));
    assert!(!sex.contains("121103") && !sex.contains("Undetermined"), "{sex}");
    assert_ne!(tree[4].text(tags::UID), Some("1.2.3.4"));
    assert!(format!("{:?}", tree[5]).contains("12.5"));
    let concepts = format!("{tree:?}");
    for concept in ["121071", "121008", "121030", "121032", "Subject Sex"] {
        assert!(concepts.contains(concept), "{concept}");
    }
    let options = ["clean-structured-content", "retain-patient-characteristics"];
    let done = run(report(), &options).data_set;
    let sex = format!("{:?}", content(&done)[3].value(tags::CONCEPT_CODE_SEQUENCE));
    assert!(sex.contains("121103"));
}

#[test]
fn references_of_the_report_follow_the_new_uids() {
    let reference = data_set([
        (tags::REFERENCED_SOP_CLASS_UID, text(VR::UI, uids::CT_IMAGE_STORAGE)),
        (tags::REFERENCED_SOP_INSTANCE_UID, text(VR::UI, "1.2.3.4")),
    ]);
    let mut made = report();
    let evidence = tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE;
    made.elements.extend([(evidence, items(vec![reference]))]);
    let done = run(made, &[]).data_set;
    let Some(Value::Items(evidence)) = done.value(evidence) else { panic!("evidence") };
    let found = evidence[0].text(tags::REFERENCED_SOP_INSTANCE_UID);
    assert_eq!(found, done.text(tags::SOP_INSTANCE_UID));
    assert_eq!(evidence[0].text(tags::REFERENCED_SOP_CLASS_UID), Some(uids::CT_IMAGE_STORAGE));
}

#[test]
fn deep_trees_are_cleaned_to_the_end() {
    let text_item = |words: &str| {
        item(code("121071", "Finding"), "TEXT", (tags::TEXT_VALUE, text(VR::UT, words)))
    };
    let mut tree = vec![text_item("deepest of Planted")];
    for _ in 0..120 {
        let mut parent = text_item("of Planted");
        parent.elements.extend([(tags::CONTENT_SEQUENCE, items(tree))]);
        tree = vec![parent];
    }
    let made = instance([(tags::CONTENT_SEQUENCE, items(tree))]);
    let done = format!("{:?}", run(made, &["clean-structured-content"]).data_set);
    assert_eq!(done.matches("of ***").count(), 121);
    assert!(done.contains("deepest of ***") && !done.contains("Planted"));
}
