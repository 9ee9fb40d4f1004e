//! Packs that a full search has read without a finding. They are recorded durably, so that a search which was interrupted is
//! continued behind them.
//!
//! Only packs are skipped, as long as the file is the one that was read: they never change. Everything else is read again, and so
//! are packs in which something was found. So a continued search finds what a new one finds.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::Metadata;
use std::sync::Arc;
use std::time::{Duration, Instant};

use healthimaging::{Error, Result, Timestamp};
use healthimaging_audit::Keys;
use healthimaging_jobs::{Item, Job, JobStore};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Packs that are recorded with one sync, at most.
const BATCH: usize = 256;
/// How long a pack that was read waits to be recorded.
const EVERY: Duration = Duration::from_secs(1);
/// Records that are read together.
const PAGE: u32 = 1000;

/// What a file is known by: length, times and, on Unix, its number on the disk.
pub(super) type Identity = [u8; 16];

/// Returns what a file is known by. Another file of the same name has another identity, and so has a file that was written to.
pub(super) fn identity(file: &Metadata) -> Identity {
    let mut text = format!("{} {:?}", file.len(), file.modified().ok());
    #[cfg(unix)]
    let more = {
        use std::os::unix::fs::MetadataExt as _;
        format!(" {} {} {}", file.ino(), file.ctime(), file.ctime_nsec())
    };
    #[cfg(not(unix))]
    let more = format!(" {:?}", file.created().ok());
    // Writing to a string does not fail.
    let _ = text.write_str(&more);
    let mut identity = Identity::default();
    identity.iter_mut().zip(Sha256::digest(text)).for_each(|(to, from)| *to = from);
    identity
}

/// A pack in which nothing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadPack {
    pub(super) identity: Identity,
    /// Its frames, and the pieces that its bytes were searched in.
    pub(super) pieces: u64,
    pub(super) bytes: u64,
}

/// The same as it is recorded, by the digest of its name.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    file: String,
    pieces: u64,
    bytes: u64,
}

/// The packs that a search has read, in the items of its job.
pub(super) struct ReadPacks {
    store: Arc<dyn JobStore>,
    keys: Arc<Keys>,
    row: i64,
    /// When the first process began the search.
    pub(super) begun_at: Timestamp,
    known: HashMap<[u8; 16], ReadPack>,
    waiting: Vec<Item>,
    written: Instant,
    /// Whether records could not be written: then no more are.
    is_broken: bool,
}

impl ReadPacks {
    /// Reads what earlier processes recorded. Blocks.
    pub(super) fn open(store: Arc<dyn JobStore>, keys: Arc<Keys>, job: &Job) -> Result<Self> {
        let (row, begun_at) = (job.row, job.submitted_at);
        let mut known = HashMap::new();
        let mut after = 0;
        loop {
            let page = store.items(row, after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            // A record that cannot be read is none: its pack is read again.
            known.extend(page.iter().filter_map(|(_, item)| read(item)));
        }
        let (waiting, written) = (Vec::new(), Instant::now());
        Ok(Self { store, keys, row, begun_at, known, waiting, written, is_broken: false })
    }

    /// Number of packs that are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The pack of this name if it is the file that was read.
    pub(super) fn find(&self, name: &str, now: &Identity) -> Option<&ReadPack> {
        self.of_name(name).filter(|read| read.identity == *now)
    }

    /// Whether a pack of this name was read.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.of_name(name).is_some()
    }

    fn of_name(&self, name: &str) -> Option<&ReadPack> {
        self.known.get(&self.keys.tag(name.as_bytes()))
    }

    /// Adds a pack; it is recorded with the next ones.
    pub(super) fn add(&mut self, name: &str, pack: ReadPack) -> Result<()> {
        let key = self.keys.tag(name.as_bytes());
        let ReadPack { identity, pieces, bytes } = pack;
        let outcome = serde_json::to_string(&Record { file: hex::encode(identity), pieces, bytes })
            .map_err(|cause| Error::internal("a job could not be written as JSON", cause))?;
        self.waiting.push(Item { key: hex::encode(key), outcome });
        self.known.insert(key, pack);
        self.record_if_due()
    }

    /// Records what has waited long enough. Blocks for a sync of the disk.
    pub(super) fn record_if_due(&mut self) -> Result<()> {
        let is_due = self.waiting.len() >= BATCH || self.written.elapsed() >= EVERY;
        if is_due { self.record() } else { Ok(()) }
    }

    /// Records everything that waits. Blocks for a sync of the disk.
    pub(super) fn record(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() || self.is_broken {
            return Ok(());
        }
        let recorded = self.store.record(self.row, waiting, 0);
        self.is_broken = recorded.is_err();
        self.written = Instant::now();
        recorded
    }
}

fn read(item: &Item) -> Option<([u8; 16], ReadPack)> {
    let record: Record = serde_json::from_str(&item.outcome).ok()?;
    let (mut key, mut identity) = ([0; 16], Identity::default());
    hex::decode_to_slice(&item.key, &mut key).ok()?;
    hex::decode_to_slice(&record.file, &mut identity).ok()?;
    Some((key, ReadPack { identity, pieces: record.pieces, bytes: record.bytes }))
}
