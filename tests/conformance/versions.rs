//! Versions of an image set: listing and reading them.

use futures::TryStreamExt;
use healthimaging::model::{
    ImageSetProperties, ImageSetState, ImageSetWorkflowStatus, ListImageSetVersionsRequest,
    ListImageSetVersionsResponse,
};
use healthimaging::{DatastoreId, Error, ErrorKind, ImageSetId, NextToken, Page, sweep};
use healthimaging_phantoms::Phantom;
use serde_json::{Value, json};

use healthimaging_testing::rig::{Rig, refused};

fn change(text: &str) -> Value {
    json!({"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": text}}})
}

async fn page(
    rig: &Rig,
    store: &DatastoreId,
    set: &ImageSetId,
    next_token: Option<NextToken>,
    max_results: Option<u32>,
) -> Result<ListImageSetVersionsResponse, Error> {
    let request = ListImageSetVersionsRequest {
        datastore_id: store.clone(),
        image_set_id: set.clone(),
        next_token,
        max_results,
    };
    rig.service.list_image_set_versions(request).await
}

/// All versions, newest first.
pub(crate) async fn versions(
    rig: &Rig,
    store: &DatastoreId,
    set: &ImageSetId,
    size: Option<u32>,
) -> Vec<ImageSetProperties> {
    let fetch = |token| async move {
        let found = page(rig, store, set, token, size).await?;
        assert!(found.image_set_properties_list.len() <= size.unwrap_or(50) as usize);
        Ok(Page { items: found.image_set_properties_list, next_token: found.next_token })
    };
    sweep(1000, fetch).try_collect().await.unwrap()
}

/// A data store with one image set that has four versions, the third of which failed.
async fn four_versions(rig: &Rig) -> (DatastoreId, ImageSetId) {
    let (store, set) = rig.holding(Phantom::ct().size(16, 16)).await;
    rig.update(rig.update_request(&store, &set, 1, &change("SECOND"))).await;
    // A patient-level change of a primary image set fails.
    let refused = json!({"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "X"}}});
    rig.update(rig.update_request(&store, &set, 2, &refused)).await;
    rig.update(rig.update_request(&store, &set, 3, &change("FOURTH"))).await;
    (store, set)
}

pub(crate) async fn versions_are_listed_newest_first_failed_ones_too(rig: &Rig) {
    let (store, set) = four_versions(rig).await;
    let found = versions(rig, &store, &set, None).await;
    let numbers: Vec<&str> = found.iter().map(|version| version.version_id.as_str()).collect();
    assert_eq!(numbers, ["4", "3", "2", "1"]);
    let done: Vec<_> = found.iter().map(|v| v.image_set_workflow_status.unwrap()).collect();
    assert_eq!(
        done,
        [
            ImageSetWorkflowStatus::Updated,
            ImageSetWorkflowStatus::UpdateFailed,
            ImageSetWorkflowStatus::Updated,
            ImageSetWorkflowStatus::Created,
        ]
    );
    for version in &found {
        assert_eq!(version.image_set_id, set);
        assert_eq!(version.image_set_state, ImageSetState::Active);
        assert_eq!(version.message.is_some(), version.version_id.as_str() == "3");
        assert_eq!(version.is_primary, Some(true));
        assert_eq!(version.overrides, None);
    }
    assert!(found.windows(2).all(|pair| pair[0].updated_at >= pair[1].updated_at));
}

pub(crate) async fn each_version_can_be_asked_for(rig: &Rig) {
    let (store, set) = four_versions(rig).await;
    for version in versions(rig, &store, &set, None).await {
        let number = version.version_id.clone();
        let found = rig.try_image_set(&store, &set, Some(number)).await.unwrap();
        assert_eq!(found.properties, version);
    }
    let latest = rig.image_set(&store, &set).await;
    assert_eq!(latest.properties.version_id.as_str(), "4");
}

pub(crate) async fn each_version_keeps_its_document(rig: &Rig) {
    let (store, set) = four_versions(rig).await;
    let original = "CHEST W/O CONTRAST";
    for (version, wanted) in [(1, original), (2, "SECOND"), (3, "SECOND"), (4, "FOURTH")] {
        let document = rig.try_document(&store, &set, Some(version.into())).await.unwrap();
        let text = document["Study"]["DICOM"]["StudyDescription"].as_str().unwrap();
        assert_eq!(text.trim_end(), wanted, "version {version}");
    }
}

pub(crate) async fn an_unknown_version_is_not_found(rig: &Rig) {
    let (store, set) = rig.holding(Phantom::ct().size(16, 16)).await;
    for version in [0, 2, u32::MAX] {
        let answer = rig.try_image_set(&store, &set, Some(version.into())).await;
        refused(answer, ErrorKind::NotFound);
    }
    let largest = "9999999999".parse().unwrap();
    refused(rig.try_image_set(&store, &set, Some(largest)).await, ErrorKind::NotFound);
    let unknown = "0123456789abcdef0123456789abcdef".parse().unwrap();
    refused(rig.try_image_set(&store, &unknown, None).await, ErrorKind::NotFound);
    refused(page(rig, &store, &unknown, None, None).await, ErrorKind::NotFound);
}

pub(crate) async fn pages_of_versions_join_and_their_tokens_are_checked(rig: &Rig) {
    let (store, set) = four_versions(rig).await;
    let whole = versions(rig, &store, &set, None).await;
    for size in [1, 3, 4] {
        assert_eq!(versions(rig, &store, &set, Some(size)).await, whole);
    }
    for size in [0, 51] {
        refused(page(rig, &store, &set, None, Some(size)).await, ErrorKind::Validation);
    }
    let first = page(rig, &store, &set, None, Some(1)).await.unwrap();
    let other = rig.put(&store, Phantom::mr().size(16, 16)).await;
    refused(page(rig, &store, &other, first.next_token, None).await, ErrorKind::Validation);
    let made_up = Some(NextToken::try_from("made-up").unwrap());
    refused(page(rig, &store, &set, made_up, None).await, ErrorKind::Validation);
}

pub(crate) async fn a_new_version_does_not_shift_the_next_page(rig: &Rig) {
    let (store, set) = four_versions(rig).await;
    let whole = versions(rig, &store, &set, None).await;
    let first = page(rig, &store, &set, None, Some(2)).await.unwrap();
    rig.update(rig.update_request(&store, &set, 4, &change("FIFTH"))).await;
    let second = page(rig, &store, &set, first.next_token, Some(2)).await.unwrap();
    assert_eq!(second.image_set_properties_list, whole[2..]);
}
