//! Searching image sets: filters, pairs of filters, order, pages, and the content of a result.

use healthimaging::model::{SearchCriteria, SearchImageSetsRequest, SearchImageSetsResponse};
use healthimaging::{DatastoreId, Error, ErrorKind, ImageSetId, NextToken};
use healthimaging_phantoms::{Phantom, VR, tags};
use serde_json::{Value, json};

use healthimaging_testing::rig::{Rig, refused};

/// A series of its own: study, series and patient follow the number.
fn series(number: u32) -> Phantom {
    Phantom::ct()
        .size(16, 16)
        .patient(&format!("NAME^{number}"), &format!("P{number}"))
        .study_uid(&format!("2.25.{number}"))
        .series_uid(&format!("2.25.{number}.1"))
        .sop_uid(&format!("2.25.{number}.1.1"))
        .accession_number(&format!("A{number}"))
        .with(tags::STUDY_ID, VR::SH, format!("S{number}"))
}

/// A data store with these series, in the order in which they came in.
async fn with_series(rig: &Rig, phantoms: Vec<Phantom>) -> (DatastoreId, Vec<ImageSetId>) {
    let store = rig.datastore().await;
    let mut sets = Vec::new();
    for phantom in phantoms {
        sets.push(rig.put(&store, phantom).await);
    }
    (store, sets)
}

fn equal(kind: &str, value: &Value) -> Value {
    json!({"operator": "EQUAL", "values": [{kind: value}]})
}

fn between(kind: &str, low: &Value, high: &Value) -> Value {
    json!({"operator": "BETWEEN", "values": [{kind: low}, {kind: high}]})
}

async fn ask(
    rig: &Rig,
    store: &DatastoreId,
    criteria: Value,
    token: Option<NextToken>,
    size: Option<u32>,
) -> Result<SearchImageSetsResponse, Error> {
    let criteria: SearchCriteria = serde_json::from_value(criteria).unwrap();
    let request = SearchImageSetsRequest {
        datastore_id: store.clone(),
        search_criteria: criteria,
        next_token: token,
        max_results: size,
    };
    rig.service.search_image_sets(request).await
}

pub(crate) async fn no_criteria_find_everything_newest_first(rig: &Rig) {
    let (store, mut sets) = with_series(rig, (1..=3).map(series).collect()).await;
    sets.reverse();
    assert_eq!(rig.found(&store, json!({})).await, sets);
    let empty = rig.datastore().await;
    assert_eq!(rig.found(&empty, json!({})).await, []);
}

pub(crate) async fn each_attribute_finds_its_image_set(rig: &Rig) {
    let (store, sets) = with_series(rig, (1..=3).map(series).collect()).await;
    for (kind, value) in [
        ("DICOMPatientId", "P2"),
        ("DICOMAccessionNumber", "A2"),
        ("DICOMStudyId", "S2"),
        ("DICOMStudyInstanceUID", "2.25.2"),
        ("DICOMSeriesInstanceUID", "2.25.2.1"),
    ] {
        let found = rig.found(&store, json!({"filters": [equal(kind, &json!(value))]})).await;
        assert_eq!(found, [sets[1].clone()], "{kind}");
    }
}

pub(crate) async fn a_search_tells_primary_from_not(rig: &Rig) {
    let (store, deviant) = rig.holding_non_primary(series(1)).await;
    let all = rig.search(&store, json!({})).await;
    assert_eq!(all.len(), 2);
    for (flag, count) in [(true, 1), (false, 1)] {
        let criteria = json!({"filters": [equal("isPrimary", &json!(flag))]});
        let found = rig.search(&store, criteria).await;
        assert_eq!(found.len(), count);
        assert_eq!(found[0].is_primary, Some(flag));
        assert_eq!(found[0].image_set_id == deviant, !flag);
    }
}

pub(crate) async fn comparison_is_exact(rig: &Rig) {
    let (store, sets) = with_series(rig, vec![series(1).patient("N", "Ab*c")]).await;
    for other in ["ab*c", "Ab", "Ab*", "*", "A?*c", "Ab*c%", "%", "Ab_c", "", "Ab*c'"] {
        let criteria = json!({"filters": [equal("DICOMPatientId", &json!(other))]});
        if let Ok(found) = ask(rig, &store, criteria, None, None).await {
            assert_eq!(found.image_sets_metadata_summaries, [], "{other}");
        }
    }
    let criteria = json!({"filters": [equal("DICOMPatientId", &json!("Ab*c"))]});
    assert_eq!(rig.found(&store, criteria).await, sets);
}

