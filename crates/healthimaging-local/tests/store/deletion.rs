//! Deleting image sets: what is deleted is gone.

use std::path::Path;
use std::time::Duration;

use healthimaging::model::{DeleteImageSetRequest, ImageSetState, ImageSetWorkflowStatus};
use healthimaging::{ErrorKind, HealthImaging, ImageSetId};
use healthimaging_phantoms::Phantom;
use healthimaging_pixels::codestream_of;

use crate::fixture::{Fixture, frame_ids};

/// All bytes of the pack files.
pub(crate) fn packed_bytes(folder: &Path) -> Vec<u8> {
    bytes_of(&folder.join("packs"))
}

pub(crate) fn bytes_of(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes_of(&path));
        } else {
            all.extend(std::fs::read(path).unwrap());
        }
    }
    all
}

pub(crate) fn contains(all: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(all, part).is_some()
}

fn request(fixture: &Fixture, id: &ImageSetId) -> DeleteImageSetRequest {
    DeleteImageSetRequest { datastore_id: fixture.datastore.clone(), image_set_id: id.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_set_is_a_tombstone_for_a_day() {
    let fixture = Fixture::new().await;
    let id = fixture.import_one_set(&[Phantom::mr().size(16, 16).build()]).await;
    let frames = frame_ids(&fixture.metadata(&id, None).await);
    let answer = fixture.store.delete_image_set(request(&fixture, &id)).await.unwrap();
    assert_eq!(answer.image_set_state, ImageSetState::Locked);
    assert_eq!(answer.image_set_workflow_status, ImageSetWorkflowStatus::Deleting);
    let gone = fixture.settled(&id).await.properties;
    assert_eq!(gone.image_set_state, ImageSetState::Deleted);
    assert_eq!(gone.image_set_workflow_status, Some(ImageSetWorkflowStatus::Deleted));
    assert!(gone.deleted_at.is_some());
    let deleted = |version: &str| (version.to_owned(), "DELETED".to_owned(), "DELETED".to_owned());
    assert_eq!(fixture.history(&id).await, [deleted("1")]);
    assert_eq!(fixture.metadata_bytes(&id, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fixture.frame(&id, &frames[0]).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(fixture.all().await.is_empty());
    let again = fixture.store.delete_image_set(request(&fixture, &id)).await.unwrap();
    assert_eq!(again.image_set_state, ImageSetState::Deleted);
    fixture.pass(Duration::from_hours(25));
    loop {
        match fixture.get(&id).await {
            Err(error) => break assert_eq!(error.kind(), ErrorKind::NotFound),
            Ok(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_set_cannot_be_deleted() {
    let fixture = Fixture::with_delay(Duration::from_hours(1)).await;
    let id = fixture.import_one_set(&[Phantom::mr().size(16, 16).build()]).await;
    fixture.store.delete_image_set(request(&fixture, &id)).await.unwrap();
    let again = fixture.store.delete_image_set(request(&fixture, &id)).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_deleted_patient_is_left_on_the_disk() {
    let fixture = Fixture::new().await;
    let erased = Phantom::mr()
        .size(16, 16)
        .patient("ERASEME^NAME", "ERASEME-ID")
        .accession_number("ERASEME-ACC")
        .study_description("ERASEME DESCRIPTION")
        .study_uid("2.25.4040404040404");
    let id = fixture.import_one_set(&[erased.build()]).await;
    let frames = frame_ids(&fixture.metadata(&id, None).await);
    let frame = fixture.frame(&id, &frames[0]).await.unwrap();
    let frame = codestream_of(&frame).unwrap();
    let update = healthimaging::model::MetadataUpdates::DicomUpdates {
        removable_attributes: None,
        updatable_attributes: Some(
            r#"{"SchemaVersion":1.1,"Study":{"DICOM":{"StudyDescription":"ERASEME TOO"}}}"#.into(),
        ),
    };
    let update = fixture.update_request(&id, 1, update);
    fixture.store.update_image_set_metadata(update).await.unwrap();
    fixture.settled(&id).await;
    let before = bytes_of(fixture.folder.path());
    assert!(contains(&before, b"ERASEME") && contains(&before, frame));
    fixture.store.delete_image_set(request(&fixture, &id)).await.unwrap();
    fixture.settled(&id).await;
    fixture.store.close().await;
    let on_disk = bytes_of(fixture.folder.path());
    assert!(!contains(&on_disk, b"ERASEME"));
    assert!(!contains(&on_disk, b"2.25.4040404040404"));
    assert!(!contains(&on_disk, frame));
}
