//! Jobs by the API: what is allowed, how they go on, and that they survive.

use std::sync::Arc;

use healthimaging::model::{
    DicomImportJobProperties, DicomJsonMetadataImportConfiguration, DicomMetadataMapping,
    GetDicomImportJobRequest, ImportConfiguration, JobStatus, StartDicomImportJobRequest,
};
use healthimaging::{HealthImaging, JobId, ObjectUri, Uid};
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_objects::file_uri;
use healthimaging_phantoms::{Archive, Phantom, write_to};
use serde_json::json;

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
    let request =
        GetDicomImportJobRequest { datastore_id: fixture.datastore.clone(), job_id: job.clone() };
    loop {
        let found = store.get_dicom_import_job(request.clone()).await.unwrap().job_properties;
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
    Archive { patients: 1, studies: 2, series: 2, instances, size: 32, ..Archive::default() }
}

#[tokio::test]
async fn folders_are_closed_to_requests_unless_allowed() {
    let fixture = Fixture::new().await;
    write_to(&fixture.input(), archive(2).files()).unwrap();
    let start = request(&fixture, file_uri(&fixture.input()).unwrap());
    let job = fixture.store.start_dicom_import_job(start.clone()).await.unwrap();
    assert_eq!(job.job_status, JobStatus::Submitted);
    let found = ended(&fixture.store, &fixture, &job.job_id).await;
    assert_eq!(found.job_status, JobStatus::Failed);
    let message = found.message.unwrap();
    assert!(message.contains("--allow-path"), "{message}");
    assert!(found.ended_at.is_some());

    let store = reopen(&fixture).await;
    let job = store.start_dicom_import_job(start).await.unwrap();
    let found = ended(&store, &fixture, &job.job_id).await;
    assert_eq!(found.job_status, JobStatus::Completed, "{:?}", found.message);
    let folder = format!("/{}-DicomImport-{}/", fixture.datastore, job.job_id);
    assert!(found.output_s3_uri.as_str().ends_with(&folder), "{}", found.output_s3_uri);
    let progress = store.import_progress(&job.job_id).await.unwrap();
    assert_eq!((progress.files_done, progress.image_sets), (8, 4));
    store.close().await;
}

#[tokio::test]
async fn s3_without_credentials_fails_in_plain_words() {
    let fixture = Fixture::new().await;
    let start = request(&fixture, ObjectUri::try_from("s3://some-bucket/in/").unwrap());
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
        assert_eq!(found.job_status, JobStatus::Completed, "{:?}", found.message);
        let progress = store.import_progress(&job.job_id).await.unwrap();
        assert_eq!((progress.files_done, progress.refused), (24, 0), "after {steps} steps");
        let found = store.verify(|_| ()).await.unwrap();
        assert_eq!((found.image_sets, found.documents, found.blobs), (4, 4, 24));
        assert_eq!(found.damaged, []);
        store.close().await;
    }
}

/// As by the command line: the same paths are named again after the first process has died.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_repeated_continues_the_one_that_had_not_ended() {
    for seen in [0, 1, 12, 24] {
        let fixture = Fixture::new().await;
        write_to(&fixture.input(), archive(6).files()).unwrap();
        let (store, datastore) = (reopen(&fixture).await, fixture.datastore.clone());
        let paths = [fixture.input()];
        let (reached, is_reached) = tokio::sync::watch::channel(false);
        let first = store.import_paths(&datastore, &paths, |progress| {
            reached.send_replace(progress.files_done >= seen);
        });
        let closing = async {
            let mut is_reached = is_reached;
            is_reached.wait_for(|is_reached| *is_reached).await.unwrap();
            store.close().await;
        };
        let (first, ()) = tokio::join!(first, closing);
        let first = first.unwrap();
        let had_ended = first.status == JobStatus::Completed;
        drop(store);

        let store = reopen(&fixture).await;
        if !had_ended {
            let second = store.import_paths(&datastore, &paths, |_| ()).await.unwrap();
            assert_eq!(second.status, JobStatus::Completed);
            assert_eq!((&second.job_id, second.is_continued), (&first.job_id, true));
            assert_eq!((second.progress.files_done, second.progress.refused), (24, 0));
            let found = store.verify(|_| ()).await.unwrap();
            assert_eq!((found.image_sets, found.documents, found.blobs), (4, 4, 24));
        }
        store.close().await;
        drop(store);

        // Behind its end, the same paths are imported anew.
        let store = reopen(&fixture).await;
        let third = store.import_paths(&datastore, &paths, |_| ()).await.unwrap();
        assert_eq!((third.job_id == first.job_id, third.is_continued), (false, false));
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
        let imported = fixture.store.import_paths(&fixture.datastore, &paths, |_| ());
        imported.await.unwrap()
    };
    let (left, right) = tokio::join!(one(&left), one(&right));
    assert_eq!((left.progress.refused, right.progress.refused), (0, 0));
    let found = fixture.store.verify(|_| ()).await.unwrap();
    assert_eq!((found.image_sets, found.damaged), (4, vec![]));
    let mut instances = 0;
    for set in fixture.image_sets().await {
        assert_eq!(set.is_primary, Some(true));
        instances += set.dicom_tags.unwrap().number_of_study_related_instances.unwrap();
    }
    assert_eq!(instances, 32);
}

