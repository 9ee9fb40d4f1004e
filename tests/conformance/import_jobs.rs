//! Import jobs: their life, their listing, and what they write about each file.

use std::fs;

use futures::TryStreamExt;
use healthimaging::model::{
    DicomImportJobSummary, DicomJsonMetadataImportConfiguration, DicomMetadataMapping,
    GetDicomImportJobRequest, ImportConfiguration, JobStatus, ListDicomImportJobsRequest,
};
use healthimaging::{DatastoreId, ErrorKind, JobId, NextToken, Page, sweep};
use healthimaging_phantoms::{Phantom, tags};
use serde_json::{Value, json};

use healthimaging_testing::rig::import::{file_uri, line_of, local_path, write_files};
use healthimaging_testing::rig::{Rig, refused};

fn slice(seed: u64) -> Vec<u8> {
    Phantom::ct().seed(seed).size(16, 16).build()
}

fn listing(store: &DatastoreId) -> ListDicomImportJobsRequest {
    ListDicomImportJobsRequest {
        datastore_id: store.clone(),
        job_status: None,
        next_token: None,
        max_results: None,
    }
}

async fn listed(rig: &Rig, request: &ListDicomImportJobsRequest) -> Vec<DicomImportJobSummary> {
    let fetch = |next_token| {
        let request = ListDicomImportJobsRequest { next_token, ..request.clone() };
        async move {
            let found = rig.service.list_dicom_import_jobs(request).await?;
            Ok(Page { items: found.job_summaries, next_token: found.next_token })
        }
    };
    sweep(1000, fetch).try_collect().await.unwrap()
}

pub(crate) async fn a_started_job_is_submitted_and_ends_completed(rig: &Rig) {
    let store = rig.datastore().await;
    let folder = rig.new_folder();
    write_files(&folder, [("a.dcm", slice(1))]);
    let mut request = rig.import_request(&store, &folder);
    request.job_name = Some("monday".parse().unwrap());
    let started = rig.service.start_dicom_import_job(request.clone()).await.unwrap();
    assert_eq!(started.job_status, JobStatus::Submitted);
    assert_eq!(started.datastore_id, store);
    let job = rig.wait_job(&store, &started.job_id).await;
    assert_eq!(job.job_status, JobStatus::Completed);
    assert_eq!(job.job_id, started.job_id);
    assert_eq!(job.job_name, "monday");
    assert_eq!(job.datastore_id, store);
    assert_eq!(job.data_access_role_arn, request.data_access_role_arn);
    assert_eq!(job.input_s3_uri, request.input_s3_uri);
    assert_eq!(job.submitted_at, Some(started.submitted_at));
    assert!(job.ended_at.unwrap() >= started.submitted_at);
    assert_eq!(job.message, None);
}

pub(crate) async fn the_output_folder_is_named_after_data_store_and_job(rig: &Rig) {
    let store = rig.datastore().await;
    let outcome = rig.import(&store, [("a.dcm", slice(1))]).await;
    let base = file_uri(&rig.objects().join("output"));
    let job = &outcome.job.job_id;
    assert_eq!(outcome.job.output_s3_uri.as_str(), format!("{base}/{store}-DicomImport-{job}/"));
}

pub(crate) async fn the_manifest_counts_files_and_names_image_sets(rig: &Rig) {
    let store = rig.datastore().await;
    let series = Phantom::ct().size(16, 16);
    let outcome = rig
        .import(
            &store,
            [
                ("1.dcm", series.clone().sop_uid("2.25.1").build()),
                ("2.dcm", series.sop_uid("2.25.2").build()),
                ("other.dcm", slice(9)),
                ("notes.txt", b"not an image".to_vec()),
            ],
        )
        .await;
    let output = outcome.job.output_s3_uri.as_str();
    let mut summary = outcome.summary.clone();
    let sets = summary["imageSetsSummary"].take();
    assert_eq!(
        summary,
        json!({
            "jobId": outcome.job.job_id,
            "datastoreId": store,
            "inputS3Uri": outcome.job.input_s3_uri,
            "outputS3Uri": output,
            "successOutputS3Uri": format!("{output}SUCCESS/"),
            "failureOutputS3Uri": format!("{output}FAILURE/"),
            "warningsOutputS3Uri": format!("{output}WARNING/"),
            "numberOfScannedFiles": 4,
            "numberOfImportedFiles": 3,
            "numberOfFilesWithCustomerError": 1,
            "numberOfFilesWithServerError": 0,
            "numberOfGeneratedImageSets": 2,
            "imageSetsSummary": null,
        })
    );
    let entry = |name: &str, count: u32| {
        json!({
            "imageSetId": outcome.set_of(name), "imageSetVersion": 1, "isPrimary": true,
            "numberOfMatchedSOPInstances": count,
        })
    };
    let sets = sets.as_array().unwrap();
    assert_eq!(sets.len(), 2);
    assert!(sets.contains(&entry("1.dcm", 2)), "{sets:?}");
    assert!(sets.contains(&entry("other.dcm", 1)), "{sets:?}");
}

