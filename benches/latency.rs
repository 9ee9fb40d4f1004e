//! A composed read over 500 image sets when every call takes 30 ms longer: one call after another, and as we do
//! it, in one run.
//!
//! `cargo bench --bench latency`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints figures and stops at what it cannot do"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use healthimaging::model::{
    CreateDatastoreRequest, GetImageSetMetadataRequest, ImageSetsMetadataSummary,
    StoreInstancesRequest,
};
use healthimaging::{Body, DatastoreId, DicomWeb, HealthImaging, Limits, Pace, Paced};
use healthimaging_aws::{Aws, AwsConfig};
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_phantoms::Archive;
use healthimaging_testing::{Between, Gate};
use healthimaging_workflows::find::{self, Criteria};
use healthimaging_workflows::{document, hierarchy};

const LATENCY: Duration = Duration::from_millis(30);
const SETS: usize = 500;

/// 50 studies of 10 series of 2 slices.
const ARCHIVE: Archive =
    Archive { patients: 1, studies: 50, series: 10, instances: 2, size: 16, seed: 9, noise: 10.0 };

/// What the way to the service costs each call.
struct Far;

#[async_trait]
impl Gate for Far {
    async fn before(&self) {
        tokio::time::sleep(LATENCY).await;
    }

    async fn after(&self) {}
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(LocalConfig::new(folder.path())).await.unwrap();
    let datastore = filled(&store).await;
    let far: Arc<dyn HealthImaging> = Arc::new(Between { inner: store, gate: Arc::new(Far) });
    println!("{SETS} image sets, {LATENCY:?} a call");

    let start = Instant::now();
    let found = all(&*far, &datastore).await;
    report("searching them (10 pages, each needs the one before)", start, None);
    assert_eq!(found.len(), SETS);

    let start = Instant::now();
    one_after_another(&*far, &datastore).await;
    let slow = start.elapsed();
    report("series of a patient, one call after another", start, None);

    let start = Instant::now();
    as_we_do(&*far, &datastore).await;
    report("series of a patient, as get_patient_series reads them", start, Some(slow));

    let limits = rates_of_aws().await;
    for factor in [10.0, 1.0] {
        let pace = Arc::new(Pace::new(&limits, factor));
        let paced = Paced::new(Arc::clone(&far), pace);
        let start = Instant::now();
        as_we_do(&paced, &datastore).await;
        let name =
            format!("the same within {factor} x the rates of AWS (50 reads a second, burst 100)");
        report(&name, start, Some(slow));
    }

    let start = Instant::now();
    let studies = hierarchy::studies(&all(&*far, &datastore).await);
    assert_eq!(studies.len(), 50);
    report("studies of a patient, as get_patient_studies reads them", start, Some(slow));
}

fn report(what: &str, start: Instant, slow: Option<Duration>) {
    let took = start.elapsed();
    let part = slow.map(|slow| format!(", 1/{:.1}", slow.as_secs_f64() / took.as_secs_f64()));
    println!("{what}: {:.2} s{}", took.as_secs_f64(), part.unwrap_or_default());
}

/// A data store that holds [`ARCHIVE`].
async fn filled(store: &Arc<LocalStore>) -> DatastoreId {
    let made = store.create_datastore(CreateDatastoreRequest::default());
    let datastore_id = made.await.unwrap().datastore_id;
    let files: Vec<_> = ARCHIVE.files().collect();
    for files in files.chunks(200) {
        let bodies: Vec<_> = files.iter().map(|file| Ok(Body::from(file.bytes.clone()))).collect();
        let request = StoreInstancesRequest {
            datastore_id: datastore_id.clone(),
            study_instance_uid: None,
            instances: stream::iter(bodies).boxed(),
        };
        let stored = store.store_instances(request).await.unwrap();
        assert!(stored.failed.is_empty());
    }
    datastore_id
}

async fn all(
    service: &dyn HealthImaging,
    datastore: &DatastoreId,
) -> Vec<ImageSetsMetadataSummary> {
    let everything = Criteria::default();
    let found = find::all(service, datastore, &everything, SETS);
    found.await.unwrap().image_sets
}

async fn one_after_another(service: &dyn HealthImaging, datastore: &DatastoreId) {
    for set in all(service, datastore).await {
        let request = GetImageSetMetadataRequest {
            datastore_id: datastore.clone(),
            image_set_id: set.image_set_id,
            version_id: None,
        };
        document::contents(service, request).await.unwrap();
    }
}

async fn as_we_do(service: &dyn HealthImaging, datastore: &DatastoreId) {
    let found = all(service, datastore).await;
    let series = hierarchy::series(service, datastore, &found, None);
    assert_eq!(series.await.unwrap().len(), SETS);
}

async fn rates_of_aws() -> Limits {
    let config = AwsConfig { region: Some("us-east-1".to_owned()), ..AwsConfig::default() };
    Aws::open(config).await.unwrap().limits()
}
