//! Copying image sets.

use std::time::Duration;

use healthimaging::model::{
    CopyDestination, CopyImageSetInformation, CopyImageSetRequest, CopySource,
    DeleteImageSetRequest, DicomCopies, ImageSetState, ImageSetWorkflowStatus, MetadataUpdates,
};
use healthimaging::{Error, ErrorKind, HealthImaging, ImageSetId};
use healthimaging_phantoms::Phantom;
use healthimaging_pixels::codestream_of;
use serde_json::json;

use crate::fixture::{Fixture, frame_ids, instances};

fn slice(number: u32) -> Vec<u8> {
    phantom(number).build()
}

fn phantom(number: u32) -> Phantom {
    Phantom::ct()
        .seed(u64::from(number))
        .size(32, 32)
        .patient("DOE^JANE", "P1")
        .study_uid("2.25.30")
        .series_uid("2.25.31")
        .instance_number(number)
        .sop_uid(&format!("2.25.32.{number}"))
}

fn request(fixture: &Fixture, source: &ImageSetId, latest: u32) -> CopyImageSetRequest {
    CopyImageSetRequest {
        datastore_id: fixture.datastore.clone(),
        source_image_set_id: source.clone(),
        copy_image_set_information: CopyImageSetInformation {
            source_image_set: CopySource { latest_version_id: latest.into(), dicom_copies: None },
            destination_image_set: None,
        },
        force: false,
        promote_to_primary: false,
    }
}

fn part(mut request: CopyImageSetRequest, sops: &[&str]) -> CopyImageSetRequest {
    let sops: serde_json::Map<_, _> =
        sops.iter().map(|sop| ((*sop).to_owned(), json!({}))).collect();
    let attributes = json!({"SchemaVersion": "1.1",
        "Study": {"Series": {"2.25.31": {"Instances": sops}}}});
    request.copy_image_set_information.source_image_set.dicom_copies =
        Some(DicomCopies { copiable_attributes: attributes.to_string() });
    request
}

fn into(mut request: CopyImageSetRequest, id: &ImageSetId, latest: u32) -> CopyImageSetRequest {
    request.copy_image_set_information.destination_image_set =
        Some(CopyDestination { image_set_id: id.clone(), latest_version_id: latest.into() });
    request
}

/// Copies, waits for the end, and returns the destination.
async fn copied(fixture: &Fixture, request: CopyImageSetRequest) -> ImageSetId {
    let source = request.source_image_set_id.clone();
    let answer = fixture.store.copy_image_set(request).await.unwrap();
    let id = answer.destination_image_set_properties.image_set_id;
    fixture.settled(&id).await;
    fixture.settled(&source).await;
    id
}

async fn refused(fixture: &Fixture, request: CopyImageSetRequest) -> Error {
    fixture.store.copy_image_set(request).await.unwrap_err()
}

async fn delete(fixture: &Fixture, id: &ImageSetId) {
    let request =
        DeleteImageSetRequest { datastore_id: fixture.datastore.clone(), image_set_id: id.clone() };
    fixture.store.delete_image_set(request).await.unwrap();
    fixture.settled(id).await;
}

