//! Documents in memory, within the budget of the process. Recently read ones are cached, so that frames
//! are found by their UIDs without unpacking a document again. The cache is bounded, and is read only
//! after the catalog has shown that the version exists.

use std::fmt;
use std::io::Read;
use std::ops::{Deref, DerefMut, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use flate2::read::GzDecoder;
use healthimaging::{Cache, DatastoreId, ImageSetId, MemoryBudget, MemoryLease};
use healthimaging_dicom::{Attributes, Document, Instance};
use serde_json::Value;

use crate::catalog::Reader;
use crate::catalog::blocks::{self, BlockRow, InstanceBlock};
use crate::catalog::content::{self, StoredContent};
use crate::catalog::deflate;
use crate::catalog::documents::{self as stored_content, served};
use crate::catalog::image_sets::{ImageSetRow, VersionRow};
use crate::error::Result;
use crate::open_blocks::{FoundBlock, FoundLevels, OpenBlocks};
use crate::single_flight::SingleFlight;

/// Memory of cached documents, in bytes.
const CACHED: usize = 64 << 20;
/// Memory of cached documents of earlier forms, as they are served, in bytes.
const CACHED_CONVERTED: usize = 16 << 20;
/// Approximate memory of a value or key beside its text.
const EACH: usize = 100;
/// How many times larger a document is in memory than as JSON, for most.
pub(crate) const UNPACKED: u64 = 8;
/// Bytes of JSON of a small document.
const SMALL: u64 = 1 << 20;
/// Memory of a key with its value, of an object, and of one of several values.
const PAIR: u64 = 220;
const VALUE: u64 = 104;
const OBJECT: usize = 260;

/// A document in memory, with the lease for it.
pub(crate) struct OpenDocument {
    document: Arc<Document>,
    // Last, so that it ends after what it is for.
    lease: MemoryLease,
}

impl fmt::Debug for OpenDocument {
    /// Leaves the document out: it is patient data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenDocument").finish_non_exhaustive()
    }
}

impl Deref for OpenDocument {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.document
    }
}

impl DerefMut for OpenDocument {
    fn deref_mut(&mut self) -> &mut Document {
        Arc::make_mut(&mut self.document)
    }
}

impl OpenDocument {
    /// The document to be changed or joined, and the lease to hold as long.
    pub(crate) fn into_parts(self) -> (Document, MemoryLease) {
        (Arc::unwrap_or_clone(self.document), self.lease)
    }

    fn unpacked(stored: &StoredContent, mut lease: MemoryLease) -> Result<Self> {
        let document = stored_content::unpack(stored)?;
        lease.resize(size(&document) as u64);
        Ok(Self { document: Arc::new(document), lease })
    }
}

/// Unpacks a document when there is memory for it. Blocks; with a document open already, or in a write
/// transaction, call [`unpack_at_once`].
pub(crate) fn unpack(stored: &StoredContent) -> Result<OpenDocument> {
    let lease = MemoryBudget::process().document_blocking(about(stored));
    OpenDocument::unpacked(stored, lease)
}

/// As [`unpack`], without waiting for memory.
pub(crate) fn unpack_at_once(stored: &StoredContent) -> Result<OpenDocument> {
    let lease = MemoryBudget::process().document_at_once(about(stored));
    OpenDocument::unpacked(stored, lease)
}

/// Memory that unpacking takes, about. Of a large document, which may be all short values, attributes, items
/// and values are counted.
fn about(stored: &StoredContent) -> u64 {
    let blocks = stored.blocks.as_deref().unwrap_or_default();
    let of_blocks = blocks.iter().map(|(row, _)| row.facts.length).sum::<u64>();
    let length = stored_content::text_length(stored) + of_blocks;
    if length <= SMALL {
        return length * (UNPACKED + 1);
    }
    let mut counts = [0_u64; 256];
    let mut count = |text: &[u8]| {
        for &byte in text {
            if let Some(count) = counts.get_mut(usize::from(byte)) {
                *count += 1;
            }
        }
    };
    let mut text = GzDecoder::new(&stored.document[..]);
    let mut piece = vec![0; 64 << 10];
    // What is damaged is found when it is unpacked.
    while let Ok(read @ 1..) = text.read(&mut piece) {
        count(piece.get(..read).unwrap_or_default());
    }
    for (row, content) in blocks {
        piece.clear();
        let facts = &row.facts;
        if deflate::expand(&content.document, facts.length, facts.crc32, &mut piece).is_some() {
            count(&piece);
        }
    }
    let count = |byte: u8| counts.get(usize::from(byte)).copied().unwrap_or_default();
    2 * length + PAIR * count(b':') + OBJECT as u64 * count(b'{') + VALUE * count(b',')
}

