//! The work of a job.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use healthimaging::{Error, ErrorKind, ImageSetId, ObjectUri};
use healthimaging_dicom::GroupKey;
use healthimaging_jobs::Origin;
use healthimaging_objects::{Location, Objects, ObjectsConfig, file_uri};
use tokio::sync::Semaphore;

use super::crashes::{CrashGuard, Stage};
use super::inputs::{Inputs, Plan, PlannedBatch, PlannedStudy};
use super::output::{self, Outcomes};
use super::progress::{Counters, count};
use super::submission::asked_output;
use crate::catalog::datastores::{self, DatastoreRow};
use crate::catalog::imports::{self, ImportJob};
use crate::error::{Result, StoreError};
use crate::ingest::{
    self, Arrival, Failure, Group, GroupMemory, Header, LargeHeaders, Outcome, Recorder, Refusal,
    Sink, StoredFile,
};
use crate::shared::SharedStore;
use crate::sync::locked;

/// How often counters are written.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Outcomes that are read back together.
const OUTCOMES_AT_ONCE: u32 = 1000;
/// Refused files that are recorded together while headers are read.
const REFUSED_AT_ONCE: usize = 200;

/// A job that runs.
pub(super) struct Run {
    shared: SharedStore,
    job: ImportJob,
    origin: Origin,
    crash_guard: CrashGuard,
    /// Whether this run has read any input: then it has access, and other processes are denied the rest too.
    has_access: AtomicBool,
    datastore: DatastoreRow,
    output: Location,
    output_uri: ObjectUri,
    inputs: Arc<Inputs>,
    counters: Arc<Counters>,
    /// Image sets that the job made or extended.
    image_sets: Mutex<HashSet<ImageSetId>>,
    /// Files that are open at once.
    open: Semaphore,
}

/// A batch whose large values are in a pack, which is neither durable nor known to the catalog.
struct EncodedBatch {
    key: GroupKey,
    sink: Arc<Sink>,
    arrivals: Vec<Arrival>,
    refused: Vec<(usize, Refusal)>,
    memory: GroupMemory,
    /// Until the batch is written down.
    large: LargeHeaders,
}

/// How the work ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Each file has an outcome, and the output is written.
    Completed,
    /// The store is being closed.
    Stopped,
}

/// Why one group was left.
enum Stop {
    Closing,
    Store(StoreError),
}

impl<T: Into<StoreError>> From<T> for Stop {
    fn from(error: T) -> Self {
        Self::Store(error.into())
    }
}

fn cores() -> usize {
    rayon::current_num_threads()
}

/// More than cores: while some are read and written, each core has one to encode.
fn files_at_once() -> usize {
    2 * cores()
}

impl Run {
    /// Lists the inputs, and checks that the output can be written.
    pub(super) async fn prepare(
        shared: &SharedStore,
        job: ImportJob,
        origin: Origin,
    ) -> Result<Self> {
        let id = job.datastore.clone();
        let datastore =
            shared.catalog.read(move |reader| datastores::find_active(reader, &id)).await?;
        let objects = objects(shared, &job)?;
        let output_uri = output::folder(&asked_output(shared, &job)?, &job.datastore, &job.id)?;
        let place =
            |uri: &ObjectUri| objects.location(uri).map_err(|error| job.needs.refused(error));
        let output = place(&output_uri)?;
        let mut places = Vec::new();
        if job.request.local_paths.is_empty() {
            places.push(place(&job.request.input)?);
        }
        for path in &job.request.local_paths {
            places.push(place(&file_uri(path)?)?);
        }
        let own_output = format!("/{}-DicomImport-{}/", job.datastore, job.id);
        let mut inputs =
            Inputs::list(shared, places, job.request.configuration.as_ref(), &own_output).await?;
        if !job.request.local_paths.is_empty() {
            inputs = inputs.with_named_files().await;
        }
        inputs.check(&shared.config.quotas)?;
        output::probe(&output).await?;
        let counters = Counters::default();
        counters.files_total.store(inputs.len() as u64, Ordering::Relaxed);
        let (begun, uri) = (job.clone(), output_uri.clone());
        shared.catalog.write(move |tx| imports::begin(tx, &begun, &uri)).await?;
        Ok(Self {
            shared: Arc::clone(shared),
            crash_guard: CrashGuard::take_over(shared, &job.id)?,
            job,
            origin,
            has_access: AtomicBool::new(false),
            datastore,
            output,
            output_uri,
            inputs: Arc::new(inputs),
            counters: Arc::new(counters),
            image_sets: Mutex::default(),
            open: Semaphore::new(files_at_once()),
        })
    }

