//! Image sets, their versions, metadata and frames.

use std::time::Duration;

use healthimaging::ErrorKind;
use healthimaging::HealthImaging;
use healthimaging::model::{ImageSetState, ImageSetWorkflowStatus, MetadataUpdates, StorageTier};
use healthimaging_phantoms::Phantom;

use crate::fixture::{Fixture, frame_ids, instances};

fn slice(number: u32) -> Vec<u8> {
    Phantom::ct()
        .size(32, 32)
        .instance_number(number)
        .sop_uid(&format!("2.25.77.1.{number}"))
        .build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_becomes_one_primary_set() {
    let fixture = Fixture::new().await;
    let set = fixture.import_one_set(&[slice(1), slice(2)]).await;
    let found = fixture.get(&set).await.unwrap();
    assert_eq!(found.properties.version_id.as_str(), "1");
    assert_eq!(found.properties.image_set_state, ImageSetState::Active);
    assert_eq!(found.properties.image_set_workflow_status, Some(ImageSetWorkflowStatus::Created));
    assert_eq!(found.properties.is_primary, Some(true));
    assert_eq!(found.properties.overrides, None);
    let metadata = fixture.metadata(&set, None).await;
    assert_eq!(metadata["DatastoreID"], fixture.datastore.as_str());
    assert_eq!(metadata["ImageSetID"], set.as_str());
    let uids: Vec<_> = instances(&metadata).into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(uids, ["2.25.77.1.1", "2.25.77.1.2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_jp2_files_of_the_size_that_the_metadata_says() {
    let fixture = Fixture::new().await;
    let set = fixture.import_one_set(&[slice(1)]).await;
    let metadata = fixture.metadata(&set, None).await;
    let (_, instance) = &instances(&metadata)[0];
    let frame = &instance["ImageFrames"][0];
    let bytes = fixture.frame(&set, frame["ID"].as_str().unwrap()).await.unwrap();
    assert_eq!(frame["FrameSizeInBytes"].as_u64().unwrap(), bytes.len() as u64);
    // The signature box; 85 bytes on, SOC and SIZ markers (ISO/IEC 15444-1 §I.5.1, §A.4.1, §A.5.1).
    assert_eq!(&bytes[4..8], b"jP  ");
    assert_eq!(&bytes[77..89], b"\0\0\0\0jp2c\xFF\x4F\xFF\x51");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_found_in_their_own_set_only() {
    let fixture = Fixture::new().await;
    let one = fixture.import_one_set(&[slice(1)]).await;
    let other = fixture.import_one_set(&[Phantom::mr().size(16, 16).build()]).await;
    let frames = frame_ids(&fixture.metadata(&one, None).await);
    fixture.frame(&one, &frames[0]).await.unwrap();
    let error = fixture.frame(&other, &frames[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_import_makes_a_new_version_and_the_old_one_stays() {
    let fixture = Fixture::new().await;
    let set = fixture.import_one_set(&[slice(1)]).await;
    let first = fixture.metadata_bytes(&set, None).await.unwrap();
    fixture.import(&[slice(2)]).await;
    assert_eq!(fixture.all().await.len(), 1);
    let history = fixture.history(&set).await;
    let words = |version: &str, workflow: &str| {
        (version.to_owned(), "ACTIVE".to_owned(), workflow.to_owned())
    };
    assert_eq!(history, [words("2", "IMPORTED"), words("1", "CREATED")]);
    assert_eq!(instances(&fixture.metadata(&set, None).await).len(), 2);
    assert_eq!(fixture.metadata_bytes(&set, Some(1)).await.unwrap(), first);
    let missing = fixture.metadata_bytes(&set, Some(3)).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_listed_in_pages() {
    let fixture = Fixture::new().await;
    let set = fixture.import_one_set(&[slice(1)]).await;
    for latest in 1..4 {
        let revert = MetadataUpdates::RevertToVersion(1.into());
        let request = fixture.update_request(&set, latest, revert);
        fixture.store.update_image_set_metadata(request).await.unwrap();
        fixture.settled(&set).await;
    }
    let mut request = healthimaging::model::ListImageSetVersionsRequest {
        datastore_id: fixture.datastore.clone(),
        image_set_id: set.clone(),
        next_token: None,
        max_results: Some(3),
    };
    let page = fixture.store.list_image_set_versions(request.clone()).await.unwrap();
    assert_eq!(page.image_set_properties_list.len(), 3);
    request.next_token = page.next_token;
    let rest = fixture.store.list_image_set_versions(request).await.unwrap();
    assert_eq!(rest.next_token, None);
    let [oldest] = &rest.image_set_properties_list[..] else {
        panic!("{rest:?}");
    };
    assert_eq!(oldest.version_id.as_str(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_nobody_reads_is_archived_until_it_is_read() {
    let fixture = Fixture::new().await;
    let set = fixture.import_one_set(&[slice(1)]).await;
    fixture.pass(Duration::from_hours(24 * 31));
    let found = fixture.get(&set).await.unwrap();
    assert_eq!(found.storage_tier, Some(StorageTier::ArchiveInstantAccess));
    fixture.metadata(&set, None).await;
    let read = fixture.get(&set).await.unwrap();
    assert_eq!(read.storage_tier, Some(StorageTier::FrequentAccess));
    assert!(read.last_accessed_at > found.last_accessed_at);
    fixture.store.close().await;
    let again = fixture.open_again().await;
    let request = healthimaging::model::GetImageSetRequest {
        datastore_id: fixture.datastore.clone(),
        image_set_id: set,
        version_id: None,
    };
    let kept = again.get_image_set(request).await.unwrap();
    assert_eq!(kept.last_accessed_at, read.last_accessed_at);
}
