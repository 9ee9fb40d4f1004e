//! Objects in a bucket are read twice: for their headers, and to be stored. The bytes that the first pass fetched
//! are kept on disk for the second, so that each byte is fetched once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use healthimaging::{ErrorKind, Result};
use healthimaging_objects::{Entry, Location};

use crate::config::Grouping;
use crate::error::StoreError;
use crate::ingest::{
    self, Header, NotFetched, Overrides, Refusal, Reopen, Section, Spool, Unopened,
};
use crate::shared::SharedStore;
use crate::sync::locked;

/// Bytes that are fetched for a header, one length after the other until it is enough.
const FETCHED: [u64; 3] = [16 << 10, 256 << 10, 4 << 20];
/// Smaller objects are fetched whole.
const SMALL: u64 = 64 << 10;
/// Bytes that are kept on disk, of all objects of a job together.
const KEPT: u64 = 4 << 30;
/// Objects of which all was fetched for the header, and that are kept as files of their own.
const FILES: usize = 64;

/// What was fetched of the objects of a job.
#[derive(Debug)]
pub(super) struct Starts {
    shared: SharedStore,
    spool: tokio::sync::Mutex<Option<Spool>>,
    fetched: Mutex<Fetched>,
}

#[derive(Debug, Default)]
struct Fetched {
    /// By the numbers of the inputs.
    kept: HashMap<usize, Kept>,
    bytes: u64,
    files: usize,
}

#[derive(Debug)]
enum Kept {
    /// Its first bytes, and the version that they are of.
    Start(Section, Option<String>),
    /// All of it.
    Whole(File),
}

/// The first bytes of an object.
#[derive(Debug, Clone, Default)]
struct Start {
    bytes: Bytes,
    version: Option<String>,
}

impl Starts {
    pub(super) fn new(shared: &SharedStore) -> Self {
        let (spool, fetched) = Default::default();
        Self { shared: Arc::clone(shared), spool, fetched }
    }

    /// Reads the header of an object, fetching as little as it takes.
    pub(super) async fn header(
        &self,
        number: usize,
        (place, entry): (&Location, &Entry),
        overrides: &Arc<Overrides>,
        grouping: Grouping,
    ) -> std::result::Result<Header, Refusal> {
        let mut start = Start::default();
        for length in FETCHED {
            let length = if entry.size <= SMALL { entry.size } else { length.min(entry.size) };
            start.extend(place, entry, length).await?;
            let source =
                PartialObject { bytes: start.bytes.clone(), size: entry.size, position: 0 };
            match ingest::header(source, Arc::clone(overrides), grouping).await {
                Err(Unopened::NotFetched) if length < entry.size => {}
                read => {
                    let header = read?;
                    self.keep_start(number, start).await;
                    return Ok(header);
                }
            }
        }
        let file = fetch_rest(place, entry, start).await?;
        let again = file.try_clone();
        let header = ingest::header(file, Arc::clone(overrides), grouping).await;
        if let (Ok(_), Ok(file)) = (&header, again) {
            self.keep_whole(number, entry.size, file);
        }
        Ok(header?)
    }

    /// The content of an object, of which only that is fetched which was not before.
    pub(super) async fn fetch(
        &self,
        number: usize,
        place: &Location,
        entry: &Entry,
    ) -> Result<File> {
        let kept = self.fetched().take(number);
        match kept {
            None => place.fetch(entry).await,
            Some(Kept::Whole(file)) => Ok(file),
            Some(Kept::Start(section, version)) => {
                let reading = tokio::task::spawn_blocking(move || read_all(section));
                match reading.await.map_err(StoreError::Task)? {
                    Ok(bytes) => fetch_rest(place, entry, Start { bytes, version }).await,
                    Err(error) => {
                        tracing::warn!(%error, "what was fetched of an object cannot be read again");
                        place.fetch(entry).await
                    }
                }
            }
        }
    }

    /// Keeps the start of an object, if there is room for it; it is only fetched again otherwise.
    async fn keep_start(&self, number: usize, start: Start) {
        let shared = Arc::clone(&self.shared);
        let Start { bytes, version } = start;
        let length = bytes.len() as u64;
        if !self.fetched().takes(length) {
            return;
        }
        // One after the other: it takes no time, compared with the fetching.
        let mut spool = self.spool.lock().await;
        let before = spool.take();
        let appended = tokio::task::spawn_blocking(move || {
            let mut spool = match before {
                Some(spool) => spool,
                None => Spool::new(&shared)?,
            };
            let section = spool.append(&bytes)?;
            Ok::<_, StoreError>((spool, section))
        });
        match appended.await.map_err(StoreError::Task).and_then(|appended| appended) {
            Ok((appended, section)) => {
                *spool = Some(appended);
                let mut fetched = self.fetched();
                fetched.bytes += length;
                fetched.kept.insert(number, Kept::Start(section, version));
            }
            Err(error) => tracing::debug!(%error, "what was fetched of an object is not kept"),
        }
    }

    fn keep_whole(&self, number: usize, size: u64, file: File) {
        let mut fetched = self.fetched();
        if fetched.takes(size) && fetched.files < FILES {
            fetched.bytes += size;
            fetched.files += 1;
            fetched.kept.insert(number, Kept::Whole(file));
        }
    }

    fn fetched(&self) -> MutexGuard<'_, Fetched> {
        locked(&self.fetched)
    }
}

impl Fetched {
    fn takes(&self, bytes: u64) -> bool {
        self.bytes.saturating_add(bytes) <= KEPT
    }

    fn take(&mut self, number: usize) -> Option<Kept> {
        let kept = self.kept.remove(&number)?;
        if let Kept::Whole(file) = &kept {
            self.files -= 1;
            self.bytes -= file.metadata().map_or(0, |found| found.len()).min(self.bytes);
        }
        Some(kept)
    }
}

impl Start {
    /// Fetches what is missing up to a length.
    async fn extend(&mut self, place: &Location, entry: &Entry, length: u64) -> Result<()> {
        let have = self.bytes.len() as u64;
        if length <= have {
            return Ok(());
        }
        let part = place.fetch_part(entry, have..length, self.version.as_deref()).await?;
        let mut bytes = BytesMut::from(std::mem::take(&mut self.bytes));
        bytes.extend_from_slice(&part.bytes);
        *self = Self { bytes: bytes.freeze(), version: part.version };
        Ok(())
    }
}

/// The content of an object that begins so; all of it is fetched anew when it has changed.
async fn fetch_rest(place: &Location, entry: &Entry, start: Start) -> Result<File> {
    let Start { bytes, version } = start;
    // Without a version the rest may belong to another content than the start.
    if version.is_none() {
        return place.fetch(entry).await;
    }
    match place.fetch_rest(entry, bytes, version.as_deref()).await {
        Err(error) if error.kind() == ErrorKind::Conflict => place.fetch(entry).await,
        fetched => fetched,
    }
}

fn read_all(mut section: Section) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    section.read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// An object of which only the first bytes were fetched.
#[derive(Debug, Clone)]
struct PartialObject {
    bytes: Bytes,
    size: u64,
    position: u64,
}

impl Read for PartialObject {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let position = usize::try_from(self.position).unwrap_or(usize::MAX);
        let mut left = self.bytes.get(position..).unwrap_or_default();
        if left.is_empty() && self.position < self.size && !buffer.is_empty() {
            return Err(NotFetched.into());
        }
        let read = left.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for PartialObject {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(from) => self.size.checked_add_signed(from),
            SeekFrom::Current(from) => self.position.checked_add_signed(from),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl Reopen for PartialObject {
    fn reopen(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}
