//! Documents that were read lately: a frame that is asked for by its UIDs does not have one unpacked
//! again. What is kept is bounded, and is looked at only after the catalogue has said that the version
//! is there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use healthimaging::ImageSetId;
use healthimaging_dicom::{Attributes, Document};
use rusqlite::Connection;
use serde_json::Value;

use crate::error::Result;
use crate::index::content::{self, StoredContent};
use crate::index::image_sets::{ImageSetRow, VersionRow};
use crate::ingest::content::unpack;

/// Memory that is kept, in bytes.
const MOST: usize = 64 << 20;
/// What a value or a key takes beside its text, about.
const EACH: usize = 100;

/// The content of a version never changes, so its name is enough: the image set, and the version that
/// holds the content.
type Name = (ImageSetId, u32);

/// Documents that were read lately, the longest unused of which is dropped when there are too many.
#[derive(Debug, Default)]
pub(crate) struct Documents(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    documents: HashMap<Name, Entry>,
    size: usize,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    document: Arc<Document>,
    size: usize,
    last_use: u64,
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
        if let Some(document) = self.held().touch(&name) {
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

    /// Keeps a document for the next time.
    pub(crate) fn keep(&self, name: Name, document: Arc<Document>) {
        let size = size(&document);
        self.held().keep(name, document, size, MOST);
    }

    /// Forgets what an image set held.
    pub(crate) fn forget(&self, id: &ImageSetId) {
        self.held().remove(|name| name.0 == *id);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    each.map(|(key, value)| EACH + key.len() + size_of_value(value))
        .sum()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => EACH + text.len(),
        Value::Array(values) => EACH + values.iter().map(size_of_value).sum::<usize>(),
        Value::Object(attributes) => EACH + size_of_attributes(attributes),
        Value::Null | Value::Bool(_) | Value::Number(_) => EACH,
    }
}

impl Held {
    fn touch(&mut self, name: &Name) -> Option<Arc<Document>> {
        self.uses += 1;
        let entry = self.documents.get_mut(name)?;
        entry.last_use = self.uses;
        Some(Arc::clone(&entry.document))
    }

    fn keep(&mut self, name: Name, document: Arc<Document>, size: usize, most: usize) {
        if size > most {
            return;
        }
        self.uses += 1;
        let entry = Entry {
            document,
            size,
            last_use: self.uses,
        };
        // An older version of the same set is hardly asked for again.
        self.remove(|held| held.0 == name.0 && held.1 <= name.1);
        self.size += size;
        self.documents.insert(name, entry);
        while self.size > most {
            let oldest = self.documents.values().map(|entry| entry.last_use).min();
            let Some(oldest) = oldest else { break };
            self.remove_if(|_, entry| entry.last_use == oldest);
        }
    }

    fn remove(&mut self, of: impl Fn(&Name) -> bool) {
        self.remove_if(|name, _| of(name));
    }

    fn remove_if(&mut self, is_unwanted: impl Fn(&Name, &Entry) -> bool) {
        let mut freed = 0;
        self.documents.retain(|name, entry| {
            let unwanted = is_unwanted(name, entry);
            freed += if unwanted { entry.size } else { 0 };
            !unwanted
        });
        self.size -= freed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(digit: char, version: u32) -> Name {
        let id = digit.to_string().repeat(32);
        (ImageSetId::try_from(id).unwrap(), version)
    }

    #[test]
    fn the_longest_unused_go_and_the_sum_stays_within_bounds() {
        let mut held = Held::default();
        for digit in ['a', 'b', 'c'] {
            held.keep(name(digit, 1), Arc::default(), 30, 100);
        }
        assert!(held.touch(&name('a', 1)).is_some());
        held.keep(name('d', 1), Arc::default(), 30, 100);
        assert!(held.touch(&name('b', 1)).is_none(), "the longest unused");
        assert!(held.touch(&name('a', 1)).is_some());
        assert_eq!(held.size, 90);
        held.keep(name('e', 1), Arc::default(), 101, 100);
        assert!(held.touch(&name('e', 1)).is_none(), "too large by itself");
        assert_eq!((held.size, held.documents.len()), (90, 3));
    }

    #[test]
    fn a_newer_version_replaces_the_older_one() {
        let mut held = Held::default();
        held.keep(name('a', 1), Arc::default(), 30, 100);
        held.keep(name('a', 2), Arc::default(), 40, 100);
        assert!(held.touch(&name('a', 1)).is_none());
        assert_eq!(held.size, 40);
        held.remove(|held| held.0 == name('a', 1).0);
        assert_eq!((held.size, held.documents.len()), (0, 0));
    }
}