pub(crate) async fn the_manifest_holds_the_job_summary_alone(rig: &Rig) {
    let store = rig.datastore().await;
    let outcome = rig.import(&store, [("a.dcm", slice(1))]).await;
    let path = local_path(&outcome.job.output_s3_uri).join("job-output-manifest.json");
    let manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(manifest, json!({"jobSummary": outcome.summary}));
}

pub(crate) async fn a_file_that_went_in_has_a_success_line(rig: &Rig) {
    let store = rig.datastore().await;
    let outcome = rig.import(&store, [("deep/er/a.dcm", slice(1))]).await;
    let line = line_of(&outcome.success, "deep/er/a.dcm");
    assert_eq!(line.as_object().unwrap().len(), 2);
    let mut response = line["importResponse"].as_object().unwrap().clone();
    response.remove("imageSetVersion");
    assert_eq!(Value::from(response), json!({"imageSetId": outcome.only_set(), "isPrimary": true}));
}

pub(crate) async fn a_file_that_was_refused_has_a_failure_line(rig: &Rig) {
    let store = rig.datastore().await;
    let broken = Phantom::ct().size(16, 16).without(tags::SOP_CLASS_UID).build();
    let outcome = rig.import(&store, [("a.dcm", slice(1)), ("b.dcm", broken)]).await;
    assert_eq!(outcome.failure.len(), 1);
    let line = line_of(&outcome.failure, "b.dcm");
    assert_eq!(line.as_object().unwrap().len(), 2);
    assert_eq!(
        line["exception"],
        json!({
            "exceptionType": "ValidationException",
            "message": "DICOM attribute SOPClassUID does not exist",
        })
    );
}

pub(crate) async fn a_job_whose_files_were_all_refused_is_completed(rig: &Rig) {
    let store = rig.datastore().await;
    let files = [("a.txt", b"a".to_vec()), ("b.txt", b"b".to_vec())];
    let outcome = rig.import(&store, files).await;
    assert_eq!(outcome.summary["numberOfScannedFiles"], 2);
    assert_eq!(outcome.summary["numberOfImportedFiles"], 0);
    assert_eq!(outcome.summary["numberOfFilesWithCustomerError"], 2);
    assert_eq!(outcome.summary["numberOfGeneratedImageSets"], 0);
    assert_eq!(outcome.summary["imageSetsSummary"], json!([]));
}

pub(crate) async fn content_decides_what_is_dicom_not_the_name(rig: &Rig) {
    let store = rig.datastore().await;
    let outcome = rig
        .import(&store, [("IM0001", slice(1)), ("photo.jpg", slice(2)), ("x.dcm", b"x".to_vec())])
        .await;
    assert_eq!(outcome.success.len(), 2);
    assert_eq!(outcome.failure.len(), 1);
}

pub(crate) async fn nested_folders_are_searched(rig: &Rig) {
    let store = rig.datastore().await;
    let deep = "a/b/c/d/e/f/g/h/file";
    let outcome = rig.import(&store, [(deep, slice(1)), ("top", slice(2))]).await;
    assert_eq!(outcome.success.len(), 2);
    line_of(&outcome.success, deep);
}

