//! The log of a process: when a record is written, and when it is durable.
//!
//! What destroys is recorded durably before it is carried out, and its outcome after. A write is recorded when it has
//! ended, before its caller gets the answer; a kill of the process loses no such record, and it is durable within a second
//! together with those before it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs::File, io};

use healthimaging::{Effect, Error, Result};
use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::FOLDER;
use crate::arguments::{self, Recorded};
use crate::chain::Chain;
use crate::entry::Entry;
use crate::keys::Keys;

/// How long records wait for a shared sync.
const SHARED_SYNC: Duration = Duration::from_secs(1);

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuditLevel {
    /// Nothing.
    Off,
    /// What writes or destroys.
    #[default]
    Writes,
    /// Reads too.
    All,
}

/// Releases reserved space of the disk; returns whether there was any.
pub type MakeRoom = Arc<dyn Fn() -> Result<bool> + Send + Sync>;

/// The log of a process; clones are the same log. Nothing is created before the first record.
#[derive(Clone, Default)]
pub struct AuditLog(Option<Arc<Inner>>);

struct Inner {
    folder: PathBuf,
    level: AuditLevel,
    make_room: Option<MakeRoom>,
    segment_length: Option<u64>,
    chain: Mutex<Option<Chain>>,
    /// Whether a sync of records is due.
    is_due: AtomicBool,
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.0.as_ref().map_or(AuditLevel::Off, |inner| inner.level);
        f.debug_struct("AuditLog").field("level", &level).finish_non_exhaustive()
    }
}

impl AuditLog {
    /// A log that records nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// The log of a data folder. `make_room` is called when the disk is full.
    pub fn new(data_folder: &Path, level: AuditLevel, make_room: Option<MakeRoom>) -> Self {
        Self::with_segments(data_folder, level, make_room, None)
    }

    /// As [`new`](Self::new), with segments of another length in bytes: for tests.
    pub fn with_segments(
        data_folder: &Path,
        level: AuditLevel,
        make_room: Option<MakeRoom>,
        segment_length: Option<u64>,
    ) -> Self {
        if level == AuditLevel::Off {
            return Self::off();
        }
        Self(Some(Arc::new(Inner {
            folder: data_folder.join(FOLDER),
            level,
            make_room,
            segment_length,
            chain: Mutex::default(),
            is_due: AtomicBool::default(),
        })))
    }

    /// Whether calls of this effect are recorded.
    pub fn records(&self, effect: Effect) -> bool {
        self.0.as_ref().is_some_and(|inner| match inner.level {
            AuditLevel::Off => false,
            AuditLevel::Writes => effect != Effect::Reads,
            AuditLevel::All => true,
        })
    }

    /// Calls `make` with the keys of the log; `None` if nothing is recorded.
    ///
    /// # Errors
    ///
    /// `Internal` if the folder of the log cannot be used.
    pub fn with_keys<T>(&self, make: impl Fn(&Keys) -> T) -> Result<Option<T>> {
        let Some(inner) = &self.0 else { return Ok(None) };
        inner.with_chain(true, |chain| Ok(make(chain.keys()))).map(Some)
    }

    /// Returns what is recorded of the arguments of a tool.
    ///
    /// # Errors
    ///
    /// `Internal` if the folder of the log cannot be used.
    pub fn recorded(&self, of: &Map<String, Value>) -> Result<Recorded> {
        Ok(self.with_keys(|keys| arguments::recorded(of, keys))?.unwrap_or_default())
    }

    /// Records durably that a call begins that destroys.
    ///
    /// # Errors
    ///
    /// `Internal` if the record cannot be made durable: then the call must not be carried out.
    pub async fn announce(&self, entry: Entry) -> Result<Pending> {
        if let Some(inner) = &self.0 {
            // The calls of a tool whose record is durable are made durable together with its outcome.
            let is_durable = !entry.is_announced();
            let (inner, of_call) = (Arc::clone(inner), entry.clone());
            let log = self.clone();
            let work = move || {
                // The deletion itself needs the reserved space too.
                inner.make_room()?;
                let file = inner.with_chain(true, |chain| chain.append(&of_call))?;
                if is_durable {
                    file.sync_data().map_err(unwritable)
                } else {
                    log.sync_soon();
                    Ok(())
                }
            };
            blocking(work).await?;
        }
        Ok(Pending { log: self.clone(), entry: Some(entry) })
    }

