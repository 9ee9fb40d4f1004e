//! Between the metadata document in memory and the bytes of a version.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use healthimaging::{DatastoreId, ImageSetId};
use healthimaging_dicom::{Document, InstanceDetails};

use crate::error::{Result, StoreError};
use crate::index::content::{Content, StoredContent, damaged};
use crate::quotas::{Quotas, within};

/// A sixth larger than with the usual effort, in a tenth of the time: each instance that joins a series
/// writes the document anew.
const EFFORT: Compression = Compression::new(3);

/// The content of a version that shows `document`.
pub(crate) fn pack(
    document: &Document,
    datastore: &DatastoreId,
    image_set: &ImageSetId,
    quotas: &Quotas,
) -> Result<Content> {
    let json = document.to_json(datastore, image_set)?;
    within(quotas.metadata_bytes, json.len() as u64, "bytes of the metadata of an image set")?;
    let details = serde_json::to_vec(&document.details()).map_err(|error| unwritable(&error))?;
    Ok(Content {
        document: zipped(&json)?,
        details: zipped(&details)?,
        attributes: document.index_attributes(),
        series_count: u32::try_from(document.series.len()).unwrap_or(u32::MAX),
        instances: document.instance_index().collect(),
    })
}

/// The document that a version shows.
pub(crate) fn unpack(stored: &StoredContent) -> Result<Document> {
    let details = unzipped(&stored.details)?;
    let details: BTreeMap<String, InstanceDetails> =
        serde_json::from_slice(&details).map_err(|_| damaged())?;
    Ok(Document::from_json(&unzipped(&stored.document)?, details)?)
}

/// Fails unless the stored bytes are as they were written.
pub(crate) fn check(stored: &StoredContent) -> Result<()> {
    if !stored.checked {
        unzipped(&stored.document)?;
    }
    Ok(())
}

fn zipped(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), EFFORT);
    let zipped = encoder.write_all(bytes).and_then(|()| encoder.finish());
    zipped.map_err(|error| unwritable(&error))
}

/// Of our own making, so its size is not limited here.
fn unzipped(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).map_err(|_| damaged())?;
    Ok(plain)
}

fn unwritable(error: &dyn std::error::Error) -> StoreError {
    StoreError::Damaged(format!("the metadata could not be written: {error}"))
}
