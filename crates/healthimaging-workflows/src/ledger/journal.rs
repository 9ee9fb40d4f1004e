//! The journal of a running job: outcomes of its items, each durable before it counts.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use healthimaging::{Error, JobId, Result};
use healthimaging_jobs::{Item, Job, Needs, Origin};

use super::job::{json, read};
use super::run::Running;
use super::{Inner, blocking};
use crate::work::{ItemOutcome, ItemResult, Journal};

/// Outcomes that wait for the disk together, at most.
const BATCH: usize = 256;
/// Outcomes that are read together.
const PAGE: u32 = 1000;

/// Name of an item, short and of one length.
type Key = [u8; 16];

fn key(item: &str) -> Key {
    let mut key = Key::default();
    key.iter_mut().zip(Sha256::digest(item)).for_each(|(to, from)| *to = from);
    key
}

/// Items that have an outcome.
type Recorded = Arc<Mutex<HashSet<Key>>>;

fn locked(recorded: &Recorded) -> MutexGuard<'_, HashSet<Key>> {
    recorded.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is to be written.
enum Note {
    Expected(u64),
    Outcome { item: Item, failed: bool, written: oneshot::Sender<Result<()>> },
}

/// Where a running job records what it has done.
pub(super) struct StoreJournal {
    ledger: Arc<Inner>,
    job: Job,
    recorded: Recorded,
    queue: mpsc::UnboundedSender<Note>,
    writer: JoinHandle<()>,
    running: Arc<Running>,
    origin: Origin,
}

impl StoreJournal {
    /// Marks the job as begun, and finds what an earlier run has done. Blocks.
    pub(super) fn open(
        ledger: Arc<Inner>,
        job: Job,
        running: Arc<Running>,
        origin: Origin,
    ) -> Result<Self> {
        ledger.store.begin(job.row)?;
        let mut done = HashSet::new();
        let mut after = 0;
        loop {
            let page = ledger.store.items(job.row, after, PAGE)?;
            let Some((last, _)) = page.last() else {
                break;
            };
            after = *last;
            done.extend(page.iter().map(|(_, item)| key(&item.key)));
        }
        let recorded = Recorded::new(Mutex::new(done));
        let (queue, notes) = mpsc::unbounded_channel();
        let writer =
            Writer { ledger: Arc::clone(&ledger), row: job.row, recorded: Arc::clone(&recorded) };
        let writer = tokio::task::spawn_blocking(move || writer.write_all(notes));
        Ok(Self { ledger, job, recorded, queue, writer, running, origin })
    }

    /// Waits until all that was recorded is written.
    pub(super) async fn close(self) {
        drop(self.queue);
        if let Err(error) = self.writer.await {
            tracing::error!(job_id = %self.job.id, %error, "the outcomes of a job are not whole");
        }
    }
}

#[async_trait]
impl Journal for StoreJournal {
    fn job_id(&self) -> &JobId {
        &self.job.id
    }

    fn outcome_of(&self, item: &str) -> Option<ItemOutcome> {
        if !locked(&self.recorded).contains(&key(item)) {
            return None;
        }
        let found = self.ledger.store.item(self.job.row, item).ok()??;
        read(&found.outcome).ok()
    }

    fn outcomes(&self) -> BoxStream<'_, Result<ItemOutcome>> {
        let row = self.job.row;
        let pages = stream::try_unfold(0, move |after| async move {
            let store = Arc::clone(&self.ledger.store);
            let page = blocking(move || store.items(row, after, PAGE)).await?;
            let last = page.last().map(|(number, _)| *number);
            Ok::<_, Error>(last.map(|last| (stream::iter(page.into_iter().map(Ok)), last)))
        });
        pages.try_flatten().and_then(async |(_, item)| read(&item.outcome)).boxed()
    }

    fn expect(&self, total: u64) {
        // It is only shown; the work goes on without.
        if self.queue.send(Note::Expected(total)).is_err() {
            tracing::warn!("the number of a job's items could not be written");
        }
    }

    async fn record(&self, outcome: ItemOutcome) -> Result<()> {
        let (written, answer) = oneshot::channel();
        let item = Item { key: outcome.item.clone(), outcome: json(&outcome)? };
        let failed = outcome.result == ItemResult::Failed;
        let gone = || Error::internal("the outcomes of this job cannot be written", "no writer");
        self.queue.send(Note::Outcome { item, failed, written }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn cancelled(&self) -> &CancellationToken {
        &self.running.stop
    }

    fn is_called_off(&self) -> bool {
        self.running.is_called_off()
    }

    fn needs(&self) -> &Needs {
        &self.job.needs
    }

    fn is_taken_over(&self) -> bool {
        self.origin != Origin::Accepted
    }
}

/// Writes what is recorded; those who record at once share one transaction.
struct Writer {
    ledger: Arc<Inner>,
    row: i64,
    recorded: Recorded,
}

impl Writer {
    fn write_all(self, mut notes: mpsc::UnboundedReceiver<Note>) {
        let mut batch = Vec::new();
        while notes.blocking_recv_many(&mut batch, BATCH) > 0 {
            self.write(&mut batch);
            self.ledger.news.notify_waiters();
        }
    }

    fn write(&self, batch: &mut Vec<Note>) {
        let (mut items, mut keys, mut failures) = (Vec::new(), HashSet::new(), 0);
        let (mut expected, mut waiting) = (None, Vec::new());
        for note in batch.drain(..) {
            match note {
                Note::Expected(total) => expected = Some(total),
                Note::Outcome { item, failed, written } => {
                    let key = key(&item.key);
                    if locked(&self.recorded).contains(&key) || !keys.insert(key) {
                        let twice = Error::internal("an item was recorded twice", "two outcomes");
                        // The caller may be gone.
                        let _ = written.send(Err(twice));
                        continue;
                    }
                    failures += u64::from(failed);
                    items.push(item);
                    waiting.push(written);
                }
            }
        }
        let store = &self.ledger.store;
        if let Some(Err(error)) = expected.map(|total| store.expect(self.row, total)) {
            tracing::warn!(%error, "the number of a job's items could not be written");
        }
        if items.is_empty() {
            return;
        }
        let recorded = store.record(self.row, items, failures);
        if recorded.is_ok() {
            locked(&self.recorded).extend(keys);
        }
        for written in waiting {
            let _ = written.send(match &recorded {
                Ok(()) => Ok(()),
                Err(error) => Err(Error::internal(
                    "the outcomes of this job cannot be written; check whether the disk has room",
                    error.to_string(),
                )),
            });
        }
    }
}
