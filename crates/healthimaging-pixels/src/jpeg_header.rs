//! The frame header of JPEG and JPEG-LS streams (ITU-T T.81 §B.2.2, T.87 §C.2.2), read before
//! a decoder is trusted with them.

use crate::error::CodecError;
use crate::shape::{FrameShape, StreamShape};

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const APP14: u8 = 0xEE;
/// Start of a JPEG-LS frame.
pub(crate) const SOF_JPEG_LS: u8 = 0xF7;
/// Start of an extended sequential Huffman frame.
pub(crate) const SOF_EXTENDED: u8 = 0xC1;
/// Start of a lossless Huffman frame.
pub(crate) const SOF_LOSSLESS: u8 = 0xC3;

/// What the headers up to the first scan say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JpegHeader {
    /// Second byte of the SOF marker: the coding process.
    pub(crate) process: u8,
    pub(crate) precision: u8,
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    /// Component identifiers, in order.
    pub(crate) components: Vec<u8>,
    /// Colour transform of an Adobe APP14 segment.
    pub(crate) adobe_transform: Option<u8>,
    /// The byte of the first scan that is JPEG-LS's interleave mode.
    pub(crate) interleave: Option<u8>,
    /// Where the header of the first scan ends.
    pub(crate) scan: usize,
}

impl JpegHeader {
    /// Reads marker segments until the first scan.
    pub(crate) fn read(data: &[u8]) -> Result<Self, CodecError> {
        let damaged = || CodecError::malformed("the JPEG header is damaged");
        let mut rest = data.strip_prefix(&[0xFF, SOI]).ok_or_else(damaged)?;
        let mut header: Option<Self> = None;
        let mut adobe = None;
        loop {
            let (marker, after) = next_marker(rest).ok_or_else(damaged)?;
            let (segment, after) = segment(after).ok_or_else(damaged)?;
            rest = after;
            match marker {
                EOI => return Err(damaged()),
                SOS => {
                    let mut header = header.ok_or_else(damaged)?;
                    header.adobe_transform = adobe;
                    header.scan = data.len() - rest.len();
                    // Near-lossless limit, interleave mode and point transform end the header.
                    header.interleave =
                        segment.len().checked_sub(2).and_then(|at| segment.get(at).copied());
                    return Ok(header);
                }
                APP14 => {
                    // Version and two sets of flags precede the transform.
                    adobe = segment.strip_prefix(b"Adobe").and_then(|s| s.get(6)).copied();
                }
                0xC4 | 0xC8 | 0xCC => {}
                0xC0..=0xCF | SOF_JPEG_LS => {
                    if header.is_some() {
                        return Err(CodecError::unsupported("hierarchical JPEG"));
                    }
                    header = Some(Self::frame(marker, segment).ok_or_else(damaged)?);
                }
                _ => {}
            }
        }
    }

    fn frame(process: u8, segment: &[u8]) -> Option<Self> {
        let (&[precision, r0, r1, c0, c1, count], rest) = segment.split_first_chunk()?;
        let (components, _) = rest.as_chunks::<3>();
        (components.len() == usize::from(count)).then(|| Self {
            process,
            precision,
            rows: u16::from_be_bytes([r0, r1]),
            columns: u16::from_be_bytes([c0, c1]),
            components: components.iter().map(|&[identifier, ..]| identifier).collect(),
            adobe_transform: None,
            interleave: None,
            scan: 0,
        })
    }

    /// Refuses a stream that says something else than the image attributes.
    pub(crate) fn agree(&self, shape: &FrameShape) -> Result<(), CodecError> {
        shape.agree(&StreamShape {
            rows: self.rows.into(),
            columns: self.columns.into(),
            components: self.components.len(),
            depth: self.precision.into(),
        })
    }
}

/// The next marker that has a segment; fill bytes before it are legal (T.81 §B.1.1.2).
fn next_marker(data: &[u8]) -> Option<(u8, &[u8])> {
    let (&0xFF, mut rest) = data.split_first()? else {
        return None;
    };
    while let Some((&0xFF, after)) = rest.split_first() {
        rest = after;
    }
    rest.split_first().map(|(&marker, after)| (marker, after))
}

fn segment(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, _) = data.split_first_chunk::<2>()?;
    let (segment, rest) = data.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
    Some((segment.get(2..)?, rest))
}
