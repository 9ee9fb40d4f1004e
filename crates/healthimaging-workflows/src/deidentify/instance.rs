//! One instance, from a Part 10 file to a de-identified one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use healthimaging::{Body, Error, ImageFrameId, MemoryBudget, MemoryLease, Result};
use healthimaging_deidentify::{
    Deidentified, Deidentifier, HoldReason, Instance, PixelDecision, ProfileOption, Report,
};
use healthimaging_dicom::{
    BulkElement, BulkValue, Document, InstanceToWrite, Part10, PixelLayout, PixelOverrides,
    PixelSource, ReadError, ReadLimits, StoredBytes, read_part10, write_part10,
};
use healthimaging_image::ByteOrder;
use healthimaging_pixels::Decoder;
use serde::{Deserialize, Serialize};

use super::Review;
use super::blank::{Blanked, blank, has_unused_bits};
use super::spool::{self, Source, unspooled};
use crate::work::Tools;

/// Explicit VR Little Endian, in which blanked frames are written.
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
/// Memory for a header; one that needs more is read again with more.
const HEADER: u64 = 8 << 20;

/// De-identifies instances, one at a time or several at once.
#[derive(Debug, Clone)]
pub struct Instances(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    deidentifier: Deidentifier,
    review: Review,
    decoder: Decoder,
    folder: PathBuf,
}

/// What became of an instance.
#[derive(Debug)]
pub enum Processed {
    /// Its pixels or its document need a person's decision; nothing of it may be given away.
    HeldBack(HoldReason, Report),
    /// It can be given away.
    Ready(Box<ReadyInstance>),
}

/// What was done with the pixels of an instance that can be given away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelOutcome {
    /// It has none.
    Absent,
    /// They are as they were.
    Unchanged,
    /// Parts are black in every frame, and the frames are written without compression.
    Blanked,
}

/// A de-identified instance.
#[derive(Debug)]
pub struct ReadyInstance {
    /// Transfer syntax of the file.
    pub transfer_syntax_uid: String,
    /// What was done with its pixels.
    pub pixels: PixelOutcome,
    /// What was done with its attributes.
    pub report: Report,
    /// The Part 10 file.
    pub file: Body,
}

/// What is needed to write a file.
struct Prepared {
    file: Part10<BufReader<Source>>,
    document: Document,
    bulk_data: HashMap<ImageFrameId, (u64, u64)>,
    uids: [String; 2],
    report: Report,
    blanked: Option<Blanked>,
    folder: PathBuf,
    /// Ends with the data.
    _lease: MemoryLease,
}

/// What reading a file came to.
enum Opened {
    TooLarge,
    HeldBack(HoldReason, Report),
    Ready(Box<Prepared>),
}

impl Instances {
    pub(super) fn new(deidentifier: Deidentifier, review: Review, tools: &Tools) -> Self {
        let (decoder, folder) = (tools.decoder.clone(), tools.data_folder.clone());
        Self(Arc::new(Shared { deidentifier, review, decoder, folder }))
    }

    /// Returns the de-identifier.
    pub fn deidentifier(&self) -> &Deidentifier {
        &self.0.deidentifier
    }

    /// De-identifies the Part 10 file of an instance.
    ///
    /// Errors: those of `file`; `Internal` if it cannot be read, or if a fault of this server prevents that its frames
    /// are decoded.
    pub async fn process(&self, file: Body) -> Result<Processed> {
        let spool = spool::of(file, &self.0.folder).await?;
        let mut opened = Opened::TooLarge;
        for bytes in [HEADER, ReadLimits::default().header_bytes] {
            let lease = MemoryBudget::process().document(bytes).await;
            let (shared, spool) = (Arc::clone(&self.0), spool.clone());
            opened = blocking(move || shared.open(spool, lease)).await?;
            if !matches!(opened, Opened::TooLarge) {
                break;
            }
        }
        match opened {
            Opened::HeldBack(reason, report) => Ok(Processed::HeldBack(reason, report)),
            Opened::Ready(prepared) => Ok(Processed::Ready(Box::new(prepared.ready()))),
            Opened::TooLarge => Err(Error::internal(
                "an instance cannot be de-identified: its attributes take too much memory",
                "header",
            )),
        }
    }
}

