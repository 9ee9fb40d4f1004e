//! Copies of image sets.

use healthimaging::model::{
    CopyDestination, CopyImageSetInformation, CopyImageSetRequest, CopySource,
    DeleteImageSetRequest, DicomCopies, ImageSetState, ImageSetWorkflowStatus,
};
use healthimaging::{DatastoreId, ErrorKind, ImageSetId};
use serde_json::{Value, json};

use crate::update::slice;
use healthimaging_testing::rig::image_sets::{frame_id, instances, only_instance};
use healthimaging_testing::rig::{Rig, refused};

/// A request to copy a whole image set to a new one.
pub(crate) fn whole(store: &DatastoreId, set: &ImageSetId, version: u32) -> CopyImageSetRequest {
    CopyImageSetRequest {
        datastore_id: store.clone(),
        source_image_set_id: set.clone(),
        copy_image_set_information: CopyImageSetInformation {
            source_image_set: CopySource { latest_version_id: version.into(), dicom_copies: None },
            destination_image_set: None,
        },
        force: false,
        promote_to_primary: false,
    }
}

fn part(store: &DatastoreId, set: &ImageSetId, document: &Value) -> CopyImageSetRequest {
    let mut request = whole(store, set, 1);
    request.copy_image_set_information.source_image_set.dicom_copies =
        Some(DicomCopies { copiable_attributes: document.to_string() });
    request
}

fn into(mut request: CopyImageSetRequest, set: &ImageSetId, version: u32) -> CopyImageSetRequest {
    request.copy_image_set_information.destination_image_set =
        Some(CopyDestination { image_set_id: set.clone(), latest_version_id: version.into() });
    request
}

/// Copies, and waits for both ends; the destination.
async fn copied(rig: &Rig, request: CopyImageSetRequest) -> ImageSetId {
    let (store, source) = (request.datastore_id.clone(), request.source_image_set_id.clone());
    let answer = rig.service.copy_image_set(request).await.unwrap();
    let destination = answer.destination_image_set_properties.image_set_id;
    rig.wait_active(&store, &source).await;
    rig.wait_active(&store, &destination).await;
    destination
}

pub(crate) async fn a_copy_answers_locked_on_both_sides(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let answer = rig.service.copy_image_set(whole(&store, &set, 1)).await.unwrap();
    assert_eq!(answer.datastore_id, store);
    let source = answer.source_image_set_properties;
    assert_eq!(source.image_set_id, set);
    assert_eq!(source.latest_version_id.as_str(), "1");
    assert_eq!(source.image_set_state, Some(ImageSetState::Locked));
    assert_eq!(
        source.image_set_workflow_status,
        Some(ImageSetWorkflowStatus::CopyingWithReadOnlyAccess)
    );
    let destination = answer.destination_image_set_properties;
    assert_ne!(destination.image_set_id, set);
    assert_eq!(destination.latest_version_id.as_str(), "1");
    assert_eq!(destination.image_set_state, Some(ImageSetState::Locked));
    assert_eq!(destination.image_set_workflow_status, Some(ImageSetWorkflowStatus::Copying));
    let arn = destination.image_set_arn.unwrap();
    assert!(arn.as_str().ends_with(&format!("imageset/{}", destination.image_set_id)));
    rig.wait_active(&store, &destination.image_set_id).await;
}

pub(crate) async fn a_copy_ends_copied_and_is_not_primary(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let copy = copied(rig, whole(&store, &set, 1)).await;
    let found = rig.image_set(&store, &copy).await.properties;
    assert_eq!(found.image_set_state, ImageSetState::Active);
    assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::Copied));
    assert_eq!(found.version_id.as_str(), "1");
    assert_eq!(found.is_primary, Some(false));
    assert_eq!(found.overrides, None);
    let source = rig.image_set(&store, &set).await.properties;
    assert_eq!(source.image_set_state, ImageSetState::Active);
    assert_eq!(source.image_set_workflow_status, Some(ImageSetWorkflowStatus::Created));
    assert_eq!(source.version_id.as_str(), "1");
}