pub(crate) async fn pad_spaces_do_not_count(rig: &Rig) {
    let (store, sets) = with_series(rig, vec![series(1).patient("N", "ODD")]).await;
    for written in ["ODD", "ODD "] {
        let criteria = json!({"filters": [equal("DICOMPatientId", &json!(written))]});
        assert_eq!(rig.found(&store, criteria).await, sets, "{written:?}");
    }
}

pub(crate) async fn moments_are_found_between_both_ends_included(rig: &Rig) {
    let (store, _) = with_series(rig, (1..=3).map(series).collect()).await;
    let all = rig.search(&store, json!({})).await;
    for kind in ["createdAt", "updatedAt"] {
        let moments: Vec<_> = all
            .iter()
            .map(|set| if kind == "createdAt" { set.created_at } else { set.updated_at })
            .map(Option::unwrap)
            .collect();
        let (low, high) = (moments[2], moments[1]);
        let filter = between(kind, &json!(low.to_rfc3339()), &json!(high.to_rfc3339()));
        let found = rig.search(&store, json!({"filters": [filter]})).await;
        let wanted = moments.iter().filter(|at| (low..=high).contains(at)).count();
        assert_eq!(found.len(), wanted, "{kind}");
        assert!(found.iter().any(|set| set.image_set_id == all[1].image_set_id));
        assert!(found.iter().any(|set| set.image_set_id == all[2].image_set_id));
    }
}

fn dated(number: u32, date: &str, time: Option<&str>) -> Phantom {
    let phantom = series(number).study_date(date);
    match time {
        Some(time) => phantom.with(tags::STUDY_TIME, VR::TM, time),
        None => phantom.without(tags::STUDY_TIME),
    }
}

fn moment(date: &str, time: Option<&str>) -> Value {
    match time {
        Some(time) => json!({"DICOMStudyDate": date, "DICOMStudyTime": time}),
        None => json!({"DICOMStudyDate": date}),
    }
}

pub(crate) async fn study_moments_are_found_between_both_ends_included(rig: &Rig) {
    let (store, sets) = with_series(
        rig,
        vec![
            dated(1, "20240101", None),
            dated(2, "20240101", Some("120000")),
            dated(3, "20240102", Some("080000.5")),
            dated(4, "20240103", Some("000000")),
        ],
    )
    .await;
    let cases = [
        (moment("20240101", None), moment("20240103", None), vec![0, 1, 2, 3]),
        (moment("20240101", Some("000001")), moment("20240102", Some("080000.5")), vec![1, 2]),
        (moment("20240102", None), moment("20240102", Some("080000.499999")), vec![]),
        (moment("20240101", Some("120000")), moment("20240101", Some("120000.000000")), vec![1]),
        (moment("20230101", None), moment("20240101", None), vec![0]),
    ];
    for (low, high, wanted) in cases {
        let filter = between("DICOMStudyDateAndTime", &low, &high);
        let mut found = rig.found(&store, json!({"filters": [filter]})).await;
        let mut wanted: Vec<_> = wanted.into_iter().map(|n: usize| sets[n].clone()).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{low} to {high}");
    }
}

pub(crate) async fn a_study_moment_is_found_by_itself(rig: &Rig) {
    let (store, sets) =
        with_series(rig, vec![dated(1, "20240101", None), dated(2, "20240101", Some("120000"))])
            .await;
    for (value, wanted) in
        [(moment("20240101", None), &sets[0]), (moment("20240101", Some("120000")), &sets[1])]
    {
        let criteria = json!({"filters": [equal("DICOMStudyDateAndTime", &value)]});
        assert_eq!(rig.found(&store, criteria).await, [wanted.clone()], "{value}");
    }
}

pub(crate) async fn two_filters_must_both_hold(rig: &Rig) {
    let same_patient = |number| series(number).patient("N", "P");
    let (store, sets) = with_series(rig, (1..=3).map(same_patient).collect()).await;
    let patient = equal("DICOMPatientId", &json!("P"));
    for second in [
        equal("DICOMStudyInstanceUID", &json!("2.25.2")),
        equal("DICOMAccessionNumber", &json!("A2")),
    ] {
        let criteria = json!({"filters": [patient, second]});
        assert_eq!(rig.found(&store, criteria).await, [sets[1].clone()]);
    }
    let whenever = between("updatedAt", &json!(0), &json!(4_000_000_000_u32));
    let never = between("updatedAt", &json!(0), &json!(1));
    let primary = equal("isPrimary", &json!(true));
    for (second, count) in [(whenever, 3), (never, 0), (primary, 3)] {
        let found = rig.found(&store, json!({"filters": [patient, second]})).await;
        assert_eq!(found.len(), count);
    }
}

