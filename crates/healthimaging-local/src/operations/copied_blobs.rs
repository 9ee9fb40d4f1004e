//! The bytes of a copy: packs of its own, so that deleting the source really deletes, and deleting
//! the copy does not harm the source.

use std::collections::{BTreeMap, BTreeSet};

use healthimaging::ImageFrameId;
use healthimaging_packs::{BlobLocation, PackId};
use healthimaging_packs::{PackGuard, PackWriter};

use crate::catalog::Tx;
use crate::catalog::packs;
use crate::clock::Millis;
use crate::error::{Result, StoreError};
use crate::shared::SharedStore;

/// Durable packs without an owner; keep them until the copy owns them.
#[derive(Debug, Default)]
pub(crate) struct CopiedBlobs {
    packs: BTreeMap<PackId, Vec<BlobLocation>>,
    // Both hold locks.
    guards: Vec<PackGuard>,
    writer: Option<PackWriter>,
}

impl CopiedBlobs {
    /// Copies `wanted` from `source` to new packs for `destination`, except those that the
    /// destination has already. Blocks.
    ///
    /// A pack of which all blobs are copied is linked; of others the blobs are rewritten.
    pub(crate) fn make(
        shared: &SharedStore,
        wanted: BTreeSet<ImageFrameId>,
        source: i64,
        destination: i64,
    ) -> Result<Self> {
        let (found, present) = shared.catalog.read_blocking(|reader| {
            Ok((packs::blobs(reader, source)?, packs::blobs(reader, destination)?))
        })?;
        let mut missing = wanted;
        for blob in present {
            missing.remove(&blob.id);
        }
        let mut by_pack: BTreeMap<PackId, Vec<BlobLocation>> = BTreeMap::new();
        for blob in found {
            by_pack.entry(blob.pack.clone()).or_default().push(blob);
        }
        let mut copied = Self::default();
        let mut loose = Vec::new();
        for (pack, blobs) in by_pack {
            if blobs.iter().all(|blob| missing.contains(&blob.id)) {
                for blob in &blobs {
                    missing.remove(&blob.id);
                }
                copied.link(shared, &pack, blobs)?;
            } else {
                loose.extend(blobs.into_iter().filter(|blob| missing.remove(&blob.id)));
            }
        }
        if !missing.is_empty() {
            return Err(StoreError::Damaged("frames of the image set are missing".to_owned()));
        }
        copied.write(shared, &loose)?;
        Ok(copied)
    }

    /// Gives the packs to the copy.
    pub(crate) fn adopt(&self, tx: &Tx<'_>, destination: i64, at: Millis) -> Result<()> {
        for (pack, blobs) in &self.packs {
            packs::adopt(tx, pack, destination, blobs, at)?;
        }
        Ok(())
    }

    /// Ends the time of the packs as new ones: the copy owns them.
    pub(crate) fn keep(self) {
        self.guards.into_iter().for_each(PackGuard::keep);
        if let Some(writer) = self.writer {
            writer.keep();
        }
    }

    fn link(
        &mut self,
        shared: &SharedStore,
        from: &PackId,
        blobs: Vec<BlobLocation>,
    ) -> Result<()> {
        let (to, guard) = shared.blobs.link_pack(from)?;
        let blobs = blobs.into_iter().map(|blob| BlobLocation { pack: to.clone(), ..blob });
        self.packs.insert(to.clone(), blobs.collect());
        self.guards.push(guard);
        Ok(())
    }

    fn write(&mut self, shared: &SharedStore, blobs: &[BlobLocation]) -> Result<()> {
        if blobs.is_empty() {
            return Ok(());
        }
        let mut writer = shared.blobs.create_pack()?;
        let mut places = Vec::with_capacity(blobs.len());
        for blob in blobs {
            let bytes = shared.blobs.read(blob)?;
            let syntax = blob.transfer_syntax.as_deref();
            places.push(writer.append(&blob.id, blob.kind, syntax, &bytes)?);
        }
        self.packs.insert(writer.finish()?, places);
        self.writer = Some(writer);
        Ok(())
    }
}