fn overriding(path: &str) -> ImportConfiguration {
    ImportConfiguration {
        dicom_json_metadata_import_configuration: DicomJsonMetadataImportConfiguration {
            dicom_metadata_mappings: vec![DicomMetadataMapping {
                study_instance_uid: Uid::try_from("2.25.1").unwrap(),
                series_instance_uid: None,
                metadata_file_path: path.to_owned(),
            }],
        },
    }
}

#[tokio::test]
async fn metadata_files_override_headers_but_neither_uids_nor_pixels() {
    let fixture = Fixture::new().await;
    let slice = Phantom::ct().size(16, 16).study_uid("2.25.1");
    fixture.put("a", &slice.clone().sop_uid("2.25.5").build());
    fixture.put("b", &slice.sop_uid("2.25.6").build());
    fixture.put("other", &Phantom::ct().size(16, 16).study_uid("2.25.2").build());
    let name = json!({"vr": "PN", "Value": [{"Alphabetic": "A^B", "Phonetic": "C"}]});
    let one = json!({"00080018": {"vr": "UI", "Value": ["2.25.6"]},
        "00200013": {"vr": "IS", "Value": [42]}});
    let store = reopen(&fixture).await;
    let run = async |json: serde_json::Value| {
        fixture.put("over.json", json.to_string().as_bytes());
        let mut start = request(&fixture, file_uri(&fixture.input()).unwrap());
        start.import_configuration = Some(overriding("over.json"));
        let job = store.start_dicom_import_job(start).await.unwrap();
        let ended = ended(&store, &fixture, &job.job_id).await;
        let progress = store.import_progress(&job.job_id).await.unwrap();
        (ended, progress)
    };
    let (ended, progress) = run(json!([{"00100010": name}, one])).await;
    assert_eq!(ended.job_status, JobStatus::Completed, "{:?}", ended.message);
    assert_eq!((progress.files_total, progress.refused), (Some(3), 0));
    let mut numbers = Vec::new();
    for set in fixture.image_sets_of(&store).await {
        let metadata = Fixture::metadata_of(&store, &fixture.datastore, &set.image_set_id).await;
        let overridden = metadata["Study"]["DICOM"]["StudyInstanceUID"] == "2.25.1";
        assert_eq!(metadata["Patient"]["DICOM"]["PatientName"] == "A^B==C", overridden);
        for series in metadata["Study"]["Series"].as_object().unwrap().values() {
            for (uid, instance) in series["Instances"].as_object().unwrap() {
                numbers.push((uid.clone(), instance["DICOM"]["InstanceNumber"] == "42"));
            }
        }
    }
    assert!(numbers.iter().all(|(uid, is_42)| *is_42 == (uid == "2.25.6")), "{numbers:?}");

    let uid = json!({"0020000E": {"vr": "UI", "Value": ["2.25.99"]}});
    let (_, progress) = run(uid).await;
    assert_eq!(progress.refused, 2);
    for bad in [
        json!({"00280010": {"vr": "US", "Value": [1]}}),
        json!({"PatientName": {"vr": "PN"}}),
        json!({"00100020": {"vr": "LO", "Value": [{}]}}),
        json!("text"),
    ] {
        let (ended, _) = run(bad).await;
        assert_eq!(ended.job_status, JobStatus::Failed);
        let message = ended.message.unwrap();
        assert!(message.contains("metadata file"), "{message}");
    }
    store.close().await;
}
