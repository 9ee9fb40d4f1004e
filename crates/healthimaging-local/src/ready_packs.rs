//! Packs that are made before they are needed, so that a request which waits for its instance to be durable syncs
//! one file of frames, and no folder.

use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use healthimaging::random_hex;
use healthimaging_packs::{PackFolder, PackId, PackWriter};

use crate::error::Result;
use crate::sync::locked;

/// Packs that are made together, in one folder.
const TOGETHER: usize = 16;
/// More are made when there are fewer than this.
const FEW: usize = 8;

/// Empty packs that have their places. Each has its lock; those of a process that is killed are swept.
#[derive(Debug, Default)]
pub(crate) struct ReadyPacks {
    packs: Mutex<Vec<PackWriter>>,
    is_filling: AtomicBool,
}

impl ReadyPacks {
    /// One of the packs, if there is any.
    pub(crate) fn take(&self) -> Option<PackWriter> {
        locked(&self.packs).pop()
    }

    /// Whether more should be made.
    pub(crate) fn are_few(&self) -> bool {
        locked(&self.packs).len() < FEW
    }

    /// Makes more if there are few, unless another thread does. Blocks.
    pub(crate) fn fill(&self, folder: &PackFolder) -> Result<()> {
        if !self.are_few() || self.is_filling.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let made = new_ids().and_then(|ids| Ok(folder.prepare(ids)?));
        let made = made.map(|made| locked(&self.packs).extend(made));
        self.is_filling.store(false, Ordering::SeqCst);
        made
    }

    /// Removes the packs. Blocks.
    pub(crate) fn clear(&self) {
        let packs = mem::take(&mut *locked(&self.packs));
        packs.into_iter().for_each(PackWriter::discard);
    }
}

/// IDs of packs that lie in one folder: it is named by the first two digits.
fn new_ids() -> Result<Vec<PackId>> {
    let first = random_hex()?;
    let folder = first.get(..2).unwrap_or("00");
    let ids = (0..TOGETHER).map(|_| {
        let random = random_hex()?;
        Ok(PackId(format!("{folder}{}", random.get(2..).unwrap_or_default())))
    });
    ids.collect()
}
