//! The frame header of JPEG and JPEG-LS streams (ITU-T T.81 §B.2.2, T.87 §C.2.2), read before
//! a decoder is trusted with them.

use crate::error::CodecError;
use crate::shape::{FrameShape, StreamShape};

/// Start of image.
pub(crate) const SOI: u8 = 0xD8;
/// End of image.
pub(crate) const EOI: u8 = 0xD9;
/// Start of scan.
pub(crate) const SOS: u8 = 0xDA;
const DRI: u8 = 0xDD;
const APP0: u8 = 0xE0;
const APP14: u8 = 0xEE;
/// Start of a JPEG-LS frame.
pub(crate) const SOF_JPEG_LS: u8 = 0xF7;
/// Start of a baseline frame.
pub(crate) const SOF_BASELINE: u8 = 0xC0;
/// Start of an extended sequential Huffman frame.
pub(crate) const SOF_EXTENDED: u8 = 0xC1;
/// Start of a progressive Huffman frame.
pub(crate) const SOF_PROGRESSIVE: u8 = 0xC2;
/// Start of a lossless Huffman frame.
pub(crate) const SOF_LOSSLESS: u8 = 0xC3;

/// The headers up to the first scan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JpegHeader {
    /// Second byte of the SOF marker: the coding process.
    pub(crate) process: u8,
    pub(crate) precision: u8,
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    /// Components, in order.
    pub(crate) components: Vec<Component>,
    /// Color transform of an Adobe APP14 segment.
    pub(crate) adobe_transform: Option<u8>,
    /// MCUs between restart markers; 0 for none.
    pub(crate) restart_interval: u16,
    /// Whether there is a JFIF APP0 segment.
    pub(crate) jfif: bool,
    /// The byte of the first scan that is JPEG-LS's interleave mode.
    pub(crate) interleave: Option<u8>,
}

/// A component of the frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Component {
    pub(crate) identifier: u8,
    /// Horizontal and vertical sampling factor, four bits each.
    pub(crate) sampling: u8,
}

impl JpegHeader {
    /// Reads marker segments until the first scan.
    pub(crate) fn read(data: &[u8]) -> Result<Self, CodecError> {
        let damaged = || CodecError::malformed("the JPEG header is damaged");
        let mut rest = data.strip_prefix(&[0xFF, SOI]).ok_or_else(damaged)?;
        let mut header: Option<Self> = None;
        let mut adobe = None;
        let (mut jfif, mut restart_interval) = (false, 0);
        loop {
            let (marker, after) = next_marker(rest).ok_or_else(damaged)?;
            let (segment, after) = segment(after).ok_or_else(damaged)?;
            rest = after;
            match marker {
                EOI => return Err(damaged()),
                SOS => {
                    let mut header = header.ok_or_else(damaged)?;
                    header.adobe_transform = adobe;
                    header.jfif = jfif;
                    header.restart_interval = restart_interval;
                    // Near-lossless limit, interleave mode and point transform end the header.
                    header.interleave =
                        segment.len().checked_sub(2).and_then(|at| segment.get(at).copied());
                    return Ok(header);
                }
                DRI => {
                    let interval = segment.first_chunk().ok_or_else(damaged)?;
                    restart_interval = u16::from_be_bytes(*interval);
                }
                APP0 => jfif |= segment.starts_with(b"JFIF\0"),
                APP14 => {
                    // Version and two sets of flags precede the transform.
                    let transform = segment.strip_prefix(b"Adobe").and_then(|s| s.get(6));
                    adobe = transform.copied().or(adobe);
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
            components: components
                .iter()
                .map(|&[identifier, sampling, _]| Component { identifier, sampling })
                .collect(),
            adobe_transform: None,
            restart_interval: 0,
            jfif: false,
            interleave: None,
        })
    }

    /// Rejects a stream that contradicts the image attributes.
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
pub(crate) fn next_marker(data: &[u8]) -> Option<(u8, &[u8])> {
    let (&0xFF, mut rest) = data.split_first()? else {
        return None;
    };
    while let Some((&0xFF, after)) = rest.split_first() {
        rest = after;
    }
    rest.split_first().map(|(&marker, after)| (marker, after))
}

/// The content of the segment at the start of `data`, without its length, and what follows.
pub(crate) fn segment(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, _) = data.split_first_chunk::<2>()?;
    let (segment, rest) = data.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
    Some((segment.get(2..)?, rest))
}
