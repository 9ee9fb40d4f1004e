//! Element and item headers, decoded by dicom-rs in the encoding at hand.

use std::io::{Read, Seek};

use dicom_core::header::{DataElementHeader, Header as _};
use dicom_core::{Tag, VR};
use dicom_encoding::decode::Decode;
use dicom_encoding::decode::explicit_be::ExplicitVRBigEndianDecoder;
use dicom_encoding::decode::explicit_le::ExplicitVRLittleEndianDecoder;
use dicom_encoding::decode::implicit_le::ImplicitVRLittleEndianDecoder;

use super::description::ByteOrder;
use super::pixel_syntax::GE_BIG_ENDIAN_PIXELS;
use super::stream::Stream;
use super::{ReadError, odd_header};

/// Group of items and delimiters (PS3.5 §7.5).
pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
/// Item Delimitation Item.
pub(super) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
/// Sequence Delimitation Item.
pub(super) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// How elements are encoded (PS3.5 Annex A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    ImplicitLittle,
    ExplicitLittle,
    ExplicitBig,
}

impl Encoding {
    /// The encoding of a data set in `transfer_syntax`: explicit little endian unless it is one of
    /// the two exceptions (PS3.5 §A.4) or a private one.
    pub(super) fn of(transfer_syntax: &str) -> Self {
        match transfer_syntax {
            "1.2.840.10008.1.2" | GE_BIG_ENDIAN_PIXELS => Self::ImplicitLittle,
            "1.2.840.10008.1.2.2" => Self::ExplicitBig,
            _ => Self::ExplicitLittle,
        }
    }

    pub(super) fn byte_order(self) -> ByteOrder {
        match self {
            Self::ExplicitBig => ByteOrder::Big,
            Self::ImplicitLittle | Self::ExplicitLittle => ByteOrder::Little,
        }
    }

    /// In words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ImplicitLittle => "implicit",
            Self::ExplicitLittle => "explicit",
            Self::ExplicitBig => "explicit big endian",
        }
    }

    fn decode(self, source: &mut impl Read) -> dicom_encoding::decode::Result<DataElementHeader> {
        let (header, _) = match self {
            Self::ImplicitLittle => {
                ImplicitVRLittleEndianDecoder::with_std_dict().decode_header(source)
            }
            Self::ExplicitLittle => ExplicitVRLittleEndianDecoder::default().decode_header(source),
            Self::ExplicitBig => ExplicitVRBigEndianDecoder::default().decode_header(source),
        }?;
        Ok(header)
    }
}

/// The header of an element, item or delimiter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) tag: Tag,
    pub(super) vr: VR,
    /// Length of the value; `None` when undefined.
    pub(super) length: Option<u64>,
    /// First byte of the header.
    pub(super) start: u64,
    /// How the element is encoded: mostly as those around it.
    pub(super) encoding: Encoding,
    /// Whether the header violates the standard.
    pub(super) is_odd: bool,
}

impl Header {
    /// Whether this is an item or a delimiter.
    pub(super) fn is_delimiter(&self) -> bool {
        self.tag.group() == ITEM.group()
    }
}

/// Reads the header here, which has to lie before `end`.
pub(super) fn read_header<S: Read + Seek>(
    stream: &mut Stream<S>,
    encoding: Encoding,
    end: u64,
) -> Result<Header, ReadError> {
    let start = stream.position();
    let cut = || ReadError::Cut {
        what: "the header of an element".to_owned(),
        position: start,
        needed: 8,
        left: end.saturating_sub(start),
    };
    if end.saturating_sub(start) < 8 {
        return Err(cut());
    }
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    if let Some(header) = odd_header::read(stream, encoding, head, end)? {
        return Ok(header);
    }
    let decoded = encoding.decode(&mut head.as_slice().chain(&mut *stream)).map_err(|_| cut())?;
    if stream.position() > end {
        return Err(cut());
    }
    let length = decoded.len.get().map(u64::from);
    let (tag, vr) = (decoded.tag(), decoded.vr());
    Ok(Header { tag, vr, length, start, encoding, is_odd: false })
}

/// Returns whether a data set is in explicit VR, by its first element; `None` if unclear.
pub(super) fn sniff(head: [u8; 8]) -> Option<Encoding> {
    let known = VR::from_binary([head[4], head[5]]).is_some();
    let tag = tag_of(head, ByteOrder::Little);
    if tag.group() == ITEM.group() {
        return None;
    }
    if known {
        return Some(Encoding::ExplicitLittle);
    }
    let capitals = head[4].is_ascii_uppercase() && head[5].is_ascii_uppercase();
    if capitals { None } else { Some(Encoding::ImplicitLittle) }
}

/// The tag that a header begins with.
pub(super) fn tag_of(head: [u8; 8], order: ByteOrder) -> Tag {
    let number = |bytes| match order {
        ByteOrder::Little => u16::from_le_bytes(bytes),
        ByteOrder::Big => u16::from_be_bytes(bytes),
    };
    Tag(number([head[0], head[1]]), number([head[2], head[3]]))
}
