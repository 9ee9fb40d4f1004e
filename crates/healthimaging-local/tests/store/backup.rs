//! Backups of a store in which image sets are deleted while their packs are copied.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use healthimaging::HealthImaging;
use healthimaging::model::{
    DeleteImageSetRequest, ListDatastoresRequest, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging_local::{FileCall, Files, LocalConfig, LocalStore};
use healthimaging_phantoms::Phantom;

use crate::fixture::Fixture;

/// The pack files below a folder.
fn packs(folder: &Path) -> usize {
    let folders = std::fs::read_dir(folder.join("packs")).unwrap();
    folders.map(|entry| std::fs::read_dir(entry.unwrap().path()).unwrap().count()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_that_are_deleted_during_a_backup_are_not_missing_in_it() {
    let fixture = Fixture::new().await;
    let mut sets = Vec::new();
    for number in 0..3 {
        let file = Phantom::mr().size(16, 16).seed(number).study_uid(&format!("2.25.{number}"));
        let file =
            file.series_uid(&format!("2.25.{number}.1")).sop_uid(&format!("2.25.{number}.2"));
        sets.push(fixture.import_one_set(&[file.build()]).await);
    }
    assert_eq!(packs(fixture.folder.path()), 3);

    // The backup waits where it makes its second file: after the snapshot of the catalog, it has opened one pack.
    let (reached, is_reached) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let (made, may_go_on) = (Arc::new(AtomicUsize::new(usize::MAX / 2)), Mutex::new(may_go_on));
    let of_watch = Arc::clone(&made);
    let files = Files::watched(move |call| {
        if call == FileCall::Make && of_watch.fetch_add(1, Ordering::SeqCst) == 1 {
            reached.send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
        }
        Ok(usize::MAX)
    });
    let config = LocalConfig { files, run_jobs: false, ..LocalConfig::new(fixture.folder.path()) };
    let store = LocalStore::open(config).await.unwrap();
    let target = tempfile::tempdir().unwrap();
    made.store(0, Ordering::SeqCst);
    let backup = tokio::spawn({
        let (store, target) = (Arc::clone(&store), target.path().to_owned());
        async move { store.back_up(&target, |_| ()).await }
    });
    tokio::task::spawn_blocking(move || is_reached.recv().unwrap()).await.unwrap();
    for set in &sets[1..] {
        let request = DeleteImageSetRequest {
            datastore_id: fixture.datastore.clone(),
            image_set_id: set.clone(),
        };
        fixture.store.delete_image_set(request).await.unwrap();
        fixture.settled(set).await;
    }
    while packs(fixture.folder.path()) > 1 {
        tokio::task::yield_now().await;
    }
    go_on.send(()).unwrap();
    let report = backup.await.unwrap().unwrap();
    store.close().await;
    assert!(report.verified.damaged.is_empty(), "{report:?}");
    assert_eq!((report.verified.image_sets, report.progress.packs_done), (1, 1), "{report:?}");
    assert_eq!(packs(target.path()), 1, "nothing of the deleted image sets is left");

    let copy = LocalStore::open(LocalConfig::new(target.path())).await.unwrap();
    let datastores = copy.list_datastores(ListDatastoresRequest::default()).await.unwrap();
    let request = SearchImageSetsRequest {
        datastore_id: datastores.datastore_summaries[0].datastore_id.clone(),
        search_criteria: SearchCriteria::default(),
        next_token: None,
        max_results: None,
    };
    let found = copy.search_image_sets(request).await.unwrap().image_sets_metadata_summaries;
    let found: Vec<_> = found.into_iter().map(|set| set.image_set_id).collect();
    assert_eq!(found, sets[..1]);
    copy.close().await;
}