pub(crate) async fn filters_of_a_wrong_shape_are_refused(rig: &Rig) {
    let store = rig.datastore().await;
    let id = |value: &str| json!({"DICOMPatientId": value});
    let created = json!({"createdAt": 1});
    let updated = json!({"updatedAt": 1});
    let patient = equal("DICOMPatientId", &json!("P"));
    let study = equal("DICOMStudyInstanceUID", &json!("2.25.1"));
    let series = equal("DICOMSeriesInstanceUID", &json!("2.25.1"));
    for filters in [
        json!([{"operator": "EQUAL", "values": []}]),
        json!([{"operator": "EQUAL", "values": [id("a"), id("b")]}]),
        json!([{"operator": "BETWEEN", "values": [created]}]),
        json!([{"operator": "BETWEEN", "values": [created, updated]}]),
        json!([{"operator": "BETWEEN", "values": [created, created, created]}]),
        json!([{"operator": "BETWEEN", "values": [id("a"), id("b")]}]),
        json!([{"operator": "EQUAL", "values": [created]}]),
        json!([patient, patient]),
        json!([patient, study, series]),
    ] {
        let answer = ask(rig, &store, json!({"filters": filters}), None, None).await;
        assert!(answer.is_err(), "{filters}");
        refused(answer, ErrorKind::Validation);
    }
}

pub(crate) async fn results_are_sorted_as_asked(rig: &Rig) {
    let (store, sets) = with_series(
        rig,
        vec![
            dated(1, "20240102", Some("100000")),
            dated(2, "20240103", Some("090000")),
            dated(3, "20240102", Some("090000")),
        ],
    )
    .await;
    let change = json!({"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": "LATER"}}});
    rig.update(rig.update_request(&store, &sets[0], 1, &change)).await;
    for (field, order) in
        [("createdAt", [0, 1, 2]), ("updatedAt", [1, 2, 0]), ("DICOMStudyDateAndTime", [2, 0, 1])]
    {
        let mut wanted: Vec<_> = order.into_iter().map(|n| sets[n].clone()).collect();
        for direction in ["ASC", "DESC"] {
            let sort = json!({"sortField": field, "sortOrder": direction});
            let found = rig.found(&store, json!({"sort": sort})).await;
            assert_eq!(found, wanted, "{field} {direction}");
            wanted.reverse();
        }
    }
}

pub(crate) async fn the_order_that_was_asked_for_is_told(rig: &Rig) {
    let (store, _) = with_series(rig, vec![series(1)]).await;
    let sort = json!({"sortField": "createdAt", "sortOrder": "ASC"});
    let found = ask(rig, &store, json!({"sort": sort}), None, None).await.unwrap();
    assert_eq!(serde_json::to_value(found.sort.unwrap()).unwrap(), sort);
}

pub(crate) async fn pages_join_into_the_whole_result(rig: &Rig) {
    let store = rig.datastore().await;
    let files = (1..=5).map(|number| (number.to_string(), series(number).build()));
    rig.import(&store, files).await;
    for field in ["createdAt", "updatedAt", "DICOMStudyDateAndTime"] {
        for direction in ["ASC", "DESC"] {
            let sort = json!({"sort": {"sortField": field, "sortOrder": direction}});
            let whole = rig.found(&store, sort.clone()).await;
            assert_eq!(whole.len(), 5);
            for size in [1, 2, 5] {
                let mut joined = Vec::new();
                let mut token = None;
                loop {
                    let page = ask(rig, &store, sort.clone(), token, Some(size)).await.unwrap();
                    assert!(page.image_sets_metadata_summaries.len() <= size as usize);
                    let found = page.image_sets_metadata_summaries.into_iter();
                    joined.extend(found.map(|set| set.image_set_id));
                    token = page.next_token;
                    if token.is_none() {
                        break;
                    }
                }
                assert_eq!(joined, whole, "{field} {direction} by {size}");
            }
        }
    }
}

pub(crate) async fn a_new_image_set_does_not_shift_the_next_page(rig: &Rig) {
    let (store, _) = with_series(rig, (1..=4).map(series).collect()).await;
    let whole = rig.found(&store, json!({})).await;
    let first = ask(rig, &store, json!({}), None, Some(2)).await.unwrap();
    rig.put(&store, series(9)).await;
    let second = ask(rig, &store, json!({}), first.next_token, Some(2)).await.unwrap();
    let found = second.image_sets_metadata_summaries.into_iter().map(|set| set.image_set_id);
    assert_eq!(found.collect::<Vec<_>>(), whole[2..]);
}