impl Shared {
    /// Reads and de-identifies a file, and blanks its frames. Blocks.
    fn open(&self, mut source: Source, lease: MemoryLease) -> Result<Opened> {
        source.rewind().map_err(unspooled)?;
        let most = ReadLimits::default();
        let limits = ReadLimits { header_bytes: lease.bytes().min(most.header_bytes), ..most };
        let mut file = match read_part10(BufReader::new(source), &limits) {
            Ok(file) => file,
            Err(ReadError::TooLarge { limit }) if limit < most.header_bytes => {
                return Ok(Opened::TooLarge);
            }
            Err(error) => return Err(unreadable(error)),
        };
        let description = file.description();
        let is_cleaned = self.deidentifier.profile().has(ProfileOption::CleanPixelData);
        let has_unused_bits = match &description {
            Ok(described) if is_cleaned => has_unused_bits(&mut file, described, &self.decoder)?,
            _ => false,
        };
        let Deidentified { meta, data_set, pixels, report } =
            self.deidentifier.deidentify(Instance {
                meta: std::mem::take(&mut file.meta),
                data_set: std::mem::take(&mut file.data_set),
                has_pixels: file.pixels().is_some(),
                rectangles: self.review.blank.clone(),
                is_reviewed: self.review.is_reviewed,
                has_unused_bits,
            })?;
        let blanked = match pixels {
            PixelDecision::Absent | PixelDecision::Pass => None,
            PixelDecision::Hold(reason) => return Ok(Opened::HeldBack(reason, report)),
            PixelDecision::Blank(blanking) => {
                let blanked = match &description {
                    Ok(described) => {
                        blank(&mut file, described, &blanking, &self.decoder, &self.folder)?
                    }
                    Err(_) => None,
                };
                let Some(blanked) = blanked else {
                    return Ok(Opened::HeldBack(HoldReason::Undecodable, report));
                };
                Some(blanked)
            }
        };
        let mut split = Document::new_instance(&meta, data_set);
        let mut bulk_data = HashMap::new();
        for (number, element) in std::mem::take(&mut split.bulk_data).into_iter().enumerate() {
            let blob_id = ImageFrameId::try_from(format!("{number:032x}"))?;
            let BulkElement { path, vr, offset, length } = element;
            bulk_data.insert(blob_id.clone(), (offset, length));
            split.instance.details.bulk_data.insert(path, BulkValue { blob_id, length, vr });
        }
        if let Some(pixels) = file.pixels() {
            split.instance.details.keep_pixel_form(pixels);
        }
        let uids = [split.series_uid.clone(), split.sop_uid.clone()];
        let mut document = Document::default();
        document.add(split);
        let folder = self.folder.clone();
        Ok(Opened::Ready(Box::new(Prepared {
            file,
            document,
            bulk_data,
            uids,
            report,
            blanked,
            folder,
            _lease: lease,
        })))
    }
}

impl Prepared {
    fn ready(self) -> ReadyInstance {
        let (transfer_syntax_uid, pixels) = match &self.blanked {
            Some(_) => (EXPLICIT.to_owned(), PixelOutcome::Blanked),
            None if self.file.pixels().is_none() => {
                (self.file.transfer_syntax.clone(), PixelOutcome::Absent)
            }
            None => (self.file.transfer_syntax.clone(), PixelOutcome::Unchanged),
        };
        let (report, syntax) = (self.report.clone(), transfer_syntax_uid.clone());
        let file = Body::from_writer(None, move |out| self.write(&syntax, out));
        ReadyInstance { transfer_syntax_uid, pixels, report, file }
    }

    /// Writes the file. Blocks.
    fn write(self, transfer_syntax: &str, out: &mut dyn Write) -> Result<()> {
        let Self { file, document, bulk_data, uids, blanked, folder, _lease, .. } = self;
        let file = RefCell::new(file);
        let [series_uid, sop_uid] = &uids;
        let (pixels, overrides) = match blanked {
            Some(Blanked { frames, length, overrides }) => {
                let bytes = Box::new(BufReader::new(frames));
                let frames = std::iter::once(Ok(StoredBytes { length, bytes }));
                (PixelSource::Native { length, frames: Box::new(frames) }, overrides)
            }
            None => (unchanged(&file, &folder)?, PixelOverrides::default()),
        };
        let source = InstanceToWrite {
            document: &document,
            series_uid,
            sop_uid,
            transfer_syntax,
            overrides,
        };
        let mut fetch = |id: &ImageFrameId| {
            let (offset, length) = bulk_data.get(id).copied().unwrap_or_default();
            stored(&file, offset, length)
        };
        write_part10(&source, pixels, &mut fetch, out)
    }
}

/// The pixel data as it is in a file.
fn unchanged<'a, S: Read + Seek>(
    file: &'a RefCell<Part10<S>>,
    folder: &Path,
) -> Result<PixelSource<'a>> {
    let located = match file.borrow().pixels() {
        None => return Ok(PixelSource::None),
        Some(pixels) => match &pixels.layout {
            // The delimiter has to be added.
            PixelLayout::Encapsulated(found) if found.unterminated.is_some() => None,
            _ => Some((pixels.offset, pixels.length)),
        },
    };
    if let Some((offset, length)) = located {
        let value = Box::new(Piecewise { file, offset, left: length });
        return Ok(PixelSource::Blob { length, value });
    }
    let mut value = spool::new(folder);
    let length = file.borrow_mut().read_pixel_blob_into(&mut value).map_err(unspooled)?;
    value.rewind().map_err(unspooled)?;
    Ok(PixelSource::Blob { length, value: Box::new(value) })
}

/// A large value of a file.
fn stored<S: Read + Seek>(
    file: &RefCell<Part10<S>>,
    offset: u64,
    length: u64,
) -> Result<StoredBytes<'_>> {
    if file.borrow().byte_order() == ByteOrder::Big {
        return Ok(file.borrow_mut().read_bulk(offset, length).map_err(unspooled)?.into());
    }
    Ok(StoredBytes { length, bytes: Box::new(Piecewise { file, offset, left: length }) })
}

/// Reads a range of a file that is read elsewhere too.
struct Piecewise<'a, S> {
    file: &'a RefCell<Part10<S>>,
    offset: u64,
    left: u64,
}

impl<S: Read + Seek> Read for Piecewise<'_, S> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let length = self.left.min(to.len() as u64);
        let Some(mut to) = usize::try_from(length).ok().and_then(|end| to.get_mut(..end)) else {
            return Ok(0);
        };
        let taken = to.len();
        self.file.borrow_mut().read_bulk_into(self.offset, length, &mut to)?;
        self.offset += length;
        self.left -= length;
        Ok(taken)
    }
}

pub(crate) fn unreadable(cause: impl Into<healthimaging::Source>) -> Error {
    Error::internal("an instance cannot be read as a DICOM file", cause)
}

/// Runs work that blocks on another thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::internal("de-identification failed", cause))?
}
