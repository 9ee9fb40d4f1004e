//! From and to S3. Runs when `HEALTHIMAGING_TEST_S3` is the endpoint of an object store with an empty
//! bucket `healthimaging-local-test`, such as moto's, which takes any credentials.

use std::sync::Arc;

use healthimaging::model::{GetDicomImportJobRequest, JobStatus, StartDicomImportJobRequest};
use healthimaging::{HealthImaging, ObjectUri};
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_objects::{Objects, ObjectsConfig, S3Config, S3Credentials, StaticS3Credentials};
use healthimaging_phantoms::Phantom;

use crate::fixture::Fixture;

#[tokio::test]
async fn objects_become_image_sets_and_the_outcome_objects() {
    let Ok(endpoint) = std::env::var("HEALTHIMAGING_TEST_S3") else {
        println!("did not run: HEALTHIMAGING_TEST_S3 names no endpoint");
        return;
    };
    let s3 = S3Config {
        region: None,
        endpoint: Some(endpoint),
        ca_bundle: None,
        credentials: Some(Arc::new(StaticS3Credentials(S3Credentials {
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned(),
            session_token: None,
        }))),
    };
    let objects = Objects::new(ObjectsConfig { s3: s3.clone(), ..ObjectsConfig::default() });
    let uri =
        |path: &str| ObjectUri::try_from(format!("s3://healthimaging-local-test/{path}")).unwrap();
    let input = objects.location(&uri("in")).unwrap();
    let slice = |sop: &str| Phantom::ct().size(16, 16).sop_uid(sop).build();
    input.write("a/1", slice("2.25.5").into()).await.unwrap();
    input.write("a/2", slice("2.25.6").into()).await.unwrap();
    input.write("note", b"x".to_vec().into()).await.unwrap();

    let fixture = Fixture::new().await;
    let mut config = LocalConfig::new(fixture.folder.path().join("store"));
    config.s3 = s3;
    let store = LocalStore::open(config).await.unwrap();
    let started = store
        .start_dicom_import_job(StartDicomImportJobRequest {
            job_name: None,
            datastore_id: fixture.datastore.clone(),
            data_access_role_arn: None,
            client_token: None,
            input_s3_uri: uri("in/"),
            output_s3_uri: Some(uri("out")),
            input_owner_account_id: None,
            import_configuration: None,
        })
        .await
        .unwrap();
    let request = GetDicomImportJobRequest {
        datastore_id: fixture.datastore.clone(),
        job_id: started.job_id,
    };
    let ended = loop {
        let found = store.get_dicom_import_job(request.clone()).await.unwrap().job_properties;
        if matches!(found.job_status, JobStatus::Completed | JobStatus::Failed) {
            break found;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(ended.job_status, JobStatus::Completed, "{:?}", ended.message);
    let output = objects.location(&ended.output_s3_uri).unwrap();
    let manifest = output.read("job-output-manifest.json", 100_000).await.unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let summary = &manifest["jobSummary"];
    assert_eq!(summary["numberOfImportedFiles"], 2);
    assert_eq!(summary["numberOfFilesWithCustomerError"], 1);
    let success = output.read("SUCCESS/success.ndjson", 100_000).await.unwrap();
    let success = String::from_utf8(success).unwrap();
    assert!(success.starts_with(r#"{"inputFile":"in/a/1","#), "{success}");
    assert_eq!(success.lines().count(), 2);
    assert_eq!(fixture.image_sets().await.len(), 1);
    store.close().await;
}
