//! Searching image sets.

use std::time::Duration;

use healthimaging::model::{SearchCriteria, SearchImageSetsRequest};
use healthimaging::{ErrorKind, HealthImaging, NextToken};
use healthimaging_phantoms::Phantom;
use serde_json::{Value, json};

use crate::fixture::Fixture;

fn criteria(json: Value) -> SearchCriteria {
    serde_json::from_value(json).unwrap()
}

fn equal(value: impl Into<Value>) -> Value {
    json!({"operator": "EQUAL", "values": [value.into()]})
}

/// Three studies of two patients, imported a second apart.
async fn three_studies() -> Fixture {
    let fixture = Fixture::new().await;
    for (number, (patient, date)) in
        [("P1", "20260101"), ("P2", "20260201"), ("P1", "20260301")].into_iter().enumerate()
    {
        let seed = number as u64 + 1;
        let file = Phantom::mr()
            .seed(seed)
            .size(16, 16)
            .patient("DOE^JANE", patient)
            .study_date(date)
            .accession_number(&format!("ACC{seed}"))
            .study_uid(&format!("2.25.10.{seed}"))
            .series_uid(&format!("2.25.11.{seed}"))
            .build();
        fixture.import(&[file]).await;
        fixture.pass(Duration::from_secs(1));
    }
    fixture
}

