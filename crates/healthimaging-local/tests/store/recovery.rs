//! Several processes, and processes that die.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use healthimaging::model::{GetImageSetRequest, ImageSetState, MetadataUpdates};
use healthimaging::{ErrorKind, HealthImaging};
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_phantoms::Phantom;
use healthimaging_pixels::codestream_of;

use serde_json::json;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, frame_ids};

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_see_the_same_store() {
    let fixture = Fixture::new().await;
    let other = fixture.open_again().await;
    let id = fixture.import_one_set(&[Phantom::mr().size(16, 16).build()]).await;
    let request = GetImageSetRequest {
        datastore_id: fixture.datastore.clone(),
        image_set_id: id,
        version_id: None,
    };
    let found = other.get_image_set(request).await.unwrap();
    assert_eq!(found.properties.image_set_state, ImageSetState::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_that_know_the_same_version_one_wins() {
    let fixture = Fixture::new().await;
    let other = fixture.open_again().await;
    let id = fixture.import_one_set(&[Phantom::mr().size(16, 16).build()]).await;
    let mut writers = JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(if number % 2 == 0 { &fixture.store } else { &other });
        let json = json!({"SchemaVersion": 1.1,
            "Study": {"DICOM": {"StudyDescription": format!("WRITER {number}")}}});
        let updates = MetadataUpdates::DicomUpdates {
            removable_attributes: None,
            updatable_attributes: Some(json.to_string().into()),
        };
        let request = fixture.update_request(&id, 1, updates);
        writers.spawn(async move { (number, store.update_image_set_metadata(request).await) });
    }
    let mut winners = Vec::new();
    while let Some(ended) = writers.join_next().await {
        match ended.unwrap() {
            (number, Ok(_)) => winners.push(number),
            (_, Err(error)) => assert_eq!(error.kind(), ErrorKind::Conflict),
        }
    }
    assert_eq!(winners.len(), 1);
    let ended = fixture.settled(&id).await.properties;
    assert_eq!(ended.version_id.as_str(), "2");
    let metadata = fixture.metadata(&id, None).await;
    let expected = format!("WRITER {}", winners[0]);
    assert_eq!(metadata["Study"]["DICOM"]["StudyDescription"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_frame_is_never_served() {
    let fixture = Fixture::new().await;
    let id = fixture.import_one_set(&[Phantom::mr().size(64, 64).build()]).await;
    let frames = frame_ids(&fixture.metadata(&id, None).await);
    let frame = fixture.frame(&id, &frames[0]).await.unwrap();
    let frame = codestream_of(&frame).unwrap();
    let pack = only_file(&fixture.folder.path().join("packs"));
    let mut bytes = std::fs::read(&pack).unwrap();
    let at = bytes.windows(frame.len()).position(|window| window == frame).unwrap();
    bytes[at + frame.len() / 2] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    let error = fixture.frame(&id, &frames[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("damaged"), "{}", error.message());
}

fn only_file(folder: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(folder).unwrap();
    let path = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    if path.is_dir() { only_file(&path) } else { path }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(LocalConfig::new(folder.path())).await.unwrap();
    store.close().await;
    drop(store);
    let catalog = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
    catalog.pragma_update(None, "user_version", 6).unwrap();
    drop(catalog);
    let error = LocalStore::open(LocalConfig::new(folder.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("format 6"), "{}", error.message());
}

/// Set for the child that acknowledges a write and dies before it is carried out.
const DIES: &str = "HEALTHIMAGING_TEST_DIES_IN";

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_write_outlives_its_process() {
    if let Ok(folder) = std::env::var(DIES) {
        return die_after_acknowledging(&folder).await;
    }
    let fixture = Fixture::new().await;
    let id = fixture.import_one_set(&[Phantom::mr().size(16, 16).build()]).await;
    let name = "recovery::an_acknowledged_write_outlives_its_process";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(DIES, fixture.folder.path())
        .output()
        .unwrap();
    assert_eq!(child.status.code(), Some(77), "{child:?}");
    // Opened for the second process of the fixture's folder: the holder of the lease takes over.
    let ended = fixture.settled(&id).await.properties;
    assert_eq!(ended.version_id.as_str(), "2");
    let metadata = fixture.metadata(&id, None).await;
    assert_eq!(metadata["Study"]["DICOM"]["StudyDescription"], "SURVIVED");
}

async fn die_after_acknowledging(folder: &str) {
    use healthimaging::model::{
        ListDatastoresRequest, SearchCriteria, SearchImageSetsRequest,
        UpdateImageSetMetadataRequest,
    };
    let store = LocalStore::open(LocalConfig {
        write_delay: std::time::Duration::from_hours(1),
        run_jobs: false,
        ..LocalConfig::new(folder)
    })
    .await
    .unwrap();
    let listed = store.list_datastores(ListDatastoresRequest::default()).await.unwrap();
    let datastore_id = listed.datastore_summaries[0].datastore_id.clone();
    let search = SearchImageSetsRequest {
        datastore_id: datastore_id.clone(),
        search_criteria: SearchCriteria::default(),
        next_token: None,
        max_results: None,
    };
    let found = store.search_image_sets(search).await.unwrap();
    let update = r#"{"SchemaVersion":1.1,"Study":{"DICOM":{"StudyDescription":"SURVIVED"}}}"#;
    let request = UpdateImageSetMetadataRequest {
        datastore_id,
        image_set_id: found.image_sets_metadata_summaries[0].image_set_id.clone(),
        latest_version_id: 1.into(),
        force: false,
        include_study_image_sets: false,
        updates: MetadataUpdates::DicomUpdates {
            removable_attributes: None,
            updatable_attributes: Some(update.into()),
        },
    };
    store.update_image_set_metadata(request).await.unwrap();
    // As a crash would: no destructor runs.
    std::process::exit(77);
}
