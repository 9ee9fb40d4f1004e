//! Jobs and writes that a process with other flags takes over.

use std::path::Path;
use std::sync::Arc;

use healthimaging::model::{
    DeleteImageSetRequest, DicomImportJobProperties, GetDicomImportJobRequest, GetImageSetRequest,
    ImageSetState, JobStatus, StartDicomImportJobRequest,
};
use healthimaging::{HealthImaging, JobId, ObjectUri};
use healthimaging_jobs::Runner;
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_objects::file_uri;
use healthimaging_phantoms::{Archive, Phantom, write_to};
use rusqlite::Connection;

use crate::fixture::Fixture;

/// Two studies of two series.
const ARCHIVE: Archive =
    Archive { patients: 1, studies: 2, series: 2, instances: 3, size: 16, seed: 9, noise: 10.0 };

fn config(fixture: &Fixture) -> LocalConfig {
    LocalConfig::new(fixture.folder.path().join("store"))
}

fn import(
    fixture: &Fixture,
    input: ObjectUri,
    output: Option<&Path>,
) -> StartDicomImportJobRequest {
    StartDicomImportJobRequest {
        job_name: None,
        datastore_id: fixture.datastore.clone(),
        data_access_role_arn: None,
        client_token: None,
        input_s3_uri: input,
        output_s3_uri: output.map(|output| file_uri(output).unwrap()),
        input_owner_account_id: None,
        import_configuration: None,
    }
}

async fn job(store: &LocalStore, fixture: &Fixture, job: &JobId) -> DicomImportJobProperties {
    let request =
        GetDicomImportJobRequest { datastore_id: fixture.datastore.clone(), job_id: job.clone() };
    store.get_dicom_import_job(request).await.unwrap().job_properties
}

async fn until(mut look: impl AsyncFnMut() -> bool) {
    let start = std::time::Instant::now();
    while !look().await {
        assert!(start.elapsed().as_secs() < 120, "waited in vain");
        tokio::task::yield_now().await;
    }
}

