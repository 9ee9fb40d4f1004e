//! One instance as a Part 10 file, out of the latest document and the stored frames.

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use healthimaging::model::{
    RetrieveInstanceRequest, RetrieveInstanceResponse, TransferSyntaxChoice,
};
use healthimaging::{Body, Error, ErrorKind, ImageFrameId, MemoryBudget, MemoryLease, Uid};
use healthimaging_dicom::{
    ChecksumType, Document, Instance, InstanceToWrite, PixelOverrides, PixelSource, StoredBytes,
    write_part10,
};
use healthimaging_image::PixelDescription;
use healthimaging_packs::BlobLocation;
use healthimaging_pixels::{
    FrameShape, LosslessFormat, decode_stored, decode_stored_lower, is_encapsulated,
};

use super::find::{FoundSeries, SeriesRequest, no_instance};
use crate::blobs::IN_MEMORY;
use crate::caches::Decoded;
use crate::catalog::packs;
use crate::error::Result;
use crate::shared::SharedStore;
use crate::sync::locked;

pub(super) const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// A larger decoded frame has a lease until it is sent; smaller ones are kept for the next time.
const LARGE_FRAME: u64 = 8 << 20;

/// How the pixels go into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// There are none.
    None,
    /// Each stored frame as a fragment.
    Fragments,
    /// Each stored frame decoded.
    Decoded,
    /// Single bits, which are stored frame by frame and packed without gaps in a file.
    Bits,
    /// The one blob.
    Blob,
}

/// One instance in the stored transfer syntax or in Explicit VR Little Endian.
pub(crate) async fn retrieve_instance(
    shared: &SharedStore,
    request: RetrieveInstanceRequest,
) -> Result<RetrieveInstanceResponse> {
    let task = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        let series = request.series_instance_uid.to_string();
        let sop = request.sop_instance_uid.to_string();
        let found = SeriesRequest::from(&request).find_instance(&task, &sop)?;
        let instance = found.document.instance(&series, &sop).ok_or_else(no_instance)?;
        let (transfer_syntax_uid, form) = choose(instance, &request.transfer_syntax)?;
        let syntax = transfer_syntax_uid.clone();
        let content_name = Some(found.name.clone());
        let retrieval =
            Retrieval { shared: task, found, series, sop, syntax, form, proved: Mutex::default() };
        retrieval.prove_first_frame()?;
        let instance = Body::from_writer(None, move |out| Ok(retrieval.write(out)?));
        Ok(RetrieveInstanceResponse { transfer_syntax_uid, instance, content_name })
    })
    .await?
}

/// The transfer syntax of the file, and the form of its pixels.
pub(super) fn choose(instance: &Instance, choice: &TransferSyntaxChoice) -> Result<(String, Form)> {
    let stored = instance.stored_transfer_syntax.as_deref();
    let as_stored = stored.unwrap_or(EXPLICIT_LITTLE_ENDIAN);
    let form = match stored {
        None => Form::None,
        Some(_) if instance.details.pixel_blob.is_some() => Form::Blob,
        Some(syntax) if is_encapsulated(syntax) => Form::Fragments,
        Some(_) => Form::Bits,
    };
    match choice {
        TransferSyntaxChoice::Stored => Ok((as_stored.to_owned(), form)),
        TransferSyntaxChoice::Uid(uid) if uid.as_str() == as_stored => {
            Ok((as_stored.to_owned(), form))
        }
        TransferSyntaxChoice::Uid(uid)
            if uid.as_str() == EXPLICIT_LITTLE_ENDIAN
                && form == Form::Fragments
                && instance.checksum_type == Some(ChecksumType::Decompressed) =>
        {
            Ok((EXPLICIT_LITTLE_ENDIAN.to_owned(), Form::Decoded))
        }
        TransferSyntaxChoice::Uid(_) => Err(Error::new(
            ErrorKind::NotAcceptable,
            format!(
                "the instance cannot be had in this transfer syntax; it is stored in {as_stored}, \
                 which is retrieved if no transfer syntax is named (over DICOMweb: *)"
            ),
        )
        .into()),
    }
}