pub(crate) async fn a_prefix_without_objects_fails_the_job(rig: &Rig) {
    let store = rig.datastore().await;
    let empty = rig.new_folder();
    for folder in [empty.clone(), empty.join("missing")] {
        let request = rig.import_request(&store, &folder);
        let started = rig.service.start_dicom_import_job(request).await.unwrap();
        let job = rig.wait_job(&store, &started.job_id).await;
        assert_eq!(job.job_status, JobStatus::Failed);
        assert!(!job.message.unwrap().is_empty());
        assert!(job.ended_at.is_some());
    }
}

pub(crate) async fn an_output_that_cannot_be_written_fails_the_job(rig: &Rig) {
    let store = rig.datastore().await;
    let folder = rig.new_folder();
    write_files(&folder, [("a.dcm", slice(1))]);
    let in_the_way = rig.objects().join("in-the-way");
    fs::write(&in_the_way, "a file").unwrap();
    let mut request = rig.import_request(&store, &folder);
    request.output_s3_uri = Some(file_uri(&in_the_way.join("output")));
    let started = rig.service.start_dicom_import_job(request).await.unwrap();
    let job = rig.wait_job(&store, &started.job_id).await;
    assert_eq!(job.job_status, JobStatus::Failed);
    assert!(!job.message.unwrap().is_empty());
}

pub(crate) async fn jobs_are_listed_newest_first(rig: &Rig) {
    let store = rig.datastore().await;
    let mut jobs = Vec::new();
    for seed in 1..=3 {
        jobs.push(rig.import(&store, [("a.dcm", slice(seed))]).await.job);
    }
    jobs.reverse();
    let found = listed(rig, &listing(&store)).await;
    let ids: Vec<&JobId> = found.iter().map(|job| &job.job_id).collect();
    assert_eq!(ids, jobs.iter().map(|job| &job.job_id).collect::<Vec<_>>());
    assert_eq!(found[0].job_name, jobs[0].job_name);
    assert_eq!(found[0].job_status, JobStatus::Completed);
    assert_eq!(found[0].datastore_id, store);
    assert_eq!(found[0].submitted_at, jobs[0].submitted_at);
    assert_eq!(found[0].ended_at, jobs[0].ended_at);
    assert_eq!(found[0].data_access_role_arn, jobs[0].data_access_role_arn);
}

pub(crate) async fn jobs_are_listed_by_status(rig: &Rig) {
    let store = rig.datastore().await;
    let good = rig.import(&store, [("a.dcm", slice(1))]).await.job.job_id;
    let request = rig.import_request(&store, &rig.new_folder());
    let bad = rig.service.start_dicom_import_job(request).await.unwrap().job_id;
    rig.wait_job(&store, &bad).await;
    for (status, wanted) in [
        (JobStatus::Completed, vec![good]),
        (JobStatus::Failed, vec![bad]),
        (JobStatus::Submitted, vec![]),
    ] {
        let request = ListDicomImportJobsRequest { job_status: Some(status), ..listing(&store) };
        let found = listed(rig, &request).await.into_iter().map(|job| job.job_id);
        assert_eq!(found.collect::<Vec<_>>(), wanted);
    }
}

pub(crate) async fn pages_of_jobs_join_and_their_tokens_are_checked(rig: &Rig) {
    let store = rig.datastore().await;
    for seed in 1..=3 {
        rig.import(&store, [("a.dcm", slice(seed))]).await;
    }
    let whole = listed(rig, &listing(&store)).await;
    let small = ListDicomImportJobsRequest { max_results: Some(1), ..listing(&store) };
    assert_eq!(listed(rig, &small).await, whole);
    let first = rig.service.list_dicom_import_jobs(small).await.unwrap();
    assert_eq!(first.job_summaries.len(), 1);
    let other_query = ListDicomImportJobsRequest {
        job_status: Some(JobStatus::Completed),
        next_token: first.next_token,
        ..listing(&store)
    };
    let made_up = ListDicomImportJobsRequest {
        next_token: Some(NextToken::try_from("made-up").unwrap()),
        ..listing(&store)
    };
    let sizes = [0, 51]
        .map(|size| ListDicomImportJobsRequest { max_results: Some(size), ..listing(&store) });
    for request in sizes.into_iter().chain([other_query, made_up]) {
        refused(rig.service.list_dicom_import_jobs(request).await, ErrorKind::Validation);
    }
}

