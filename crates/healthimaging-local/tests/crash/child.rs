//! The process that is killed: this test binary again, which carries out requests.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use futures::StreamExt;
use healthimaging::model::{
    CopyDestination, CopyImageSetInformation, CopyImageSetRequest, CopySource,
    CreateDatastoreRequest, DatastoreStatus, DeleteImageSetRequest, DicomCopies,
    GetDatastoreRequest, MetadataUpdates, StartDicomImportJobRequest, StoreInstancesRequest,
    UpdateImageSetMetadataRequest,
};
use healthimaging::{Body, DatastoreId, DicomWeb, Error, HealthImaging, ImageSetId};
use healthimaging_local::{LocalConfig, LocalStore, Probe};
use healthimaging_objects::file_uri;
use serde_json::json;

use crate::plan::Request;
use crate::proof::until;

/// Before each answer: the test harness writes to stdout too.
pub(crate) const ANSWER: &str = "@@";

/// Most kills in a row. The file on which a fifth process dies is refused, whatever trying it alone says.
pub(crate) const MOST_KILLS_IN_A_ROW: usize = 4;

/// How stores of these tests are opened: `folder` holds the store and the inputs.
///
/// No file of theirs is fatal. Without a probe, one that two killed processes were reading would be refused.
pub(crate) fn config(folder: &Path) -> LocalConfig {
    LocalConfig {
        allowed_paths: vec![folder.join("inputs")],
        probe: Some(Probe::new(|_, _| Command::new("true"))),
        ..LocalConfig::new(folder.join("store"))
    }
}

/// Carries out requests, one a line, all at once; answers with their numbers. Ends with its parent.
pub(crate) async fn serve(folder: &Path, datastore: DatastoreId) {
    let store = LocalStore::open(config(folder)).await.unwrap();
    let lines = std::io::stdin().lock().lines();
    for (number, line) in lines.enumerate() {
        let request: Request = serde_json::from_str(&line.unwrap()).unwrap();
        let (store, datastore) = (Arc::clone(&store), datastore.clone());
        tokio::spawn(async move {
            let answer = match carry_out(&store, &datastore, request).await {
                Ok(()) => format!("{ANSWER} {number}\n"),
                Err(error) => format!("{ANSWER} {number} {error}\n"),
            };
            let mut out = std::io::stdout().lock();
            out.write_all(answer.as_bytes()).unwrap();
            out.flush().unwrap();
        });
    }
}

/// Makes a request, and returns when it is acknowledged.
pub(crate) async fn carry_out(
    store: &LocalStore,
    datastore: &DatastoreId,
    request: Request,
) -> Result<(), Error> {
    let at = datastore.clone();
    match request {
        Request::Import { folder } => import(store, at, &folder).await,
        Request::Store { folder } => store_instances(store, at, &folder).await,
        Request::Update { set, version, description, whole_study } => {
            let document = json!({"SchemaVersion": 1.1,
                "Study": {"DICOM": {"StudyDescription": description}}});
            let updates = MetadataUpdates::DicomUpdates {
                removable_attributes: None,
                updatable_attributes: Some(document.to_string().into()),
            };
            update(store, at, set, version, updates, whole_study).await
        }
        Request::Revert { set, version, to } => {
            let updates = MetadataUpdates::RevertToVersion(to.into());
            update(store, at, set, version, updates, false).await
        }
        Request::Copy { set, version, only, into, promote } => {
            let request = CopyImageSetRequest {
                datastore_id: at,
                source_image_set_id: set,
                copy_image_set_information: CopyImageSetInformation {
                    source_image_set: CopySource {
                        latest_version_id: version.into(),
                        dicom_copies: selection(&only),
                    },
                    destination_image_set: into.map(|(id, version)| CopyDestination {
                        image_set_id: id,
                        latest_version_id: version.into(),
                    }),
                },
                // Copies may be described in another way than where they go.
                force: true,
                promote_to_primary: promote,
            };
            store.copy_image_set(request).await.map(|_| ())
        }
        Request::Delete { set } => {
            let request = DeleteImageSetRequest { datastore_id: at, image_set_id: set };
            store.delete_image_set(request).await.map(|_| ())
        }
    }
}

async fn import(store: &LocalStore, at: DatastoreId, folder: &Path) -> Result<(), Error> {
    let request = StartDicomImportJobRequest {
        job_name: None,
        datastore_id: at,
        data_access_role_arn: None,
        client_token: None,
        input_s3_uri: file_uri(folder)?,
        output_s3_uri: None,
        input_owner_account_id: None,
        import_configuration: None,
    };
    store.start_dicom_import_job(request).await.map(|_| ())
}

async fn store_instances(store: &LocalStore, at: DatastoreId, folder: &Path) -> Result<(), Error> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let files = paths.into_iter();
    let files = files.map(|path| Ok(Body::from(std::fs::read(path).unwrap())));
    let request = StoreInstancesRequest {
        datastore_id: at,
        study_instance_uid: None,
        instances: futures::stream::iter(files).boxed(),
    };
    let answer = store.store_instances(request).await?;
    match answer.failed.first() {
        None => Ok(()),
        Some(failed) => Err(Error::new(healthimaging::ErrorKind::Internal, failed.message.clone())),
    }
}

async fn update(
    store: &LocalStore,
    at: DatastoreId,
    set: ImageSetId,
    version: u32,
    updates: MetadataUpdates,
    whole_study: bool,
) -> Result<(), Error> {
    let request = UpdateImageSetMetadataRequest {
        datastore_id: at,
        image_set_id: set,
        latest_version_id: version.into(),
        force: false,
        include_study_image_sets: whole_study,
        updates,
    };
    store.update_image_set_metadata(request).await.map(|_| ())
}

fn selection(only: &[(String, String)]) -> Option<DicomCopies> {
    let mut series = serde_json::Map::new();
    for (uid, sop) in only {
        let of_series = series.entry(uid.clone()).or_insert_with(|| json!({"Instances": {}}));
        of_series["Instances"][sop] = json!({});
    }
    let attributes = json!({"SchemaVersion": "1.1", "Study": {"Series": series}});
    (!only.is_empty()).then(|| DicomCopies { copiable_attributes: attributes.to_string() })
}

/// A new data store that can be used.
pub(crate) async fn active_datastore(store: &LocalStore) -> DatastoreId {
    let made = store.create_datastore(CreateDatastoreRequest::default()).await;
    let id = made.unwrap().datastore_id;
    until(async || {
        let request = GetDatastoreRequest { datastore_id: id.clone() };
        let found = store.get_datastore(request).await.unwrap();
        match found.datastore_properties.datastore_status {
            DatastoreStatus::Active => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    id
}
