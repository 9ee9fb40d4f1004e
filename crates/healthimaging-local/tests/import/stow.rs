//! Storing instances over DICOMweb.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use healthimaging::model::{StoreInstancesRequest, StoreInstancesResponse};
use healthimaging::{Body, DicomWeb, Uid};
use healthimaging_local::{FileCall, Files, LocalConfig};
use healthimaging_phantoms::Phantom;

use crate::fixture::Fixture;

async fn store(
    fixture: &Fixture,
    study: Option<&str>,
    files: Vec<Vec<u8>>,
) -> StoreInstancesResponse {
    let request = StoreInstancesRequest {
        datastore_id: fixture.datastore.clone(),
        study_instance_uid: study.map(|uid| Uid::try_from(uid).unwrap()),
        instances: futures::stream::iter(files.into_iter().map(|file| Ok(Body::from(file))))
            .boxed(),
    };
    fixture.store.store_instances(request).await.unwrap()
}

fn slice(study: &str, sop: &str) -> Vec<u8> {
    let series = format!("{study}.1");
    Phantom::ct().size(16, 16).study_uid(study).series_uid(&series).sop_uid(sop).build()
}

#[tokio::test]
async fn each_instance_has_its_outcome() {
    let fixture = Fixture::new().await;
    let files = vec![slice("2.25.1", "2.25.5"), b"no".to_vec(), slice("2.25.1", "2.25.6")];
    let answer = store(&fixture, None, files).await;
    let stored: Vec<_> =
        answer.stored.iter().map(|one| (one.position, one.sop_instance_uid.as_str())).collect();
    assert_eq!(stored, [(0, "2.25.5"), (2, "2.25.6")]);
    assert!(answer.stored.iter().all(|one| one.is_primary && one.study_instance_uid == "2.25.1"));
    assert_eq!(answer.stored[0].image_set_id, answer.stored[1].image_set_id);
    assert_eq!(answer.stored[0].sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
    let failed: Vec<_> =
        answer.failed.iter().map(|one| (one.position, one.failure_reason)).collect();
    assert_eq!(failed, [(1, 0xC000)]);
    let again = store(&fixture, None, vec![slice("2.25.1", "2.25.7")]).await;
    assert_eq!(again.stored[0].image_set_id, answer.stored[0].image_set_id);
    assert_eq!(fixture.image_sets().await[0].version, Some(2));
}

/// The catalog syncs by itself, and is not counted.
#[tokio::test]
async fn a_request_syncs_its_pack_and_no_folder() {
    let syncs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&syncs);
    let files = Files::watched(move |call| {
        counted.fetch_add(usize::from(call == FileCall::Sync), Ordering::SeqCst);
        Ok(usize::MAX)
    });
    let fixture = Fixture::with(|config| LocalConfig { files: files.clone(), ..config }).await;
    // The first request makes packs for the next ones, in the background.
    let mut took = Vec::new();
    for number in 1..100 {
        let before = syncs.load(Ordering::SeqCst);
        store(&fixture, None, vec![slice("2.25.1", &format!("2.25.{number}"))]).await;
        took.push(syncs.load(Ordering::SeqCst) - before);
        if took.ends_with(&[1]) {
            return;
        }
    }
    panic!("{took:?}");
}

#[tokio::test]
async fn packs_that_were_made_ahead_and_not_used_go_when_the_store_is_closed() {
    let fixture = Fixture::new().await;
    for number in 5..9 {
        let answer = store(&fixture, None, vec![slice("2.25.1", &format!("2.25.{number}"))]).await;
        assert_eq!(answer.failed, []);
    }
    fixture.store.close().await;
    let folder = fixture.folder.path().join("store");
    let files = |folder: &std::path::Path| {
        std::fs::read_dir(folder).unwrap().map(|one| one.unwrap().path())
    };
    let shelves = files(&folder.join("packs"));
    assert_eq!(shelves.map(|shelf| files(&shelf).count()).sum::<usize>(), 4);
    assert_eq!(files(&folder.join("incoming")).count(), 0);
}

#[tokio::test]
async fn instances_of_another_study_are_refused() {
    let fixture = Fixture::new().await;
    let files = vec![slice("2.25.1", "2.25.5"), slice("2.25.2", "2.25.6")];
    let answer = store(&fixture, Some("2.25.1"), files).await;
    assert_eq!(answer.stored.len(), 1);
    let failed = &answer.failed[0];
    assert_eq!((failed.position, failed.failure_reason), (1, 0xA900));
    assert_eq!(failed.sop_instance_uid.as_deref(), Some("2.25.6"));
    assert_eq!(fixture.image_sets().await.len(), 1);
}