pub(crate) async fn an_unknown_job_is_not_found(rig: &Rig) {
    let store = rig.datastore().await;
    let other = rig.datastore().await;
    let job = rig.import(&store, [("a.dcm", slice(1))]).await.job.job_id;
    let unknown: JobId = "00000000000000000000000000000000".parse().unwrap();
    let nowhere: DatastoreId = "00000000000000000000000000000000".parse().unwrap();
    for (datastore_id, job_id) in [(store, unknown), (other, job.clone()), (nowhere.clone(), job)] {
        let request = GetDicomImportJobRequest { datastore_id, job_id };
        refused(rig.service.get_dicom_import_job(request).await, ErrorKind::NotFound);
    }
    let request = rig.import_request(&nowhere, &rig.new_folder());
    refused(rig.service.start_dicom_import_job(request).await, ErrorKind::NotFound);
    refused(rig.service.list_dicom_import_jobs(listing(&nowhere)).await, ErrorKind::NotFound);
}

pub(crate) async fn a_client_token_gives_the_first_job_again(rig: &Rig) {
    let store = rig.datastore().await;
    let folder = rig.new_folder();
    write_files(&folder, [("a.dcm", slice(1))]);
    let mut request = rig.import_request(&store, &folder);
    request.client_token = Some("once".parse().unwrap());
    let first = rig.service.start_dicom_import_job(request.clone()).await.unwrap();
    rig.wait_job(&store, &first.job_id).await;
    let again = rig.service.start_dicom_import_job(request.clone()).await.unwrap();
    assert_eq!(again.job_id, first.job_id);
    assert_eq!(again.submitted_at, first.submitted_at);
    assert_eq!(listed(rig, &listing(&store)).await.len(), 1);
    request.input_s3_uri = file_uri(&rig.new_folder());
    refused(rig.service.start_dicom_import_job(request).await, ErrorKind::Conflict);
}

fn overriding(mappings: &[(&str, Option<&str>, &str)]) -> ImportConfiguration {
    let mapping = |(study, series, path): &(&str, Option<&str>, &str)| DicomMetadataMapping {
        study_instance_uid: study.parse().unwrap(),
        series_instance_uid: series.map(|series| series.parse().unwrap()),
        metadata_file_path: (*path).to_owned(),
    };
    ImportConfiguration {
        dicom_json_metadata_import_configuration: DicomJsonMetadataImportConfiguration {
            dicom_metadata_mappings: mappings.iter().map(mapping).collect(),
        },
    }
}

pub(crate) async fn header_values_are_overridden_by_dicom_json(rig: &Rig) {
    let store = rig.datastore().await;
    let folder = rig.new_folder();
    let of_study = json!({
        "00100020": {"vr": "LO", "Value": ["FROM-STUDY"]},
        "00081030": {"vr": "LO", "Value": ["From the study"]},
    });
    let of_series = json!({"00081030": {"vr": "LO", "Value": ["From the series"]}});
    let phantom = Phantom::ct().size(16, 16).study_uid("2.25.7").series_uid("2.25.7.1");
    write_files(
        &folder,
        [
            ("a.dcm", phantom.build()),
            ("study.json", of_study.to_string().into_bytes()),
            ("series.json", of_series.to_string().into_bytes()),
        ],
    );
    let mut request = rig.import_request(&store, &folder);
    request.import_configuration = Some(overriding(&[
        ("2.25.7", None, "study.json"),
        ("2.25.7", Some("2.25.7.1"), "series.json"),
    ]));
    let outcome = rig.run(request.clone()).await;
    assert_eq!(outcome.job.import_configuration, request.import_configuration);
    let document = rig.document(&store, &outcome.set_of("a.dcm")).await;
    assert_eq!(document["Patient"]["DICOM"]["PatientID"], "FROM-STUDY");
    assert_eq!(document["Study"]["DICOM"]["StudyDescription"], "From the series");
}

pub(crate) async fn an_override_has_1_to_1000_mappings(rig: &Rig) {
    let store = rig.datastore().await;
    for count in [0, 1001] {
        let mut request = rig.import_request(&store, &rig.new_folder());
        request.import_configuration = Some(overriding(&vec![("2.25.7", None, "a.json"); count]));
        refused(rig.service.start_dicom_import_job(request).await, ErrorKind::Validation);
    }
}
