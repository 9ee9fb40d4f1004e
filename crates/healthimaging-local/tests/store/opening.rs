//! Opening a folder: what is made, what is missing, what can only be read.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use healthimaging::model::{
    DeleteImageSetRequest, GetImageSetMetadataRequest, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging::{ErrorKind, HealthImaging, ImageSetId};
use healthimaging_local::{FileCall, Files, LocalConfig, LocalStore};
use healthimaging_phantoms::Phantom;

use crate::fixture::Fixture;

/// The folder as on a file system that is mounted read-only.
fn read_only(folder: &Path) -> LocalConfig {
    let files = Files::watched(|call| match call {
        FileCall::MakeFolder | FileCall::Make | FileCall::Remove | FileCall::Move => {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        }
        _ => Ok(usize::MAX),
    });
    LocalConfig { files, ..LocalConfig::new(folder) }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

async fn filled() -> (Fixture, ImageSetId) {
    let fixture = Fixture::new().await;
    let id = fixture.import_one_set(&[Phantom::mr().size(16, 16).build()]).await;
    (fixture, id)
}

/// The store shows the image set, and takes no writes.
async fn can_be_read(store: &LocalStore, fixture: &Fixture, id: &ImageSetId) {
    assert!(store.is_read_only());
    let request = SearchImageSetsRequest {
        datastore_id: fixture.datastore.clone(),
        search_criteria: SearchCriteria::default(),
        next_token: None,
        max_results: None,
    };
    let found = store.search_image_sets(request).await.unwrap();
    assert_eq!(found.image_sets_metadata_summaries[0].image_set_id, *id);
    let request = GetImageSetMetadataRequest {
        datastore_id: fixture.datastore.clone(),
        image_set_id: id.clone(),
        version_id: None,
    };
    let metadata = store.get_image_set_metadata(request).await.unwrap();
    assert!(!metadata.image_set_metadata.collect(1 << 20).await.unwrap().is_empty());
    let request =
        DeleteImageSetRequest { datastore_id: fixture.datastore.clone(), image_set_id: id.clone() };
    let error = store.delete_image_set(request).await.unwrap_err();
    assert!(error.message().contains("reading only"), "{}", error.message());
    store.check().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_to_can_be_read() {
    let (fixture, id) = filled().await;
    let folder = fixture.folder.path();
    let Fixture { store, .. } = &fixture;
    // A server that is open has a log.
    let copied = tempfile::tempdir().unwrap();
    copy(folder, copied.path());
    fs::remove_file(copied.path().join("catalogue.sqlite-shm")).unwrap();
    let error = LocalStore::open(read_only(copied.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("can be written to"), "{}", error.message());
    // Opened once where it can be written to, it can be read afterwards.
    LocalStore::open(LocalConfig::new(copied.path())).await.unwrap().close().await;
    assert!(!copied.path().join("catalogue.sqlite-wal").exists());
    let reading = LocalStore::open(read_only(copied.path())).await.unwrap();
    can_be_read(&reading, &fixture, &id).await;
    assert!(!copied.path().join("catalogue.sqlite-wal").exists());
    drop(Arc::clone(store));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_can_be_read_while_another_process_writes_to_it() {
    let (fixture, id) = filled().await;
    let reading = LocalStore::open(read_only(fixture.folder.path())).await.unwrap();
    can_be_read(&reading, &fixture, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_store_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    LocalStore::open(read_only(folder.path())).await.unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_catalog_is_not_replaced_by_an_empty_one() {
    let (fixture, _) = filled().await;
    fixture.store.close().await;
    let (folder, copied) = (fixture.folder.path(), tempfile::tempdir().unwrap());
    copy(folder, copied.path());
    for name in ["", "-wal", "-shm"] {
        fs::remove_file(copied.path().join(format!("catalogue.sqlite{name}"))).unwrap();
    }
    for _ in 0..2 {
        let error = LocalStore::open(LocalConfig::new(copied.path())).await.unwrap_err();
        assert!(error.message().contains("missing"), "{}", error.message());
    }
    assert!(!copied.path().join("catalogue.sqlite").exists());
    // One that was emptied is lost as well.
    fs::write(copied.path().join("catalogue.sqlite"), "").unwrap();
    let error = LocalStore::open(LocalConfig::new(copied.path())).await.unwrap_err();
    assert!(error.message().contains("missing"), "{}", error.message());
    // Without packs there is nothing to lose.
    fs::remove_dir_all(copied.path().join("packs")).unwrap();
    LocalStore::open(LocalConfig::new(copied.path())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_files_are_gone_says_so() {
    let (fixture, _) = filled().await;
    let folder = fixture.folder.path();
    fixture.store.check().await.unwrap();
    let (packs, away) = (folder.join("packs"), folder.join("away"));
    fs::rename(&packs, &away).unwrap();
    fixture.store.check().await.unwrap_err();
    fs::rename(&away, &packs).unwrap();
    fixture.store.check().await.unwrap();
    let (catalog, away) = (folder.join("catalogue.sqlite"), folder.join("away"));
    fs::rename(&catalog, &away).unwrap();
    fixture.store.check().await.unwrap_err();
    // Another file in its place is not the catalog.
    fs::copy(&away, &catalog).unwrap();
    if cfg!(unix) {
        fixture.store.check().await.unwrap_err();
    }
    fs::rename(&away, &catalog).unwrap();
    fixture.store.check().await.unwrap();
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn files_can_be_read_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    fn modes(folder: &Path, found: &mut Vec<(String, u32)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            found.push((path.display().to_string(), mode));
            if path.is_dir() {
                modes(&path, found);
            }
        }
    }
    let (fixture, _) = filled().await;
    let mut found = Vec::new();
    modes(fixture.folder.path(), &mut found);
    for name in ["catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm", ".pack"] {
        assert!(found.iter().any(|(path, _)| path.ends_with(name)), "{name}");
    }
    let outcomes = |path: &str| path.contains("/imports/");
    for (path, mode) in found.iter().filter(|(path, _)| !outcomes(path)) {
        assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn space_is_set_aside_and_set_aside_again() {
    let folder = tempfile::tempdir().unwrap();
    let reserve = folder.path().join("reserve");
    LocalStore::open(LocalConfig::new(folder.path())).await.unwrap().close().await;
    // Some file systems set no space aside; a store works without.
    if let Ok(data) = fs::metadata(&reserve) {
        assert_eq!(data.len(), 8 << 20);
        fs::remove_file(&reserve).unwrap();
        LocalStore::open(LocalConfig::new(folder.path())).await.unwrap().close().await;
        assert!(reserve.exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_opens_where_no_space_can_be_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    LocalStore::open(LocalConfig::new(folder.path())).await.unwrap().close().await;
    drop(fs::remove_file(folder.path().join("reserve")));
    full.store(true, Ordering::SeqCst);
    let files = Files::watched(move |call| match call {
        FileCall::Write if full.load(Ordering::SeqCst) => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(usize::MAX),
    });
    let config = LocalConfig { files, ..LocalConfig::new(folder.path()) };
    LocalStore::open(config).await.unwrap().close().await;
}
