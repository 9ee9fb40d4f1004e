//! The quotas of AWS, on request: here in small.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use healthimaging::ErrorKind;
use healthimaging::model::{
    CopyImageSetInformation, CopyImageSetRequest, CopySource, CreateDatastoreRequest,
    DatastoreStatus, DeleteDatastoreRequest, DicomCopies, JobStatus,
};
use healthimaging::{DatastoreId, ImageSetId};
use healthimaging_local::{LocalConfig, LocalStore, Quotas};
use healthimaging_phantoms::{Phantom, VR, tags};
use serde_json::json;

use crate::{config, slice, study};
use healthimaging_testing::rig::import::write_files;
use healthimaging_testing::rig::{Backend, Opening, Rig, refused};

const SMALL: Quotas = Quotas {
    datastores: 2,
    job_files: 3,
    job_folders: 2,
    job_bytes: 60_000,
    copy_frames: 1,
    update_bytes: 150,
    metadata_bytes: 20_000,
};

fn open(opening: Opening) -> BoxFuture<'static, Backend> {
    async move {
        let config = LocalConfig { quotas: SMALL, ..config(opening) };
        let store = LocalStore::open(config).await.unwrap();
        Backend { service: Arc::clone(&store) as _, web: store }
    }
    .boxed()
}

async fn rig() -> Rig {
    Rig::new(open).await
}

#[tokio::test(flavor = "multi_thread")]
async fn data_stores_beyond_the_quota_are_refused() {
    let rig = rig().await;
    let first = rig.datastore().await;
    rig.datastore().await;
    let request = CreateDatastoreRequest::default();
    let third = rig.service.create_datastore(request).await;
    assert!(refused(third, ErrorKind::QuotaExceeded).contains("quota of 2"));
    let request = DeleteDatastoreRequest { datastore_id: first.clone() };
    rig.service.delete_datastore(request).await.unwrap();
    rig.wait_datastore(&first, DatastoreStatus::Deleted).await;
    rig.datastore().await;
}

/// The message of a job that fails.
async fn failure(rig: &Rig, store: &DatastoreId, files: Vec<(&str, Vec<u8>)>) -> String {
    let folder = rig.new_folder();
    write_files(&folder, files);
    let request = rig.import_request(store, &folder);
    let started = rig.service.start_dicom_import_job(request).await.unwrap();
    let job = rig.wait_job(store, &started.job_id).await;
    assert_eq!(job.job_status, JobStatus::Failed);
    assert_eq!(rig.found(store, json!({})).await, []);
    job.message.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_beyond_a_quota_fail_and_import_nothing() {
    let rig = rig().await;
    let store = rig.datastore().await;
    let file = |number| slice(number).build();
    let four = vec![("1", file(1)), ("2", file(2)), ("3", file(3)), ("4", file(4))];
    assert!(failure(&rig, &store, four).await.contains("4 files"));
    let spread = vec![("a/1", file(1)), ("b/2", file(2)), ("c/3", file(3))];
    assert!(failure(&rig, &store, spread).await.contains("3 folders"));
    let large = Phantom::ct().size(200, 200).build();
    let message = failure(&rig, &store, vec![("large", large)]).await;
    assert!(message.contains("bytes of the files"), "{message}");
    let wordy = slice(1).with(tags::IMAGE_COMMENTS, VR::LT, "word ".repeat(5000));
    let message = failure(&rig, &store, vec![("wordy", wordy.build())]).await;
    assert!(message.contains("bytes of the metadata"), "{message}");
    let three = [("1", file(1)), ("2", file(2)), ("3", file(3))];
    assert_eq!(rig.import(&store, three).await.success.len(), 3);
}

fn copy(store: &DatastoreId, set: &ImageSetId, sop: Option<&str>) -> CopyImageSetRequest {
    let attributes = sop.map(|sop| {
        let instances = json!({sop: {}});
        let series = json!({"2.25.31": {"Instances": instances}});
        json!({"SchemaVersion": "1.1", "Study": {"Series": series}}).to_string()
    });
    CopyImageSetRequest {
        datastore_id: store.clone(),
        source_image_set_id: set.clone(),
        copy_image_set_information: CopyImageSetInformation {
            source_image_set: CopySource {
                latest_version_id: 1.into(),
                dicom_copies: attributes
                    .map(|copiable_attributes| DicomCopies { copiable_attributes }),
            },
            destination_image_set: None,
        },
        force: false,
        promote_to_primary: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_and_updates_beyond_a_quota_are_refused() {
    let rig = rig().await;
    let store = rig.datastore().await;
    let two = [("1", slice(1).build()), ("2", slice(2).build())];
    let set = rig.import(&store, two).await.only_set();
    let whole = rig.service.copy_image_set(copy(&store, &set, None)).await;
    assert!(refused(whole, ErrorKind::QuotaExceeded).contains("2 image frames"));
    let part = copy(&store, &set, Some("2.25.31.1"));
    rig.service.copy_image_set(part).await.unwrap();
    rig.wait_active(&store, &set).await;

    let long = rig.update_request(&store, &set, 1, &study(&"LONG".repeat(40)));
    let answer = rig.ask_update(long).await;
    assert!(refused(answer, ErrorKind::QuotaExceeded).contains("quota of 150"));
    rig.update(rig.update_request(&store, &set, 1, &study("SHORT"))).await;
}
