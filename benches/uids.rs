//! Reads by UID of one large series, in process: metadata, frames and files of instances in an order without order,
//! the metadata of the series to the first byte, and 16 clients that read all of it at once, with their memory.
//!
//! Slices of 64×64, so that pixels count little. `UIDS_INSTANCES` sets how many (10,000).

#![expect(clippy::print_stdout, reason = "a bench prints")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use healthimaging::model::{
    GetImageSetMetadataRequest, InstanceMetadataRequest, RetrieveFramesRequest,
    RetrieveInstanceRequest, SearchCriteria, SearchImageSetsRequest, SeriesMetadataRequest,
    StoreInstancesRequest, TransferSyntaxChoice,
};
use healthimaging::{Body, DatastoreId, DicomWeb, HealthImaging, ImageSetId, Uid};
use healthimaging_local::LocalStore;
use healthimaging_phantoms::Archive;
use serde_json::Value;
use support::{Outcome, memory_mib, percentile};

/// Reads of each kind.
const READS: usize = 2000;
/// Instances that are stored one by one in the end.
const MORE: u32 = 100;
const CLIENTS: usize = 16;
const LARGEST: u64 = 1 << 30;

fn show(what: &str, times: &mut [Duration]) {
    let (half, most) = (percentile(times, 50), percentile(times, 99));
    println!("{what}: p50 {half:.2} ms, p99 {most:.2} ms");
}

/// The series that is read.
struct Series {
    store: Arc<LocalStore>,
    datastore_id: DatastoreId,
    image_set_id: ImageSetId,
    study_instance_uid: Uid,
    series_instance_uid: Uid,
    instances: Vec<Uid>,
}