/// A job that a store accepted and left untouched, as one does that dies at once.
async fn left_behind(fixture: &Fixture, config: LocalConfig, input: ObjectUri) -> JobId {
    let output = fixture.folder.path().join("outcome");
    let store = LocalStore::open(config).await.unwrap();
    let started = store.start_dicom_import_job(import(fixture, input, Some(&output))).await;
    let id = started.unwrap().job_id;
    store.close().await;
    // However far it came: the next process finds it as if it had not begun.
    let catalog = Connection::open(fixture.folder.path().join("store/catalogue.sqlite")).unwrap();
    let begun = "UPDATE job SET state = 'SUBMITTED', ended_at = NULL, message = NULL";
    catalog.execute(begun, []).unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_carries_the_folders_that_its_submitter_allowed() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    write_to(&fixture.input(), ARCHIVE.files()).unwrap();
    let submitter =
        LocalConfig { allowed_paths: vec![fixture.folder.path().to_owned()], ..config(&fixture) };
    let id = left_behind(&fixture, submitter, file_uri(&fixture.input()).unwrap()).await;
    // This one allows no folder at all.
    let store = LocalStore::open(config(&fixture)).await.unwrap();
    until(async || job(&store, &fixture, &id).await.job_status == JobStatus::Completed).await;
    assert_eq!(store.import_progress(&id).await.unwrap().files_done, 12);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_submitter_did_not_allow_is_not_read_by_one_who_allows_more() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    write_to(&fixture.input(), ARCHIVE.files()).unwrap();
    let id = left_behind(&fixture, config(&fixture), file_uri(&fixture.input()).unwrap()).await;
    let generous =
        LocalConfig { allowed_paths: vec![fixture.folder.path().to_owned()], ..config(&fixture) };
    let store = LocalStore::open(generous).await.unwrap();
    until(async || job(&store, &fixture, &id).await.message.is_some()).await;
    let found = job(&store, &fixture, &id).await;
    assert_eq!(found.job_status, JobStatus::Failed);
    assert!(found.message.unwrap().contains("--allow-path"), "the reason is in the status");
    assert_eq!(store.import_progress(&id).await.unwrap().files_done, 0);
    store.close().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_has_become_a_link_is_not_followed() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    write_to(&fixture.input(), ARCHIVE.files()).unwrap();
    let submitter =
        LocalConfig { allowed_paths: vec![fixture.folder.path().to_owned()], ..config(&fixture) };
    let id = left_behind(&fixture, submitter, file_uri(&fixture.input()).unwrap()).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("private");
    std::fs::create_dir(&moved).unwrap();
    std::fs::remove_dir_all(fixture.input()).unwrap();
    std::os::unix::fs::symlink(&moved, fixture.input()).unwrap();
    std::fs::write(moved.join("a"), Phantom::ct().size(16, 16).build()).unwrap();
    let store = LocalStore::open(config(&fixture)).await.unwrap();
    until(async || job(&store, &fixture, &id).await.message.is_some()).await;
    assert_eq!(job(&store, &fixture, &id).await.job_status, JobStatus::Failed);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_a_process_with_the_credentials_of_its_submitter() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    let with = |credentials: &str| LocalConfig {
        runner: Runner { credentials: credentials.to_owned(), ..Runner::default() },
        allowed_paths: vec![fixture.folder.path().to_owned()],
        ..config(&fixture)
    };
    let input = ObjectUri::try_from("s3://some-bucket/in/").unwrap();
    let id = left_behind(&fixture, with("profile research"), input).await;
    let store = LocalStore::open(with("environment")).await.unwrap();
    until(async || job(&store, &fixture, &id).await.message.is_some()).await;
    let found = job(&store, &fixture, &id).await;
    assert_eq!(found.job_status, JobStatus::Submitted);
    assert!(found.message.unwrap().contains("profile research"));
    store.close().await;
    // The right name, and yet no credentials: it is left too, with another reason.
    let store = LocalStore::open(with("profile research")).await.unwrap();
    until(async || {
        let message = job(&store, &fixture, &id).await.message;
        message.is_some_and(|message| message.contains("none are configured"))
    })
    .await;
    assert_eq!(job(&store, &fixture, &id).await.job_status, JobStatus::Submitted);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_delete_begins_no_deletion_of_others_and_finishes_what_is_erased() {
    let fixture = Fixture::new().await;
    fixture.put("a", &Phantom::ct().size(16, 16).study_uid("2.25.1").build());
    fixture.put("b", &Phantom::ct().size(16, 16).study_uid("2.25.2").build());
    fixture.import(&fixture.input()).await;
    let sets = fixture.image_sets().await;
    let (one, other) = (&sets[0].image_set_id, &sets[1].image_set_id);
    // The one is erased, and its clean-up is left; the other is to be deleted.
    let delete = DeleteImageSetRequest {
        datastore_id: fixture.datastore.clone(),
        image_set_id: one.clone(),
    };
    fixture.store.delete_image_set(delete).await.unwrap();
    fixture.store.close().await;
    let path = fixture.folder.path().join("store/catalogue.sqlite");
    let catalog = Connection::open(&path).unwrap();
    let row: i64 = catalog
        .query_row("SELECT row FROM image_set WHERE id = ?1", [other.as_str()], |row| row.get(0))
        .unwrap();
    catalog
        .execute_batch(&format!(
            "UPDATE image_set SET state = 'LOCKED', workflow = 'DELETING' WHERE row = {row};
             DELETE FROM job WHERE scope = 'write';
             INSERT INTO job (id, scope, kind, state, lease, needs, request, submitted_at) VALUES
                 ('1', 'write', 'clean_up', 'SUBMITTED', 'process-dead', '{{}}', '\"CleanUp\"', 0),
                 ('2', 'write', 'delete_image_set', 'SUBMITTED', 'process-dead',
                     '{{\"deletes\":true}}', '{{\"DeleteImageSet\":{{\"row\":{row}}}}}', 0);"
        ))
        .unwrap();
    let pending = || -> i64 {
        let noted = "SELECT count(*) FROM job WHERE scope = 'write'";
        catalog.query_row(noted, [], |row| row.get(0)).unwrap()
    };
    let careful =
        LocalConfig { runner: Runner { deletes: false, ..Runner::default() }, ..config(&fixture) };
    let careful = LocalStore::open(careful).await.unwrap();
    until(async || pending() == 1).await;
    let asked = GetImageSetRequest {
        datastore_id: fixture.datastore.clone(),
        image_set_id: other.clone(),
        version_id: None,
    };
    let state = async |store: &Arc<LocalStore>| {
        store.get_image_set(asked.clone()).await.unwrap().properties.image_set_state
    };
    assert_eq!(state(&careful).await, ImageSetState::Locked);
    // One without the flag does it, though the careful one holds the lease of the store.
    let store = LocalStore::open(config(&fixture)).await.unwrap();
    until(async || state(&store).await == ImageSetState::Deleted).await;
    store.close().await;
    careful.close().await;
}
