//! Changing metadata.

use std::time::Duration;

use bytes::Bytes;
use healthimaging::model::{
    ImageSetState, ImageSetWorkflowStatus, MetadataUpdates, UpdateImageSetMetadataRequest,
};
use healthimaging::{Error, ErrorKind, HealthImaging, ImageSetId};
use healthimaging_phantoms::Phantom;
use serde_json::{Value, json};

use crate::fixture::{Fixture, frame_ids, instances};

fn slice(series: u32, number: u32) -> Vec<u8> {
    Phantom::mr()
        .size(16, 16)
        .patient("DOE^JANE", "P1")
        .study_uid("2.25.20")
        .series_uid(&format!("2.25.21.{series}"))
        .series_number(series)
        .instance_number(number)
        .sop_uid(&format!("2.25.22.{series}.{number}"))
        .build()
}

fn bytes(document: &Value) -> Bytes {
    Bytes::from(document.to_string())
}

fn set(document: &Value) -> MetadataUpdates {
    MetadataUpdates::DicomUpdates {
        removable_attributes: None,
        updatable_attributes: Some(bytes(document)),
    }
}

fn remove(document: &Value) -> MetadataUpdates {
    MetadataUpdates::DicomUpdates {
        removable_attributes: Some(bytes(document)),
        updatable_attributes: None,
    }
}

fn description(text: &str) -> MetadataUpdates {
    set(&json!({"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": text}}}))
}

/// Updates, waits for the end, and returns the workflow status.
async fn updated(fixture: &Fixture, request: UpdateImageSetMetadataRequest) -> &'static str {
    let id = request.image_set_id.clone();
    fixture.store.update_image_set_metadata(request).await.unwrap();
    let ended = fixture.settled(&id).await.properties;
    ended.image_set_workflow_status.unwrap().as_str()
}

async fn refused(fixture: &Fixture, request: UpdateImageSetMetadataRequest) -> Error {
    fixture.store.update_image_set_metadata(request).await.unwrap_err()
}

