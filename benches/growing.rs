//! A series that grows by one instance a request, as modalities and routers store it: each request makes
//! a version of the image set.
//!
//! Slices of 64×64, so that the codec counts little. `GROWING_INSTANCES` sets how many (10,000).

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
    let instances = std::env::var("GROWING_INSTANCES").map_or(Ok(10_000), |text| text.parse())?;
    let archive =
        Archive { patients: 1, studies: 1, series: 1, instances, size: 64, ..Archive::default() };
    let data = tempfile::tempdir()?;
    let (store, datastore_id) = support::open(data.path()).await?;
    let mut times = Vec::new();
    let catalog = || {
        // What is committed last may be in the log alone.
        let length = |name| std::fs::metadata(data.path().join(name)).map_or(0, |file| file.len());
        (length("catalogue.sqlite") + length("catalogue.sqlite-wal")) / 1_000_000
    };
    let mut half = 0;
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
        if times.len() == instances as usize / 2 {
            half = catalog();
        }
    }
    let rate = a_second(times.len(), times.iter().sum());
    println!("{instances} instances into one set, one a request: {rate:.0} a second");
    let mut from = 0;
    for upto in [10, 100, 1000, 10_000].into_iter().filter(|upto| *upto <= times.len()) {
        // The last tenth of what there was then.
        from = from.max(upto - upto / 10);
        let mut some = times.get(from..upto).unwrap_or_default().to_vec();
        println!("up to instance {upto}: p50 {:.1} ms", percentile(&mut some, 50));
    }
    store.close().await;
    drop(store);
    println!("catalog: {half} MB with half of them, {} MB with all", catalog());
    Ok(())
}
