//! Walking pages, bodies and search criteria.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::cell::RefCell;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use healthimaging::model::{Operator, SearchCriteria, SearchValue};
use healthimaging::{Body, Error, ErrorKind, NextToken, Page, sweep};

fn token(text: &str) -> NextToken {
    text.parse().unwrap()
}

#[tokio::test]
async fn all_pages_are_walked_in_order_with_their_tokens() {
    let asked = RefCell::new(Vec::new());
    let items: Vec<u32> = sweep(100, |at| {
        asked.borrow_mut().push(at.clone());
        async move {
            Ok(match at.as_ref().map(NextToken::as_str) {
                None => Page { items: vec![1, 2], next_token: Some(token("a")) },
                Some("a") => Page { items: vec![], next_token: Some(token("b")) },
                _ => Page { items: vec![3], next_token: None },
            })
        }
    })
    .try_collect()
    .await
    .unwrap();
    assert_eq!(items, [1, 2, 3]);
    assert_eq!(*asked.borrow(), [None, Some(token("a")), Some(token("b"))]);
}

#[tokio::test]
async fn more_than_the_ceiling_is_an_error_not_a_cut() {
    let listing = sweep(3, |_| async { Ok(Page { items: vec![0; 4], next_token: None }) });
    let error = listing.try_collect::<Vec<u8>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
}

#[tokio::test]
async fn a_token_that_does_not_move_is_an_error() {
    let listing =
        sweep(100, |_| async { Ok(Page { items: vec![0_u8], next_token: Some(token("same")) }) });
    let error = listing.try_collect::<Vec<u8>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Service);
}

#[tokio::test]
async fn an_error_ends_the_walk() {
    let listing = sweep(100, |_| async { Err::<Page<u8>, _>(Error::conflict("busy")) });
    let results: Vec<_> = listing.collect().await;
    assert_eq!(results.len(), 1);
}

#[tokio::test]
async fn a_body_is_collected_up_to_its_limit() {
    let pieces = || stream::iter(["ab", "cd", "e"].map(|p| Ok(Bytes::from(p)))).boxed();
    assert_eq!(Body::from_stream(pieces(), None).collect(5).await.unwrap(), "abcde");
    let error = Body::from_stream(pieces(), None).collect(4).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(Body::from(vec![0; 10]).collect(9).await.is_err());
    assert_eq!(Body::from(Vec::new()).collect(0).await.unwrap(), "");
}

#[test]
fn search_criteria_are_read_as_the_api_spells_them() {
    let criteria: SearchCriteria = serde_json::from_str(
        r#"{"filters":[{"operator":"EQUAL","values":[{"DICOMPatientId":"P1"}]},
            {"operator":"BETWEEN","values":[{"createdAt":1704067200},{"createdAt":"2024-02-01T00:00:00Z"}]}],
            "sort":{"sortOrder":"ASC","sortField":"DICOMStudyDateAndTime"}}"#,
    )
    .unwrap();
    assert_eq!(criteria.filters[0].values, [SearchValue::PatientId("P1".into())]);
    assert_eq!(criteria.filters[1].operator, Operator::Between);
    let SearchValue::CreatedAt(from) = criteria.filters[1].values[0] else { panic!() };
    assert_eq!(from.to_rfc3339(), "2024-01-01T00:00:00+00:00");
}

#[test]
fn a_misspelt_filter_is_an_error_and_never_no_filter() {
    for bad in [
        r#"{"filter":[]}"#,
        r#"{"filters":[{"operator":"EQUAL","values":[{"PatientID":"P1"}]}]}"#,
        r#"{"filters":[{"operator":"EQUALS","values":[{"DICOMPatientId":"P1"}]}]}"#,
        r#"{"filters":[{"operator":"EQUAL","values":[{"createdAt":"yesterday"}]}]}"#,
        r#"{"filters":[{"operator":"EQUAL","values":[{"createdAt":1e300}]}]}"#,
    ] {
        assert!(serde_json::from_str::<SearchCriteria>(bad).is_err(), "{bad}");
    }
}
