//! Documents that were read lately: one that is asked for again is fetched again, and unpacked only if it
//! changed. A conversation asks for an outline, then for parts, then for pictures of its frames.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Document;

/// Kept at most, in bytes of JSON.
const ROOM: usize = 16 << 20;

/// The oldest first.
static LATELY: Mutex<VecDeque<Arc<Document>>> = Mutex::new(VecDeque::new());

/// The document that came as these bytes.
pub(super) fn known(packed: &[u8]) -> Option<Arc<Document>> {
    let mut lately = LATELY.lock().unwrap_or_else(PoisonError::into_inner);
    let place = lately.iter().position(|one| one.packed == packed)?;
    let found = lately.remove(place)?;
    lately.push_back(Arc::clone(&found));
    Some(found)
}

/// Keeps a document, in the place of those that were not read for the longest time.
pub(super) fn keep(document: Document) -> Arc<Document> {
    let document = Arc::new(document);
    let size = document.text.len();
    if size <= ROOM {
        let mut lately = LATELY.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept: usize = lately.iter().map(|one| one.text.len()).sum();
        while kept + size > ROOM
            && let Some(oldest) = lately.pop_front()
        {
            kept -= oldest.text.len();
        }
        lately.push_back(Arc::clone(&document));
    }
    document
}
