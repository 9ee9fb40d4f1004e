//! Storing pixel data: encoded without loss, as received, or as one blob.

mod encode;
mod plan;
mod whole;

use std::io::{self, Read, Seek, Write};

use healthimaging_dicom::{ChecksumType, FrameChecksum, ImageFrame, Instance, Part10};
use healthimaging_image::PixelDescription;
use healthimaging_packs::{BlobKind, BlobLocation};
use healthimaging_pixels::{LosslessFormat, lacks_end};

use super::outcome::{Failure, Reason, Warning};
use super::sink::Sink;

pub(super) use plan::PixelPlan;

/// Native pixel data in little endian, whatever encoded the data set around it.
pub(super) const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// The largest frame, pixel data kept whole, or other value that is taken.
pub(super) const LARGEST: u64 = 2 << 30;

/// Warning about a frame that decodes all the same.
const WITHOUT_END: &str = "a frame lacks the marker that ends its stream";

/// Where the pixels of an instance go.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) format: LosslessFormat,
    pub(super) sink: &'a Sink,
    pub(super) instance: &'a mut Instance,
    pub(super) blobs: &'a mut Vec<BlobLocation>,
    pub(super) warnings: &'a mut Vec<Warning>,
}

/// Stores the pixels of a file as planned, and describes them in the instance. Blocks.
pub(super) fn store<S: Read + Seek>(
    part10: &mut Part10<S>,
    plan: PixelPlan,
    mut target: Target<'_>,
) -> Result<(), Failure> {
    if let Some(pixels) = part10.pixels() {
        let keyword = match pixels.tag.element() {
            0x0008 => Some("FloatPixelData"),
            0x0009 => Some("DoubleFloatPixelData"),
            _ => None,
        };
        let details = &mut target.instance.details;
        details.pixel_element = keyword.map(str::to_owned);
        details.pixel_vr = Some(pixels.vr.to_string().to_owned());
    }
    if let Some(mismatch) = part10.frame_mismatch() {
        let reason = mismatch.warning_code().and_then(Reason::of_code);
        target.warn(reason.unwrap_or(Reason::FrameNumberMismatch), mismatch.to_string());
    }
    match plan {
        PixelPlan::None => Ok(()),
        PixelPlan::Keep { description, transfer_syntax, .. } => {
            keep(part10, &description, &transfer_syntax, &mut target)
        }
        PixelPlan::Encode { description, .. } => encode::store(part10, &description, &mut target),
        PixelPlan::Plain { description, .. } => {
            whole::store_plain(part10, &description, &mut target)
        }
        PixelPlan::Whole { description, warning, .. } => {
            whole::store(part10, description.as_ref(), warning, &mut target)
        }
    }
}

/// Stores each frame as it was received.
fn keep<S: Read + Seek>(
    part10: &mut Part10<S>,
    description: &PixelDescription,
    transfer_syntax: &str,
    target: &mut Target<'_>,
) -> Result<(), Failure> {
    let mut is_cut = false;
    for index in 0..part10.frame_count() {
        let mut has_end = false;
        let write = |out: &mut dyn Write| {
            let mut out = EndSeeker { out, last: 0, found: false };
            part10.read_frame_into(index, LARGEST, &mut out)?;
            has_end = out.found;
            Ok(())
        };
        target.put_received(BlobKind::Frame, transfer_syntax, write, Some(description))?;
        is_cut |= lacks_end(transfer_syntax, &[]) && !has_end;
    }
    if is_cut {
        target.warn(Reason::Other, WITHOUT_END);
    }
    target.describe(transfer_syntax, ChecksumType::Compressed);
    Ok(())
}

/// Looks for the end of an image (FFD9) in what is written, as [`lacks_end`] does in a frame.
struct EndSeeker<'a> {
    out: &'a mut dyn Write,
    last: u8,
    found: bool,
}

impl Write for EndSeeker<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        for &byte in bytes.get(..written).unwrap_or_default() {
            self.found |= self.last == 0xFF && byte == 0xD9;
            self.last = byte;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Target<'_> {
    /// Stores the bytes that `write` writes, as they were received, as a frame of the document when its
    /// shape is known.
    fn put_received(
        &mut self,
        kind: BlobKind,
        transfer_syntax: &str,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
        description: Option<&PixelDescription>,
    ) -> Result<BlobLocation, Failure> {
        let blob = self.sink.put_from(kind, Some(transfer_syntax), write)?;
        self.blobs.push(blob.clone());
        if let Some(description) = description {
            self.instance.frames.push(ImageFrame {
                id: blob.id.clone(),
                checksums: vec![FrameChecksum {
                    width: description.columns,
                    height: description.rows,
                    checksum: blob.crc32,
                }],
                min: None,
                max: None,
                size: blob.length,
            });
        }
        Ok(blob)
    }

    fn describe(&mut self, transfer_syntax: &str, checksum_type: ChecksumType) {
        self.instance.stored_transfer_syntax = Some(transfer_syntax.to_owned());
        self.instance.checksum_type = Some(checksum_type);
    }

    fn warn(&mut self, reason: Reason, message: impl Into<String>) {
        self.warnings.push(Warning::new(reason, message));
    }
}
