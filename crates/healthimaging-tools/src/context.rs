//! Context of a call: the back end, its progress, and how long it waits.

use std::future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use healthimaging::model::{DatastoreStatus, DatastoreSummary, ListDatastoresRequest};
use healthimaging::{DatastoreId, DicomWeb, Error, ErrorKind, HealthImaging, Result};
use healthimaging_pixels::Decoder;
use healthimaging_workflows::find::{self, MOST_EXAMINED};
use healthimaging_workflows::{BackEnd, Job, Ledger, NewJob, Work};

use crate::arguments::WaitSeconds;
use crate::options::{FrameFormat, ServerOptions, ViewerAddress};
use crate::policy::{self, Policy};
use crate::redaction::CallRedaction;
use crate::versions::{Documents, Versions};

/// How long a call waits for the job that it started, unless the arguments set it.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// Shortest time between two reports of progress.
const PACE: Duration = Duration::from_millis(200);

/// Receives the progress of a call.
#[async_trait]
pub trait Progress: Send + Sync {
    /// Reports progress: `done` only grows, and `message` holds no patient data.
    async fn report(&self, done: f64, total: Option<f64>, message: String);
}

/// The caller of a tool, and how it waits.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Receives its progress.
    pub(crate) progress: Option<Arc<dyn Progress>>,
    /// Is cancelled when the caller no longer waits.
    pub(crate) cancelled: CancellationToken,
    /// How long to wait for a job unless the arguments set it; `None` until its end.
    pub(crate) wait: Option<Duration>,
    /// Whether it shows MCP Apps.
    pub(crate) has_apps: bool,
}

/// Context of a call.
pub(crate) struct Context {
    ledger: Ledger,
    decoder: Decoder,
    frame_format: FrameFormat,
    viewer: ViewerAddress,
    policy: Policy,
    caller: Caller,
    datastores_changed: broadcast::Sender<()>,
    chosen: OnceLock<DatastoreId>,
    redaction: Option<CallRedaction>,
    versions: Arc<Versions>,
    /// The progress that was reported last.
    reported: Mutex<f64>,
}

/// Most data stores that an error names.
const LISTED: usize = 10;

/// Progress of a wait: the protocol requires that it grows each time.
const WAITED: f64 = 0.001;

impl Context {
    pub(crate) fn new(
        ledger: Ledger,
        options: &ServerOptions,
        caller: Caller,
        datastores_changed: broadcast::Sender<()>,
        redaction: Option<CallRedaction>,
        versions: Arc<Versions>,
    ) -> Self {
        Self {
            ledger,
            decoder: options.decoder.clone(),
            frame_format: options.frame_format,
            viewer: options.viewer.clone(),
            policy: options.policy.clone(),
            caller,
            datastores_changed,
            chosen: OnceLock::new(),
            redaction,
            versions,
            reported: Mutex::default(),
        }
    }

    /// Notifies subscribers that data stores were created or deleted.
    pub(crate) fn announce_datastores(&self) {
        // No subscriber is not an error.
        let _ = self.datastores_changed.send(());
    }

    /// The 18 operations.
    pub(crate) fn service(&self) -> &dyn HealthImaging {
        &*self.back_end().service
    }

