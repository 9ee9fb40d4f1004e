//! JPEG (ITU-T T.81): baseline, extended, progressive and lossless, by `libjpeg-turbo`.

use healthimaging_image::PixelRepresentation;

use crate::decode::{DecodedFrame, SourceFrame};
use crate::error::CodecError;
use crate::jpeg_header::{
    EOI, JpegHeader, SOF_BASELINE, SOF_EXTENDED, SOF_LOSSLESS, SOF_PROGRESSIVE, SOI, SOS,
};
use crate::jpeg_stream::{ColorTransform, prepared};
use crate::samples::widen;
use crate::shape::FrameShape;
use crate::turbojpeg;

/// Decodes; color of the lossy processes becomes RGB, lossless samples are unchanged.
pub(crate) fn decode(source: &SourceFrame<'_>) -> Result<DecodedFrame, CodecError> {
    source.shape.checked_length()?;
    let header = JpegHeader::read(source.data)?;
    header.agree(&source.shape)?;
    refuse_unsupported(&header)?;

    let lossless = header.process == SOF_LOSSLESS;
    let color = header.components.len() == 3;
    let transform = (color && !lossless).then(|| transform(&header, source));
    let stream = prepared(source.data, &header, transform);
    let decoded = turbojpeg::decode(&source.shape, header.precision, &stream)?;
    let pixels = widen(&source.shape, decoded, header.precision.into())?;
    let photometric = if transform.is_some() { "RGB" } else { source.photometric };
    Ok(DecodedFrame { pixels, photometric: photometric.to_owned() })
}

/// Rejects what DICOM does not use, or the library does not decode exactly.
fn refuse_unsupported(header: &JpegHeader) -> Result<(), CodecError> {
    let unsupported = |what: String| Err(CodecError::unsupported(what));
    match (header.process, header.precision) {
        (SOF_BASELINE | SOF_EXTENDED | SOF_PROGRESSIVE, 8 | 12) | (SOF_LOSSLESS, 2..=16) => {}
        (SOF_BASELINE | SOF_EXTENDED | SOF_PROGRESSIVE | SOF_LOSSLESS, bits) => {
            return unsupported(format!("JPEG of {bits} bits in process {:#04X}", header.process));
        }
        (process, _) => return unsupported(format!("JPEG process {process:#04X}")),
    }
    if header.process == SOF_LOSSLESS && !restarts_whole_rows(header) {
        return unsupported("lossless JPEG with restarts inside of rows".to_owned());
    }
    match header.components.as_slice() {
        [_] => Ok(()),
        [first, rest @ ..] if rest.len() == 2 => {
            // Samples between those that were coded are not the writer's.
            let subsampled = rest.iter().any(|other| other.sampling != first.sampling);
            if header.process == SOF_LOSSLESS && subsampled {
                return unsupported("lossless JPEG with subsampled components".to_owned());
            }
            Ok(())
        }
        components => unsupported(format!("JPEG of {} components", components.len())),
    }
}

/// Whether restarts are between rows, as T.81 §H.1.1 requires of the lossless process.
fn restarts_whole_rows(header: &JpegHeader) -> bool {
    let across = match header.components.as_slice() {
        [first, _, ..] => u16::from(first.sampling >> 4).max(1),
        _ => 1,
    };
    header.restart_interval.checked_rem(header.columns.div_ceil(across)).unwrap_or(0) == 0
}

/// The color transform that the lossy stream was coded with.
///
/// The stream defines it: by an Adobe segment, by being JFIF, which is always YCbCr (JFIF 1.02), or
/// by the names of its components. Else Photometric Interpretation RGB means that there was none
/// (PS3.5 §8.2.1).
fn transform(header: &JpegHeader, source: &SourceFrame<'_>) -> ColorTransform {
    let named_rgb = header.components.iter().map(|component| component.identifier).eq(*b"RGB");
    match header.adobe_transform {
        Some(0) => ColorTransform::None,
        None if !header.jfif && (named_rgb || source.photometric == "RGB") => ColorTransform::None,
        _ => ColorTransform::YCbCr,
    }
}

/// Prepares this thread to decode, while it may still open files: on some systems `libjpeg-turbo`
/// reads the system's description of the processor before its first frame.
pub fn warm_up() {
    let table = |kind: u8| [&[0xFF, 0xC4, 0, 20, kind, 1][..], &[0; 15], &[0]].concat();
    // One block of gray: every quantizer is 1, and the only code of each table means "nothing".
    let stream = [
        &[0xFF, SOI, 0xFF, 0xDB, 0, 67, 0][..],
        &[1; 64],
        &[0xFF, SOF_BASELINE, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0],
        &table(0x00),
        &table(0x10),
        &[0xFF, SOS, 0, 8, 1, 1, 0, 0, 63, 0, 0x3F, 0xFF, EOI],
    ]
    .concat();
    let shape = FrameShape {
        rows: 8,
        columns: 8,
        samples_per_pixel: 1,
        bits_allocated: 8,
        bits_stored: 8,
        representation: PixelRepresentation::Unsigned,
    };
    let decoded = turbojpeg::decode(&shape, 8, &stream);
    debug_assert_eq!(decoded, Ok(vec![128; 64]));
}
