//! Documents in part, and the series that they add up to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use healthimaging::model::{GetImageSetMetadataRequest, SearchImageSetsRequest};
use healthimaging::{ErrorKind, HealthImaging as _};
use healthimaging_workflows::document::{self, Level, Part};
use healthimaging_workflows::hierarchy;

use crate::fake::{Fake, datastore, document, id};

fn request() -> GetImageSetMetadataRequest {
    GetImageSetMetadataRequest { datastore_id: datastore(), image_set_id: id(1), version_id: None }
}

#[tokio::test]
async fn a_part_is_what_was_asked_for() {
    let fake = Fake::default();
    fake.add(1, document(&[("1.2.3", 2), ("1.2.4", 1)]), true);
    let whole = document::fetch(&fake, request()).await.unwrap();
    let cut = document::cut(&whole, Part::default()).await.unwrap();
    assert_eq!(Value::Object(cut.object), document(&[("1.2.3", 2), ("1.2.4", 1)]));

    let part = Part { level: Some(Level::Series), ..Part::default() };
    let cut = Value::Object(document::cut(&whole, part).await.unwrap().object);
    assert_eq!(cut["Study"]["Series"]["1.2.4"]["DICOM"]["Modality"], "CT");
    assert_eq!(cut["Study"]["Series"]["1.2.4"].get("Instances"), None);

    let part = Part {
        attributes: vec!["Rows".to_owned().try_into().unwrap()],
        sop_instance_uid: Some("1.2.3.2".parse().unwrap()),
        ..Part::default()
    };
    let cut = Value::Object(document::cut(&whole, part).await.unwrap().object);
    let instance = json!({ "DICOM": { "Rows": 2 } });
    let series = json!({ "1.2.3": { "DICOM": {}, "Instances": { "1.2.3.2": instance } } });
    assert_eq!(cut["Study"], json!({ "DICOM": {}, "Series": series }));
    assert_eq!(cut["Patient"], json!({ "DICOM": {} }));

    for part in [
        Part { series_instance_uid: Some("1.9".parse().unwrap()), ..Part::default() },
        Part { sop_instance_uid: Some("1.9".parse().unwrap()), ..Part::default() },
    ] {
        let error = document::cut(&whole, part).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_document_whose_name_is_known_is_not_read_again() {
    let fake = Fake::default();
    fake.add(77, document(&[("1.2.3", 2)]), true);
    let read = Arc::clone(&fake.0.lock().unwrap().bodies_read);
    let request = GetImageSetMetadataRequest { image_set_id: id(77), ..request() };
    let fetch = async || document::fetch(&fake, request.clone()).await.unwrap();
    let first = fetch().await;
    assert!(Arc::ptr_eq(&fetch().await, &first));
    assert_eq!(read.load(Ordering::SeqCst), 2);

    fake.0.lock().unwrap().are_named = true;
    let named = fetch().await;
    assert!(Arc::ptr_eq(&fetch().await, &named));
    assert_eq!(read.load(Ordering::SeqCst), 3);

    // Another version has another name.
    let other = document(&[("1.2.3", 3)]);
    fake.0.lock().unwrap().sets.get_mut(&id(77)).unwrap().versions.push(other);
    assert_eq!(fetch().await.levels().instances().count(), 3);
    assert_eq!(read.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn what_is_no_document_is_a_fault_of_the_service() {
    let fake = Fake::default();
    for text in [json!([]), json!({ "Study": { "Series": [] } }), json!("x")] {
        fake.add(1, text, true);
        let error = document::fetch(&fake, request()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Service);
        let error = document::contents(&fake, request()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Service);
    }
}

#[tokio::test]
async fn a_series_of_several_image_sets_is_listed_once() {
    let fake = Fake::default();
    fake.add(1, document(&[("1.2.3", 2)]), true);
    fake.add(2, document(&[("1.2.3", 1), ("1.2.4", 1)]), false);
    let request = SearchImageSetsRequest {
        datastore_id: datastore(),
        search_criteria: healthimaging::model::SearchCriteria::default(),
        next_token: None,
        max_results: None,
    };
    let found = fake.search_image_sets(request).await.unwrap().image_sets_metadata_summaries;
    let series = hierarchy::series(&fake, &datastore(), &found, None).await.unwrap();
    let counts: Vec<_> = series
        .iter()
        .map(|one| (one.series_instance_uid.as_str(), one.instances, one.frames))
        .collect();
    assert_eq!(counts, [("1.2.3", 2, 4), ("1.2.4", 1, 2)]);
    assert_eq!(series[0].primary_image_set_id, Some(id(1)));
    assert_eq!(series[0].other_image_set_ids, [id(2)]);
}
