//! Reading headers when there is memory for them: of whole files, or as much as grouping needs.

use std::error;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::Arc;

use healthimaging::{Error, MemoryBudget, MemoryLease};
use healthimaging_dicom::{Document, ReadError, ReadLimits, read_header};
use healthimaging_pixels::LosslessFormat;

use super::checks;
use super::file::{self, Header, OpenFile, Stored, StoredFile};
use super::memory::{HEADER, LargeHeaders};
use super::outcome::{Failure, Refusal};
use super::overrides::Overrides;
use super::recognize;
use super::sink::Sink;
use crate::config::Grouping;

/// A source that can be read from its start again, once that has come to an end.
pub(crate) trait Reopen: Read + Seek + Send + Sized + 'static {
    /// The source again.
    fn reopen(&self) -> io::Result<Self>;
}

impl Reopen for File {
    fn reopen(&self) -> io::Result<Self> {
        self.try_clone()
    }
}

/// Why a header could not be read.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// There is more of it than there is memory for.
    TooLarge,
    /// More of the object has to be fetched first: [`NotFetched`].
    NotFetched,
    /// It cannot be read.
    Refused(Refusal),
}

impl From<Refusal> for Unopened {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Unopened {
    fn from(error: Error) -> Self {
        Self::Refused(error.into())
    }
}

/// The error of a source that lacks the requested bytes.
#[derive(Debug, thiserror::Error)]
#[error("the object is not fetched up to here")]
pub(crate) struct NotFetched;

impl From<NotFetched> for io::Error {
    fn from(lacking: NotFetched) -> Self {
        Self::other(lacking)
    }
}

impl From<Unopened> for Refusal {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Refused(refusal) => refusal,
            Unopened::TooLarge | Unopened::NotFetched => {
                Self::fault("the file could not be read because of a fault of this program")
            }
        }
    }
}

impl From<io::Error> for Unopened {
    fn from(error: io::Error) -> Self {
        if error.get_ref().is_some_and(<dyn error::Error + Send + Sync>::is::<NotFetched>) {
            return Self::NotFetched;
        }
        Refusal::fault(format!("the file could not be read: {error}")).into()
    }
}

/// Reads a file but for its pixels.
pub(crate) async fn open<S: Reopen>(
    source: S,
    overrides: Arc<Overrides>,
    large: &LargeHeaders,
) -> Result<OpenFile<S>, Refusal> {
    let read = move |source, lease| OpenFile::of(source, &overrides, lease);
    Ok(within(source, large, read).await?)
}

/// Reads a file, and puts everything large into the pack that `sink` returns for its header, in the same thread if
/// there is memory for that. `None` if there is no pack for it.
pub(crate) async fn open_and_store<S: Reopen>(
    source: S,
    large: &LargeHeaders,
    grouping: Grouping,
    format: LosslessFormat,
    sink: impl Fn(Header) -> Option<Arc<Sink>> + Clone + Send + 'static,
) -> Result<Option<Result<StoredFile, Failure>>, Refusal> {
    let read = move |source, lease| {
        let file = OpenFile::of(source, &Overrides::default(), lease)?;
        let sink = sink(file.header(grouping));
        Ok(sink.map(|sink| (file.store_at_once(format, &sink), sink)))
    };
    Ok(match within(source, large, read).await? {
        None => None,
        Some((Stored::AtOnce(stored), _)) => Some(*stored),
        Some((Stored::Waits(file), sink)) => Some(file::store(*file, format, &sink).await),
    })
}

/// Reads what grouping needs: the elements before the pixel data.
pub(crate) async fn header<S: Reopen>(
    source: S,
    overrides: Arc<Overrides>,
    grouping: Grouping,
) -> Result<Header, Unopened> {
    let read = move |mut source: S, lease: MemoryLease| {
        let start = recognize::start_of(&mut source)?;
        let read = read_header(source, &limits(&lease));
        let mut found = read.map_err(|error| refused(error, &start))?;
        overrides.apply(&mut found.data_set)?;
        let split = Document::new_instance(&found.meta, found.data_set);
        checks::is_nameable(&split)?;
        Ok(Header::of(&split, grouping))
    };
    // Nothing of it is kept, so other groups need not wait.
    within(source, &LargeHeaders::granted(), read).await
}

/// Reads when there is memory for it. Most headers need little; one that needs more is read again with
/// more.
async fn within<S: Reopen, T: Send + 'static>(
    source: S,
    large: &LargeHeaders,
    read: impl Fn(S, MemoryLease) -> Result<T, Unopened> + Clone + Send + 'static,
) -> Result<T, Unopened> {
    let budget = MemoryBudget::process();
    let again = source.reopen();
    match blocking(source, budget.work(HEADER).await, read.clone()).await {
        Err(Unopened::TooLarge) => {}
        read => return read,
    }
    large.begin().await;
    blocking(again?, budget.work(ReadLimits::default().header_bytes).await, read).await
}

async fn blocking<S: Reopen, T: Send + 'static>(
    source: S,
    lease: MemoryLease,
    read: impl Fn(S, MemoryLease) -> Result<T, Unopened> + Send + 'static,
) -> Result<T, Unopened> {
    tokio::task::spawn_blocking(move || read(source, lease)).await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading a file ended unexpectedly");
        let message = "the file could not be read because of a fault of this program";
        Err(Refusal::fault(message).into())
    })
}

/// The limits of a reader that has this lease.
pub(super) fn limits(lease: &MemoryLease) -> ReadLimits {
    let most = ReadLimits::default();
    ReadLimits { header_bytes: lease.bytes().min(most.header_bytes), ..most }
}

/// Why a file that begins with `start` was not read.
pub(super) fn refused(error: ReadError, start: &[u8]) -> Unopened {
    match error {
        ReadError::TooLarge { limit } if limit < ReadLimits::default().header_bytes => {
            Unopened::TooLarge
        }
        ReadError::Io(error) => error.into(),
        error => recognize::refusal(error, start).into(),
    }
}