    /// Begins a call that is recorded when it has ended.
    pub fn begin(&self, entry: Entry) -> Pending {
        Pending { log: self.clone(), entry: Some(entry) }
    }

    /// Begins a call that writes; if it is [long](Entry::long), this is recorded durably, and the call is carried out although it
    /// cannot be.
    pub async fn begin_long(&self, entry: Entry) -> Pending {
        if let Some(inner) = self.0.as_ref().filter(|_| entry.is_long()) {
            let (inner, begun) = (Arc::clone(inner), entry.clone());
            let work = move || {
                let file = inner.with_chain(false, |chain| chain.append(&begun))?;
                file.sync_data().map_err(unwritable)
            };
            if let Err(error) = blocking(work).await {
                tracing::error!(?error, "the begin of a call is missing in the audit log");
            }
        }
        self.begin(entry)
    }

    /// Makes every record durable, and signs the head.
    ///
    /// # Errors
    ///
    /// `Internal` if that fails.
    pub async fn flush(&self) -> Result<()> {
        let Some(inner) = self.0.as_ref().map(Arc::clone) else { return Ok(()) };
        inner.is_due.store(false, Ordering::Relaxed);
        blocking(move || inner.flush()).await
    }

    fn append(&self, entry: &Entry) -> Result<()> {
        let Some(inner) = &self.0 else { return Ok(()) };
        // The reserved space is for deletions, of which writes must leave some.
        let destroys = entry.effect() == Effect::Destroys;
        inner.with_chain(destroys, |chain| chain.append(entry)).map(|_: File| ())?;
        self.sync_soon();
        Ok(())
    }

    /// Syncs what was recorded within a second, once for all records until then.
    fn sync_soon(&self) {
        let Some(inner) = &self.0 else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if inner.is_due.swap(true, Ordering::Relaxed) {
            return;
        }
        let log = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(SHARED_SYNC).await;
            if let Err(error) = log.flush().await {
                tracing::error!(?error, "records of the audit log may not be durable");
            }
        });
    }
}

impl Inner {
    /// Uses the chain, which is opened first; once more if the disk is full and has reserved space that may be used.
    fn with_chain<T>(
        &self,
        may_make_room: bool,
        mut work: impl FnMut(&mut Chain) -> io::Result<T>,
    ) -> Result<T> {
        let mut chain = self.chain.lock();
        let mut attempt = || -> io::Result<T> {
            let open = match chain.take() {
                Some(open) => open,
                None => Chain::open(&self.folder, self.segment_length)?,
            };
            work(chain.insert(open))
        };
        match attempt() {
            Err(error) if may_make_room && is_full(&error) && self.make_room()? => {
                attempt().map_err(unwritable)
            }
            done => done.map_err(unwritable),
        }
    }

    fn make_room(&self) -> Result<bool> {
        self.make_room.as_ref().map_or(Ok(false), |make_room| make_room())
    }

    fn flush(&self) -> Result<()> {
        let mut chain = self.chain.lock();
        chain.as_mut().map_or(Ok(()), Chain::flush).map_err(unwritable)
    }
}

/// A call that has not ended. If it is dropped, its outcome is recorded as unknown.
#[derive(Debug)]
pub struct Pending {
    log: AuditLog,
    entry: Option<Entry>,
}

impl Pending {
    /// Records the outcome.
    pub fn end(mut self, objects: Recorded, error: Option<&Error>) {
        if let Some(entry) = self.entry.take() {
            self.record(&entry.with_objects(objects).ended(error));
        }
    }

    /// Records an outcome that is neither success nor an error.
    pub fn end_with(mut self, outcome: &str) {
        if let Some(entry) = self.entry.take() {
            self.record(&entry.with_outcome(outcome));
        }
    }

    fn record(&self, entry: &Entry) {
        // The call has ended, by success or an error; its caller gets the answer all the same.
        if let Err(error) = self.log.append(entry) {
            tracing::error!(?error, "a call that has ended is missing in the audit log");
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.record(&entry.with_outcome("unknown: the caller did not wait"));
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::internal("the audit log failed", cause))?
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn unwritable(cause: io::Error) -> Error {
    let what = if is_full(&cause) { "the disk is full".to_owned() } else { cause.to_string() };
    Error::internal(
        format!(
            "the audit log in the folder audit of the data folder cannot be written ({what}), and what destroys must be \
             recorded first; check the folder and the disk, then try again"
        ),
        cause,
    )
}
