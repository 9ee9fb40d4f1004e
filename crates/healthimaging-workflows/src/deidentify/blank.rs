//! Frames that are decoded and blanked.

use std::borrow::Cow;
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::path::Path;

use tempfile::SpooledTempFile;

use healthimaging::{MemoryBudget, Result};
use healthimaging_deidentify::{Blanking, blank_frame};
use healthimaging_dicom::{Part10, PixelOverrides};
use healthimaging_image::{ByteOrder, PixelDescription, PlanarConfiguration};
use healthimaging_pixels::{Decoder, FrameShape, SourceFrame, codestream_of, is_encapsulated};

use super::spool::{self, unspooled};

/// Bytes of a frame as stored, and of its pixels.
const LARGEST: u64 = 1 << 30;

/// Native frames one after another.
pub(super) struct Blanked {
    pub(super) frames: SpooledTempFile,
    pub(super) length: u64,
    /// How decoding changed the pixels.
    pub(super) overrides: PixelOverrides,
}

/// Blanks every frame; `None` if one of them cannot be decoded. Blocks.
///
/// Errors: a fault of this server, after which the frames may be decoded another time.
pub(super) fn blank<S: Read + Seek>(
    file: &mut Part10<S>,
    description: &PixelDescription,
    blanking: &Blanking,
    decoder: &Decoder,
    folder: &Path,
) -> Result<Option<Blanked>> {
    let shape = FrameShape::from(description);
    let count = file.frame_count();
    // Frames of single bits follow one another without gaps, so whole bytes are needed.
    let is_packed =
        description.bits_allocated == 1 && !description.native_frame_bits().is_multiple_of(8);
    if count == 0 || shape.byte_length() > LARGEST || is_packed && count > 1 {
        return Ok(None);
    }
    // The frame as stored, decoded, and what the decoder takes beside it.
    let _lease = MemoryBudget::process().work_blocking(shape.byte_length().saturating_mul(3));
    let mut blanked =
        Blanked { frames: spool::new(folder), length: 0, overrides: PixelOverrides::default() };
    for index in 0..count {
        let Ok(data) = file.read_frame(index, LARGEST) else { return Ok(None) };
        let Some(frame) = decoded(file, data, description, decoder)? else { return Ok(None) };
        let (mut pixels, now) = frame;
        if blank_frame(&mut pixels, &now, blanking).is_err() {
            return Ok(None);
        }
        blanked.overrides = overrides(description, &now);
        blanked.length += pixels.len() as u64;
        blanked.frames.write_all(&pixels).map_err(unspooled)?;
    }
    blanked.frames.seek(SeekFrom::Start(0)).map_err(unspooled)?;
    Ok(Some(blanked))
}

/// Returns whether bits that hold no sample are set in a frame. Blocks.
///
/// Errors: a fault of this server, after which the frames may be decoded another time.
pub(super) fn has_unused_bits<S: Read + Seek>(
    file: &mut Part10<S>,
    description: &PixelDescription,
    decoder: &Decoder,
) -> Result<bool> {
    let shape = FrameShape::from(description);
    if description.bits_stored >= description.bits_allocated || shape.byte_length() > LARGEST {
        return Ok(false);
    }
    let _lease = MemoryBudget::process().work_blocking(shape.byte_length().saturating_mul(4));
    for index in 0..file.frame_count() {
        let Ok(data) = file.read_frame(index, LARGEST) else { return Ok(false) };
        if precision(&data).is_some_and(|bits| bits <= description.bits_stored) {
            continue;
        }
        let Some((pixels, now)) = decoded(file, data, description, decoder)? else {
            return Ok(false);
        };
        if healthimaging_deidentify::has_unused_bits(&pixels, &now) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Most bits of a sample that a codestream of JPEG 2000 can hold (ISO/IEC 15444-1 §A.5.1); `None` for other data.
fn precision(data: &[u8]) -> Option<u16> {
    let stream = codestream_of(data).ok()?;
    if !stream.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) {
        return None;
    }
    let components = u16::from_be_bytes([*stream.get(40)?, *stream.get(41)?]);
    let of_components = stream.get(42..42 + 3 * usize::from(components))?.chunks_exact(3);
    of_components.filter_map(|one| one.first()).map(|depth| u16::from(depth & 0x7F) + 1).max()
}

/// Pixels of a frame, little endian, and their description.
fn decoded<'a, S: Read + Seek>(
    file: &Part10<S>,
    data: Vec<u8>,
    description: &'a PixelDescription,
    decoder: &Decoder,
) -> Result<Option<(Vec<u8>, Cow<'a, PixelDescription>)>> {
    let is_native = !is_encapsulated(&file.pixel_syntax);
    if is_native && file.byte_order() == ByteOrder::Little {
        return Ok(Some((data, Cow::Borrowed(description))));
    }
    let source = SourceFrame {
        transfer_syntax: &file.pixel_syntax,
        shape: FrameShape::from(description),
        photometric: &description.photometric,
        planar: description.planar,
        data: &data,
    };
    match decoder.decode(&source) {
        Ok(frame) => {
            let mut now = description.clone();
            now.photometric = frame.photometric;
            now.planar = PlanarConfiguration::Interleaved;
            Ok(Some((frame.pixels, Cow::Owned(now))))
        }
        Err(error) if error.is_fault() => Err(error.into()),
        Err(error) => {
            tracing::info!(%error, "a frame cannot be decoded, so its instance is held back");
            Ok(None)
        }
    }
}

fn overrides(before: &PixelDescription, now: &PixelDescription) -> PixelOverrides {
    let has_planes = before.samples_per_pixel > 1 && before.planar != now.planar;
    PixelOverrides {
        photometric_interpretation: (before.photometric != now.photometric)
            .then(|| now.photometric.clone()),
        planar_configuration: has_planes.then_some(0),
    }
}