/// The content of a version never changes, so its name is enough: the image set, and the version that
/// holds the content.
pub(crate) type Name = (ImageSetId, u32);

/// Recently read documents.
#[derive(Debug)]
pub(crate) struct Documents {
    unpacked: Arc<Cache<Name, Arc<OpenDocument>>>,
    /// Those that are read now: a large one is unpacked once for all concurrent readers.
    in_use: SingleFlight<Name, OpenDocument>,
    /// Of those in blocks.
    pub(crate) blocks: OpenBlocks,
    /// Those of earlier forms, as they are served.
    converted: Cache<Name, Bytes>,
    /// Number of the store among those that this process opened: a restored backup has the same names.
    store: u64,
}

impl Default for Documents {
    fn default() -> Self {
        static OPENED: AtomicU64 = AtomicU64::new(0);
        let unpacked = Arc::new(Cache::new(CACHED));
        let cache: Weak<Cache<_, _>> = Arc::downgrade(&unpacked);
        MemoryBudget::process().add_cache(cache);
        Self {
            unpacked,
            in_use: SingleFlight::default(),
            blocks: OpenBlocks::default(),
            converted: Cache::new(CACHED_CONVERTED),
            store: OPENED.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// The document of a version, or what it is to be unpacked from.
#[derive(Debug)]
pub(crate) enum Found {
    Unpacked(Arc<OpenDocument>),
    Stored(Name, StoredContent),
}

/// The document of an instance, or what it is to be unpacked from: of a document in blocks, the levels and the
/// block that has the instance.
#[derive(Debug)]
pub(crate) enum FoundInstance {
    Whole(Found),
    Block(FoundLevels, Option<FoundBlock>),
}

impl Documents {
    /// Looks for the document of a version: here, then in the catalog. `None` when it has none.
    pub(crate) fn find(
        &self,
        reader: &Reader,
        set: &ImageSetRow,
        version: &VersionRow,
    ) -> Result<Option<Found>> {
        let Some(holder) = version.content_version else {
            return Ok(None);
        };
        let name = (set.id.clone(), holder);
        if let Some(document) = self.unpacked.get(&name) {
            return Ok(Some(Found::Unpacked(document)));
        }
        let stored = content::stored(reader, set.row, version)?;
        Ok(stored.map(|stored| Found::Stored(name, stored)))
    }

    /// Unpacks what was found when there is memory for it, and keeps it for the next time. Outside of
    /// transactions: it takes milliseconds. Blocks.
    pub(crate) fn open(&self, found: Found) -> Result<Arc<OpenDocument>> {
        let (name, stored) = match found {
            Found::Unpacked(document) => return Ok(document),
            Found::Stored(name, stored) => (name, stored),
        };
        self.in_use.open(&name, || Ok(self.insert_unpacked(&name, unpack(&stored)?)))
    }

    /// As [`Self::open`] for a caller that holds a lease of a document already: waits neither for memory nor
    /// for another reader of the document, which may be waiting for memory.
    pub(crate) fn open_at_once(&self, found: Found) -> Result<Arc<OpenDocument>> {
        let (name, stored) = match found {
            Found::Unpacked(document) => return Ok(document),
            Found::Stored(name, stored) => (name, stored),
        };
        self.in_use
            .open_at_once(&name, || Ok(self.insert_unpacked(&name, unpack_at_once(&stored)?)))
    }

    fn insert_unpacked(&self, name: &Name, document: OpenDocument) -> Arc<OpenDocument> {
        let document = Arc::new(document);
        self.insert(name.clone(), Arc::clone(&document));
        document
    }

    /// Looks for an instance in the document of a version: here, then in the catalog. `None` when the version
    /// has no document.
    pub(crate) fn find_instance(
        &self,
        reader: &Reader,
        set: &ImageSetRow,
        version: &VersionRow,
        uids: (&str, &str),
    ) -> Result<Option<FoundInstance>> {
        let whole = || Ok(self.find(reader, set, version)?.map(FoundInstance::Whole));
        let Some(holder) = version.content_version else { return Ok(None) };
        let name = (set.id.clone(), holder);
        if self.unpacked.get(&name).is_some() || blocks::count(reader, set.row, holder)?.is_none() {
            return whole();
        }
        let block = match blocks::of_instance(reader, (set.row, holder), uids)? {
            InstanceBlock::Unknown => return whole(),
            InstanceBlock::NoInstance => None,
            InstanceBlock::Block(row) => Some(self.blocks.find(reader, &set.id, &row)?),
        };
        let levels = self.blocks.find_levels(reader, set.row, name)?;
        Ok(Some(FoundInstance::Block(levels, block)))
    }

    /// A document that has the levels above an instance, and that instance. Outside of transactions. Blocks.
    pub(crate) fn open_instance(
        &self,
        found: FoundInstance,
        uids: (&str, &str),
    ) -> Result<Arc<OpenDocument>> {
        let (levels, block) = match found {
            FoundInstance::Whole(found) => return self.open(found),
            FoundInstance::Block(levels, block) => (levels, block),
        };
        let (document, lease) = self.blocks.instance(levels, block, uids)?;
        Ok(Arc::new(OpenDocument { document: Arc::new(document), lease }))
    }

    /// A document that has the levels, and instances of a block by their positions in it. Blocks.
    pub(crate) fn open_block(
        &self,
        levels: &Document,
        row: &BlockRow,
        block: FoundBlock,
        positions: Range<usize>,
    ) -> Result<Arc<OpenDocument>> {
        let (document, lease) = self.blocks.instances(levels, row, block, positions)?;
        Ok(Arc::new(OpenDocument { document: Arc::new(document), lease }))
    }

    /// Names a document as it is served by this store.
    pub(crate) fn served_name(&self, (id, holder): &Name) -> String {
        format!("{}/{id}/{holder}", self.store)
    }

    /// A document of an earlier form, or in blocks, as it is served: JSON, gzip. Blocks.
    pub(crate) fn served(
        &self,
        stored: &StoredContent,
        datastore: &DatastoreId,
        name: Name,
    ) -> Result<Bytes> {
        if stored.blocks.is_some() {
            return Ok(stored_content::served_blocks(stored, datastore, &name.0)?.into());
        }
        if let Some(known) = self.converted.get(&name) {
            return Ok(known);
        }
        let served = Bytes::from(served(&*unpack(stored)?, datastore, &name.0)?);
        self.converted.insert(name, served.clone(), served.len());
        Ok(served)
    }

    /// The document for a writer, which makes another version of it and has a lease for both.
    pub(crate) fn take(&self, found: Found, id: &ImageSetId) -> Result<Document> {
        match found {
            Found::Unpacked(open) => {
                self.forget(id);
                Ok(match Arc::try_unwrap(open) {
                    Ok(open) => Arc::unwrap_or_clone(open.document),
                    Err(shared) => Document::clone(&shared),
                })
            }
            Found::Stored(_, stored) => stored_content::unpack(&stored),
        }
    }

    /// Caches a document in place of older versions, which are rarely read again, if there is memory to
    /// spare.
    pub(crate) fn keep(&self, name: Name, document: Arc<Document>) {
        let lease = MemoryBudget::process().spare(size(&document) as u64);
        if let Some(lease) = lease {
            self.insert(name, Arc::new(OpenDocument { document, lease }));
        }
    }

    fn insert(&self, name: Name, document: Arc<OpenDocument>) {
        self.unpacked.remove_if(|known| known.0 == name.0 && known.1 <= name.1);
        let size = size(&document);
        self.unpacked.insert(name, document, size);
        MemoryBudget::process().shed();
    }

    /// Removes the documents of an image set from the caches.
    pub(crate) fn forget(&self, id: &ImageSetId) {
        self.unpacked.remove_if(|name| name.0 == *id);
        self.converted.remove_if(|name| name.0 == *id);
        self.blocks.forget(id);
    }
}

/// Memory that a document takes, about.
pub(crate) fn size(document: &Document) -> usize {
    let series = document.series.values();
    let of_series = series.map(|series| {
        let instances = series.instances.values();
        size_of_attributes(&series.attributes) + instances.map(size_of_instance).sum::<usize>()
    });
    let above = [&document.patient, &document.study].map(size_of_attributes);
    above.iter().sum::<usize>() + of_series.sum::<usize>()
}

/// Memory that the attributes of a series and of the levels above take, about.
pub(crate) fn size_of_levels(document: &Document, series: &str) -> usize {
    let series = document.series.get(series).map(|series| &series.attributes);
    let levels = [&document.patient, &document.study].into_iter().chain(series);
    levels.map(size_of_attributes).sum()
}

/// Attributes of an instance, with those of the levels above, that take more than `most` bytes of memory each.
pub(crate) fn large_attributes<'a>(
    document: &'a Document,
    series: &str,
    sop: &str,
    most: usize,
) -> impl Iterator<Item = &'a str> {
    let of_series = document.series.get(series).map(|series| &series.attributes);
    let of_instance = document.instance(series, sop).map(|instance| &instance.attributes);
    let levels = [Some(&document.patient), Some(&document.study), of_series, of_instance];
    let all = levels.into_iter().flatten().flatten();
    all.filter(move |(_, value)| size_of_value(value) > most).map(|(key, _)| key.as_str())
}

/// Memory that an instance takes, about.
pub(crate) fn size_of_instance(instance: &Instance) -> usize {
    let details = &instance.details;
    let kept = details.texts.iter().map(|(path, text)| path.len() + text.len() + EACH);
    let others = instance.vrs.len() + details.vrs.len() + details.bulk_data.len();
    let frames = (instance.frames.len() + others) * EACH;
    size_of_attributes(&instance.attributes) + frames + kept.sum::<usize>() + EACH
}

/// Memory that attributes take, about.
pub(crate) fn size_of_attributes(attributes: &Attributes) -> usize {
    let each = attributes.iter();
    each.map(|(key, value)| EACH + key.len() + size_of_value(value)).sum()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => EACH + text.len(),
        Value::Array(values) => EACH + values.iter().map(size_of_value).sum::<usize>(),
        Value::Object(attributes) => EACH + OBJECT + size_of_attributes(attributes),
        Value::Null | Value::Bool(_) | Value::Number(_) => EACH,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::quotas::Quotas;
    use crate::sync::locked;

    #[test]
    fn a_reader_that_holds_a_lease_does_not_wait_for_another_reader() {
        let json = br#"{"Patient":{"DICOM":{"PatientID":"P"}},"Study":{"DICOM":{},"Series":{}}}"#;
        let document = Document::from_json(json, BTreeMap::new()).unwrap();
        let (datastore, set) = ("0".repeat(32).parse().unwrap(), "1".repeat(32).parse().unwrap());
        let content = stored_content::pack(&document, &datastore, &set, &Quotas::NONE).unwrap();
        let stored = StoredContent {
            document: content.document,
            details: content.details,
            checked: true,
            blocks: None,
        };
        let (documents, name) = (Documents::default(), (set, 1));
        // Another reader unpacks it, and may be waiting for memory.
        let flight = documents.in_use.flight(&name);
        let _unpacking = locked(&flight);
        let open = documents.open_at_once(Found::Stored(name, stored)).unwrap();
        assert_eq!(open.patient["PatientID"], "P");
    }
}
