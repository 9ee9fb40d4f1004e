//! An instance as it arrived: in memory while there is room, on disk when it is large or there is none.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
use healthimaging::{Body, MemoryBudget, MemoryLease};

use super::rope::{Rope, RopeBuilder};
use crate::error::Result;
use crate::ingest::{Reopen, Section, Spool};
use crate::shared::SharedStore;

/// The largest instance that waits in memory, in bytes.
const LARGEST: u64 = 8 << 20;

/// Adds memory for so many bytes, if there is any to spare.
fn add(lease: &mut Option<MemoryLease>, bytes: usize) -> bool {
    let Some(more) = MemoryBudget::process().spare(bytes as u64) else {
        return false;
    };
    match lease {
        Some(lease) => lease.merge(more),
        None => *lease = Some(more),
    }
    true
}

/// The next instance of a request; `None` behind the last one. The outer error is the store's or the request's, the
/// inner one the sender's.
pub(super) type Arrived = Result<Option<healthimaging::Result<Received>>>;

/// Takes in the instances of a request, one after the other.
#[derive(Debug)]
pub(super) struct Receiver {
    shared: SharedStore,
    spool: Option<Spool>,
}

impl Receiver {
    pub(super) fn new(shared: &SharedStore) -> Self {
        Self { shared: Arc::clone(shared), spool: None }
    }

    /// Receives the next one.
    pub(super) async fn next(
        &mut self,
        instances: &mut BoxStream<'static, healthimaging::Result<Body>>,
    ) -> Arrived {
        match instances.next().await {
            Some(body) => self.receive(body?).await.map(Some),
            None => Ok(None),
        }
    }

    /// Receives one; the outer error is the store's, the inner one the sender's.
    async fn receive(&mut self, body: Body) -> Result<healthimaging::Result<Received>> {
        let mut pieces = body.into_stream();
        let mut held = RopeBuilder::default();
        let mut lease = None;
        loop {
            let piece = match pieces.try_next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(Ok(Received::held(held.finish(), lease))),
                Err(error) => return Ok(Err(error)),
            };
            let fits = held.len() + piece.len() as u64 <= LARGEST;
            if fits && add(&mut lease, piece.len()) {
                held.push(piece);
                continue;
            }
            let before = stream::iter(held.into_pieces().chain([piece]).map(Ok));
            let whole = Body::from_stream(before.chain(pieces).boxed(), None);
            let section = self.spool().await?.add(whole).await?;
            return Ok(section.map(|section| Received::Spooled(BufReader::new(section))));
        }
    }

    async fn spool(&mut self) -> Result<&mut Spool> {
        let spool = if let Some(spool) = self.spool.take() {
            spool
        } else {
            let shared = Arc::clone(&self.shared);
            tokio::task::spawn_blocking(move || Spool::new(&shared)).await??
        };
        Ok(self.spool.insert(spool))
    }
}

/// An instance that arrived, read as a file of its own.
#[derive(Debug)]
pub(super) enum Received {
    Held { bytes: Rope, lease: Option<Arc<MemoryLease>> },
    Spooled(BufReader<Section>),
}

impl Received {
    fn held(bytes: Rope, lease: Option<MemoryLease>) -> Self {
        Self::Held { bytes, lease: lease.map(Arc::new) }
    }
}

impl Reopen for Received {
    fn reopen(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Held { bytes, lease } => {
                Self::Held { bytes: bytes.again(), lease: lease.clone() }
            }
            Self::Spooled(section) => Self::Spooled(BufReader::new(section.get_ref().again())),
        })
    }
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Held { bytes, .. } => bytes.read(buffer),
            Self::Spooled(section) => section.read(buffer),
        }
    }
}

impl Seek for Received {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Held { bytes, .. } => bytes.seek(to),
            Self::Spooled(section) => section.seek(to),
        }
    }
}
