//! Programs that are asked to end while there is work: what was acknowledged is there afterwards, and what was
//! begun goes on.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;
use healthimaging::model::{
    GetDicomImportJobRequest, GetImageSetMetadataRequest, GetImageSetRequest, ImageSetState,
    JobStatus, MetadataUpdates, RetrieveInstanceRequest, StartDicomImportJobRequest,
    StoreInstancesRequest, StoredInstance, TransferSyntaxChoice, UpdateImageSetMetadataRequest,
};
use healthimaging::{Body, DatastoreId, DicomWeb as _, ErrorKind, HealthImaging as _, ImageSetId};
use healthimaging_aws::Aws;
use healthimaging_objects::file_uri;
use healthimaging_phantoms::{Archive, Phantom, write_to};
use healthimaging_workflows::document;
use healthimaging_workflows::find::{self, Criteria};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::assistant::{program, stop};
use crate::{datastore, until};
use healthimaging_testing::wire;

/// A server on a free port.
struct Served {
    child: Child,
    aws: Arc<Aws>,
}

impl Served {
    async fn start(folder: &Path) -> Self {
        let mut child = program(folder)
            .args(["serve", "--http", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address: SocketAddr = loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if let Some((_, rest)) = line.split_once("MCP at http://") {
                break rest.trim_end_matches("/mcp").parse().unwrap();
            }
        };
        // More output has to be read, or the process cannot go on.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, aws: wire::open_at(address).await }
    }

    async fn stop(mut self) {
        stop(&mut self.child).await;
    }
}

/// Slice `number` of a series of its own.
fn file(number: u32) -> Vec<u8> {
    Phantom::ct()
        .size(64, 64)
        .study_uid("2.25.70")
        .series_uid(&format!("2.25.70.{}", number % 4))
        .series_number(number % 4)
        .sop_uid(&format!("2.25.70.{}.{number}", number % 4))
        .build()
}

async fn store(aws: &Aws, datastore: &DatastoreId, number: u32) -> Option<StoredInstance> {
    let request = StoreInstancesRequest {
        datastore_id: datastore.clone(),
        study_instance_uid: None,
        instances: stream::iter([Ok(Body::from(file(number)))]).boxed(),
    };
    let answer = aws.store_instances(request).await.ok()?;
    assert!(answer.failed.is_empty(), "{answer:?}");
    answer.stored.into_iter().next()
}

/// Updates an image set again and again until the server is gone; the last version that was acknowledged.
async fn update(aws: &Aws, datastore: &DatastoreId, set: &ImageSetId) -> (u64, String) {
    let mut acknowledged = (1, String::new());
    loop {
        let description = format!("after version {}", acknowledged.0);
        let document = json!({ "SchemaVersion": "1.1",
            "Study": { "DICOM": { "StudyDescription": description } } });
        let request = UpdateImageSetMetadataRequest {
            datastore_id: datastore.clone(),
            image_set_id: set.clone(),
            latest_version_id: u32::try_from(acknowledged.0).unwrap().into(),
            force: false,
            include_study_image_sets: false,
            updates: MetadataUpdates::DicomUpdates {
                removable_attributes: None,
                updatable_attributes: Some(document.to_string().into()),
            },
        };
        match aws.update_image_set_metadata(request).await {
            Ok(made) => acknowledged = (made.latest_version_id.number(), description),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(_) => return acknowledged,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_when_a_server_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path()).await;
    let datastore = datastore(&*served.aws).await;
    let lone = Phantom::ct().seed(99).size(16, 16).build();
    let request = StoreInstancesRequest {
        datastore_id: datastore.clone(),
        study_instance_uid: None,
        instances: stream::iter([Ok(Body::from(lone))]).boxed(),
    };
    let stored = served.aws.store_instances(request).await.unwrap();
    let set = stored.stored[0].image_set_id.clone();

    let (next, done) = (AtomicU32::new(1), Arc::new(AtomicU32::new(0)));
    let storing = join_all((0..4).map(async |_| {
        let mut acknowledged = Vec::new();
        while let Some(stored) =
            store(&served.aws, &datastore, next.fetch_add(1, Ordering::Relaxed)).await
        {
            acknowledged.push(stored);
            done.fetch_add(1, Ordering::Relaxed);
        }
        acknowledged
    }));
    let updating = update(&served.aws, &datastore, &set);
    let (mut child, busy) = (served.child, Arc::clone(&done));
    let stopping = async {
        until(async || (busy.load(Ordering::Relaxed) >= 12).then_some(())).await;
        stop(&mut child).await;
    };
    let (acknowledged, (version, description), ()) = tokio::join!(storing, updating, stopping);

    let served = Served::start(folder.path()).await;
    for stored in acknowledged.iter().flatten() {
        let request = RetrieveInstanceRequest {
            datastore_id: datastore.clone(),
            study_instance_uid: stored.study_instance_uid.parse().unwrap(),
            series_instance_uid: stored.series_instance_uid.parse().unwrap(),
            sop_instance_uid: stored.sop_instance_uid.parse().unwrap(),
            image_set_id: None,
            transfer_syntax: TransferSyntaxChoice::Stored,
        };
        let found = served.aws.retrieve_instance(request).await;
        assert!(found.is_ok(), "{} is lost", stored.sop_instance_uid);
    }
    assert!(version > 1, "nothing was updated");
    let request = GetImageSetRequest {
        datastore_id: datastore.clone(),
        image_set_id: set.clone(),
        version_id: None,
    };
    let now = until(async || {
        let now = served.aws.get_image_set(request.clone()).await.unwrap();
        let state = now.properties.image_set_state;
        (state == ImageSetState::Active).then_some(now.properties)
    })
    .await;
    assert!(now.version_id.number() >= version);
    let request = GetImageSetMetadataRequest {
        datastore_id: datastore,
        image_set_id: set,
        version_id: Some(u32::try_from(version).unwrap().into()),
    };
    let found = document::contents(&*served.aws, request).await;
    assert_eq!(found.unwrap().study["StudyDescription"], description);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_goes_on_when_a_server_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive {
        patients: 1,
        studies: 3,
        series: 4,
        instances: 4,
        size: 128,
        ..Archive::default()
    };
    let scans = folder.path().join("scans");
    write_to(&scans, archive.files()).unwrap();
    let mut served = Served::start(folder.path()).await;
    let datastore = datastore(&*served.aws).await;
    let request = StartDicomImportJobRequest {
        job_name: None,
        datastore_id: datastore.clone(),
        data_access_role_arn: Some("arn:aws:iam::000000000000:role/import".parse().unwrap()),
        client_token: None,
        input_s3_uri: file_uri(&scans).unwrap(),
        output_s3_uri: Some(file_uri(&folder.path().join("outcome")).unwrap()),
        input_owner_account_id: None,
        import_configuration: None,
    };
    let started = served.aws.start_dicom_import_job(request).await.unwrap();
    let asked =
        GetDicomImportJobRequest { datastore_id: datastore.clone(), job_id: started.job_id };
    let status = async |served: &Served| {
        let found = served.aws.get_dicom_import_job(asked.clone()).await;
        found.unwrap().job_properties.job_status
    };
    until(async || (status(&served).await != JobStatus::Submitted).then_some(())).await;
    served.stop().await;
    served = Served::start(folder.path()).await;
    until(async || (status(&served).await == JobStatus::Completed).then_some(())).await;
    let everything = Criteria::default();
    let all = find::all(&*served.aws, &datastore, &everything, 100);
    let sets = all.await.unwrap().image_sets;
    let held = sets.iter().map(|set| {
        let tags = set.dicom_tags.as_ref().unwrap();
        tags.number_of_study_related_instances.unwrap()
    });
    assert_eq!((sets.len(), held.sum::<u32>()), (12, 48));
    served.stop().await;
}
