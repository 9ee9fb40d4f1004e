//! Cache of unpacked documents, by the name of their content or, if the back end gives none, by the bytes that were sent: a
//! document is asked for by each call, and read or unpacked only if it changed. A conversation asks for an outline, then for parts, then for pictures of its frames.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use healthimaging_dicom::DocumentText;

/// Capacity, in bytes of JSON. A longer document is kept alone: a series of 10,000 slices has one, and is scrolled through.
const CAPACITY: usize = 16 << 20;

/// What shows that a document is the same as before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    Name(Arc<str>),
    Packed(Bytes),
}

type Entry = (Key, Arc<DocumentText>);

/// The least recently used first.
static CACHE: Mutex<VecDeque<Entry>> = Mutex::new(VecDeque::new());

fn cache() -> MutexGuard<'static, VecDeque<Entry>> {
    CACHE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The document of a name, or that was sent as these bytes.
pub(super) fn get(key: &Key) -> Option<Arc<DocumentText>> {
    let mut cache = cache();
    let place = cache.iter().position(|(known, _)| known == key)?;
    let entry = cache.remove(place)?;
    let found = Arc::clone(&entry.1);
    cache.push_back(entry);
    Some(found)
}

/// Keeps a document in place of those that were used least recently.
pub(super) fn insert(key: Key, document: DocumentText) -> Arc<DocumentText> {
    let document = Arc::new(document);
    let size = document.text().len();
    let mut cache = cache();
    let mut used: usize = cache.iter().map(|(_, one)| one.text().len()).sum();
    while used + size > CAPACITY
        && let Some((_, oldest)) = cache.pop_front()
    {
        used -= oldest.text().len();
    }
    cache.push_back((key, Arc::clone(&document)));
    document
}

/// Gives the memory of all documents back.
pub fn forget() {
    cache().clear();
}
