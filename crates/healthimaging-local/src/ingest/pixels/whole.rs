//! Pixel data as one blob: frames that cannot be separated, decoded, or stored in a lossless format.

use std::io::{Read, Seek, Write};

use healthimaging_dicom::{ChecksumType, Part10, PixelLayout};
use healthimaging_image::{ByteOrder, PixelDescription};
use healthimaging_packs::BlobKind;
use healthimaging_pixels::CodecError;

use super::encode::source_frame;
use super::{EXPLICIT_LITTLE_ENDIAN, LARGEST, Target};
use crate::ingest::outcome::{Failure, Reason, Refusal, Warning};

/// Stores the pixel data as received.
pub(super) fn store<S: Read + Seek>(
    part10: &mut Part10<S>,
    description: Option<&PixelDescription>,
    warning: Warning,
    target: &mut Target<'_>,
) -> Result<(), Failure> {
    let Some(pixels) = part10.pixels() else {
        return Ok(());
    };
    if pixels.length > LARGEST {
        return Err(Refusal::invalid(format!(
            "{}; {} bytes are too many to keep whole, the limit is {LARGEST}",
            warning.message, pixels.length
        ))
        .into());
    }
    let native = pixels.layout == PixelLayout::Native;
    let little = description.is_some() && part10.byte_order() == ByteOrder::Little;
    // Native bytes in little endian do not depend on the encoding of the data set around them.
    let syntax = if native && little && is_uncompressed(&part10.pixel_syntax) {
        EXPLICIT_LITTLE_ENDIAN.to_owned()
    } else {
        part10.pixel_syntax.clone()
    };
    let write = |out: &mut dyn Write| {
        let copied = part10.read_pixel_blob_into(out);
        copied.map(drop).map_err(|error| {
            Refusal::fault(format!("the pixel data could not be read: {error}")).into()
        })
    };
    put(write, &syntax, description, warning, target)
}

/// Stores native frames in little endian, interleaved by pixel; as received when they make no sense.
pub(super) fn store_plain<S: Read + Seek>(
    part10: &mut Part10<S>,
    description: &PixelDescription,
    target: &mut Target<'_>,
) -> Result<(), Failure> {
    let message = format!(
        "samples of {} bits cannot be transcoded; the pixel data is kept whole",
        description.bits_allocated
    );
    let warning = Warning::new(Reason::TranscodingException, message);
    let syntax = part10.pixel_syntax.clone();
    let sink = target.sink;
    let decoder = sink.decoder();
    let mut is_senseless = false;
    let write = |out: &mut dyn Write| {
        for index in 0..part10.frame_count() {
            let frame = part10.read_frame(index, LARGEST)?;
            let source = source_frame(&syntax, description, &frame);
            let frame: Result<_, CodecError> = decoder.decode(&source);
            let frame = frame.map_err(|error| {
                is_senseless = !error.is_fault();
                Refusal::fault(error.to_string())
            })?;
            out.write_all(&frame.pixels).map_err(|error| {
                Refusal::fault(format!("the pixel data could not be stored: {error}"))
            })?;
        }
        Ok(())
    };
    match put(write, EXPLICIT_LITTLE_ENDIAN, Some(description), warning.clone(), target) {
        Err(_) if is_senseless => return store(part10, Some(description), warning, target),
        stored => stored?,
    }
    let attributes = &mut target.instance.attributes;
    if let Some(planar) = attributes.get_mut("PlanarConfiguration") {
        *planar = 0.into();
    }
    Ok(())
}

/// `GetImageFrame` returns the blob if it is whole for lack of a codec (`B100`, `B120`), or is
/// one native frame, possibly a short one; not if the positions of its frames are unknown.
fn put(
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
    transfer_syntax: &str,
    description: Option<&PixelDescription>,
    warning: Warning,
    target: &mut Target<'_>,
) -> Result<(), Failure> {
    let lacks_codec =
        matches!(warning.reason, Reason::TranscodingException | Reason::UnsupportedTransferSyntax);
    let is_native = is_uncompressed(transfer_syntax);
    let shown =
        description.filter(|found| lacks_codec || (is_native && found.number_of_frames == 1));
    let kind = match shown {
        Some(_) => BlobKind::Frame,
        None => BlobKind::Pixels,
    };
    let blob = target.put_received(kind, transfer_syntax, write, shown)?;
    target.describe(transfer_syntax, ChecksumType::Compressed);
    target.instance.details.pixel_blob = Some(blob.id);
    target.warnings.push(warning);
    Ok(())
}

fn is_uncompressed(transfer_syntax: &str) -> bool {
    !healthimaging_pixels::is_encapsulated(transfer_syntax)
}
