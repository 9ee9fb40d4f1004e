//! The journal of a running job: outcomes appended to its file, each on disk before it counts.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use healthimaging::{Error, JobId, Result};
use healthimaging_jobs::Needs;

use super::entry::Entry;
use super::files::{Lease, open_own, sync_folder, unusable, write_lightly};
use super::outcomes::{Brief, Lines};
use super::run::Origin;
use crate::work::{ItemOutcome, Journal};

/// Outcomes that wait for the disk together, at most.
const BATCH: usize = 256;

/// Name of an item, short and of one length.
type Key = [u8; 16];

fn key(item: &str) -> Key {
    let mut key = Key::default();
    key.iter_mut().zip(Sha256::digest(item)).for_each(|(to, from)| *to = from);
    key
}

/// Item → where its line begins.
type Index = Arc<Mutex<HashMap<Key, u64>>>;

fn locked(index: &Index) -> MutexGuard<'_, HashMap<Key, u64>> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An outcome on its way to the disk.
struct Line {
    key: Key,
    text: Vec<u8>,
    written: oneshot::Sender<Result<()>>,
}

/// Where a running job writes down what it has done.
pub(super) struct FileJournal {
    job: Arc<Entry>,
    path: PathBuf,
    index: Index,
    queue: mpsc::Sender<Line>,
    stop: CancellationToken,
    origin: Origin,
}

impl FileJournal {
    /// Opens the journal of a job, cuts off what a crash tore, and reads what is done. Blocks.
    pub(super) fn open(
        job: Arc<Entry>,
        lease: Arc<Lease>,
        stop: CancellationToken,
        origin: Origin,
    ) -> Result<Self> {
        let path = job.outcomes();
        let file = open_own(&path)?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))?;
        let mut done = HashMap::new();
        let mut end = 0;
        if let Some(mut lines) = Lines::open(&path, 0)? {
            while let Some((place, line)) = Lines::next(&mut lines)? {
                if let Ok(brief) = serde_json::from_slice::<Brief>(&line) {
                    done.insert(key(&brief.item), place);
                }
            }
            end = lines.place();
        }
        file.set_len(end).map_err(unusable(&path))?;
        let index = Index::new(Mutex::new(done));
        let (queue, lines) = mpsc::channel(BATCH);
        let writer = Writer {
            file,
            end,
            index: Arc::clone(&index),
            _lease: lease,
            news: Arc::clone(&job.news),
        };
        tokio::task::spawn_blocking(move || writer.write_all(lines));
        Ok(Self { job, path, index, queue, stop, origin })
    }
}

#[async_trait]
impl Journal for FileJournal {
    fn job_id(&self) -> &JobId {
        &self.job.facts.job_id
    }

    fn outcome_of(&self, item: &str) -> Option<ItemOutcome> {
        let place = *locked(&self.index).get(&key(item))?;
        let mut lines = Lines::open(&self.path, place).ok()??;
        lines.next_outcome().ok()?.filter(|found| found.item == item)
    }

    fn outcomes(&self) -> BoxStream<'_, Result<ItemOutcome>> {
        match Lines::open(&self.path, 0) {
            Ok(lines) => stream::iter(lines.into_iter().flatten()).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    fn expect(&self, total: u64) {
        // It is only shown; the work goes on without.
        if let Err(error) = write_lightly(&self.job.expected(), &total) {
            tracing::warn!(%error, "the number of a job's items could not be written");
        }
        self.job.news.notify_waiters();
    }

    async fn record(&self, outcome: ItemOutcome) -> Result<()> {
        let mut text = serde_json::to_vec(&outcome)
            .map_err(|cause| Error::internal("an outcome could not be written as JSON", cause))?;
        text.push(b'\n');
        let (written, answer) = oneshot::channel();
        let line = Line { key: key(&outcome.item), text, written };
        let gone = || Error::internal("the outcomes of this job cannot be written", "no writer");
        self.queue.send(line).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn cancelled(&self) -> &CancellationToken {
        &self.stop
    }

    fn is_called_off(&self) -> bool {
        self.job.is_cancelled()
    }

    fn needs(&self) -> &Needs {
        &self.job.facts.needs
    }

    fn is_taken_over(&self) -> bool {
        self.origin == Origin::TakenOver
    }
}

/// Appends to the file; those who write at once share one sync of the disk.
struct Writer {
    file: File,
    end: u64,
    index: Index,
    /// Nobody else may run the job while something is still to be written.
    _lease: Arc<Lease>,
    news: Arc<Notify>,
}

impl Writer {
    fn write_all(mut self, mut lines: mpsc::Receiver<Line>) {
        let mut batch = Vec::new();
        while let Some(first) = lines.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH
                && let Ok(more) = lines.try_recv()
            {
                batch.push(more);
            }
            self.write(std::mem::take(&mut batch));
        }
    }

    fn write(&mut self, batch: Vec<Line>) {
        let mut fresh: Vec<Line> = Vec::with_capacity(batch.len());
        for line in batch {
            let known = locked(&self.index).contains_key(&line.key)
                || fresh.iter().any(|other| other.key == line.key);
            if known {
                let twice = Error::internal("an item of a job was done twice", "two outcomes");
                // Whoever asked may be gone.
                let _ = line.written.send(Err(twice));
            } else {
                fresh.push(line);
            }
        }
        let written = self.append(&fresh);
        for line in fresh {
            let _ = line.written.send(match &written {
                Ok(()) => Ok(()),
                Err(error) => Err(Error::internal(
                    "the outcomes of this job cannot be written; look whether the disk has room",
                    error.to_string(),
                )),
            });
        }
        self.news.notify_waiters();
    }

    fn append(&mut self, batch: &[Line]) -> std::io::Result<()> {
        let start = self.end;
        let text: Vec<u8> = batch.iter().flat_map(|line| line.text.iter().copied()).collect();
        let written = self
            .file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.write_all(&text))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line must not stand before the next one.
            let _ = self.file.set_len(start);
            return Err(error);
        }
        let mut index = locked(&self.index);
        for line in batch {
            index.insert(line.key, self.end);
            self.end += line.text.len() as u64;
        }
        Ok(())
    }
}
