//! JPEG-LS, lossless and near-lossless, by `CharLS`.

use charls::CharLS;

use crate::decode::SourceFrame;
use crate::error::CodecError;
use crate::jpeg_header::{JpegHeader, SOF_JPEG_LS};
use crate::native::interleave;
use crate::samples::widen;
use crate::shape::FrameShape;

/// Decodes to interleaved little-endian samples.
pub(crate) fn decode(source: &SourceFrame<'_>) -> Result<Vec<u8>, CodecError> {
    source.shape.checked_length()?;
    let header = JpegHeader::read(source.data)?;
    if header.process != SOF_JPEG_LS {
        return Err(CodecError::malformed("the stream is JPEG, not JPEG-LS"));
    }
    header.agree(&source.shape)?;

    let decoded = CharLS::default()
        .decode(source.data)
        .map_err(|error| CodecError::malformed(format!("JPEG-LS: {error}")))?;
    // Interleave mode 0 codes a plane a scan, and is handed over so.
    let decoded = if header.interleave == Some(0) && header.components.len() > 1 {
        let bits_allocated = if header.precision <= 8 { 8 } else { 16 };
        interleave(
            &FrameShape {
                bits_allocated,
                ..source.shape
            },
            &decoded,
        )?
    } else {
        decoded
    };
    widen(&source.shape, decoded, header.precision.into())
}
