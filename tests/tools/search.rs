//! Searching.

use std::collections::BTreeSet;

use healthimaging_phantoms::Archive;
use serde_json::{Value, json};

use crate::erase::{all, tag};
use crate::rig::{ARCHIVE, Rig};

pub(crate) async fn everything_is_found_without_criteria(rig: Rig) {
    let datastore = rig.filled().await;
    let asked = json!({ "datastore_id": datastore });
    let found = rig.call("search_image_sets", asked).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    assert_eq!(sets.len(), 8);
}

pub(crate) async fn ct_scans_of_a_patient_are_one_call(rig: Rig) {
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let patient = tag(&set, "DICOMPatientId");
    let asked = |extra: Value| {
        let mut asked = json!({ "datastore_id": datastore, "patient_id": patient });
        for (key, value) in extra.as_object().unwrap() {
            asked[key] = value.clone();
        }
        asked
    };
    // Dates go to the service, which returns nothing that does not fit.
    for (extra, count, examined) in [
        (json!({ "modality": "ct" }), 4, 4),
        (json!({ "modality": "MR" }), 0, 4),
        (json!({ "primary_only": true }), 4, 4),
        (json!({ "study_date_from": "19000101", "study_date_to": "19000102" }), 0, 0),
    ] {
        let found = rig.call("search_by_patient_id", asked(extra.clone())).await;
        let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
        assert_eq!(sets.len(), count, "{extra}");
        assert_eq!(found["image_sets_examined"], examined, "{extra}");
    }
    for (tool, key, name, count) in [
        ("search_by_study_uid", "study_instance_uid", "DICOMStudyInstanceUID", 2),
        ("search_by_series_uid", "series_instance_uid", "DICOMSeriesInstanceUID", 1),
    ] {
        let mut asked = json!({ "datastore_id": datastore });
        asked[key] = json!(tag(&set, name));
        let found = rig.call(tool, asked).await;
        let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
        assert_eq!(sets.len(), count, "{tool}");
    }
    let no_day = asked(json!({ "study_date_from": "20260231" }));
    rig.refusal("search_by_patient_id", no_day, "validation_error").await;
}

pub(crate) async fn more_than_a_hundred_are_paged_exactly(rig: Rig) {
    let datastore = rig.datastore().await;
    let archive = Archive { patients: 1, studies: 3, series: 40, instances: 1, size: 8, ..ARCHIVE };
    rig.import(&datastore, archive.files()).await;
    let first = json!({ "datastore_id": datastore, "max_results": 1 });
    let one = rig.call("search_image_sets", first).await;
    let patient = tag(&one["image_sets_metadata_summaries"][0], "DICOMPatientId").to_owned();
    let mut seen = BTreeSet::new();
    let mut token = Value::Null;
    let mut sizes = Vec::new();
    loop {
        let mut asked =
            json!({ "datastore_id": datastore, "patient_id": patient, "max_results": 55 });
        if !token.is_null() {
            asked["next_token"] = token;
        }
        let page = rig.call("search_by_patient_id", asked).await;
        let sets = page["image_sets_metadata_summaries"].as_array().unwrap();
        sizes.push(sets.len());
        seen.extend(sets.iter().map(|set| set["image_set_id"].to_string()));
        token = page["next_token"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(sizes, [55, 55, 10]);
    assert_eq!(seen.len(), 120);
}