    /// Its documents, for pictures.
    pub(crate) fn documents(&self) -> Documents<'_> {
        Documents { service: self.service(), versions: &self.versions }
    }

    /// DICOMweb.
    pub(crate) fn dicomweb(&self) -> &dyn DicomWeb {
        &*self.back_end().dicomweb
    }

    /// Both, as tools see them.
    pub(crate) fn back_end(&self) -> &BackEnd {
        match &self.redaction {
            Some(redaction) => redaction.back_end(),
            None => self.real_back_end(),
        }
    }

    /// Both, for work whose answer has no value of a patient.
    pub(crate) fn real_back_end(&self) -> &BackEnd {
        &self.ledger.tools().back_end
    }

    /// The context of the same call with values of patients: only for work whose answer has none, and for questions that
    /// may have them.
    pub(crate) fn with_values(&self) -> Self {
        Self {
            ledger: self.ledger.clone(),
            decoder: self.decoder.clone(),
            frame_format: self.frame_format,
            viewer: self.viewer.clone(),
            policy: self.policy.clone(),
            caller: self.caller.clone(),
            datastores_changed: self.datastores_changed.clone(),
            chosen: self.chosen.clone(),
            redaction: None,
            versions: Arc::default(),
            reported: Mutex::default(),
        }
    }

    /// How the identity of patients is kept from the caller, if it is.
    pub(crate) fn redaction(&self) -> Option<&CallRedaction> {
        self.redaction.as_ref()
    }

    /// The decoder of frames for pictures.
    pub(crate) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The format of frames when a call names none.
    pub(crate) fn frame_format(&self) -> FrameFormat {
        self.frame_format
    }

    /// Whether the caller shows MCP Apps.
    pub(crate) fn has_apps(&self) -> bool {
        self.caller.has_apps
    }

    /// Where a person looks at a series outside of the chat.
    pub(crate) fn viewer(&self) -> &ViewerAddress {
        &self.viewer
    }

    /// The jobs of this program.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Is cancelled when the caller no longer waits.
    pub(crate) fn cancelled(&self) -> &CancellationToken {
        &self.caller.cancelled
    }

    /// Reports progress to the caller, if it asked for it.
    pub(crate) async fn report(&self, done: f64, total: Option<f64>, message: String) {
        if let Some(progress) = &self.caller.progress {
            let done = self.growing(done);
            let message = match &self.redaction {
                Some(redaction) => redaction.text(&message),
                None => message,
            };
            progress.report(done, total, message).await;
        }
    }

    fn growing(&self, done: f64) -> f64 {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        *reported = if done > *reported { done } else { *reported + WAITED };
        *reported
    }

    /// How long to wait for a write that is no job of this server; `None` if the caller does not wait. One who waits for jobs to
    /// their end waits as long as any may ask for.
    pub(crate) fn wait_for_write(&self, asked: Option<WaitSeconds>) -> Option<WaitSeconds> {
        let unasked = self.caller.wait.is_none().then_some(WaitSeconds::MOST);
        asked.or(unasked).filter(|wait| wait.get() > 0)
    }

    /// Starts a job, and [follows](Self::follow) it.
    pub(crate) async fn run_job(&self, new: NewJob, wait: Option<WaitSeconds>) -> Result<Job> {
        self.check_export(&new.work).await?;
        let job = self.ledger.start(new).await?;
        self.follow(job, wait).await
    }

    /// Refuses an export or a transfer of more image sets than the policy allows.
    async fn check_export(&self, work: &Work) -> Result<()> {
        let (datastore_id, criteria) = match work {
            Work::Export(export) => (&export.datastore_id, &export.criteria),
            Work::Transfer(transfer) => (&transfer.from.datastore_id, &transfer.criteria),
            Work::Change(_) => return Ok(()),
        };
        let Some(most) = self.policy.most_exported() else { return Ok(()) };
        let found = find::all(self.service(), datastore_id, criteria, MOST_EXAMINED).await?;
        match found.image_sets.len() {
            count if count > most => Err(policy::too_many(count, most)),
            _ => Ok(()),
        }
    }

    /// Waits for the end of a job, at most as long as the caller waits, reports its progress, and returns
    /// its last status.
    ///
    /// Cancelling the call cancels the job; the end of the wait does not.
    pub(crate) async fn follow(&self, mut job: Job, wait: Option<WaitSeconds>) -> Result<Job> {
        let wait = wait.map(|wait| Duration::from_secs(u64::from(wait.get())));
        let end = wait.or(self.caller.wait).map(|wait| Instant::now() + wait);
        let mut reported: Option<(u64, Instant)> = None;
        let mut message = None;
        while !job.job_status.has_ended() {
            let is_news =
                reported.is_none_or(|(done, at)| job.items_done > done && at.elapsed() >= PACE);
            if is_news || (job.message.is_some() && job.message != message) {
                reported = Some((job.items_done, Instant::now()));
                message.clone_from(&job.message);
                self.report_job(&job).await;
            }
            tokio::select! {
                changed = self.ledger.changed(&job) => job = changed?,
                () = deadline(end) => return Ok(job),
                () = self.cancelled().cancelled() => return self.cancel(&job).await,
            }
        }
        if reported.is_none_or(|(done, _)| job.items_done > done) {
            self.report_job(&job).await;
        }
        Ok(job)
    }

    async fn report_job(&self, job: &Job) {
        let mut message = match job.items_total {
            Some(total) => format!("job {}: {} of {total} done", job.job_id, job.items_done),
            None => format!("job {}: {} done", job.job_id, job.items_done),
        };
        if let Some(more) = &job.message {
            message = format!("{message}, {more}");
        }
        self.report(number(job.items_done), job.items_total.map(number), message).await;
    }

    /// Cancels a job whose call was cancelled.
    async fn cancel(&self, job: &Job) -> Result<Job> {
        match self.ledger.cancel(&job.job_id).await {
            // It may have ended, or be cancelled already.
            Err(error) if error.kind() == ErrorKind::Conflict => self.ledger.get(&job.job_id).await,
            other => other,
        }
    }

    /// Returns the data store that was named, or the only active one.
    pub(crate) async fn datastore(&self, named: Option<DatastoreId>) -> Result<DatastoreId> {
        if let Some(named) = named {
            return Ok(named);
        }
        let request = ListDatastoresRequest {
            datastore_status: Some(DatastoreStatus::Active),
            next_token: None,
            max_results: Some(self.service().limits().page_size),
        };
        let active = self.service().list_datastores(request).await?;
        match &active.datastore_summaries[..] {
            [only] if active.next_token.is_none() => {
                Ok(self.chosen.get_or_init(|| only.datastore_id.clone()).clone())
            }
            [] if active.next_token.is_none() => Err(Error::validation(
                "no data store is active; create one with create_datastore, then name it in \
                 datastore_id",
            )),
            several => {
                let is_whole = active.next_token.is_none() && several.len() <= LISTED;
                let more = if is_whole { "" } else { " and more, which list_datastores lists" };
                Err(Error::validation(format!(
                    "several data stores are active; name one in datastore_id: {}{more}",
                    distinct(several).collect::<Vec<_>>().join(", ")
                )))
            }
        }
    }

    /// The data store that is used because none was named.
    pub(crate) fn chosen_datastore(&self) -> Option<&DatastoreId> {
        self.chosen.get()
    }
}

/// Returns what identifies the first data stores: the name, or the ID if others have the same name.
fn distinct(all: &[DatastoreSummary]) -> impl Iterator<Item = &str> {
    all.iter().take(LISTED).map(|one| {
        let same = all.iter().filter(|other| other.datastore_name == one.datastore_name);
        if same.count() == 1 { one.datastore_name.as_str() } else { one.datastore_id.as_str() }
    })
}

/// Waits until a time; for ever without one.
async fn deadline(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => future::pending().await,
    }
}

/// Converts a count to the number type of the protocol.
fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
