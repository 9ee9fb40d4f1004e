//! What a call may use: the back end, the way to report progress, and the end of patience.

use std::future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use healthimaging::model::{DatastoreStatus, ListDatastoresRequest};
use healthimaging::{DatastoreId, DicomWeb, Error, ErrorKind, HealthImaging, Result};
use healthimaging_pixels::Decoder;
use healthimaging_workflows::{BackEnd, Job, Ledger, NewJob};

use crate::arguments::WaitSeconds;
use crate::options::{FrameFormat, ServerOptions};

/// How long a call waits for the job that it started, when the caller does not say.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The shortest time between two reports of progress.
const PACE: Duration = Duration::from_millis(200);

/// Hears how far a long call is.
#[async_trait]
pub trait Progress: Send + Sync {
    /// `done` only grows; `message` holds no patient data.
    async fn report(&self, done: f64, total: Option<f64>, message: String);
}

/// Who waits for a call, and how.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Hears how far it is.
    pub(crate) progress: Option<Arc<dyn Progress>>,
    /// Ends when the caller no longer waits.
    pub(crate) cancelled: CancellationToken,
    /// How long a job is waited for when the arguments do not say; `None` for as long as it takes.
    pub(crate) patience: Option<Duration>,
}

/// What a call may use.
pub(crate) struct Context {
    ledger: Ledger,
    decoder: Decoder,
    frame_format: FrameFormat,
    caller: Caller,
    datastores_changed: broadcast::Sender<()>,
    chosen: OnceLock<DatastoreId>,
    /// How far the caller knows it is.
    told: Mutex<f64>,
}

/// What is told as done where nothing was done but waiting: the protocol wants it to grow each time.
const NOT_DONE: f64 = 0.001;

impl Context {
    pub(crate) fn new(
        ledger: Ledger,
        options: &ServerOptions,
        caller: Caller,
        datastores_changed: broadcast::Sender<()>,
    ) -> Self {
        Self {
            ledger,
            decoder: options.decoder.clone(),
            frame_format: options.frame_format,
            caller,
            datastores_changed,
            chosen: OnceLock::new(),
            told: Mutex::default(),
        }
    }

    /// Tells whoever listens that data stores came or went.
    pub(crate) fn announce_datastores(&self) {
        // Nobody may be listening, which is no error.
        let _ = self.datastores_changed.send(());
    }

    /// The 18 operations.
    pub(crate) fn service(&self) -> &dyn HealthImaging {
        &*self.back_end().service
    }

    /// DICOMweb.
    pub(crate) fn dicomweb(&self) -> &dyn DicomWeb {
        &*self.back_end().dicomweb
    }

    /// Both.
    pub(crate) fn back_end(&self) -> &BackEnd {
        &self.ledger.tools().back_end
    }

    /// Decodes frames for pictures.
    pub(crate) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The format of frames when none is asked for.
    pub(crate) fn frame_format(&self) -> FrameFormat {
        self.frame_format
    }

    /// The jobs of this program.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Ends when the caller no longer waits.
    pub(crate) fn cancelled(&self) -> &CancellationToken {
        &self.caller.cancelled
    }

    /// Tells the caller how far the work is, where it wants to know.
    pub(crate) async fn report(&self, done: f64, total: Option<f64>, message: String) {
        if let Some(progress) = &self.caller.progress {
            let done = self.grown(done);
            progress.report(done, total, message).await;
        }
    }

    fn grown(&self, done: f64) -> f64 {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told = if done > *told { done } else { *told + NOT_DONE };
        *told
    }

    /// Starts a job, and [follows](Self::follow) it.
    pub(crate) async fn run_job(&self, new: NewJob, wait: Option<WaitSeconds>) -> Result<Job> {
        let job = self.ledger.start(new).await?;
        self.follow(job, wait).await
    }

    /// Waits for the end of a job, at most so long, and tells how far it is: how it stands then.
    ///
    /// A caller that cancels the call cancels the job. One that only stops waiting does not.
    pub(crate) async fn follow(&self, mut job: Job, wait: Option<WaitSeconds>) -> Result<Job> {
        let patience = wait.map(|wait| Duration::from_secs(u64::from(wait.get())));
        let end = patience.or(self.caller.patience).map(|p| Instant::now() + p);
        let mut told: Option<(u64, Instant)> = None;
        let mut said = None;
        while !job.job_status.has_ended() {
            let is_news =
                told.is_none_or(|(done, at)| job.items_done > done && at.elapsed() >= PACE);
            if is_news || (job.message.is_some() && job.message != said) {
                told = Some((job.items_done, Instant::now()));
                said.clone_from(&job.message);
                self.report_job(&job).await;
            }
            tokio::select! {
                changed = self.ledger.changed(&job) => job = changed?,
                () = patience_ends(end) => return Ok(job),
                () = self.cancelled().cancelled() => return self.call_off(&job).await,
            }
        }
        if told.is_none_or(|(done, _)| job.items_done > done) {
            self.report_job(&job).await;
        }
        Ok(job)
    }

    async fn report_job(&self, job: &Job) {
        let mut message = match job.items_total {
            Some(total) => format!("job {}, items done: {} of {total}", job.job_id, job.items_done),
            None => format!("job {}, items done: {}", job.job_id, job.items_done),
        };
        if let Some(more) = &job.message {
            message = format!("{message}, {more}");
        }
        self.report(number(job.items_done), job.items_total.map(number), message).await;
    }

    /// The caller cancelled the call that started the job, or that waits for it.
    async fn call_off(&self, job: &Job) -> Result<Job> {
        match self.ledger.cancel(&job.job_id).await {
            // It may have ended in between, or be cancelled already.
            Err(error) if error.kind() == ErrorKind::Conflict => self.ledger.get(&job.job_id).await,
            other => other,
        }
    }

    /// The data store that was named, or the only one that is active.
    pub(crate) async fn datastore(&self, named: Option<DatastoreId>) -> Result<DatastoreId> {
        if let Some(named) = named {
            return Ok(named);
        }
        let request = ListDatastoresRequest {
            datastore_status: Some(DatastoreStatus::Active),
            next_token: None,
            max_results: Some(2),
        };
        let active = self.service().list_datastores(request).await?;
        match &active.datastore_summaries[..] {
            [only] if active.next_token.is_none() => {
                Ok(self.chosen.get_or_init(|| only.datastore_id.clone()).clone())
            }
            [] if active.next_token.is_none() => Err(Error::validation(
                "no data store is active; make one with create_datastore, then name it in \
                 datastore_id",
            )),
            _ => Err(Error::validation(
                "several data stores are active; name one in datastore_id (list_datastores lists \
                 them)",
            )),
        }
    }

    /// The data store that was chosen because none was named.
    pub(crate) fn chosen_datastore(&self) -> Option<&DatastoreId> {
        self.chosen.get()
    }
}

/// Ends when the caller's patience does.
async fn patience_ends(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => future::pending().await,
    }
}

/// A count as the protocol tells it.
fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
