//! The pack of an image set while its files are read.

use std::io::Write;
use std::mem;
use std::sync::{Arc, Mutex};

use healthimaging::{Error, ErrorKind, ImageFrameId};
use healthimaging_packs::PackWriter;
use healthimaging_packs::{BlobKind, BlobLocation, PackId};
use healthimaging_pixels::Decoder;

use crate::blobs::Blobs;
use crate::error::{Result, StoreError};
use crate::shared::SharedStore;
use crate::sync::locked;

/// One pack, made when the first blob comes, written by all threads that read files of the set.
#[derive(Debug)]
pub(crate) struct Sink {
    shared: SharedStore,
    create: fn(&Blobs) -> Result<PackWriter>,
    pack: Mutex<SinkState>,
}

#[derive(Debug)]
enum SinkState {
    Empty,
    Open(PackWriter),
    /// Writing failed, for this reason: what was put before is lost too. Also a sink that is sealed, without a
    /// reason.
    Broken(String),
}

/// A pack that is durable and not owned yet; hold it until it is.
#[derive(Debug)]
pub(crate) struct SealedPack {
    pub(crate) id: PackId,
    writer: PackWriter,
}

impl SealedPack {
    /// Ends the time of the pack as a new one: an image set owns it. Blocks.
    pub(crate) fn keep(&self) {
        self.writer.keep();
    }
}

impl Sink {
    pub(crate) fn new(shared: &SharedStore) -> Self {
        Self::with(shared, Blobs::create_pack)
    }

    /// One whose pack is made durable as soon as it is written.
    pub(crate) fn of_request(shared: &SharedStore) -> Self {
        Self::with(shared, Blobs::take_pack)
    }

    fn with(shared: &SharedStore, create: fn(&Blobs) -> Result<PackWriter>) -> Self {
        Self { shared: Arc::clone(shared), create, pack: Mutex::new(SinkState::Empty) }
    }

    /// Decodes frames of the files.
    pub(crate) fn decoder(&self) -> &Decoder {
        &self.shared.config.decoder
    }

    /// Stores bytes under a new id. Blocks.
    pub(crate) fn put(
        &self,
        kind: BlobKind,
        transfer_syntax: Option<&str>,
        bytes: &[u8],
    ) -> Result<BlobLocation> {
        let id = ImageFrameId::random()?;
        self.with_pack(|pack| pack.append(&id, kind, transfer_syntax, bytes))
    }

    /// Stores the bytes that `write` writes piece by piece; when it fails, nothing is stored. Blocks.
    pub(crate) fn put_from<E: From<StoreError>>(
        &self,
        kind: BlobKind,
        transfer_syntax: Option<&str>,
        write: impl FnOnce(&mut dyn Write) -> std::result::Result<(), E>,
    ) -> std::result::Result<BlobLocation, E> {
        let id = ImageFrameId::random().map_err(StoreError::from)?;
        self.with_pack(|pack| pack.append_from(&id, kind, transfer_syntax, write))?
    }

    fn with_pack<T>(
        &self,
        append: impl FnOnce(&mut PackWriter) -> healthimaging_packs::Result<T>,
    ) -> Result<T> {
        let mut pack = locked(&self.pack);
        let appended = match mem::replace(&mut *pack, SinkState::Broken(String::new())) {
            SinkState::Open(writer) => Ok(writer),
            SinkState::Empty => (self.create)(&self.shared.blobs),
            SinkState::Broken(why) => Err(broken(&why)),
        }
        .and_then(|mut writer| {
            let place = append(&mut writer)?;
            Ok((writer, place))
        });
        match appended {
            Ok((writer, place)) => {
                *pack = SinkState::Open(writer);
                Ok(place)
            }
            Err(error) => {
                let error = Error::from(error);
                *pack = SinkState::Broken(error.message().to_owned());
                Err(error.into())
            }
        }
    }

    /// Makes everything durable; `None` when nothing was put. Nothing can be put afterwards. Blocks.
    pub(crate) fn seal(&self) -> Result<Option<SealedPack>> {
        let mut pack = locked(&self.pack);
        match mem::replace(&mut *pack, SinkState::Broken(String::new())) {
            SinkState::Empty => Ok(None),
            SinkState::Broken(why) => Err(broken(&why)),
            SinkState::Open(mut writer) => {
                let id = writer.finish()?;
                Ok(Some(SealedPack { id, writer }))
            }
        }
    }
}

fn broken(why: &str) -> StoreError {
    Error::new(ErrorKind::Internal, why).into()
}
