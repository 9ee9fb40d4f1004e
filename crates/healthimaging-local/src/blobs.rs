//! Blobs of the store: its packs, the catalog's references to them, and space kept for deletions.

use std::future::Future;
use std::io::{self, Read, Write};

use bytes::Bytes;
use healthimaging::{Body, Error, random_hex};
use healthimaging_packs::{
    BlobLocation, BlobReader, PackFolder, PackGuard, PackId, PackStore, PackWriter, References,
};

use crate::catalog::{Catalog, packs};
use crate::config::LocalConfig;
use crate::error::{Result, StoreError};
use crate::ready_packs::ReadyPacks;
use crate::reserve::Reserve;

/// A larger blob is read piece by piece.
pub(crate) const IN_MEMORY: u64 = 4 << 20;
/// Bytes in which the main header of a codestream lies.
const START: u64 = 64 << 10;

/// Blobs of the store.
#[derive(Debug)]
pub(crate) struct Blobs {
    pub(crate) packs: PackFolder,
    pub(crate) references: CatalogReferences,
    /// For requests that wait until they are durable.
    pub(crate) ready: ReadyPacks,
    /// Space that is released when the disk is full.
    pub(crate) reserve: Reserve,
}

/// The references to packs that the catalog holds: a pack belongs to an image set.
#[derive(Debug, Clone)]
pub(crate) struct CatalogReferences {
    catalog: Catalog,
}

impl References for CatalogReferences {
    type Error = StoreError;

    fn unused(&self) -> Result<Vec<PackId>> {
        self.catalog.read_blocking(packs::ownerless)
    }

    fn is_used(&self, pack: &PackId) -> Result<bool> {
        self.catalog.read_blocking(|reader| packs::is_owned(reader, pack))
    }

    fn forget(&self, pack: &PackId) -> Result<()> {
        self.catalog.write_blocking(|tx| packs::forget(tx, pack))
    }
}

impl Blobs {
    pub(crate) fn new(config: &LocalConfig, catalog: &Catalog, reserve: Reserve) -> Self {
        Self {
            packs: PackFolder::new(&config.files, &config.data_dir.join("packs")),
            references: CatalogReferences { catalog: catalog.clone() },
            ready: ReadyPacks::default(),
            reserve,
        }
    }

    /// Begins a new pack. Blocks.
    pub(crate) fn create_pack(&self) -> Result<PackWriter> {
        Ok(self.packs.create(PackId(random_hex()?))?)
    }

    /// Begins a new pack that is made durable as soon as it is written. Blocks.
    pub(crate) fn take_pack(&self) -> Result<PackWriter> {
        self.ready.take().map_or_else(|| self.create_pack(), Ok)
    }

    /// Makes a new pack with the same bytes as `from`. Blocks.
    ///
    /// Hold the guard until the pack belongs to an image set.
    pub(crate) fn link_pack(&self, from: &PackId) -> Result<(PackId, PackGuard)> {
        let to = PackId(random_hex()?);
        let guard = self.packs.link(from, &to)?;
        Ok((to, guard))
    }

    /// Reads a blob and checks it. Blocks.
    pub(crate) fn read(&self, at: &BlobLocation) -> Result<Bytes> {
        Ok(self.packs.read(at)?)
    }

    /// Checks a blob, and opens it to be read piece by piece. Blocks.
    pub(crate) fn open(&self, at: &BlobLocation) -> Result<BlobReader> {
        Ok(self.packs.open(at)?)
    }

    /// A blob, checked, after what `head` makes of its first bytes; a large one is read piece by piece.
    /// Blocks.
    pub(crate) fn body(
        &self,
        at: &BlobLocation,
        head: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Body> {
        if at.length <= IN_MEMORY {
            let blob = self.read(at)?;
            let head = head(&blob);
            return Ok(if head.is_empty() {
                blob.into()
            } else {
                [&head[..], &blob[..]].concat().into()
            });
        }
        let failed = |error| Error::internal("a stored frame could not be read", error);
        let mut blob = self.open(at)?;
        let mut start = Vec::new();
        blob.by_ref().take(START).read_to_end(&mut start).map_err(failed)?;
        let head = head(&start);
        let length = head.len() as u64 + at.length;
        let write = move |out: &mut dyn Write| {
            let begun = out.write_all(&head).and_then(|()| out.write_all(&start));
            begun.and_then(|()| io::copy(&mut blob, out)).map(drop).map_err(failed)
        };
        Ok(Body::from_writer(Some(length), write))
    }

    /// Removes packs that belong to no image set and are not being written.
    ///
    /// Returns whether none is left: those that are read at this moment are.
    pub(crate) async fn sweep(&self) -> Result<bool> {
        let (packs, references) = (self.packs.clone(), self.references.clone());
        let work = move || {
            packs.sweep(&references)?;
            Ok(references.unused()?.is_empty())
        };
        tokio::task::spawn_blocking(work).await?
    }

    /// Tries again when the disk is full, with the space that is kept for what frees space.
    pub(crate) async fn freeing<T, W: Future<Output = Result<T>>>(
        &self,
        attempt: impl Fn() -> W,
    ) -> Result<T> {
        match attempt().await {
            Err(error) if error.is_full() && self.reserve.release()? => attempt().await,
            done => done,
        }
    }
}
