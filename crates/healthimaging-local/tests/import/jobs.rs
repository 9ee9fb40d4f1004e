//! Jobs by the API: what is allowed, how they go on, and that they survive.

use std::sync::Arc;

use healthimaging::model::{
    DicomImportJobProperties, GetDicomImportJobRequest, JobStatus, StartDicomImportJobRequest,
};
use healthimaging::{HealthImaging, JobId, ObjectUri};
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_objects::file_uri;
use healthimaging_phantoms::{Archive, write_to};

use crate::fixture::Fixture;

fn request(fixture: &Fixture, input: ObjectUri) -> StartDicomImportJobRequest {
    StartDicomImportJobRequest {
        job_name: None,
        datastore_id: fixture.datastore.clone(),
        data_access_role_arn: None,
        client_token: None,
        input_s3_uri: input,
        output_s3_uri: None,
        input_owner_account_id: None,
        import_configuration: None,
    }
}

async fn ended(store: &LocalStore, fixture: &Fixture, job: &JobId) -> DicomImportJobProperties {
    let request = GetDicomImportJobRequest {
        datastore_id: fixture.datastore.clone(),
        job_id: job.clone(),
    };
    loop {
        let found = store
            .get_dicom_import_job(request.clone())
            .await
            .unwrap()
            .job_properties;
        if matches!(found.job_status, JobStatus::Completed | JobStatus::Failed) {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

/// Opens the same store, with the input allowed.
async fn reopen(fixture: &Fixture) -> Arc<LocalStore> {
    fixture.store.close().await;
    let mut config = LocalConfig::new(fixture.folder.path().join("store"));
    config.allowed_paths = vec![fixture.input()];
    LocalStore::open(config).await.unwrap()
}

fn archive(instances: u32) -> Archive {
    Archive {
        patients: 1,
        studies: 2,
        series: 2,
        instances,
        size: 32,
        ..Archive::default()
    }
}

#[tokio::test]
async fn folders_are_closed_to_requests_unless_allowed() {
    let fixture = Fixture::new().await;
    write_to(&fixture.input(), archive(2).files()).unwrap();
    let start = request(&fixture, file_uri(&fixture.input()).unwrap());
    let job = fixture
        .store
        .start_dicom_import_job(start.clone())
        .await
        .unwrap();
    assert_eq!(job.job_status, JobStatus::Submitted);
    let found = ended(&fixture.store, &fixture, &job.job_id).await;
    assert_eq!(found.job_status, JobStatus::Failed);
    let message = found.message.unwrap();
    assert!(message.contains("--allow-path"), "{message}");
    assert!(found.ended_at.is_some());

    let store = reopen(&fixture).await;
    let job = store.start_dicom_import_job(start).await.unwrap();
    let found = ended(&store, &fixture, &job.job_id).await;
    assert_eq!(
        found.job_status,
        JobStatus::Completed,
        "{:?}",
        found.message
    );
    let folder = format!("/{}-DicomImport-{}/", fixture.datastore, job.job_id);
    assert!(
        found.output_s3_uri.as_str().ends_with(&folder),
        "{}",
        found.output_s3_uri
    );
    let progress = store.import_progress(&job.job_id).await.unwrap();
    assert_eq!((progress.files_done, progress.image_sets), (8, 4));
    store.close().await;
}

#[tokio::test]
async fn s3_without_credentials_fails_in_plain_words() {
    let fixture = Fixture::new().await;
    let start = request(
        &fixture,
        ObjectUri::try_from("s3://some-bucket/in/").unwrap(),
    );
    let job = fixture.store.start_dicom_import_job(start).await.unwrap();
    let found = ended(&fixture.store, &fixture, &job.job_id).await;
    assert_eq!(found.job_status, JobStatus::Failed);
    assert!(found.message.unwrap().contains("credentials"));
}

/// However early or late the store is closed, each file is imported once.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_where_a_closed_store_left_it() {
    for steps in [0, 1, 20, 200] {
        let fixture = Fixture::new().await;
        write_to(&fixture.input(), archive(6).files()).unwrap();
        let store = reopen(&fixture).await;
        let start = request(&fixture, file_uri(&fixture.input()).unwrap());
        let job = store.start_dicom_import_job(start).await.unwrap();
        for _ in 0..steps {
            store.import_progress(&job.job_id).await.unwrap();
        }
        store.close().await;
        drop(store);

        let store = reopen(&fixture).await;
        let found = ended(&store, &fixture, &job.job_id).await;
        assert_eq!(
            found.job_status,
            JobStatus::Completed,
            "{:?}",
            found.message
        );
        let progress = store.import_progress(&job.job_id).await.unwrap();
        assert_eq!(
            (progress.files_done, progress.refused),
            (24, 0),
            "after {steps} steps"
        );
        let found = store.verify(|_| ()).await.unwrap();
        assert_eq!((found.image_sets, found.documents, found.blobs), (4, 4, 24));
        assert_eq!(found.damaged, []);
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_into_one_series_lose_nothing() {
    let fixture = Fixture::new().await;
    let files: Vec<_> = archive(8).files().collect();
    let (left, right) = (fixture.input().join("left"), fixture.input().join("right"));
    for (number, file) in files.into_iter().enumerate() {
        let half = if number % 2 == 0 { &left } else { &right };
        write_to(half, [file]).unwrap();
    }
    let one = async |path: &std::path::PathBuf| {
        let paths = [path.clone()];
        let imported = fixture
            .store
            .import_paths(&fixture.datastore, &paths, |_| ());
        imported.await.unwrap()
    };
    let (left, right) = tokio::join!(one(&left), one(&right));
    assert_eq!((left.progress.refused, right.progress.refused), (0, 0));
    let found = fixture.store.verify(|_| ()).await.unwrap();
    assert_eq!((found.image_sets, found.damaged), (4, vec![]));
    let mut instances = 0;
    for set in fixture.image_sets().await {
        assert_eq!(set.is_primary, Some(true));
        instances += set
            .dicom_tags
            .unwrap()
            .number_of_study_related_instances
            .unwrap();
    }
    assert_eq!(instances, 32);
}