pub(crate) async fn a_copy_holds_what_its_source_holds(rig: &Rig) {
    let store = rig.datastore().await;
    let files = [("1", slice(1).build()), ("2", slice(2).build())];
    let set = rig.import(&store, files).await.only_set();
    let copy = copied(rig, whole(&store, &set, 1)).await;
    let mut document = rig.document(&store, &set).await;
    document["ImageSetID"] = json!(copy.as_str());
    assert_eq!(rig.document(&store, &copy).await, document);
    for instance in instances(&document).values() {
        let frame = frame_id(instance, 0);
        assert_eq!(rig.frame(&store, &copy, frame).await, rig.frame(&store, &set, frame).await);
    }
}

pub(crate) async fn a_copy_of_the_latest_version_is_asked_for(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    for version in [0, 2] {
        let answer = rig.service.copy_image_set(whole(&store, &set, version)).await;
        refused(answer, ErrorKind::Conflict);
    }
    assert_eq!(rig.found(&store, json!({})).await, [set]);
}

pub(crate) async fn an_unknown_source_is_not_found(rig: &Rig) {
    let (_, set) = rig.holding(slice(1)).await;
    let other = rig.datastore().await;
    refused(rig.service.copy_image_set(whole(&other, &set, 1)).await, ErrorKind::NotFound);
}

pub(crate) async fn a_copy_outlives_its_source(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let document = rig.document(&store, &set).await;
    let frame = frame_id(only_instance(&document), 0);
    let bytes = rig.frame(&store, &set, frame).await;
    let copy = copied(rig, whole(&store, &set, 1)).await;
    let request = DeleteImageSetRequest { datastore_id: store.clone(), image_set_id: set.clone() };
    rig.service.delete_image_set(request).await.unwrap();
    rig.wait_active(&store, &set).await;
    assert_eq!(rig.frame(&store, &copy, frame).await, bytes);
    assert_eq!(rig.found(&store, json!({})).await, [copy]);
}

pub(crate) async fn a_change_of_the_copy_leaves_the_source_alone(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let before = rig.document(&store, &set).await;
    let copy = copied(rig, whole(&store, &set, 1)).await;
    let change = crate::update::patient(json!({"PatientName": "COPY"}));
    rig.update(rig.update_request(&store, &copy, 1, &change)).await;
    let after = rig.document(&store, &copy).await;
    assert_eq!(after["Patient"]["DICOM"]["PatientName"], "COPY");
    assert_eq!(rig.document(&store, &set).await, before);
}

pub(crate) async fn a_locked_source_can_be_read_and_not_written(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let held = rig.held().await;
    let answer = held.service.copy_image_set(whole(&store, &set, 1)).await.unwrap();
    let found = held.image_set(&store, &set).await.properties;
    assert_eq!(found.image_set_state, ImageSetState::Locked);
    held.document(&store, &set).await;
    for set in [&set, &answer.destination_image_set_properties.image_set_id] {
        let request =
            DeleteImageSetRequest { datastore_id: store.clone(), image_set_id: set.clone() };
        refused(held.service.delete_image_set(request).await, ErrorKind::Conflict);
    }
}

fn second() -> Value {
    crate::update::instance(2, json!({}))
}

pub(crate) async fn a_part_of_an_image_set_is_copied(rig: &Rig) {
    let store = rig.datastore().await;
    let files = [("1", slice(1).build()), ("2", slice(2).build())];
    let set = rig.import(&store, files).await.only_set();
    let copy = copied(rig, part(&store, &set, &second())).await;
    let document = rig.document(&store, &copy).await;
    let names: Vec<&String> = instances(&document).keys().collect();
    assert_eq!(names, ["2.25.11.2"]);
    rig.frame(&store, &copy, frame_id(only_instance(&document), 0)).await;
}

pub(crate) async fn a_part_that_is_not_there_is_refused(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    for text in ["not JSON", "{}", "[]"] {
        let mut request = part(&store, &set, &Value::Null);
        request.copy_image_set_information.source_image_set.dicom_copies =
            Some(DicomCopies { copiable_attributes: text.to_owned() });
        refused(rig.service.copy_image_set(request).await, ErrorKind::Validation);
    }
    if let Ok(answer) = rig.service.copy_image_set(part(&store, &set, &second())).await {
        let copy = answer.destination_image_set_properties.image_set_id;
        let found = rig.wait_active(&store, &copy).await.properties;
        assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::CopyFailed));
        assert!(!found.message.unwrap().is_empty());
    }
}