/// Study UIDs of what is found, as their last component.
async fn found(fixture: &Fixture, search: Value) -> Vec<String> {
    let sets = fixture.search(criteria(search)).await.unwrap();
    sets.into_iter()
        .map(|set| set.dicom_tags.unwrap().study_instance_uid.unwrap())
        .map(|uid| uid.rsplit('.').next().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_found_newest_first() {
    let fixture = three_studies().await;
    assert_eq!(found(&fixture, json!({})).await, ["3", "2", "1"]);
    let oldest = json!({"sort": {"sortOrder": "ASC", "sortField": "createdAt"}});
    assert_eq!(found(&fixture, oldest).await, ["1", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_is_compared() {
    let fixture = three_studies().await;
    for (value, expected) in [
        (json!({"DICOMPatientId": "P1"}), vec!["3", "1"]),
        (json!({"DICOMPatientId": "P"}), vec![]),
        (json!({"DICOMPatientId": "p1"}), vec![]),
        (json!({"DICOMAccessionNumber": "ACC2"}), vec!["2"]),
        (json!({"DICOMStudyInstanceUID": "2.25.10.3"}), vec!["3"]),
        (json!({"DICOMSeriesInstanceUID": "2.25.11.1"}), vec!["1"]),
        (json!({"isPrimary": true}), vec!["3", "2", "1"]),
        (json!({"isPrimary": false}), vec![]),
    ] {
        let search = json!({"filters": [equal(value.clone())]});
        assert_eq!(found(&fixture, search).await, expected, "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_include_both_ends() {
    let fixture = three_studies().await;
    let study = |date: &str| json!({"DICOMStudyDateAndTime": {"DICOMStudyDate": date}});
    let late = |date: &str| {
        json!({"DICOMStudyDateAndTime":
            {"DICOMStudyDate": date, "DICOMStudyTime": "235959.999999"}})
    };
    let between = |low: Value, high: Value| json!({"operator": "BETWEEN", "values": [low, high]});
    let days = json!({"filters": [between(study("20260101"), late("20260201"))]});
    assert_eq!(found(&fixture, days).await, ["2", "1"]);
    // The fixture's clock starts at 2026-01-01T00:00:00Z.
    let moments = between(json!({"createdAt": 1_767_225_600}), json!({"createdAt": 1_767_225_601}));
    let moments = json!({"filters": [moments, equal(json!({"DICOMPatientId": "P1"}))]});
    assert_eq!(found(&fixture, moments).await, ["1"]);
    let by_study = json!({
        "filters": [equal(json!({"DICOMPatientId": "P1"}))],
        "sort": {"sortOrder": "ASC", "sortField": "DICOMStudyDateAndTime"},
    });
    assert_eq!(found(&fixture, by_study).await, ["1", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_says_what_the_set_holds() {
    let fixture = three_studies().await;
    let search = json!({"filters": [equal(json!({"DICOMAccessionNumber": "ACC2"}))]});
    let [set] = &fixture.search(criteria(search)).await.unwrap()[..] else {
        panic!("not one");
    };
    assert_eq!((set.version, set.is_primary), (Some(1), Some(true)));
    let tags = serde_json::to_value(set.dicom_tags.as_ref().unwrap()).unwrap();
    for (name, value) in [
        ("DICOMPatientId", json!("P2")),
        ("DICOMPatientName", json!("DOE^JANE")),
        ("DICOMStudyDate", json!("20260201")),
        ("DICOMSeriesModality", json!("MR")),
        ("DICOMNumberOfStudyRelatedSeries", json!(1)),
        ("DICOMNumberOfStudyRelatedInstances", json!(1)),
    ] {
        assert_eq!(tags[name], value, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_join_without_gaps_in_every_order() {
    let fixture = three_studies().await;
    for field in ["updatedAt", "createdAt", "DICOMStudyDateAndTime"] {
        for order in ["ASC", "DESC"] {
            let search = json!({"sort": {"sortOrder": order, "sortField": field}});
            let mut request = SearchImageSetsRequest {
                datastore_id: fixture.datastore.clone(),
                search_criteria: criteria(search),
                next_token: None,
                max_results: Some(1),
            };
            let mut dates = Vec::new();
            loop {
                let page = fixture.store.search_image_sets(request.clone()).await.unwrap();
                let [set] = &page.image_sets_metadata_summaries[..] else {
                    panic!("{field} {order}");
                };
                dates.push(set.dicom_tags.clone().unwrap().study_date.unwrap());
                let Some(token) = page.next_token else { break };
                request.next_token = Some(token);
            }
            let mut expected = ["20260101", "20260201", "20260301"];
            if order == "DESC" {
                expected.reverse();
            }
            assert_eq!(dates, expected, "{field} {order}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_search_is_refused() {
    let fixture = three_studies().await;
    let request = |search: Value, next_token: Option<NextToken>| SearchImageSetsRequest {
        datastore_id: fixture.datastore.clone(),
        search_criteria: criteria(search),
        next_token,
        max_results: Some(1),
    };
    let first = fixture.store.search_image_sets(request(json!({}), None)).await.unwrap();
    let other = json!({"filters": [equal(json!({"DICOMPatientId": "P1"}))]});
    let refused = fixture.store.search_image_sets(request(other, first.next_token)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Validation);
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_that_make_no_sense_are_refused() {
    let fixture = Fixture::new().await;
    let patient = json!({"DICOMPatientId": "P1"});
    let day = json!({"DICOMStudyDateAndTime": {"DICOMStudyDate": "20260101"}});
    for filters in [
        json!([{"operator": "EQUAL", "values": []}]),
        json!([{"operator": "EQUAL", "values": [patient, patient]}]),
        json!([{"operator": "BETWEEN", "values": [day]}]),
        json!([{"operator": "BETWEEN", "values": [day, {"createdAt": 0}]}]),
        json!([{"operator": "BETWEEN", "values": [patient, patient]}]),
        json!([equal(patient.clone()), equal(patient.clone())]),
        json!([equal(patient), equal(day), equal(json!({"isPrimary": true}))]),
        json!([equal(json!({"DICOMStudyDateAndTime": {"DICOMStudyDate": "260101"}}))]),
        json!([equal(json!({"DICOMStudyDateAndTime":
            {"DICOMStudyDate": "20260101", "DICOMStudyTime": "1"}}))]),
    ] {
        let answer = fixture.search(criteria(json!({"filters": filters.clone()}))).await;
        let error = answer.expect_err(&filters.to_string());
        assert_eq!(error.kind(), ErrorKind::Validation, "{filters}");
    }
}
