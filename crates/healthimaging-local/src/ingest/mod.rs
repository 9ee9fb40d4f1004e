//! From DICOM files to image sets: read, group, encode, store. Does not depend on jobs.

mod batches;
mod checks;
mod file;
mod group;
mod joined;
mod memory;
mod opening;
mod outcome;
mod overrides;
mod pixels;
mod recognize;
mod sink;
pub(crate) mod spool;

pub(crate) use batches::{BatchKey, Batches};
pub(crate) use file::{Header, OpenFile, StoredFile, lossless_format, store};
pub(crate) use group::{Arrival, Group, Recorder};
pub(crate) use memory::{GroupMemory, LargeHeaders};
pub(crate) use opening::{NotFetched, Reopen, Unopened, header, open, open_and_store};
pub(crate) use outcome::{Failure, Imported, Outcome, Reason, Refusal, Warning};
pub(crate) use overrides::Overrides;
pub use recognize::FileKind;
pub(crate) use sink::Sink;
pub(crate) use spool::{Section, Spool};
