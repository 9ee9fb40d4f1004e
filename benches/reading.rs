//! Reads in process, as a viewer opens a series: its metadata, then its frames.
//!
//! The image set is a series of 1,000 CT slices of 512×512. Metadata counts to the first byte, a frame to
//! its last byte, its checksum verified.

#![expect(clippy::print_stdout, reason = "a bench prints")]

mod support;

use std::time::Instant;

use futures::TryStreamExt;
use healthimaging::model::{
    GetImageFrameRequest, GetImageSetMetadataRequest, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging::{HealthImaging, ImageFrameId};
use healthimaging_phantoms::Archive;
use serde_json::Value;
use support::{Outcome, percentile};

const ROUNDS: usize = 200;
const LARGEST: u64 = 1 << 30;

#[tokio::main]
async fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let archive =
        Archive { patients: 1, studies: 1, series: 1, instances: 1000, ..Archive::default() };
    healthimaging_phantoms::write_to(folder.path(), archive.files())?;
    let data = tempfile::tempdir()?;
    let (store, datastore_id) = support::open(data.path()).await?;
    store.import_paths(&datastore_id, &[folder.path().to_owned()], |_| {}).await?;
    let everything = SearchImageSetsRequest {
        datastore_id: datastore_id.clone(),
        search_criteria: SearchCriteria::default(),
        next_token: None,
        max_results: None,
    };
    let found = store.search_image_sets(everything).await?;
    let [set] = &found.image_sets_metadata_summaries[..] else {
        return Err("one series is one image set".into());
    };
    let request = GetImageSetMetadataRequest {
        datastore_id: datastore_id.clone(),
        image_set_id: set.image_set_id.clone(),
        version_id: None,
    };
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let answer = store.get_image_set_metadata(request.clone()).await?;
        let mut pieces = answer.image_set_metadata.into_stream();
        pieces.try_next().await?.ok_or("the document is empty")?;
        times.push(began.elapsed());
    }
    let answer = store.get_image_set_metadata(request).await?;
    let document = answer.image_set_metadata.collect(LARGEST).await?;
    println!(
        "metadata of 1,000 instances, first byte: p50 {:.2} ms, p99 {:.2} ms; {} KB in gzip",
        percentile(&mut times, 50),
        percentile(&mut times, 99),
        document.len() / 1000
    );
    let document: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&document[..]))?;
    let mut ids = Vec::new();
    frame_ids(&document, &mut ids)?;
    let mut times = Vec::new();
    let mut bytes = 0;
    for image_frame_id in ids {
        let request = GetImageFrameRequest {
            datastore_id: datastore_id.clone(),
            image_set_id: set.image_set_id.clone(),
            image_frame_id,
        };
        let began = Instant::now();
        let frame = store.get_image_frame(request).await?;
        bytes += frame.image_frame.collect(LARGEST).await?.len();
        times.push(began.elapsed());
    }
    println!(
        "a frame of {} KB: p50 {:.3} ms, p99 {:.3} ms of {}",
        bytes / times.len().max(1) / 1000,
        percentile(&mut times, 50),
        percentile(&mut times, 99),
        times.len()
    );
    store.close().await;
    Ok(())
}

fn frame_ids(value: &Value, ids: &mut Vec<ImageFrameId>) -> Outcome<()> {
    match value {
        Value::Object(object) => {
            let frames = object.get("ImageFrames").and_then(Value::as_array);
            for frame in frames.into_iter().flatten() {
                ids.push(frame["ID"].as_str().unwrap_or_default().parse()?);
            }
            object.values().try_for_each(|value| frame_ids(value, ids))
        }
        Value::Array(items) => items.iter().try_for_each(|value| frame_ids(value, ids)),
        _ => Ok(()),
    }
}
