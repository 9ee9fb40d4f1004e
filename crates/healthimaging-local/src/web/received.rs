//! An instance as it arrived: in memory while there is room, on disk when it is large or there is none.

use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use healthimaging::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Result;
use crate::ingest::{Section, Spool};
use crate::shared::SharedStore;

/// What waits in memory at most, of all requests together, in KiB: 64 MiB.
const ROOM: usize = 64 << 10;
/// The largest instance that waits in memory, in bytes.
const LARGEST: usize = 8 << 20;

/// The memory in which instances wait.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

impl Room {
    /// More room for so many bytes, if there is any.
    fn take(&self, taken: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> bool {
        let wanted = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(&self.0).try_acquire_many_owned(wanted) else {
            return false;
        };
        match taken {
            Some(taken) => taken.merge(more),
            None => *taken = Some(more),
        }
        true
    }
}

/// Takes in the instances of a request, one after the other.
#[derive(Debug)]
pub(super) struct Reception {
    shared: SharedStore,
    spool: Option<Spool>,
}

impl Reception {
    pub(super) fn new(shared: &SharedStore) -> Self {
        Self { shared: Arc::clone(shared), spool: None }
    }

    /// Takes in one; the outer error is the store's, the inner one that of who sends.
    pub(super) async fn receive(&mut self, body: Body) -> Result<healthimaging::Result<Received>> {
        let mut pieces = body.into_stream();
        let mut held = BytesMut::new();
        let mut room = None;
        loop {
            let piece = match pieces.try_next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(Ok(Received::held(held.freeze(), room))),
                Err(error) => return Ok(Err(error)),
            };
            let fits = held.len() + piece.len() <= LARGEST;
            if fits && self.shared.room.take(&mut room, piece.len()) {
                held.extend_from_slice(&piece);
                continue;
            }
            let before = stream::iter([Ok(held.freeze()), Ok(piece)]);
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
    Held { bytes: Cursor<Bytes>, _room: Option<OwnedSemaphorePermit> },
    Spooled(BufReader<Section>),
}

impl Received {
    /// The same bytes from their beginning, without a claim to the room.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Held { bytes, .. } => Self::held(bytes.get_ref().clone(), None),
            Self::Spooled(section) => Self::Spooled(BufReader::new(section.get_ref().again())),
        }
    }

    fn held(bytes: Bytes, room: Option<OwnedSemaphorePermit>) -> Self {
        Self::Held { bytes: Cursor::new(bytes), _room: room }
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