/// A copy of the first slice, and a set with the second one, in one data store.
async fn two_copies(rig: &Rig) -> (DatastoreId, ImageSetId, ImageSetId) {
    let store = rig.datastore().await;
    let files = [("1", slice(1).build()), ("2", slice(2).build())];
    let set = rig.import(&store, files).await.only_set();
    let first = crate::update::instance(1, json!({}));
    let one = copied(rig, part(&store, &set, &first)).await;
    let two = copied(rig, part(&store, &set, &second())).await;
    (store, one, two)
}

pub(crate) async fn instances_are_copied_into_another_image_set(rig: &Rig) {
    let (store, one, two) = two_copies(rig).await;
    let request = into(whole(&store, &one, 1), &two, 1);
    let answer = rig.service.copy_image_set(request).await.unwrap();
    let destination = answer.destination_image_set_properties;
    assert_eq!(destination.image_set_id, two);
    assert_eq!(destination.latest_version_id.as_str(), "2");
    let found = rig.wait_active(&store, &two).await.properties;
    assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::Copied));
    assert_eq!(found.version_id.as_str(), "2");
    assert_eq!(instances(&rig.document(&store, &two).await).len(), 2);
}

pub(crate) async fn a_stale_destination_is_a_conflict(rig: &Rig) {
    let (store, one, two) = two_copies(rig).await;
    let request = into(whole(&store, &one, 1), &two, 7);
    refused(rig.service.copy_image_set(request).await, ErrorKind::Conflict);
}

pub(crate) async fn an_instance_that_is_there_already_fails_the_copy(rig: &Rig) {
    let (store, one, _) = two_copies(rig).await;
    let again = copied(rig, whole(&store, &one, 1)).await;
    let request = into(whole(&store, &one, 1), &again, 1);
    rig.service.copy_image_set(request).await.unwrap();
    let found = rig.wait_active(&store, &again).await.properties;
    assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::CopyFailed));
    assert!(!found.message.unwrap().is_empty());
    assert_eq!(instances(&rig.document(&store, &again).await).len(), 1);
}

pub(crate) async fn metadata_that_disagree_fail_the_copy_unless_forced(rig: &Rig) {
    let (store, one, two) = two_copies(rig).await;
    let change = crate::update::patient(json!({"PatientName": "OTHER"}));
    rig.update(rig.update_request(&store, &two, 1, &change)).await;
    let request = into(whole(&store, &one, 1), &two, 2);
    rig.service.copy_image_set(request).await.unwrap();
    let found = rig.wait_active(&store, &two).await.properties;
    assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::CopyFailed));
    let mut request = into(whole(&store, &one, 1), &two, 3);
    request.force = true;
    rig.service.copy_image_set(request).await.unwrap();
    let found = rig.wait_active(&store, &two).await.properties;
    assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::Copied));
    let document = rig.document(&store, &two).await;
    assert_eq!(document["Patient"]["DICOM"]["PatientName"], "OTHER");
    assert_eq!(instances(&document).len(), 2);
}

pub(crate) async fn a_set_without_rival_is_promoted_under_a_new_id(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(slice(1)).await;
    let all = rig.found(&store, json!({})).await;
    let primary = all.into_iter().find(|other| other != &set).unwrap();
    let mut request = whole(&store, &set, 1);
    request.promote_to_primary = true;
    refused(rig.service.copy_image_set(request.clone()).await, ErrorKind::Conflict);
    let gone = DeleteImageSetRequest { datastore_id: store.clone(), image_set_id: primary.clone() };
    rig.service.delete_image_set(gone).await.unwrap();
    rig.wait_active(&store, &primary).await;
    let promoted = copied(rig, request).await;
    assert_ne!(promoted, set);
    let found = rig.image_set(&store, &promoted).await.properties;
    assert_eq!(found.is_primary, Some(true));
    assert_eq!(rig.image_set(&store, &set).await.properties.is_primary, Some(false));
}
