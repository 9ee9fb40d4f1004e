//! Where the blobs of an image set go while its files are read.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Result, StoreError};
use crate::index::packs::{BlobKind, BlobPlace, PackId};
use crate::new_id;
use crate::packs::PackWriter;
use crate::shared::SharedStore;

/// One pack, made when the first blob comes, written by all threads that read files of the set.
#[derive(Debug)]
pub(crate) struct Sink {
    shared: SharedStore,
    pack: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Empty,
    Open(PackWriter),
    /// Writing failed: what was put before is lost too.
    Broken,
}

/// A pack that is durable and not owned yet; keep it until it is.
#[derive(Debug)]
pub(crate) struct SealedPack {
    pub(crate) id: PackId,
    _writer: PackWriter,
}

impl Sink {
    pub(crate) fn new(shared: &SharedStore) -> Self {
        Self {
            shared: Arc::clone(shared),
            pack: Mutex::new(State::Empty),
        }
    }

    /// Stores bytes under a new id. Blocks.
    pub(crate) fn put(
        &self,
        kind: BlobKind,
        transfer_syntax: Option<&str>,
        bytes: &[u8],
    ) -> Result<BlobPlace> {
        let id = new_id::image_frame_id()?;
        let mut pack = self.pack.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writer = match mem::replace(&mut *pack, State::Broken) {
            State::Open(writer) => writer,
            State::Empty => PackWriter::create(&self.shared)?,
            State::Broken => return Err(broken()),
        };
        let place = writer.append(&id, kind, transfer_syntax, bytes)?;
        *pack = State::Open(writer);
        Ok(place)
    }

    /// Makes everything durable; `None` when nothing was put. Nothing can be put afterwards. Blocks.
    pub(crate) fn seal(&self) -> Result<Option<SealedPack>> {
        let mut pack = self.pack.lock().unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *pack, State::Broken) {
            State::Empty => Ok(None),
            State::Broken => Err(broken()),
            State::Open(mut writer) => {
                let id = writer.finish()?;
                Ok(Some(SealedPack {
                    id,
                    _writer: writer,
                }))
            }
        }
    }
}

fn broken() -> StoreError {
    StoreError::Damaged("writing frames failed before".to_owned())
}
