//! A series that grows by one instance a request, as modalities and routers store it: each request makes
//! a version of the image set, and the time of a request grows with it.
//!
//! Slices of 64×64, so that the codec counts little. `GROWING_INSTANCES` sets how many (1,000).

#![expect(clippy::print_stdout, reason = "a bench prints")]

mod support;

use std::time::Instant;

use futures::stream;
use healthimaging::model::StoreInstancesRequest;
use healthimaging::{Body, DicomWeb};
use healthimaging_phantoms::Archive;
use support::{Outcome, a_second, percentile};

#[tokio::main]
async fn main() -> Outcome<()> {
    let instances = std::env::var("GROWING_INSTANCES").map_or(Ok(1000), |text| text.parse())?;
    let archive =
        Archive { patients: 1, studies: 1, series: 1, instances, size: 64, ..Archive::default() };
    let data = tempfile::tempdir()?;
    let (store, datastore_id) = support::open(data.path()).await?;
    let mut times = Vec::new();
    for file in archive.files() {
        let body = Body::from(file.bytes);
        let began = Instant::now();
        let answer = store
            .store_instances(StoreInstancesRequest {
                datastore_id: datastore_id.clone(),
                study_instance_uid: None,
                instances: Box::pin(stream::once(async move { Ok(body) })),
            })
            .await?;
        times.push(began.elapsed());
        if answer.stored.len() != 1 {
            return Err("an instance was not stored".into());
        }
    }
    let rate = a_second(times.len(), times.iter().sum());
    let tenth = times.len() / 10;
    let mut last = times.split_off(times.len() - tenth);
    times.truncate(tenth);
    println!(
        "{instances} instances into one set, one a request: {rate:.0} a second; the first tenth p50 {:.1} ms, \
         the last tenth {:.1} ms",
        percentile(&mut times, 50),
        percentile(&mut last, 50)
    );
    let catalog = data.path().join("catalogue.sqlite");
    store.close().await;
    drop(store);
    println!("catalog: {} MB", std::fs::metadata(catalog)?.len() / 1_000_000);
    Ok(())
}
