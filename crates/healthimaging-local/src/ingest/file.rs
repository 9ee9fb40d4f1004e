//! One DICOM file: header, then pixels, into a pack.

use std::io::{Read, Seek};
use std::sync::Arc;

use healthimaging::model::LosslessStorageFormat;
use healthimaging_dicom::{
    ApartValue, Document, GroupKey, Part10, ReadLimits, SplitInstance, read_part10,
};
use healthimaging_pixels::LosslessFormat;

use super::checks;
use super::memory::{Budget, Memory};
use super::outcome::{Failure, Refusal, Warning};
use super::overrides::Overrides;
use super::pixels::{self, PixelPlan};
use super::recognize;
use super::sink::Sink;
use crate::config::Grouping;
use crate::index::packs::{BlobKind, BlobPlace};

/// A file whose header has been read.
#[derive(Debug)]
pub(crate) struct OpenFile<S> {
    part10: Part10<S>,
    split: SplitInstance,
    plan: PixelPlan,
}

/// A file that is in the pack, ready to join an image set.
#[derive(Debug)]
pub(crate) struct StoredFile {
    pub(crate) split: SplitInstance,
    pub(crate) blobs: Vec<BlobPlace>,
    pub(crate) warnings: Vec<Warning>,
}

/// What grouping needs to know of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) group: GroupKey,
    pub(crate) sop_class_uid: Option<String>,
    pub(crate) sop_instance_uid: String,
}

impl<S: Read + Seek> OpenFile<S> {
    /// Reads a header from anything that can be sought in; no buffer is needed. Blocks.
    pub(crate) fn of(mut source: S, overrides: &Overrides) -> Result<Self, Refusal> {
        let start = recognize::start_of(&mut source)
            .map_err(|error| Refusal::fault(format!("the file could not be read: {error}")))?;
        let read = read_part10(source, &ReadLimits::default());
        let mut part10 = read.map_err(|error| recognize::refusal(error, &start))?;
        overrides.apply(&mut part10.data_set)?;
        let split = Document::new_instance(&part10.meta, &part10.data_set);
        checks::is_nameable(&split)?;
        let plan = PixelPlan::of(&part10)?;
        Ok(Self { part10, split, plan })
    }

    /// What grouping needs to know.
    pub(crate) fn header(&self, grouping: Grouping) -> Header {
        let class = self.split.instance.attributes.get("SOPClassUID");
        Header {
            group: match grouping {
                Grouping::Service => self.split.group_key(),
                Grouping::Strict => self.split.strict_group_key(),
            },
            sop_class_uid: class.and_then(|uid| uid.as_str()).map(str::to_owned),
            sop_instance_uid: self.split.sop_uid.clone(),
        }
    }

    /// Memory that [`Self::store`] takes at most, beside the header.
    pub(crate) fn memory(&self) -> Memory {
        let apart = self.split.apart.iter().map(|apart| apart.length);
        let longest = Memory(apart.max().unwrap_or_default());
        self.plan.memory().max(longest)
    }

    /// Puts everything large into the pack. Blocks; frames are encoded by the threads of rayon.
    pub(crate) fn store(
        mut self,
        format: LosslessFormat,
        sink: &Sink,
    ) -> Result<StoredFile, Failure> {
        let mut blobs = Vec::new();
        for apart in std::mem::take(&mut self.split.apart) {
            if apart.length > pixels::LARGEST {
                return Err(Refusal::invalid(format!(
                    "a value of {} bytes is too long to be kept, the limit is {}",
                    apart.length,
                    pixels::LARGEST
                ))
                .into());
            }
            let bytes = self.part10.read_apart(apart.offset, apart.length);
            let bytes = bytes.map_err(|error| Refusal::fault(format!("cannot read: {error}")))?;
            let blob = sink.put(BlobKind::Bulk, None, &bytes)?;
            let value = ApartValue { blob_id: blob.id.clone(), length: apart.length, vr: apart.vr };
            let details = &mut self.split.instance.details;
            details.apart.insert(apart.path, value);
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
        Ok(StoredFile { split: self.split, blobs, warnings })
    }
}

/// Puts everything large of a file into the pack, when there is memory for it.
pub(crate) async fn store<S: Read + Seek + Send + 'static>(
    file: OpenFile<S>,
    format: LosslessFormat,
    sink: &Arc<Sink>,
    budget: &Budget,
) -> Result<StoredFile, Failure> {
    let _room = budget.take(file.memory()).await;
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
