//! Random updates.

use healthimaging_dicom::{Document, UpdateRules};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::slice::{SERIES, SOP, document, json as written};
use crate::update::{OTHER, checked, parse};

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ];
    let keys = prop::sample::select(vec![
        "SchemaVersion",
        "Patient",
        "Study",
        "Series",
        "Instances",
        "DICOM",
        "DICOMVRs",
        SERIES,
        SOP,
        "PatientName",
        "StudyID",
        "ImageType",
        "Rows",
        "00191001",
        "0019100A",
        "SOPInstanceUID",
        "ReferencedImageSequence",
        "x",
    ]);
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((keys.clone(), inner), 0..5).prop_map(|members| {
                Json::Object(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Whatever a caller sends: an error in words, or a document that can still be written and read.
    #[test]
    fn nothing_breaks_the_document(
        values in prop::collection::vec(json_value(), 4),
        (primary, force, study_wide) in any::<(bool, bool, bool)>(),
    ) {
        let rules = UpdateRules { primary, force, study_wide };
        let mut changed = document(&[SOP, OTHER]);
        let changes = json!({"SchemaVersion": 1.1,
            "Patient": {"DICOM": {"PatientName": values[0]}},
            "Study": {"DICOM": {"PatientWeight": values[1]}, "Series": {SERIES: {"Instances": {SOP: {
                "DICOM": {"ImageType": values[2], "ReferencedImageSequence": values[3], "00191001": values[0]},
            }}}}}});
        for changes in [&changes, &values[0]] {
            if let Ok(changes) = parse(Some(changes), Some(&values[1])) {
                let _ = changes.apply(&mut changed, &rules);
            }
            if let Ok(changes) = parse(Some(changes), None) {
                let _ = changes.apply(&mut changed, &rules).map_err(|failure| checked(failure.message));
            }
        }
        let read = Document::from_json(written(&changed).as_bytes(), changed.details()).unwrap();
        prop_assert_eq!(&read, &changed);
        prop_assert!(changed.data_set(SERIES, OTHER).is_some());
    }
}