    /// Reads and stores all files that have no outcome yet, and writes the output.
    pub(super) async fn to_the_end(&self) -> Result<Ended> {
        let work = async {
            let left = self.inputs.without(&self.take_up().await?);
            let plan = self.read_headers(&left).await?;
            stream::iter(plan.studies().into_iter().map(Ok))
                .try_for_each_concurrent(cores(), |study| self.store_study(study))
                .await
        };
        let done = tokio::select! {
            done = work => done,
            never = self.keep_progress() => match never {},
        };
        self.write_progress().await?;
        match done {
            Ok(()) => {}
            Err(Stop::Closing) => return Ok(Ended::Stopped),
            Err(Stop::Store(error)) => return Err(error),
        }
        self.write_output().await?;
        Ok(Ended::Completed)
    }

    /// Writes the output of a job that failed, as far as possible: its status matters more.
    pub(super) async fn write_failure(&self) {
        if let Err(error) = self.write_output().await {
            tracing::warn!(job = %self.job.id, %error, "the output of a failed job is not written");
        }
    }

    /// Counts what an earlier run has done, and returns its keys.
    async fn take_up(&self) -> Result<HashSet<String>> {
        let mut done = HashSet::new();
        let mut pages = self.outcomes();
        while let Some(outcomes) = pages.try_next().await? {
            for (key, outcome) in outcomes {
                self.count_outcome(&outcome);
                done.insert(key);
            }
        }
        count(&self.counters.files_done, done.len());
        let bytes = self.inputs.bytes_of(&done);
        self.counters.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        Ok(done)
    }

    /// Reads all headers; what cannot be read is refused. Only what grouping needs is kept.
    async fn read_headers(&self, left: &[usize]) -> Result<Plan, Stop> {
        let mut reading = stream::iter(left.to_vec())
            .map(|number| async move { (number, self.header(number).await) })
            .buffered(files_at_once());
        let mut plan = Plan::default();
        let mut refused = Vec::new();
        while let Some((number, header)) = reading.next().await {
            self.check_open()?;
            match header {
                Ok(header) => {
                    self.has_access.store(true, Ordering::Relaxed);
                    plan.add(number, &header);
                }
                Err(refusal) => {
                    self.check_access(&refusal)?;
                    self.count_file(number);
                    refused.push((number, Outcome::Refused(refusal)));
                }
            }
            if refused.len() >= REFUSED_AT_ONCE {
                self.record(std::mem::take(&mut refused)).await?;
            }
        }
        self.record(refused).await?;
        Ok(plan)
    }

    /// Stores the batches of a study in their order: while one is made durable and written down, the
    /// frames of the next are encoded.
    async fn store_study(&self, study: PlannedStudy) -> Result<(), Stop> {
        let mut encoded = None;
        for batch in study.batches {
            let before = self.write_down(encoded.take());
            let (before, next) = future::join(before, self.encode_batch(batch)).await;
            before?;
            encoded = Some(next?);
        }
        self.write_down(encoded).await
    }

    /// Puts everything large of the files of a batch into a pack.
    async fn encode_batch(&self, planned: PlannedBatch) -> Result<EncodedBatch, Stop> {
        let sink = Arc::new(Sink::new(&self.shared));
        let mut memory = GroupMemory::begin(planned.inputs.len()).await;
        let large = LargeHeaders::default();
        let mut storing = stream::iter(planned.inputs)
            .map(|number| self.store_file(number, &sink, &large))
            .buffered(files_at_once());
        let (mut arrivals, mut refused) = (Vec::new(), Vec::new());
        while let Some((number, stored)) = storing.next().await {
            self.check_open()?;
            self.count_file(number);
            match stored.and_then(|file| Ok(memory.add(file)?)) {
                Ok(file) => arrivals.push(Arrival { number, file }),
                Err(Failure::File(refusal)) => refused.push((number, refusal)),
                Err(Failure::Store(error)) => return Err(error.into()),
            }
        }
        drop(storing);
        Ok(EncodedBatch { key: planned.key.group, sink, arrivals, refused, memory, large })
    }

    /// Makes the pack of a batch durable, and then its image set visible.
    async fn write_down(&self, encoded: Option<EncodedBatch>) -> Result<(), Stop> {
        let Some(encoded) = encoded else {
            return Ok(());
        };
        let group = Group {
            shared: Arc::clone(&self.shared),
            datastore: self.datastore.id.clone(),
            datastore_row: self.datastore.row,
            key: encoded.key,
            recorder: self.recorder(),
            is_read_again: false,
            memory: Arc::new(Mutex::new(encoded.memory)),
        };
        let _large = encoded.large;
        let outcomes = group.store(encoded.sink, encoded.arrivals, encoded.refused).await?;
        for (_, outcome) in &outcomes {
            self.count_outcome(outcome);
        }
        Ok(())
    }