pub(crate) async fn a_page_token_is_bound_to_its_search(rig: &Rig) {
    let (store, _) = with_series(rig, (1..=3).map(series).collect()).await;
    let other = rig.datastore().await;
    let first = ask(rig, &store, json!({}), None, Some(1)).await.unwrap();
    let token = first.next_token.unwrap();
    let filtered = json!({"filters": [equal("isPrimary", &json!(true))]});
    let sorted = json!({"sort": {"sortField": "createdAt", "sortOrder": "ASC"}});
    for (store, criteria) in [(&store, filtered), (&store, sorted), (&other, json!({}))] {
        let answer = ask(rig, store, criteria, Some(token.clone()), Some(1)).await;
        refused(answer, ErrorKind::Validation);
    }
    for text in ["x", "AAAAAAAA", " ", &"z".repeat(8192)] {
        let token = Some(NextToken::try_from(text).unwrap());
        refused(ask(rig, &store, json!({}), token, None).await, ErrorKind::Validation);
    }
}

pub(crate) async fn a_page_of_image_sets_holds_1_to_50(rig: &Rig) {
    let store = rig.datastore().await;
    for size in [0, 51, 100, u32::MAX] {
        let answer = ask(rig, &store, json!({}), None, Some(size)).await;
        refused(answer, ErrorKind::Validation);
    }
    assert_eq!(rig.service.limits().page_size, 50);
}

pub(crate) async fn a_full_page_holds_50(rig: &Rig) {
    let store = rig.datastore().await;
    let report = |number: u32| {
        let phantom = Phantom::report().series_uid(&format!("2.25.{number}"));
        phantom.sop_uid(&format!("2.25.{number}.1")).build()
    };
    rig.import(&store, (1..=51).map(|number| (number.to_string(), report(number)))).await;
    let first = ask(rig, &store, json!({}), None, None).await.unwrap();
    assert_eq!(first.image_sets_metadata_summaries.len(), 50);
    let rest = ask(rig, &store, json!({}), first.next_token, None).await.unwrap();
    assert_eq!(rest.image_sets_metadata_summaries.len(), 1);
    assert_eq!(rest.next_token, None);
}

pub(crate) async fn a_result_tells_sixteen_attributes(rig: &Rig) {
    let phantom = |number: u32| {
        series(1)
            .sop_uid(&format!("2.25.1.1.{number}"))
            .born("19700203", "F")
            .study_date("20240102")
            .with(tags::STUDY_TIME, VR::TM, "101112.5")
            .study_description("CHEST")
            .body_part("LUNG")
            .series_number(4)
            .build()
    };
    let store = rig.datastore().await;
    rig.import(&store, [("a", phantom(1)), ("b", phantom(2))]).await;
    let found = rig.search(&store, json!({})).await;
    assert_eq!(
        serde_json::to_value(found[0].dicom_tags.clone().unwrap()).unwrap(),
        json!({
            "DICOMPatientId": "P1",
            "DICOMPatientName": "NAME^1",
            "DICOMPatientBirthDate": "19700203",
            "DICOMPatientSex": "F",
            "DICOMStudyInstanceUID": "2.25.1",
            "DICOMStudyId": "S1",
            "DICOMStudyDescription": "CHEST",
            "DICOMNumberOfStudyRelatedSeries": 1,
            "DICOMNumberOfStudyRelatedInstances": 2,
            "DICOMAccessionNumber": "A1",
            "DICOMSeriesInstanceUID": "2.25.1.1",
            "DICOMSeriesModality": "CT",
            "DICOMSeriesBodyPart": "LUNG",
            "DICOMSeriesNumber": 4,
            "DICOMStudyDate": "20240102",
            "DICOMStudyTime": "101112.5",
        })
    );
}

pub(crate) async fn a_result_tells_version_and_moments(rig: &Rig) {
    let (store, sets) = with_series(rig, vec![series(1)]).await;
    rig.put(&store, series(1)).await;
    let found = rig.search(&store, json!({})).await;
    let whole = rig.image_set(&store, &sets[0]).await;
    assert_eq!(found[0].image_set_id, sets[0]);
    assert_eq!(found[0].version, Some(2));
    assert_eq!(found[0].created_at, whole.properties.created_at);
    assert_eq!(found[0].updated_at, whole.properties.updated_at);
    assert_eq!(found[0].storage_tier, whole.storage_tier);
    assert_eq!(found[0].storage_tier.unwrap().as_str(), "FREQUENT_ACCESS");
}

pub(crate) async fn an_update_is_found_under_its_new_value_alone(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(series(1)).await;
    let change = json!({"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientID": "RENAMED"}}});
    rig.update(rig.update_request(&store, &set, 1, &change)).await;
    let by = |value| json!({"filters": [equal("DICOMPatientId", &json!(value))]});
    assert_eq!(rig.found(&store, by("RENAMED")).await, [set.clone()]);
    assert!(!rig.found(&store, by("P1")).await.contains(&set));
}
