//! Blocks of large documents in memory, so that a reader of one instance unpacks one block. Recently read ones
//! are cached, and are read only after the catalog has shown that their version exists.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Weak};

use healthimaging::{Cache, ImageSetId, MemoryBudget, MemoryLease};
use healthimaging_dicom::{Document, Instance, Series};

use crate::catalog::Reader;
use crate::catalog::blocks::{self, BlockContent, BlockFacts, BlockRow};
use crate::catalog::content::{self, StoredContent, damaged};
use crate::catalog::cut::BlockText;
use crate::catalog::documents::{text_length, unpack};
use crate::documents::{Name, UNPACKED, size};
use crate::error::Result;
use crate::single_flight::SingleFlight;

/// Memory of cached blocks, in bytes.
const CACHED: usize = 48 << 20;
/// Memory of cached levels of documents, in bytes.
const CACHED_LEVELS: usize = 8 << 20;

/// A block never changes, so its row is enough; no other image set ever has the same ID.
type BlockName = (ImageSetId, i64);

/// Values, each with the lease for it.
type LeasedCache<N, T> = Cache<N, (Arc<T>, Arc<MemoryLease>)>;

/// Recently read blocks, and the levels of documents in blocks.
#[derive(Debug)]
pub(crate) struct OpenBlocks {
    texts: Arc<LeasedCache<BlockName, BlockText>>,
    in_use: SingleFlight<BlockName, BlockText>,
    levels: Arc<LeasedCache<Name, Document>>,
}

impl Default for OpenBlocks {
    fn default() -> Self {
        let (texts, levels) = (Arc::new(Cache::new(CACHED)), Arc::new(Cache::new(CACHED_LEVELS)));
        let (of_texts, of_levels): (Weak<Cache<_, _>>, Weak<Cache<_, _>>) =
            (Arc::downgrade(&texts), Arc::downgrade(&levels));
        MemoryBudget::process().add_cache(of_texts);
        MemoryBudget::process().add_cache(of_levels);
        Self { texts, in_use: SingleFlight::default(), levels }
    }
}

/// A block, or what it is to be unpacked from.
#[derive(Debug)]
pub(crate) enum FoundBlock {
    Unpacked(Arc<BlockText>),
    Stored(BlockName, BlockFacts, BlockContent),
}

/// The levels of a document, or what they are to be unpacked from.
#[derive(Debug)]
pub(crate) enum FoundLevels {
    Unpacked(Arc<Document>),
    Stored(Name, StoredContent),
}

impl FoundBlock {
    /// Memory that unpacking takes, in bytes, about.
    fn needs(&self) -> u64 {
        match self {
            Self::Unpacked(_) => 0,
            Self::Stored(_, facts, _) => 2 * facts.length,
        }
    }
}

impl FoundLevels {
    fn needs(&self) -> u64 {
        match self {
            Self::Unpacked(levels) => size(levels) as u64,
            Self::Stored(_, stored) => 2 * UNPACKED * text_length(stored),
        }
    }
}

impl OpenBlocks {
    /// Looks for a block: here, then in the catalog.
    pub(crate) fn find(
        &self,
        reader: &Reader,
        set: &ImageSetId,
        block: &BlockRow,
    ) -> Result<FoundBlock> {
        let name = (set.clone(), block.row);
        if let Some((text, _)) = self.texts.get(&name) {
            return Ok(FoundBlock::Unpacked(text));
        }
        let content = blocks::content(reader, block.row)?;
        Ok(FoundBlock::Stored(name, block.facts.clone(), content))
    }

    /// Looks for the levels of a version that holds content in blocks: here, then in the catalog.
    pub(crate) fn find_levels(&self, reader: &Reader, set: i64, name: Name) -> Result<FoundLevels> {
        if let Some((levels, _)) = self.levels.get(&name) {
            return Ok(FoundLevels::Unpacked(levels));
        }
        let stored = content::without_blocks(reader, set, name.1)?;
        Ok(FoundLevels::Stored(name, stored))
    }

    /// A document of one instance of a series; of none without a block. With the lease for it. Blocks.
    pub(crate) fn instance(
        &self,
        levels: FoundLevels,
        block: Option<FoundBlock>,
        (series, sop): (&str, &str),
    ) -> Result<(Document, MemoryLease)> {
        let needed = levels.needs() + block.as_ref().map_or(0, FoundBlock::needs);
        let mut lease = MemoryBudget::process().document_blocking(needed);
        let levels = self.open_levels(levels)?;
        let mut instances = BTreeMap::new();
        if let Some(block) = block {
            let found = self.open(block)?.instance(sop)?;
            instances.insert(sop.to_owned(), found.ok_or_else(damaged)?);
        }
        let document = with_instances(&levels, series, instances);
        lease.resize(size(&document) as u64);
        Ok((document, lease))
    }

    /// A document of instances of a block, by their positions in it, with the lease for it. Blocks.
    pub(crate) fn instances(
        &self,
        levels: &Document,
        row: &BlockRow,
        block: FoundBlock,
        positions: Range<usize>,
    ) -> Result<(Document, MemoryLease)> {
        let BlockFacts { length, series_instance_uid, .. } = &row.facts;
        let needed = block.needs() + UNPACKED * length + size(levels) as u64;
        let mut lease = MemoryBudget::process().document_blocking(needed);
        let instances = self.open(block)?.instances(positions)?;
        let document = with_instances(levels, series_instance_uid, instances);
        lease.resize(size(&document) as u64);
        Ok((document, lease))
    }

    /// Unpacks a block, and keeps it for the next time if there is memory to spare. The caller has a lease for it.
    fn open(&self, found: FoundBlock) -> Result<Arc<BlockText>> {
        let (name, facts, content) = match found {
            FoundBlock::Unpacked(text) => return Ok(text),
            FoundBlock::Stored(name, facts, content) => (name, facts, content),
        };
        self.in_use.open(&name, || {
            let text = Arc::new(BlockText::read(&facts, &content)?);
            let size = text.size();
            if let Some(lease) = MemoryBudget::process().spare(size as u64) {
                self.texts.insert(name.clone(), (Arc::clone(&text), Arc::new(lease)), size);
                MemoryBudget::process().shed();
            }
            Ok(text)
        })
    }

    /// As [`Self::open`], of levels.
    pub(crate) fn open_levels(&self, found: FoundLevels) -> Result<Arc<Document>> {
        let (name, stored) = match found {
            FoundLevels::Unpacked(levels) => return Ok(levels),
            FoundLevels::Stored(name, stored) => (name, stored),
        };
        let levels = Arc::new(unpack(&stored)?);
        let size = size(&levels);
        if let Some(lease) = MemoryBudget::process().spare(size as u64) {
            self.levels.remove_if(|known| known.0 == name.0 && known.1 <= name.1);
            self.levels.insert(name, (Arc::clone(&levels), Arc::new(lease)), size);
            MemoryBudget::process().shed();
        }
        Ok(levels)
    }

    /// Removes what is cached of an image set.
    pub(crate) fn forget(&self, id: &ImageSetId) {
        self.texts.remove_if(|name| name.0 == *id);
        self.levels.remove_if(|name| name.0 == *id);
    }
}

/// The levels above a series, with instances of it; without the series if the levels lack it.
fn with_instances(
    levels: &Document,
    series: &str,
    instances: BTreeMap<String, Instance>,
) -> Document {
    let (patient, study) = (levels.patient.clone(), levels.study.clone());
    let found = levels.series.get(series).map(|found| {
        let attributes = found.attributes.clone();
        (series.to_owned(), Series { attributes, instances })
    });
    Document { patient, study, series: found.into_iter().collect() }
}