async fn workflow(fixture: &Fixture, id: &ImageSetId) -> String {
    let found = fixture.get(id).await.unwrap().properties;
    found.image_set_workflow_status.unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_answers_locked_and_ends_as_a_set_of_its_own() {
    let fixture = Fixture::new().await;
    let source = fixture.import_one_set(&[slice(1), slice(2)]).await;
    let answer = fixture.store.copy_image_set(request(&fixture, &source, 1)).await.unwrap();
    let (from, to) = (answer.source_image_set_properties, answer.destination_image_set_properties);
    assert_eq!(from.image_set_id, source);
    assert_eq!(from.latest_version_id.as_str(), "1");
    assert_eq!(from.image_set_state, Some(ImageSetState::Locked));
    let read_only = ImageSetWorkflowStatus::CopyingWithReadOnlyAccess;
    assert_eq!(from.image_set_workflow_status, Some(read_only));
    assert_eq!(to.latest_version_id.as_str(), "1");
    assert_eq!(to.image_set_workflow_status, Some(ImageSetWorkflowStatus::Copying));
    let copy = fixture.settled(&to.image_set_id).await.properties;
    assert_eq!(copy.image_set_workflow_status, Some(ImageSetWorkflowStatus::Copied));
    assert_eq!(copy.is_primary, Some(false));
    let source_now = fixture.settled(&source).await.properties;
    assert_eq!(source_now.version_id.as_str(), "1");
    assert_eq!(source_now.image_set_workflow_status, Some(ImageSetWorkflowStatus::Created));
    let (mut one, mut other) =
        (fixture.metadata(&source, None).await, fixture.metadata(&to.image_set_id, None).await);
    assert_eq!(other["ImageSetID"], to.image_set_id.as_str());
    one["ImageSetID"].take();
    other["ImageSetID"].take();
    assert_eq!(one, other);
}

#[tokio::test(flavor = "multi_thread")]
async fn source_and_copy_outlive_one_another() {
    for keep_source in [true, false] {
        let fixture = Fixture::new().await;
        let source = fixture.import_one_set(&[slice(1)]).await;
        let frames = frame_ids(&fixture.metadata(&source, None).await);
        let bytes = fixture.frame(&source, &frames[0]).await.unwrap();
        let copy = copied(&fixture, request(&fixture, &source, 1)).await;
        let (kept, deleted) = if keep_source { (source, copy) } else { (copy, source) };
        delete(&fixture, &deleted).await;
        assert_eq!(fixture.frame(&kept, &frames[0]).await.unwrap(), bytes);
        let gone = fixture.frame(&deleted, &frames[0]).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_what_was_not_copied_go_with_the_source() {
    let fixture = Fixture::new().await;
    let source = fixture.import_one_set(&[slice(1), slice(2)]).await;
    let metadata = fixture.metadata(&source, None).await;
    let frames = frame_ids(&metadata);
    let (kept, left) = (
        fixture.frame(&source, &frames[0]).await.unwrap(),
        fixture.frame(&source, &frames[1]).await.unwrap(),
    );
    let copy = copied(&fixture, part(request(&fixture, &source, 1), &["2.25.32.1"])).await;
    let uids: Vec<_> =
        instances(&fixture.metadata(&copy, None).await).into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(uids, ["2.25.32.1"]);
    delete(&fixture, &source).await;
    fixture.store.close().await;
    let on_disk = crate::deletion::packed_bytes(fixture.folder.path());
    assert!(crate::deletion::contains(&on_disk, codestream_of(&kept).unwrap()));
    assert!(!crate::deletion::contains(&on_disk, codestream_of(&left).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_cannot_be_are_refused() {
    let fixture = Fixture::new().await;
    let source = fixture.import_one_set(&[slice(1)]).await;
    let plain = || request(&fixture, &source, 1);
    let stale = request(&fixture, &source, 2);
    assert_eq!(refused(&fixture, stale).await.kind(), ErrorKind::Conflict);
    let absent = part(plain(), &["2.25.32.9"]);
    assert_eq!(refused(&fixture, absent).await.kind(), ErrorKind::Validation);
    let itself = into(plain(), &source, 1);
    assert_eq!(refused(&fixture, itself).await.kind(), ErrorKind::Validation);
    let promoted = CopyImageSetRequest { promote_to_primary: true, ..plain() };
    assert_eq!(refused(&fixture, promoted).await.kind(), ErrorKind::Validation);
    assert_eq!(fixture.all().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_is_locked_while_it_is_copied() {
    let fixture = Fixture::with_delay(Duration::from_hours(1)).await;
    let source = fixture.import_one_set(&[slice(1)]).await;
    let answer = fixture.store.copy_image_set(request(&fixture, &source, 1)).await.unwrap();
    let again = refused(&fixture, request(&fixture, &source, 1)).await;
    assert_eq!(again.kind(), ErrorKind::Conflict);
    fixture.metadata(&source, None).await;
    let copy = answer.destination_image_set_properties.image_set_id;
    let unfinished = fixture.metadata_bytes(&copy, None).await.unwrap_err();
    assert_eq!(unfinished.kind(), ErrorKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_join_another_set_that_agrees() {
    let fixture = Fixture::new().await;
    let source = fixture.import_one_set(&[slice(1), slice(2)]).await;
    let copy = copied(&fixture, part(request(&fixture, &source, 1), &["2.25.32.1"])).await;
    let join = part(into(request(&fixture, &source, 1), &copy, 1), &["2.25.32.2"]);
    assert_eq!(copied(&fixture, join).await, copy);
    assert_eq!(workflow(&fixture, &copy).await, "COPIED");
    let metadata = fixture.metadata(&copy, None).await;
    let frames = frame_ids(&metadata);
    assert_eq!(frames.len(), 2);
    for frame in &frames {
        assert_eq!(
            fixture.frame(&copy, frame).await.unwrap(),
            fixture.frame(&source, frame).await.unwrap()
        );
    }
    let twice = part(into(request(&fixture, &source, 1), &copy, 2), &["2.25.32.2"]);
    copied(&fixture, twice).await;
    let failed = fixture.get(&copy).await.unwrap().properties;
    assert_eq!(failed.image_set_workflow_status, Some(ImageSetWorkflowStatus::CopyFailed));
    assert!(failed.message.unwrap().starts_with("INVALID_REQUEST:  "));
    assert_eq!(fixture.metadata(&copy, None).await, metadata);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disagreement_fails_the_copy_unless_forced() {
    let fixture = Fixture::new().await;
    let source = fixture.import_one_set(&[slice(1)]).await;
    // Another accession number makes a non-primary set.
    let other = phantom(2).accession_number("OTHER").build();
    let other = fixture.import_one_set(&[other]).await;
    copied(&fixture, into(request(&fixture, &source, 1), &other, 1)).await;
    assert_eq!(workflow(&fixture, &other).await, "COPY_FAILED");
    let forced =
        CopyImageSetRequest { force: true, ..into(request(&fixture, &source, 1), &other, 2) };
    copied(&fixture, forced).await;
    assert_eq!(workflow(&fixture, &other).await, "COPIED");
    let joined = fixture.get(&other).await.unwrap().properties;
    assert!(joined.overrides.unwrap().forced);
    let metadata = fixture.metadata(&other, None).await;
    assert_eq!(metadata["Study"]["DICOM"]["AccessionNumber"], "OTHER");
    assert_eq!(instances(&metadata).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_agrees_is_promoted() {
    let fixture = Fixture::new().await;
    let primary = fixture.import_one_set(&[slice(1)]).await;
    let apart = fixture.import_one_set(&[phantom(2).accession_number("OTHER").build()]).await;
    let promote = |latest| CopyImageSetRequest {
        promote_to_primary: true,
        ..request(&fixture, &apart, latest)
    };
    assert_eq!(refused(&fixture, promote(1)).await.kind(), ErrorKind::Conflict);
    let accession =
        fixture.metadata(&primary, None).await["Study"]["DICOM"]["AccessionNumber"].take();
    let update = json!({"SchemaVersion": 1.1, "Study": {"DICOM": {"AccessionNumber": accession}}});
    let update = MetadataUpdates::DicomUpdates {
        removable_attributes: None,
        updatable_attributes: Some(update.to_string().into()),
    };
    let update = fixture.update_request(&apart, 1, update);
    fixture.store.update_image_set_metadata(update).await.unwrap();
    fixture.settled(&apart).await;
    assert_eq!(copied(&fixture, promote(2)).await, primary);
    assert_eq!(workflow(&fixture, &primary).await, "COPIED");
    assert_eq!(instances(&fixture.metadata(&primary, None).await).len(), 2);
    delete(&fixture, &primary).await;
    let new = copied(&fixture, promote(2)).await;
    let found = fixture.get(&new).await.unwrap().properties;
    assert_eq!(found.is_primary, Some(true));
    assert_ne!(new, apart);
}
