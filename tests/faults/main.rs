//! What goes wrong: processes that are killed or stopped, connections that break, a service that throttles and
//! fails. Nothing acknowledged is lost, nothing is done twice that must not be, and nothing hangs.

#![expect(clippy::unwrap_used, reason = "a test says that something is wrong by panicking")]

mod assistant;
mod cancels;
mod flags;
mod kill;
mod kills;
mod line;
mod stages;
mod stop;
mod transfer;
mod wire_faults;

use std::time::{Duration, Instant};

use healthimaging::model::{CreateDatastoreRequest, DatastoreStatus, GetDatastoreRequest};
use healthimaging::{DatastoreId, HealthImaging};

/// Longer than anything takes: to reach it is a failure.
const PATIENCE: Duration = Duration::from_mins(3);

/// A new data store, ACTIVE.
async fn datastore(service: &dyn HealthImaging) -> DatastoreId {
    let made = service.create_datastore(CreateDatastoreRequest::default());
    let datastore_id = made.await.unwrap().datastore_id;
    until(async || {
        let request = GetDatastoreRequest { datastore_id: datastore_id.clone() };
        let found = service.get_datastore(request).await.unwrap();
        let status = found.datastore_properties.datastore_status;
        (status == DatastoreStatus::Active).then_some(())
    })
    .await;
    datastore_id
}

/// Looks again and again until there is something to see.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
