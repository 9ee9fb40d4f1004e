//! One DICOM file: header, then pixels, into a pack.

use std::io::{Read, Seek};
use std::sync::Arc;

use healthimaging::model::LosslessStorageFormat;
use healthimaging::{MemoryBudget, MemoryLease};
use healthimaging_dicom::{
    BulkElement, BulkValue, Document, GroupKey, Part10, SplitInstance, check_part10, read_part10,
};
use healthimaging_packs::{BlobKind, BlobLocation};
use healthimaging_pixels::LosslessFormat;

use super::checks;
use super::memory::HEADER;
use super::opening::{self, Reopen, Unopened};
use super::outcome::{Failure, Refusal, Warning};
use super::overrides::Overrides;
use super::pixels::{self, PixelPlan};
use super::recognize;
use super::sink::Sink;
use crate::config::Grouping;

/// A file whose header has been read.
#[derive(Debug)]
pub(crate) struct OpenFile<S> {
    part10: Part10<S>,
    split: SplitInstance,
    plan: PixelPlan,
    /// Bytes of memory of the header.
    memory: u64,
    // Last, so that it ends after what it is for.
    lease: Option<MemoryLease>,
}

/// A file that is in the pack, ready to join an image set.
#[derive(Debug)]
pub(crate) struct StoredFile {
    pub(crate) split: SplitInstance,
    pub(crate) blobs: Vec<BlobLocation>,
    pub(crate) warnings: Vec<Warning>,
    /// Bytes of memory that it takes.
    pub(crate) memory: u64,
}

/// A file that was stored as soon as it was opened, or that waits for memory.
#[derive(Debug)]
pub(crate) enum Stored<S> {
    AtOnce(Box<Result<StoredFile, Failure>>),
    Waits(Box<OpenFile<S>>),
}

/// Bytes of memory of a stored blob: its place, and its line in the document.
const BLOB: u64 = 500;

/// The part of a file that grouping needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) group: GroupKey,
    pub(crate) sop_class_uid: Option<String>,
    pub(crate) sop_instance_uid: String,
}

impl Header {
    pub(super) fn of(split: &SplitInstance, grouping: Grouping) -> Self {
        let class = split.instance.attributes.get("SOPClassUID");
        Self {
            group: match grouping {
                Grouping::Service => split.group_key(),
                Grouping::Strict => split.strict_group_key(),
            },
            sop_class_uid: class.and_then(|uid| uid.as_str()).map(str::to_owned),
            sop_instance_uid: split.sop_uid.clone(),
        }
    }
}

impl<S: Read + Seek> OpenFile<S> {
    /// Reads a file from anything that can be sought in, within the memory that is leased; no buffer is
    /// needed. Blocks.
    pub(super) fn of(
        mut source: S,
        overrides: &Overrides,
        mut lease: MemoryLease,
    ) -> Result<Self, Unopened> {
        let start = recognize::start_of(&mut source)?;
        let read = read_part10(source, &opening::limits(&lease));
        let mut part10 = read.map_err(|error| opening::refused(error, &start))?;
        overrides.apply(&mut part10.data_set)?;
        let plan = PixelPlan::of(&part10)?;
        let split = Document::new_instance(&part10.meta, std::mem::take(&mut part10.data_set));
        checks::is_nameable(&split)?;
        let memory = part10.memory;
        // What storing takes too, if that was leased for the header: then nothing has to be waited for.
        let whole = memory.saturating_add(plan.memory());
        lease.resize(if whole <= lease.bytes() { whole } else { memory });
        Ok(Self { part10, split, plan, memory, lease: Some(lease) })
    }

    /// Bytes of memory that storing takes.
    fn needs(&self) -> u64 {
        self.memory.saturating_add(self.plan.memory())
    }

    /// Puts everything large into the pack if the memory that was leased to open it is enough for that; the file
    /// again if not. Blocks; frames are encoded by the threads of rayon.
    pub(super) fn store_at_once(self, format: LosslessFormat, sink: &Sink) -> Stored<S> {
        match &self.lease {
            Some(lease) if lease.bytes() >= self.needs() => {
                Stored::AtOnce(Box::new(self.store(format, sink)))
            }
            _ => Stored::Waits(Box::new(self)),
        }
    }

    /// The part that grouping needs.
    pub(crate) fn header(&self, grouping: Grouping) -> Header {
        Header::of(&self.split, grouping)
    }

    /// Puts everything large into the pack. Blocks; frames are encoded by the threads of rayon.
    fn store(mut self, format: LosslessFormat, sink: &Sink) -> Result<StoredFile, Failure> {
        let mut blobs = Vec::new();
        for BulkElement { path, vr, offset, length } in std::mem::take(&mut self.split.bulk_data) {
            if length > pixels::LARGEST {
                return Err(Refusal::invalid(format!(
                    "a value of {length} bytes is too long to be kept, the limit is {}",
                    pixels::LARGEST
                ))
                .into());
            }
            let part10 = &mut self.part10;
            let blob = sink.put_from::<Failure>(BlobKind::Bulk, None, |out| {
                let copied = part10.read_bulk_into(offset, length, out);
                Ok(copied.map_err(|error| Refusal::fault(format!("cannot read: {error}")))?)
            })?;
            let value = BulkValue { blob_id: blob.id.clone(), length, vr };
            self.split.instance.details.bulk_data.insert(path, value);
            blobs.push(blob);
        }
        let mut warnings: Vec<Warning> =
            self.part10.warnings.iter().filter_map(Warning::of_reading).collect();
        warnings.extend(checks::warnings(&self.split));
        let target = pixels::Target {
            format,
            sink,
            instance: &mut self.split.instance,
            blobs: &mut blobs,
            warnings: &mut warnings,
        };
        pixels::store(&mut self.part10, self.plan, target)?;
        self.split.instance.details.warning_reason = Warning::shown(&warnings);
        check_part10(&self.split).map_err(|error| {
            tracing::error!(%error, "an imported instance could not be written back");
            Refusal::fault("this server could not write the instance back as a DICOM file")
        })?;
        let memory = self.memory + blobs.len() as u64 * BLOB;
        Ok(StoredFile { split: self.split, blobs, warnings, memory })
    }
}

/// Puts everything large of a file into the pack, when there is memory for it.
pub(crate) async fn store<S: Reopen>(
    mut file: OpenFile<S>,
    format: LosslessFormat,
    sink: &Arc<Sink>,
) -> Result<StoredFile, Failure> {
    let bytes = file.needs();
    match file.lease.take() {
        Some(lease) if lease.bytes() >= bytes => file.lease = Some(lease),
        // It is the only one of its size.
        Some(mut lease) if file.memory > HEADER => {
            lease.resize(bytes);
            file.lease = Some(lease);
        }
        lease => {
            drop(lease);
            file.lease = Some(MemoryBudget::process().work(bytes).await);
        }
    }
    let sink = Arc::clone(sink);
    let work = tokio::task::spawn_blocking(move || file.store(format, &sink));
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "storing a file ended unexpectedly");
        let message = "the file could not be stored because of a fault of this program";
        Err(Refusal::fault(message).into())
    })
}

/// The codec of a data store's format.
pub(crate) fn lossless_format(format: LosslessStorageFormat) -> LosslessFormat {
    match format {
        LosslessStorageFormat::Htj2k => LosslessFormat::Htj2k,
        LosslessStorageFormat::Jpeg2000Lossless => LosslessFormat::Jpeg2000,
    }
}
