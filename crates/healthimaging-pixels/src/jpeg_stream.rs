//! JPEG streams prepared for `libjpeg-turbo`: it gets the segments that pixels depend on, the
//! color transform that this crate has settled, and an end.

use crate::jpeg_header::{
    EOI, JpegHeader, SOF_LOSSLESS, SOF_PROGRESSIVE, SOI, SOS, next_marker, segment,
};

/// First and last coefficient and the approximation of a sequential scan (T.81 §B.2.3).
const WHOLE_SCAN: [u8; 3] = [0, 63, 0];
const APP0: u8 = 0xE0;
const APP15: u8 = 0xEF;
const COM: u8 = 0xFE;

/// The transform that color was coded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColorTransform {
    /// Components are red, green and blue.
    None,
    /// Components are luminance and two chrominances (ITU-R BT.601, full range).
    YCbCr,
}

/// The stream for the decoder.
///
/// * Application data and comments are left out: the library refuses a lossless stream whose JFIF or
///   Adobe segment names a transform, and JFIF overrides Adobe there.
/// * An Adobe segment of our own names `transform`.
/// * Scan parameters without a meaning in the process get the values that T.81 requires. Old writers
///   left them zero (NEMA's own NM1 sample has it), and the library would warn, which otherwise means
///   damage.
/// * A stream that stops after its last scan gets its EOI marker, and nothing follows it.
///
/// Invalid streams are passed on as they are, for the decoder to reject.
pub(crate) fn prepared(
    data: &[u8],
    header: &JpegHeader,
    transform: Option<ColorTransform>,
) -> Vec<u8> {
    let mut stream = Vec::with_capacity(data.len() + 32);
    stream.extend_from_slice(&[0xFF, SOI]);
    stream.extend(transform.map(adobe).into_iter().flatten());
    let mut rest = data.get(2..).unwrap_or_default();
    loop {
        let found = next_marker(rest);
        if is_padding(rest) || found.is_some_and(|(marker, _)| marker == EOI) {
            break;
        }
        let found = found.and_then(|(marker, after)| {
            let (content, following) = segment(after)?;
            Some((marker, after.get(..content.len() + 2)?, following))
        });
        let Some((marker, segment, following)) = found else {
            stream.extend_from_slice(rest);
            return stream;
        };
        rest = following;
        if matches!(marker, APP0..=APP15 | COM) {
            continue;
        }
        stream.extend_from_slice(&[0xFF, marker]);
        stream.extend_from_slice(segment);
        if marker == SOS {
            settle_scan(header.process, &mut stream);
            let (coded, following) = rest.split_at(coded_length(rest));
            stream.extend_from_slice(coded);
            rest = following;
        }
    }
    stream.extend_from_slice(&[0xFF, EOI]);
    stream
}

/// An Adobe segment (version 100, no flags) with its transform.
fn adobe(transform: ColorTransform) -> [u8; 16] {
    let code = u8::from(transform == ColorTransform::YCbCr);
    [0xFF, 0xEE, 0, 14, b'A', b'd', b'o', b'b', b'e', 0, 100, 0, 0, 0, 0, code]
}

/// Whether only the bytes are left that make a fragment's length even, and the like.
fn is_padding(data: &[u8]) -> bool {
    data.iter().all(|byte| *byte == 0)
}

/// Corrects the parameters at the end of a scan header, which ends `stream`.
fn settle_scan(process: u8, stream: &mut [u8]) {
    let Some(parameters) = stream.last_chunk_mut::<3>() else { return };
    match (process, parameters) {
        (SOF_PROGRESSIVE, _) => {}
        // Predictor and point transform; the others are zero (T.81 §H.1.3 and Table B.3).
        (SOF_LOSSLESS, [_, end, approximation]) => {
            *end = 0;
            *approximation &= 0x0F;
        }
        (_, parameters) => *parameters = WHOLE_SCAN,
    }
}

/// Length of the entropy-coded data at the start of `data`, restart markers included.
fn coded_length(data: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = data.get(at..).and_then(|rest| memchr::memchr(0xFF, rest)) {
        let marker = at + found;
        let fill = data.iter().skip(marker).take_while(|byte| **byte == 0xFF).count();
        match data.get(marker + fill) {
            // A stuffed byte, or a restart.
            Some(0 | 0xD0..=0xD7) => at = marker + fill + 1,
            _ => return marker,
        }
    }
    data.len()
}