/// The transfer syntaxes in which an instance can be retrieved, the stored one first.
pub(super) fn available_transfer_syntaxes(instance: &Instance) -> Vec<String> {
    let explicit = Uid::try_from(EXPLICIT_LITTLE_ENDIAN).ok().map(TransferSyntaxChoice::Uid);
    let choices = [Some(TransferSyntaxChoice::Stored), explicit].into_iter().flatten();
    let mut all: Vec<String> = choices
        .filter_map(|choice| choose(instance, &choice).ok())
        .map(|(syntax, _)| syntax)
        .collect();
    all.dedup();
    all
}

/// Everything that writing the file needs.
pub(super) struct Retrieval {
    pub(super) shared: SharedStore,
    pub(super) found: FoundSeries,
    pub(super) series: String,
    pub(super) sop: String,
    pub(super) syntax: String,
    pub(super) form: Form,
    /// A frame that was decoded and not sent yet.
    pub(super) proved: Mutex<Option<(ImageFrameId, Decoded)>>,
}

/// The pixels of a large frame, with the lease for them.
struct LeasedFrame(Vec<u8>, #[expect(dead_code, reason = "it ends with the pixels")] MemoryLease);

impl AsRef<[u8]> for LeasedFrame {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Retrieval {
    /// Decodes the first frame, so that pixels that cannot be had are an error and not half a body. It
    /// stays in memory for the body.
    fn prove_first_frame(&self) -> Result<()> {
        let instance = self.instance()?;
        let (Form::Decoded, Some(first)) = (self.form, instance.frames.first()) else {
            return Ok(());
        };
        let pixels = Pixels::of(instance)?;
        let decoded = self.decoded(&pixels, &first.id)?;
        if decoded.0.len() as u64 == pixels.shape.byte_length() {
            *locked(&self.proved) = Some((first.id.clone(), decoded));
            return Ok(());
        }
        let message = "the pixels of the instance are not as its metadata describes them";
        Err(Error::internal(message, "length").into())
    }

    fn write(&self, out: &mut dyn Write) -> Result<()> {
        let instance = self.instance()?;
        let overrides = self.overrides(instance)?;
        let source = InstanceToWrite {
            document: self.document(),
            series_uid: &self.series,
            sop_uid: &self.sop,
            transfer_syntax: &self.syntax,
            overrides,
        };
        let frames = instance.frames.iter().map(|frame| &frame.id);
        let source_of_pixels = match self.form {
            Form::None => PixelSource::None,
            Form::Fragments => PixelSource::Frames(Box::new(frames.map(|id| Ok(self.stored(id)?)))),
            Form::Decoded => {
                let pixels = Pixels::of(instance)?;
                PixelSource::Native {
                    length: pixels.shape.byte_length() * instance.frames.len() as u64,
                    frames: Box::new(
                        frames.map(move |id| Ok(stored_bytes(self.decoded(&pixels, id)?.0))),
                    ),
                }
            }
            Form::Bits => {
                let value = self.packed(instance, &Pixels::of(instance)?)?;
                PixelSource::Blob {
                    length: value.len() as u64,
                    value: Box::new(Cursor::new(value)),
                }
            }
            Form::Blob => {
                let id = instance.details.pixel_blob.as_ref().ok_or_else(no_instance)?;
                let StoredBytes { length, bytes } = self.stored(id)?;
                PixelSource::Blob { length, value: bytes }
            }
        };
        let mut bulk_data = |id: &ImageFrameId| Ok(self.stored(id)?);
        Ok(write_part10(&source, source_of_pixels, &mut bulk_data, out)?)
    }

    fn document(&self) -> &Document {
        &self.found.document
    }

    pub(super) fn instance(&self) -> Result<&Instance> {
        self.document().instance(&self.series, &self.sop).ok_or_else(no_instance)
    }

    /// A stored blob, checked, in memory. Blocks.
    fn blob(&self, id: &ImageFrameId) -> Result<Bytes> {
        self.shared.blobs.read(&self.location(id)?)
    }

    /// A stored blob, checked; a large one is read piece by piece. Blocks.
    fn stored(&self, id: &ImageFrameId) -> Result<StoredBytes<'static>> {
        let at = self.location(id)?;
        if at.length <= IN_MEMORY {
            return Ok(stored_bytes(self.shared.blobs.read(&at)?));
        }
        let bytes = Box::new(self.shared.blobs.open(&at)?);
        Ok(StoredBytes { length: at.length, bytes })
    }

    /// A stored blob, checked, as a body. Blocks.
    pub(super) fn body(&self, id: &ImageFrameId) -> Result<Body> {
        self.shared.blobs.body(&self.location(id)?, |_| Vec::new())
    }

    fn location(&self, id: &ImageFrameId) -> Result<BlobLocation> {
        let row = self.found.row;
        self.shared.catalog.read_blocking(|reader| packs::referenced(reader, row, id))
    }

    /// A frame's pixels, and the photometric interpretation they are in. Blocks.
    pub(super) fn decoded(&self, pixels: &Pixels<'_>, id: &ImageFrameId) -> Result<Decoded> {
        // Read and checked each time: what is kept in memory only saves the decoding.
        let bytes = self.blob(id)?;
        let frames = &self.shared.caches.frames;
        let name = (id.clone(), pixels.shape, pixels.photometric.clone());
        if let Some(known) = frames.get(&name) {
            return Ok(known);
        }
        let proved = locked(&self.proved).take();
        if let Some((_, decoded)) = proved.filter(|(proved, _)| proved == id) {
            return Ok(decoded);
        }
        let size = pixels.shape.byte_length();
        let mut lease = MemoryBudget::process().work_blocking(size.saturating_mul(2));
        let decoded = decode_stored(pixels.stored, &pixels.shape, &pixels.photometric, &bytes);
        let decoded = decoded.map_err(|error| {
            Error::internal("a stored frame cannot be decoded; run verify", error)
        })?;
        if size > LARGE_FRAME {
            lease.resize(size);
            let pixels = Bytes::from_owner(LeasedFrame(decoded.pixels, lease));
            return Ok((pixels, decoded.photometric));
        }
        let decoded = (Bytes::from(decoded.pixels), decoded.photometric);
        frames.insert(name, &decoded);
        Ok(decoded)
    }

    /// The lowest resolution of a frame that was encoded here and has at least these rows and columns, with its shape; `None`
    /// if that is the whole frame, or it was not encoded here. Blocks.
    pub(super) fn lower(
        &self,
        id: &ImageFrameId,
        enough: (u32, u32),
    ) -> Result<Option<(FrameShape, Vec<u8>)>> {
        let instance = self.instance()?;
        if self.form != Form::Fragments
            || instance.checksum_type != Some(ChecksumType::Decompressed)
        {
            return Ok(None);
        }
        let Pixels { shape, photometric, stored } = &Pixels::of(instance)?;
        if *stored != LosslessFormat::Htj2k.transfer_syntax() {
            return Ok(None);
        }
        let bytes = self.blob(id)?;
        // At most a quarter of the frame.
        let _lease = MemoryBudget::process().work_blocking(shape.byte_length() / 2);
        let lower = decode_stored_lower(stored, shape, photometric, &bytes, enough);
        let lower = lower.map_err(|error| {
            Error::internal("a stored frame cannot be decoded; run verify", error)
        })?;
        Ok(lower.map(|(shape, decoded)| (shape, decoded.pixels)))
    }

    /// Attributes of the pixels of the file that differ from the document.
    fn overrides(&self, instance: &Instance) -> Result<PixelOverrides> {
        if !matches!(self.form, Form::Fragments | Form::Decoded) {
            return Ok(PixelOverrides::default());
        }
        let pixels = &Pixels::of(instance)?;
        let lossless = [LosslessFormat::Htj2k, LosslessFormat::Jpeg2000];
        let lossless = lossless.iter().any(|format| format.transfer_syntax() == pixels.stored);
        let is_rgb = matches!(pixels.photometric.as_str(), "RGB" | "YBR_RCT" | "YBR_ICT");
        let several = pixels.shape.samples_per_pixel > 1;
        let photometric_interpretation = match self.form {
            // The colour transform is named in the data set (PS3.5 §8.2.4).
            Form::Fragments if lossless && is_rgb && pixels.shape.samples_per_pixel == 3 => {
                Some("YBR_RCT".to_owned())
            }
            Form::Decoded => match instance.frames.first() {
                Some(first) if several => {
                    let decoded = self.decoded(pixels, &first.id)?;
                    let photometric = decoded.1.clone();
                    *locked(&self.proved) = Some((first.id.clone(), decoded));
                    Some(photometric)
                }
                _ => None,
            },
            _ => None,
        };
        Ok(PixelOverrides {
            photometric_interpretation,
            planar_configuration: (several && lossless).then_some(0),
        })
    }

    /// Frames of single bits, one behind the other without gaps (`PS3.5 §8.1.1`).
    fn packed(&self, instance: &Instance, pixels: &Pixels<'_>) -> Result<Vec<u8>> {
        let shape = &pixels.shape;
        let samples = u64::from(shape.rows) * u64::from(shape.columns);
        let bits = samples * u64::from(shape.samples_per_pixel) * u64::from(shape.bits_allocated);
        let mut joined = Vec::new();
        let mut filled = 0_u64;
        for frame in &instance.frames {
            append_bits(&mut joined, &mut filled, &self.blob(&frame.id)?, bits);
        }
        Ok(joined)
    }
}

fn stored_bytes(bytes: Bytes) -> StoredBytes<'static> {
    StoredBytes { length: bytes.len() as u64, bytes: Box::new(Cursor::new(bytes)) }
}

