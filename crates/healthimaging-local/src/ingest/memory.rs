//! Leases of imports on the memory budget of the process.

use healthimaging::{MemoryBudget, MemoryLease};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::file::StoredFile;
use super::outcome::Refusal;

/// Memory for a header; most take a hundredth. One that takes more is read again, with more.
pub(super) const HEADER: u64 = 8 << 20;
/// Memory that a file of a group takes until the group is written down, before that is known.
const FILE: u64 = 32 << 10;
/// Memory for the files of a group; more if [`FILE`] for each file is more.
const GROUP: u64 = 256 << 20;

/// The groups whose files may have large headers: one at a time.
static LARGE: Semaphore = Semaphore::const_new(1);

/// Memory of the headers of a group, from when they are read until the group is written down.
#[derive(Debug)]
pub(crate) struct GroupMemory {
    bytes: u64,
    files: u64,
    lease: MemoryLease,
}

/// The right of a group to have files with large headers.
#[derive(Debug, Default)]
pub(crate) struct LargeHeaders(OnceCell<Option<SemaphorePermit<'static>>>);

impl LargeHeaders {
    /// For a header that is not kept.
    pub(crate) fn granted() -> Self {
        Self(OnceCell::new_with(Some(None)))
    }

    /// Waits until no other group has the right.
    pub(super) async fn begin(&self) {
        // Never closed.
        self.0.get_or_init(|| async { LARGE.acquire().await.ok() }).await;
    }
}

impl GroupMemory {
    /// Waits until there is memory for a group of so many files.
    pub(crate) async fn begin(files: usize) -> Self {
        let bytes = (files as u64).saturating_mul(FILE);
        let lease = MemoryBudget::process().document(bytes).await;
        Self { bytes: 0, files: 0, lease }
    }

    /// Adds a file; refuses one for which the group has no memory left.
    pub(crate) fn add(&mut self, file: StoredFile) -> Result<StoredFile, Refusal> {
        let bytes = self.bytes.saturating_add(file.memory);
        if bytes > GROUP.max(self.files.saturating_mul(FILE)) {
            return Err(Refusal::invalid(format!(
                "the metadata of its image set would take more than {GROUP} bytes of memory; import \
                 fewer files with so many elements in one series"
            )));
        }
        (self.bytes, self.files) = (bytes, self.files + 1);
        if bytes > self.lease.bytes() {
            self.lease.resize(bytes);
        }
        Ok(file)
    }

    /// Makes room for the document that the files join.
    pub(super) fn add_document(&mut self, bytes: u64) {
        self.lease.resize(self.lease.bytes().saturating_add(bytes));
    }
}
