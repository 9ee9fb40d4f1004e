//! What the store keeps in memory: unpacked documents, decoded frames, times of reads.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use healthimaging::{Cache, ImageFrameId, MemoryBudget, MemoryLease};
use healthimaging_pixels::FrameShape;

use crate::accesses::Accesses;
use crate::documents::Documents;

/// Memory for decoded frames, in bytes.
const DECODED: usize = 64 << 20;

/// What the store keeps in memory.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    pub(crate) accesses: Accesses,
    pub(crate) documents: Documents,
    pub(crate) frames: DecodedFrames,
}

/// The pixels of a frame, and their photometric interpretation.
pub(crate) type Decoded = (Bytes, String);

/// What a decoded frame was decoded from: a stored frame, its shape and photometric interpretation.
pub(crate) type FrameName = (ImageFrameId, FrameShape, String);

/// Recently decoded frames: viewers go back and forth.
#[derive(Debug)]
pub(crate) struct DecodedFrames(Arc<Cache<FrameName, (Decoded, Arc<MemoryLease>)>>);

impl Default for DecodedFrames {
    fn default() -> Self {
        let frames = Arc::new(Cache::new(DECODED));
        let cache: Weak<Cache<_, _>> = Arc::downgrade(&frames);
        MemoryBudget::process().add_cache(cache);
        Self(frames)
    }
}

impl DecodedFrames {
    pub(crate) fn get(&self, name: &FrameName) -> Option<Decoded> {
        self.0.get(name).map(|(decoded, _)| decoded)
    }

    /// Keeps a frame for the next time, if there is memory to spare.
    pub(crate) fn insert(&self, name: FrameName, decoded: &Decoded) {
        let size = decoded.0.len();
        if let Some(lease) = MemoryBudget::process().spare(size as u64) {
            self.0.insert(name, (decoded.clone(), Arc::new(lease)), size);
            MemoryBudget::process().shed();
        }
    }

    /// Removes all frames, as after an erasure: the names do not show which image set they were of.
    pub(crate) fn clear(&self) {
        self.0.remove_if(|_| true);
    }
}
