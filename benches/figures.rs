//! The figures of a first day: start to the first answer, idle memory, the rate of an import beside
//! that of the codec alone, and a frame read in process. `FIGURES_SERIES` sets how many series of 100
//! slices are imported (20).

#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use healthimaging::model::{
    CreateDatastoreRequest, DatastoreStatus, GetDatastoreRequest, GetImageFrameRequest,
    GetImageSetMetadataRequest, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging::{DatastoreId, HealthImaging, Page, sweep};
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_phantoms::Archive;
use healthimaging_pixels::{FrameShape, LosslessFormat, PixelRepresentation, encode};
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

const STARTS: usize = 20;
const SLICE: FrameShape = FrameShape {
    rows: 512,
    columns: 512,
    samples_per_pixel: 1,
    bits_allocated: 16,
    bits_stored: 16,
    representation: PixelRepresentation::Signed,
};

#[tokio::main]
async fn main() -> Outcome<()> {
    start_and_memory()?;
    let series = std::env::var("FIGURES_SERIES")
        .ok()
        .and_then(|text| text.parse().ok());
    let archive = Archive {
        patients: 1,
        studies: 1,
        series: series.unwrap_or(20),
        ..Archive::default()
    };
    let folder = tempfile::tempdir()?;
    healthimaging_phantoms::write_to(folder.path(), archive.files())?;
    let (count, alone) = codec_alone(folder.path())?;
    let data = tempfile::tempdir()?;
    let store = LocalStore::open(LocalConfig::new(data.path())).await?;
    let datastore = store
        .create_datastore(CreateDatastoreRequest::default())
        .await?
        .datastore_id;
    until_active(&store, &datastore).await?;
    let began = Instant::now();
    let summary = store
        .import_paths(&datastore, &[folder.path().to_owned()], |_| {})
        .await?;
    let rate = slices_a_second(count, began.elapsed());
    println!(
        "import of {count} slices: {rate:.1} frames/s, {:.0} % of the {alone:.1} frames/s of encode and \
         verify alone on both cores; {} image sets",
        100.0 * rate / alone,
        summary.progress.image_sets
    );
    frames(&store, &datastore).await?;
    store.close().await;
    Ok(())
}

/// A new data store is `CREATING` for a moment.
async fn until_active(store: &LocalStore, datastore: &DatastoreId) -> Outcome<()> {
    loop {
        let request = GetDatastoreRequest {
            datastore_id: datastore.clone(),
        };
        let found = store.get_datastore(request).await?.datastore_properties;
        if found.datastore_status == DatastoreStatus::Active {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// The release binary on an empty store: spawn to the answer of `initialize`, then its memory.
fn start_and_memory() -> Outcome<()> {
    let data = tempfile::tempdir()?;
    let mut times = Vec::new();
    let mut resident = 0;
    for _ in 0..STARTS {
        let began = Instant::now();
        let mut server = Server::start(data.path())?;
        server.ask(
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
        )?;
        times.push(began.elapsed());
        server.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        server.ask(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#)?;
        resident = server.resident_kib()?;
    }
    println!(
        "start to the first answer: {:.1} ms (median of {STARTS})",
        milliseconds(median(&mut times))
    );
    println!(
        "memory after tools/list: {:.1} MiB resident",
        f64::from(resident) / 1024.0
    );
    Ok(())
}

struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start(data: &Path) -> Outcome<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"))
            .args(["--backend", "local", "--data-dir"])
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no stdin")?;
        let output = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Self {
            child,
            input,
            output,
        })
    }

    fn say(&mut self, message: &str) -> Outcome<()> {
        writeln!(self.input, "{message}")?;
        Ok(self.input.flush()?)
    }

    fn ask(&mut self, message: &str) -> Outcome<String> {
        self.say(message)?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        Ok(answer)
    }

    fn resident_kib(&self) -> Outcome<u32> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(line
            .and_then(|line| line.split_whitespace().next())
            .ok_or("no VmRSS")?
            .parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Encode and verify of the same slices, a thread a core, files read and headers skipped: how many slices,
/// and frames a second.
fn codec_alone(folder: &Path) -> Outcome<(usize, f64)> {
    let mut slices = Vec::new();
    pixels_below(folder, &mut slices)?;
    let threads = std::thread::available_parallelism()?.get();
    let began = Instant::now();
    std::thread::scope(|scope| -> Outcome<()> {
        let workers: Vec<_> = slices
            .chunks(slices.len().div_ceil(threads).max(1))
            .map(|share| {
                scope.spawn(move || {
                    share.iter().try_for_each(|pixels| {
                        encode(LosslessFormat::Htj2k, &SLICE, "MONOCHROME2", pixels).map(drop)
                    })
                })
            })
            .collect();
        for worker in workers {
            worker.join().map_err(|_| "a thread failed")??;
        }
        Ok(())
    })?;
    Ok((slices.len(), slices_a_second(slices.len(), began.elapsed())))
}

/// The pixel data is the last element of every slice.
fn pixels_below(folder: &Path, slices: &mut Vec<Vec<u8>>) -> Outcome<()> {
    let length = usize::try_from(SLICE.byte_length())?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            pixels_below(&path, slices)?;
        } else {
            let mut file = std::fs::read(&path)?;
            slices.push(file.split_off(file.len().saturating_sub(length)));
        }
    }
    Ok(())
}

/// Every frame of the store, one after another.
async fn frames(store: &LocalStore, datastore: &DatastoreId) -> Outcome<()> {
    let found = sweep(100_000, |next_token| async move {
        let request = SearchImageSetsRequest {
            datastore_id: datastore.clone(),
            search_criteria: SearchCriteria::default(),
            next_token,
            max_results: None,
        };
        let found = store.search_image_sets(request).await?;
        Ok(Page {
            items: found.image_sets_metadata_summaries,
            next_token: found.next_token,
        })
    });
    let sets: Vec<_> = found.map_ok(|set| set.image_set_id).try_collect().await?;
    let mut times = Vec::new();
    for image_set_id in sets {
        let request = GetImageSetMetadataRequest {
            datastore_id: datastore.clone(),
            image_set_id: image_set_id.clone(),
            version_id: None,
        };
        let document = store
            .get_image_set_metadata(request)
            .await?
            .image_set_metadata;
        let document = document.collect(1 << 30).await?;
        let document: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&document[..]))?;
        let mut ids = Vec::new();
        frame_ids(&document, &mut ids);
        for id in ids {
            let began = Instant::now();
            let frame = store
                .get_image_frame(GetImageFrameRequest {
                    datastore_id: datastore.clone(),
                    image_set_id: image_set_id.clone(),
                    image_frame_id: id.parse()?,
                })
                .await?;
            frame.image_frame.collect(1 << 30).await?;
            times.push(began.elapsed());
        }
    }
    let count = times.len();
    println!(
        "get_image_frame in process: {:.3} ms (median of {count}, checksums verified)",
        milliseconds(median(&mut times))
    );
    Ok(())
}

fn frame_ids(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for frame in object
                .get("ImageFrames")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                ids.extend(frame["ID"].as_str().map(str::to_owned));
            }
            object.values().for_each(|value| frame_ids(value, ids));
        }
        Value::Array(items) => items.iter().for_each(|value| frame_ids(value, ids)),
        _ => {}
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "a count of files")]
fn slices_a_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