async fn version(fixture: &Fixture, id: &ImageSetId) -> String {
    fixture.get(id).await.unwrap().properties.version_id.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_answers_locked_and_ends_as_a_new_version() {
    let fixture = Fixture::new().await;
    let id = fixture.import_one_set(&[slice(1, 1)]).await;
    let request = fixture.update_request(&id, 1, description("HEAD FOLLOW UP"));
    let answer = fixture.store.update_image_set_metadata(request).await.unwrap();
    assert_eq!(answer.latest_version_id.as_str(), "2");
    assert_eq!(answer.image_set_state, ImageSetState::Locked);
    assert_eq!(answer.image_set_workflow_status, Some(ImageSetWorkflowStatus::Updating));
    let ended = fixture.settled(&id).await.properties;
    assert_eq!(ended.version_id.as_str(), "2");
    assert_eq!(ended.image_set_workflow_status, Some(ImageSetWorkflowStatus::Updated));
    let now = fixture.metadata(&id, None).await;
    assert_eq!(now["Study"]["DICOM"]["StudyDescription"], "HEAD FOLLOW UP");
    let before = fixture.metadata(&id, Some(1)).await;
    assert_ne!(before["Study"]["DICOM"]["StudyDescription"], "HEAD FOLLOW UP");
    let tags = fixture.all().await.remove(0).dicom_tags.unwrap();
    assert_eq!(tags.study_description.as_deref(), Some("HEAD FOLLOW UP"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_set_is_read_as_before_and_not_written() {
    let fixture = Fixture::with_delay(Duration::from_hours(1)).await;
    let id = fixture.import_one_set(&[slice(1, 1)]).await;
    let before = fixture.metadata_bytes(&id, None).await.unwrap();
    let request = fixture.update_request(&id, 1, description("NEW"));
    fixture.store.update_image_set_metadata(request).await.unwrap();
    assert_eq!(fixture.get(&id).await.unwrap().properties.image_set_state, ImageSetState::Locked);
    assert_eq!(fixture.metadata_bytes(&id, None).await.unwrap(), before);
    let frames = frame_ids(&fixture.metadata(&id, None).await);
    fixture.frame(&id, &frames[0]).await.unwrap();
    for latest in [1, 2] {
        let again = fixture.update_request(&id, latest, description("OTHER"));
        assert_eq!(refused(&fixture, again).await.kind(), ErrorKind::Conflict);
    }
    // Closing carries the write out.
    fixture.store.close().await;
    assert_eq!(version(&fixture, &id).await, "2");
    let now = fixture.metadata(&id, None).await;
    assert_eq!(now["Study"]["DICOM"]["StudyDescription"], "NEW");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_once_is_refused_at_once() {
    let fixture = Fixture::new().await;
    let id = fixture.import_one_set(&[slice(1, 1)]).await;
    let stale = fixture.update_request(&id, 7, description("X"));
    assert_eq!(refused(&fixture, stale).await.kind(), ErrorKind::Conflict);
    let text = |text: &'static str| MetadataUpdates::DicomUpdates {
        removable_attributes: None,
        updatable_attributes: Some(Bytes::from_static(text.as_bytes())),
    };
    let neither =
        MetadataUpdates::DicomUpdates { removable_attributes: None, updatable_attributes: None };
    let long = set(&json!({"SchemaVersion": 1.1,
        "Study": {"DICOM": {"StudyDescription": "x".repeat(30_000)}}}));
    let unknown_series = set(&json!({"SchemaVersion": 1.1,
        "Study": {"Series": {"1.2.3": {"DICOM": {"SeriesDescription": "x"}}}}}));
    let wrong_level = set(&json!({"SchemaVersion": 1.1, "Study": {"DICOM": {"PatientName": "X"}}}));
    for updates in [
        text(""),
        text("not json"),
        text("[]"),
        neither,
        long,
        unknown_series,
        wrong_level,
        MetadataUpdates::RevertToVersion(9.into()),
    ] {
        let request = fixture.update_request(&id, 1, updates.clone());
        let error = refused(&fixture, request).await;
        assert_eq!(error.kind(), ErrorKind::Validation, "{updates:?}");
    }
    assert_eq!(version(&fixture, &id).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_update_leaves_a_version_that_says_why() {
    let fixture = Fixture::new().await;
    let id = fixture.import_one_set(&[slice(1, 1)]).await;
    let before = fixture.metadata_bytes(&id, None).await.unwrap();
    let name = set(&json!({"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "NEW"}}}));
    let request = fixture.update_request(&id, 1, name);
    assert_eq!(updated(&fixture, request).await, "UPDATE_FAILED");
    let ended = fixture.get(&id).await.unwrap().properties;
    assert_eq!(ended.version_id.as_str(), "2");
    assert_eq!(ended.image_set_state, ImageSetState::Active);
    assert!(!ended.message.unwrap().is_empty());
    assert_eq!(fixture.metadata_bytes(&id, None).await.unwrap(), before);
    let next = fixture.update_request(&id, 2, description("OK"));
    assert_eq!(updated(&fixture, next).await, "UPDATED");
    assert_eq!(fixture.get(&id).await.unwrap().properties.message, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_is_updated_as_a_whole() {
    let fixture = Fixture::new().await;
    let one = fixture.import_one_set(&[slice(1, 1)]).await;
    let two = fixture.import_one_set(&[slice(2, 1)]).await;
    let apart = fixture
        .import_one_set(&[Phantom::mr().seed(9).size(16, 16).study_uid("2.25.99").build()])
        .await;
    let name = set(&json!({"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "NEW"}}}));
    let request = UpdateImageSetMetadataRequest {
        include_study_image_sets: true,
        ..fixture.update_request(&one, 1, name)
    };
    assert_eq!(updated(&fixture, request).await, "UPDATED");
    for id in [&one, &two] {
        let ended = fixture.settled(id).await.properties;
        assert_eq!(ended.version_id.as_str(), "2");
        assert_eq!(ended.image_set_workflow_status, Some(ImageSetWorkflowStatus::Updated));
        let metadata = fixture.metadata(id, None).await;
        assert_eq!(metadata["Patient"]["DICOM"]["PatientName"], "NEW");
    }
    assert_eq!(version(&fixture, &apart).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_sets_of_the_study_say_why_they_are_locked() {
    let fixture = Fixture::with_delay(Duration::from_hours(1)).await;
    let one = fixture.import_one_set(&[slice(1, 1)]).await;
    let two = fixture.import_one_set(&[slice(2, 1)]).await;
    let whole = |id, latest| UpdateImageSetMetadataRequest {
        include_study_image_sets: true,
        ..fixture.update_request(id, latest, description("NEW"))
    };
    fixture.store.update_image_set_metadata(whole(&one, 1)).await.unwrap();
    let other = fixture.get(&two).await.unwrap().properties;
    assert_eq!(
        other.image_set_workflow_status,
        Some(ImageSetWorkflowStatus::UpdatingForStudyConsistency)
    );
    assert_eq!(refused(&fixture, whole(&two, 2)).await.kind(), ErrorKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_locked_set_keeps_the_whole_study_from_being_updated() {
    let fixture = Fixture::with_delay(Duration::from_hours(1)).await;
    let one = fixture.import_one_set(&[slice(1, 1)]).await;
    let two = fixture.import_one_set(&[slice(2, 1)]).await;
    let request = fixture.update_request(&two, 1, description("A"));
    fixture.store.update_image_set_metadata(request).await.unwrap();
    let whole = UpdateImageSetMetadataRequest {
        include_study_image_sets: true,
        ..fixture.update_request(&one, 1, description("B"))
    };
    assert_eq!(refused(&fixture, whole).await.kind(), ErrorKind::Conflict);
    let untouched = fixture.get(&one).await.unwrap().properties;
    assert_eq!(untouched.image_set_state, ImageSetState::Active);
    assert_eq!(untouched.version_id.as_str(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn study_wide_updates_are_of_patient_and_study_alone() {
    let fixture = Fixture::new().await;
    let id = fixture.import_one_set(&[slice(1, 1)]).await;
    let series = set(&json!({"SchemaVersion": 1.1,
        "Study": {"Series": {"2.25.21.1": {"DICOM": {"SeriesDescription": "x"}}}}}));
    for updates in [series, MetadataUpdates::RevertToVersion(1.into())] {
        let request = UpdateImageSetMetadataRequest {
            include_study_image_sets: true,
            ..fixture.update_request(&id, 1, updates)
        };
        assert_eq!(refused(&fixture, request).await.kind(), ErrorKind::Validation);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_instance_comes_back_with_a_revert() {
    let fixture = Fixture::new().await;
    let id = fixture.import_one_set(&[slice(1, 1), slice(1, 2)]).await;
    let original = fixture.metadata_bytes(&id, None).await.unwrap();
    let frames = frame_ids(&fixture.metadata(&id, None).await);
    let gone = remove(&json!({"SchemaVersion": 1.1,
        "Study": {"Series": {"2.25.21.1": {"Instances": {"2.25.22.1.2": {}}}}}}));
    let request = fixture.update_request(&id, 1, gone);
    assert_eq!(updated(&fixture, request).await, "UPDATED");
    let left = fixture.metadata(&id, None).await;
    let uids: Vec<_> = instances(&left).into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(uids, ["2.25.22.1.1"]);
    let found = fixture.all().await.remove(0).dicom_tags.unwrap();
    assert_eq!(found.number_of_study_related_instances, Some(1));
    let back = MetadataUpdates::RevertToVersion(1.into());
    let request = fixture.update_request(&id, 2, back);
    assert_eq!(updated(&fixture, request).await, "UPDATED");
    assert_eq!(version(&fixture, &id).await, "3");
    assert_eq!(fixture.metadata_bytes(&id, None).await.unwrap(), original);
    let found = fixture.all().await.remove(0).dicom_tags.unwrap();
    assert_eq!(found.number_of_study_related_instances, Some(2));
    for frame in frames {
        fixture.frame(&id, &frame).await.unwrap();
    }
}
