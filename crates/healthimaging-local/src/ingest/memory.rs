//! A bound on the bytes that all imports of a store hold at once, whatever the number of files and cores.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All of it, in KiB: 256 MiB.
const BUDGET: u32 = 256 << 10;

/// An amount of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Memory(pub(crate) u64);

/// What is left of the budget.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET as usize)))
    }
}

impl Budget {
    /// Waits until there is room; one that asks for more than all waits for all.
    pub(crate) async fn take(&self, memory: Memory) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(memory.0 >> 10).unwrap_or(BUDGET).clamp(1, BUDGET);
        // Never closed.
        Arc::clone(&self.0).acquire_many_owned(wanted).await.ok()
    }
}
