//! Deleting image sets.

use healthimaging::model::{
    DeleteImageSetRequest, DeleteImageSetResponse, ImageSetState, ImageSetWorkflowStatus,
};
use healthimaging::{DatastoreId, Error, ErrorKind, ImageSetId};
use healthimaging_phantoms::Phantom;
use serde_json::json;

use healthimaging_testing::rig::image_sets::frame_id;
use healthimaging_testing::rig::{Rig, refused};

async fn delete(
    rig: &Rig,
    store: &DatastoreId,
    set: &ImageSetId,
) -> Result<DeleteImageSetResponse, Error> {
    let request = DeleteImageSetRequest { datastore_id: store.clone(), image_set_id: set.clone() };
    rig.service.delete_image_set(request).await
}

fn slice() -> Phantom {
    Phantom::ct().size(16, 16)
}

/// A data store whose one image set was deleted.
async fn deleted(rig: &Rig) -> (DatastoreId, ImageSetId) {
    let (store, set) = rig.holding(slice()).await;
    delete(rig, &store, &set).await.unwrap();
    rig.wait_active(&store, &set).await;
    (store, set)
}

pub(crate) async fn a_deletion_answers_deleting(rig: &Rig) {
    let (store, set) = rig.holding(slice()).await;
    let answer = delete(rig, &store, &set).await.unwrap();
    assert_eq!(answer.datastore_id, store);
    assert_eq!(answer.image_set_id, set);
    assert_eq!(answer.image_set_state, ImageSetState::Locked);
    assert_eq!(answer.image_set_workflow_status, ImageSetWorkflowStatus::Deleting);
}

pub(crate) async fn a_deleted_image_set_says_that_it_was(rig: &Rig) {
    let (store, set) = deleted(rig).await;
    let found = rig.image_set(&store, &set).await.properties;
    assert_eq!(found.image_set_state, ImageSetState::Deleted);
    assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::Deleted));
    assert!(found.deleted_at.unwrap() >= found.created_at.unwrap());
    for version in crate::versions::versions(rig, &store, &set, None).await {
        assert_eq!(version.image_set_state, ImageSetState::Deleted);
    }
}

pub(crate) async fn a_deleted_image_set_is_not_found_by_search(rig: &Rig) {
    let (store, set) = rig.holding(slice().patient("GONE", "GONE")).await;
    let kept = rig.put(&store, slice().seed(2)).await;
    delete(rig, &store, &set).await.unwrap();
    rig.wait_active(&store, &set).await;
    assert_eq!(rig.found(&store, json!({})).await, [kept]);
    let filter = json!({"operator": "EQUAL", "values": [{"DICOMPatientId": "GONE"}]});
    assert_eq!(rig.found(&store, json!({"filters": [filter]})).await, []);
}

pub(crate) async fn a_deleted_image_set_has_no_metadata_and_no_frames(rig: &Rig) {
    let (store, set) = rig.holding(slice()).await;
    let instance = rig.only_instance(&store, &set).await;
    delete(rig, &store, &set).await.unwrap();
    rig.wait_active(&store, &set).await;
    refused(rig.try_document(&store, &set, None).await, ErrorKind::NotFound);
    refused(rig.try_document(&store, &set, Some(1.into())).await, ErrorKind::NotFound);
    let frame = frame_id(&instance, 0);
    refused(rig.try_frame(&store, &set, frame).await, ErrorKind::NotFound);
}

pub(crate) async fn all_versions_are_deleted(rig: &Rig) {
    let (store, set) = rig.holding(slice()).await;
    let change = crate::update::study(json!({"StudyDescription": "NEW"}));
    rig.update(rig.update_request(&store, &set, 1, &change)).await;
    delete(rig, &store, &set).await.unwrap();
    rig.wait_active(&store, &set).await;
    for version in [1, 2] {
        let answer = rig.try_document(&store, &set, Some(version.into())).await;
        refused(answer, ErrorKind::NotFound);
    }
}

pub(crate) async fn a_deletion_again_answers_deleted(rig: &Rig) {
    let (store, set) = deleted(rig).await;
    let again = delete(rig, &store, &set).await.unwrap();
    assert_eq!(again.image_set_state, ImageSetState::Deleted);
    assert_eq!(again.image_set_workflow_status, ImageSetWorkflowStatus::Deleted);
}

pub(crate) async fn a_deleted_image_set_takes_no_writes(rig: &Rig) {
    let (store, set) = deleted(rig).await;
    let version = rig.image_set(&store, &set).await.properties.version_id;
    let change = crate::update::study(json!({"StudyDescription": "NEW"}));
    let mut request = rig.update_request(&store, &set, 1, &change);
    request.latest_version_id = version.clone();
    let update = rig.ask_update(request).await.unwrap_err().kind();
    let mut request = crate::copy::whole(&store, &set, 1);
    request.copy_image_set_information.source_image_set.latest_version_id = version;
    let copy = rig.service.copy_image_set(request).await.unwrap_err().kind();
    for kind in [update, copy] {
        assert!(matches!(kind, ErrorKind::NotFound | ErrorKind::Conflict), "{kind:?}");
    }
}

pub(crate) async fn an_unknown_image_set_cannot_be_deleted(rig: &Rig) {
    let (store, set) = rig.holding(slice()).await;
    let other = rig.datastore().await;
    let unknown = "0123456789abcdef0123456789abcdef".parse().unwrap();
    refused(delete(rig, &store, &unknown).await, ErrorKind::NotFound);
    refused(delete(rig, &other, &set).await, ErrorKind::NotFound);
    rig.document(&store, &set).await;
}

pub(crate) async fn an_image_set_that_is_being_deleted_is_locked(rig: &Rig) {
    let (store, set) = rig.holding(slice()).await;
    let held = rig.held().await;
    delete(&held, &store, &set).await.unwrap();
    let found = held.image_set(&store, &set).await.properties;
    assert_eq!(found.image_set_state, ImageSetState::Locked);
    assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::Deleting));
    refused(delete(&held, &store, &set).await, ErrorKind::Conflict);
    let change = crate::update::study(json!({"StudyDescription": "NEW"}));
    let update = held.update_request(&store, &set, 1, &change);
    refused(held.ask_update(update).await, ErrorKind::Conflict);
}