impl Series {
    /// Imports a folder that holds one series.
    async fn imported(data: &Path, folder: &Path) -> Outcome<Self> {
        let (store, datastore_id) = support::open(data).await?;
        store.import_paths(&datastore_id, &[folder.to_owned()], |_| {}).await?;
        let everything = SearchImageSetsRequest {
            datastore_id: datastore_id.clone(),
            search_criteria: SearchCriteria::default(),
            next_token: None,
            max_results: None,
        };
        let found = store.search_image_sets(everything).await?.image_sets_metadata_summaries;
        let [set] = &found[..] else { return Err("one series is one image set".into()) };
        let whole = GetImageSetMetadataRequest {
            datastore_id: datastore_id.clone(),
            image_set_id: set.image_set_id.clone(),
            version_id: None,
        };
        let document = store.get_image_set_metadata(whole).await?.image_set_metadata;
        let document = document.collect(LARGEST).await?;
        let document: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&document[..]))?;
        let study = document["Study"]["DICOM"]["StudyInstanceUID"].as_str().ok_or("no study")?;
        let series = document["Study"]["Series"].as_object();
        let (series, held) = series.and_then(|series| series.iter().next()).ok_or("no series")?;
        let instances = held["Instances"].as_object().ok_or("no instances")?.keys();
        Ok(Self {
            store,
            datastore_id,
            image_set_id: set.image_set_id.clone(),
            study_instance_uid: Uid::try_from(study)?,
            series_instance_uid: Uid::try_from(series.as_str())?,
            instances: instances
                .map(|uid| Uid::try_from(uid.as_str()))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Times one read after another, of instances that lie far from each other.
    async fn read(&self, what: &str, read: impl AsyncFn(Uid) -> Outcome<()>) -> Outcome<()> {
        let mut times = Vec::new();
        let far = self.instances.iter().cycle().step_by(7919);
        for sop_instance_uid in far.take(READS) {
            let began = Instant::now();
            read(sop_instance_uid.clone()).await?;
            times.push(began.elapsed());
        }
        show(what, &mut times);
        Ok(())
    }

    async fn instance_metadata(&self, sop_instance_uid: Uid) -> Outcome<()> {
        let request = InstanceMetadataRequest {
            datastore_id: self.datastore_id.clone(),
            study_instance_uid: self.study_instance_uid.clone(),
            series_instance_uid: self.series_instance_uid.clone(),
            sop_instance_uid,
            image_set_id: None,
        };
        self.store.instance_metadata(request).await?.collect(LARGEST).await?;
        Ok(())
    }

    async fn frame(&self, sop_instance_uid: Uid) -> Outcome<()> {
        let request = RetrieveFramesRequest {
            datastore_id: self.datastore_id.clone(),
            study_instance_uid: self.study_instance_uid.clone(),
            series_instance_uid: self.series_instance_uid.clone(),
            sop_instance_uid,
            frames: vec![1],
            transfer_syntax: TransferSyntaxChoice::Stored,
            enough: None,
            is_whole: false,
            image_set_id: None,
        };
        let answer = self.store.retrieve_frames(request).await?;
        answer.frames.try_for_each(async |frame| frame.collect(LARGEST).await.map(drop)).await?;
        Ok(())
    }

    async fn instance(&self, sop_instance_uid: Uid) -> Outcome<()> {
        let request = RetrieveInstanceRequest {
            datastore_id: self.datastore_id.clone(),
            study_instance_uid: self.study_instance_uid.clone(),
            series_instance_uid: self.series_instance_uid.clone(),
            sop_instance_uid,
            transfer_syntax: TransferSyntaxChoice::Stored,
            image_set_id: None,
        };
        self.store.retrieve_instance(request).await?.instance.collect(LARGEST).await?;
        Ok(())
    }

    /// Reads the metadata of the whole series; returns the times to the first and to the last byte.
    async fn metadata(&self) -> Outcome<[Duration; 2]> {
        let request = SeriesMetadataRequest {
            datastore_id: self.datastore_id.clone(),
            study_instance_uid: self.study_instance_uid.clone(),
            series_instance_uid: self.series_instance_uid.clone(),
            image_set_id: None,
        };
        let began = Instant::now();
        let mut pieces = self.store.series_metadata(request).await?.into_stream();
        pieces.try_next().await?.ok_or("the list is empty")?;
        let first = began.elapsed();
        while pieces.try_next().await?.is_some() {}
        Ok([first, began.elapsed()])
    }

    /// What one of several clients reads: the metadata by UIDs, or the document of the image set.
    async fn client(&self, number: usize) -> Outcome<()> {
        if number.is_multiple_of(2) {
            return self.metadata().await.map(drop);
        }
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: self.image_set_id.clone(),
            version_id: None,
        };
        self.store
            .get_image_set_metadata(request)
            .await?
            .image_set_metadata
            .collect(LARGEST)
            .await?;
        Ok(())
    }

    async fn clients(&self) -> Outcome<()> {
        // As a server that is idle does: the import before left much.
        healthimaging_pixels::return_freed_memory();
        // From here on the peak counts anew (proc(5), clear_refs).
        fs::write("/proc/self/clear_refs", "5")?;
        let before = memory_mib(std::process::id(), "VmRSS:")?;
        let began = Instant::now();
        let clients = stream::iter(0..CLIENTS).map(|number| self.client(number));
        let read: Vec<Outcome<()>> = clients.buffer_unordered(CLIENTS).collect().await;
        read.into_iter().collect::<Outcome<Vec<()>>>()?;
        println!(
            "{CLIENTS} clients that read all metadata: {:.1} s, from {before:.0} to at most {:.0} MiB of memory",
            began.elapsed().as_secs_f64(),
            memory_mib(std::process::id(), "VmHWM:")?
        );
        Ok(())
    }

    async fn add(&self, file: Vec<u8>) -> Outcome<()> {
        let body = Body::from(file);
        let request = StoreInstancesRequest {
            datastore_id: self.datastore_id.clone(),
            study_instance_uid: None,
            instances: Box::pin(stream::once(async move { Ok(body) })),
        };
        let stored = self.store.store_instances(request).await?.stored;
        if stored.len() == 1 { Ok(()) } else { Err("an instance was not stored".into()) }
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let instances: u32 = std::env::var("UIDS_INSTANCES").map_or(Ok(10_000), |text| text.parse())?;
    let archive = Archive {
        patients: 1,
        studies: 1,
        series: 1,
        instances: instances + MORE,
        size: 64,
        ..Archive::default()
    };
    let (folder, data) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut files = archive.files();
    healthimaging_phantoms::write_to(folder.path(), files.by_ref().take(instances as usize))?;
    let series = Series::imported(data.path(), folder.path()).await?;
    println!("{} instances", series.instances.len());
    series.read("metadata of an instance", async |uid| series.instance_metadata(uid).await).await?;
    series.read("a frame", async |uid| series.frame(uid).await).await?;
    series.read("an instance as a file", async |uid| series.instance(uid).await).await?;
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let [to_first, to_last] = series.metadata().await?;
        first.push(to_first);
        last.push(to_last);
    }
    show("metadata of the series, first byte", &mut first);
    show("metadata of the series, last byte", &mut last);
    series.clients().await?;
    let mut times = Vec::new();
    for file in files {
        let began = Instant::now();
        series.add(file.bytes).await?;
        times.push(began.elapsed());
    }
    show("one instance more is stored", &mut times);
    series.store.close().await;
    Ok(())
}
