//! What ends with time: client tokens and the traces of what was deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{TimeDelta, Utc};
use healthimaging::model::{
    CreateDatastoreRequest, DatastoreStatus, DeleteDatastoreRequest, DeleteImageSetRequest,
    GetDatastoreRequest, GetImageSetRequest,
};
use healthimaging::{ErrorKind, HealthImaging};
use healthimaging_local::{Clock, LocalConfig, LocalStore};

use crate::{live_and_die, rig, slice};
use healthimaging_testing::rig::{refused, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_token_ends_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let hours = Arc::new(AtomicI64::new(0));
    let shift = Arc::clone(&hours);
    let clock = move || Utc::now() + TimeDelta::hours(shift.load(Ordering::Relaxed));
    let config = LocalConfig { clock: Clock::from_fn(clock), ..LocalConfig::new(folder.path()) };
    let store = LocalStore::open(config).await.unwrap();
    let request = CreateDatastoreRequest {
        client_token: Some("token".parse().unwrap()),
        ..CreateDatastoreRequest::default()
    };
    let first = store.create_datastore(request.clone()).await.unwrap().datastore_id;
    hours.store(23, Ordering::Relaxed);
    let same = store.create_datastore(request.clone()).await.unwrap().datastore_id;
    assert_eq!(same, first);
    hours.store(25, Ordering::Relaxed);
    let other = store.create_datastore(request).await.unwrap().datastore_id;
    assert_ne!(other, first);
}

#[test]
fn traces_of_what_was_deleted_end_after_a_day() {
    let (folder, datastore_id, image_set_id, gone) = live_and_die(async {
        let rig = rig().await;
        let (datastore_id, image_set_id) = rig.holding(slice(1)).await;
        let request = DeleteImageSetRequest {
            datastore_id: datastore_id.clone(),
            image_set_id: image_set_id.clone(),
        };
        rig.service.delete_image_set(request).await.unwrap();
        rig.wait_active(&datastore_id, &image_set_id).await;
        let gone = rig.datastore().await;
        let request = DeleteDatastoreRequest { datastore_id: gone.clone() };
        rig.service.delete_datastore(request).await.unwrap();
        rig.wait_datastore(&gone, DatastoreStatus::Deleted).await;
        (rig.leave(), datastore_id, image_set_id, gone)
    });
    live_and_die(async {
        let later = LocalConfig {
            clock: Clock::from_fn(|| Utc::now() + TimeDelta::hours(25)),
            ..LocalConfig::new(folder.path().join("data"))
        };
        let store = LocalStore::open(later).await.unwrap();
        let set = GetImageSetRequest { datastore_id, image_set_id, version_id: None };
        let datastore = GetDatastoreRequest { datastore_id: gone };
        until(async || {
            let set = store.get_image_set(set.clone()).await;
            let datastore = store.get_datastore(datastore.clone()).await;
            (set.is_err() && datastore.is_err()).then_some(())
        })
        .await;
        refused(store.get_image_set(set).await, ErrorKind::NotFound);
        refused(store.get_datastore(datastore).await, ErrorKind::NotFound);
    });
}
