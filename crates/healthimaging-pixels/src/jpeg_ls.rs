//! JPEG-LS, lossless and near-lossless, by `CharLS`.

use std::borrow::Cow;

use charls::CharLS;

use crate::decode::SourceFrame;
use crate::error::CodecError;
use crate::jpeg_header::{JpegHeader, SOF_JPEG_LS};
use crate::native::interleave;
use crate::samples::widen;
use crate::shape::FrameShape;

const EOI: [u8; 2] = [0xFF, 0xD9];

/// Decodes to interleaved little-endian samples.
pub(crate) fn decode(source: &SourceFrame<'_>) -> Result<Vec<u8>, CodecError> {
    source.shape.checked_length()?;
    let header = JpegHeader::read(source.data)?;
    if header.process != SOF_JPEG_LS {
        return Err(CodecError::malformed("the stream is JPEG, not JPEG-LS"));
    }
    header.agree(&source.shape)?;

    let stream = terminated(source.data);
    let decoded = run(&stream).or_else(|error| {
        let repaired = without_padding(&stream).ok_or(error)?;
        run(&repaired)
    })?;
    // Interleave mode 0 codes a plane a scan, and is handed over so.
    let decoded = if header.interleave == Some(0) && header.components.len() > 1 {
        let bits_allocated = if header.precision <= 8 { 8 } else { 16 };
        interleave(&FrameShape { bits_allocated, ..source.shape }, &decoded)?
    } else {
        decoded
    };
    widen(&source.shape, decoded, header.precision.into())
}

fn run(data: &[u8]) -> Result<Vec<u8>, CodecError> {
    CharLS::default()
        .decode(data)
        .map_err(|error| CodecError::malformed(format!("JPEG-LS: {error}")))
}

/// The stream with an EOI marker at its end.
///
/// At the end of a scan that is cut off, `CharLS` 2.4.5 goes on for seconds, unless a marker
/// stops it.
fn terminated(data: &[u8]) -> Cow<'_, [u8]> {
    if without_zeros(data).ends_with(&EOI) {
        Cow::Borrowed(data)
    } else {
        Cow::Owned([data, &EOI].concat())
    }
}

/// The stream without a zero byte between its last scan and EOI.
///
/// Old writers put it there to make the length even (NEMA's own MR1 sample has it), and `CharLS`
/// refuses it.
fn without_padding(data: &[u8]) -> Option<Vec<u8>> {
    let scan = without_zeros(data).strip_suffix(&EOI)?.strip_suffix(&[0])?;
    Some([scan, &EOI].concat())
}

fn without_zeros(data: &[u8]) -> &[u8] {
    let length = data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    data.get(..length).unwrap_or_default()
}