/// Appends the first `bits` of `frame` behind the first `filled` bits of `joined`.
fn append_bits(joined: &mut Vec<u8>, filled: &mut u64, frame: &[u8], bits: u64) {
    let shift = *filled % 8;
    if shift == 0 {
        joined.extend_from_slice(frame);
    } else {
        for byte in frame {
            if let Some(last) = joined.last_mut() {
                *last |= byte << shift;
            }
            joined.push(byte >> (8 - shift));
        }
    }
    *filled += bits;
    joined.truncate(usize::try_from(filled.div_ceil(8)).unwrap_or(usize::MAX));
}

/// Description of an instance's pixels in the document.
pub(super) struct Pixels<'a> {
    shape: FrameShape,
    photometric: String,
    stored: &'a str,
}

impl<'a> Pixels<'a> {
    pub(super) fn of(instance: &'a Instance) -> Result<Self> {
        let description = PixelDescription::of(&instance.attributes).map_err(|error| {
            Error::internal("the document does not describe the stored frames", error)
        })?;
        Ok(Self {
            shape: FrameShape::from(&description),
            photometric: description.photometric,
            stored: instance.stored_transfer_syntax.as_deref().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::append_bits;

    #[test]
    fn frames_of_single_bits_are_joined_without_gaps() {
        // Three frames of 5 bits, lowest bit first: 10110, 01101, 11111.
        let (mut joined, mut filled) = (Vec::new(), 0);
        for frame in [[0b0_1101_u8], [0b1_0110], [0b1_1111]] {
            append_bits(&mut joined, &mut filled, &frame, 5);
        }
        assert_eq!(joined, [0b1100_1101, 0b0111_1110]);
        assert_eq!(filled, 15);
    }
}