    async fn store_file(
        &self,
        number: usize,
        sink: &Arc<Sink>,
        large: &LargeHeaders,
    ) -> (usize, Result<StoredFile, Failure>) {
        // Never closed.
        let _turn = self.open.acquire().await.ok();
        let stored = async {
            let file = self.inputs.open(number, large).await.map_err(Failure::File)?;
            let format = ingest::lossless_format(self.datastore.format);
            ingest::store(file, format, sink).await
        };
        (number, self.crash_guard.process(self.inputs.key(number), Stage::Store, stored).await)
    }

    async fn header(&self, number: usize) -> Result<Header, Refusal> {
        let grouping = self.shared.config.grouping;
        let header = self.inputs.header(number, grouping);
        self.crash_guard.process(self.inputs.key(number), Stage::Header, header).await
    }

    /// Ends a run that was taken over and has had access to nothing: another process may have it.
    fn check_access(&self, refusal: &Refusal) -> Result<(), Stop> {
        let is_remote = self.job.request.input.as_str().starts_with("s3://");
        let is_left = is_remote && self.origin != Origin::Accepted && refusal.is_denied();
        if is_left && !self.has_access.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::AccessDenied, refusal.message.clone()).into());
        }
        Ok(())
    }

    /// Records that the process stops normally.
    pub(super) fn stop(&self) {
        self.crash_guard.stop();
    }

    fn check_open(&self) -> Result<(), Stop> {
        if self.shared.lifecycle.closing.is_cancelled() {
            return Err(Stop::Closing);
        }
        Ok(())
    }

    fn recorder(&self) -> Recorder {
        let (inputs, job) = (Arc::clone(&self.inputs), self.job.row);
        Arc::new(move |tx, outcomes| {
            let numbered = outcomes.iter().map(|(number, outcome)| (*number, outcome));
            let keyed = numbered.map(|(number, outcome)| (inputs.key(number), outcome));
            imports::record(tx, job, keyed)
        })
    }

    async fn record(&self, outcomes: Vec<(usize, Outcome)>) -> Result<()> {
        if outcomes.is_empty() {
            return Ok(());
        }
        for (_, outcome) in &outcomes {
            self.count_outcome(outcome);
        }
        let recorder = self.recorder();
        self.shared.catalog.write(move |tx| recorder(tx, &outcomes)).await
    }

    fn count_file(&self, number: usize) {
        count(&self.counters.files_done, 1);
        let bytes = self.inputs.size(number);
        self.counters.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn count_outcome(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Refused(_) => count(&self.counters.refused, 1),
            Outcome::Imported(imported) => {
                count(&self.counters.warned, usize::from(!imported.warnings.is_empty()));
                let is_new = locked(&self.image_sets).insert(imported.image_set.clone());
                count(&self.counters.image_sets, usize::from(is_new));
            }
        }
    }

    async fn keep_progress(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(PROGRESS_EVERY).await;
            if let Err(error) = self.write_progress().await {
                tracing::warn!(job = %self.job.id, %error, "progress is not written down");
            }
        }
    }

    async fn write_progress(&self) -> Result<()> {
        let (job, progress) = (self.job.row, self.counters.now());
        self.shared.catalog.write(move |tx| imports::write_progress(tx, job, &progress)).await
    }

    /// The files that are done, page by page, in the order of their keys.
    fn outcomes(&self) -> BoxStream<'_, Result<Outcomes>> {
        let (job, catalog) = (self.job.row, &self.shared.catalog);
        let pages = stream::try_unfold(String::new(), move |after: String| async move {
            let page = catalog
                .read(move |reader| imports::outcomes(reader, job, &after, OUTCOMES_AT_ONCE))
                .await?;
            let last = page.last().map(|(key, _)| key.clone());
            Ok(last.map(|last| (page, last)))
        });
        pages.boxed()
    }

    async fn write_output(&self) -> Result<()> {
        let about = output::About {
            job: &self.job.id,
            datastore: &self.job.datastore,
            input_uri: &self.job.request.input,
            output_uri: &self.output_uri,
            scanned: self.inputs.len(),
        };
        output::write(&self.output, &about, self.outcomes()).await
    }
}

/// What the job may read and write: the folders that it carries, in jobs of earlier releases what requests
/// may and the paths of the command line; and the default output folder.
fn objects(shared: &SharedStore, job: &ImportJob) -> Result<Objects> {
    let config = &shared.config;
    let imports = config.data_dir.join("imports");
    let mut allowed_paths = config.allowed_paths.clone();
    allowed_paths.push(imports.clone());
    let objects = Objects::new(ObjectsConfig {
        allowed_paths,
        s3: config.s3.clone(),
        download_dir: Some(ingest::spool::folder(shared)?),
    });
    let Some(folders) = &job.needs.folders else {
        return Ok(objects.allowing(&job.request.local_paths));
    };
    let imports = imports.canonicalize().map_err(StoreError::file("find", &imports))?;
    Ok(objects.confined_to(&[&folders[..], &[imports]].concat()))
}
