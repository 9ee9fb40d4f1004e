//! Documents that were read lately: a frame that is asked for by its UIDs does not have one unpacked
//! again. What is kept is bounded, and is looked at only after the catalogue has said that the version
//! is there.

use std::sync::Arc;

use bytes::Bytes;
use healthimaging::{DatastoreId, ImageSetId};
use healthimaging_dicom::{Attributes, Document};
use rusqlite::Connection;
use serde_json::Value;

use crate::error::Result;
use crate::index::content::{self, StoredContent};
use crate::index::image_sets::{ImageSetRow, VersionRow};
use crate::ingest::content::{served, unpack};
use crate::lately::Lately;

/// Memory that is kept, in bytes.
const MOST: usize = 64 << 20;
/// Memory for documents of earlier forms that are kept as they are served, in bytes.
const MOST_CONVERTED: usize = 16 << 20;
/// What a value or a key takes beside its text, about.
const EACH: usize = 100;

/// The content of a version never changes, so its name is enough: the image set, and the version that
/// holds the content.
type Name = (ImageSetId, u32);

/// Documents that were read lately.
#[derive(Debug)]
pub(crate) struct Documents {
    unpacked: Lately<Name, Arc<Document>>,
    /// Those of earlier forms, as they are served.
    converted: Lately<Name, Bytes>,
}

impl Default for Documents {
    fn default() -> Self {
        Self { unpacked: Lately::new(MOST), converted: Lately::new(MOST_CONVERTED) }
    }
}

/// The document of a version, or what it is to be unpacked from.
#[derive(Debug)]
pub(crate) enum Found {
    Unpacked(Arc<Document>),
    Stored(Name, StoredContent),
}

impl Documents {
    /// Looks for the document of a version: here, then in the catalogue. `None` when it has none.
    pub(crate) fn find(
        &self,
        connection: &Connection,
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
        let stored = content::stored(connection, set.row, version)?;
        Ok(stored.map(|stored| Found::Stored(name, stored)))
    }

    /// Unpacks what was found, and keeps it for the next time. Outside of transactions: it takes
    /// milliseconds.
    pub(crate) fn open(&self, found: Found) -> Result<Arc<Document>> {
        match found {
            Found::Unpacked(document) => Ok(document),
            Found::Stored(name, stored) => {
                let document = Arc::new(unpack(&stored)?);
                self.keep(name, Arc::clone(&document));
                Ok(document)
            }
        }
    }

    /// A document of an earlier form as it is served: JSON, gzip. Blocks.
    pub(crate) fn served(
        &self,
        stored: &StoredContent,
        datastore: &DatastoreId,
        name: Name,
    ) -> Result<Bytes> {
        if let Some(known) = self.converted.get(&name) {
            return Ok(known);
        }
        let served = Bytes::from(served(&unpack(stored)?, datastore, &name.0)?);
        self.converted.keep(name, served.clone(), served.len());
        Ok(served)
    }

    /// As [`Self::open`], for a writer, who makes another version of it.
    pub(crate) fn take(&self, found: Found, id: &ImageSetId) -> Result<Document> {
        match found {
            Found::Unpacked(document) => {
                self.forget(id);
                Ok(Arc::unwrap_or_clone(document))
            }
            Found::Stored(_, stored) => unpack(&stored),
        }
    }

    /// Keeps a document for the next time, in place of older versions, which are hardly asked for again.
    pub(crate) fn keep(&self, name: Name, document: Arc<Document>) {
        self.unpacked.forget(|known| known.0 == name.0 && known.1 <= name.1);
        let size = size(&document);
        self.unpacked.keep(name, document, size);
    }

    /// Forgets what an image set held.
    pub(crate) fn forget(&self, id: &ImageSetId) {
        self.unpacked.forget(|name| name.0 == *id);
        self.converted.forget(|name| name.0 == *id);
    }
}

/// Memory that a document takes, about.
fn size(document: &Document) -> usize {
    let series = document.series.values();
    let of_series = series.map(|series| {
        let instances = series.instances.values();
        let of_instances = instances.map(|instance| {
            let frames = (instance.frames.len() + instance.vrs.len()) * EACH;
            size_of_attributes(&instance.attributes) + frames + EACH
        });
        size_of_attributes(&series.attributes) + of_instances.sum::<usize>()
    });
    let above = [&document.patient, &document.study].map(size_of_attributes);
    above.iter().sum::<usize>() + of_series.sum::<usize>()
}

fn size_of_attributes(attributes: &Attributes) -> usize {
    let each = attributes.iter();
    each.map(|(key, value)| EACH + key.len() + size_of_value(value)).sum()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => EACH + text.len(),
        Value::Array(values) => EACH + values.iter().map(size_of_value).sum::<usize>(),
        Value::Object(attributes) => EACH + size_of_attributes(attributes),
        Value::Null | Value::Bool(_) | Value::Number(_) => EACH,
    }
}
