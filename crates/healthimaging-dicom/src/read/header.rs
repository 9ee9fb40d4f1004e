//! Element and item headers, decoded by dicom-rs in the encoding at hand.

use std::io::{Read, Seek};

use dicom_core::header::{DataElementHeader, Header as _};
use dicom_core::{Tag, VR};
use dicom_encoding::decode::Decode;
use dicom_encoding::decode::explicit_be::ExplicitVRBigEndianDecoder;
use dicom_encoding::decode::explicit_le::ExplicitVRLittleEndianDecoder;
use dicom_encoding::decode::implicit_le::ImplicitVRLittleEndianDecoder;

use super::ReadError;
use super::description::ByteOrder;
use super::stream::Stream;

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
    /// the two exceptions (PS3.5 §A.4).
    pub(super) fn of(transfer_syntax: &str) -> Self {
        match transfer_syntax {
            "1.2.840.10008.1.2" => Self::ImplicitLittle,
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
    let decoded = encoding.decode(&mut head.as_slice().chain(&mut *stream)).map_err(|_| cut())?;
    if stream.position() > end {
        return Err(cut());
    }
    let tag = decoded.tag();
    if encoding != Encoding::ImplicitLittle && tag.group() != ITEM.group() {
        check_vr([head[4], head[5]], start)?;
    }
    let length = decoded.len.get().map(u64::from);
    Ok(Header { tag, vr: decoded.vr(), length, start })
}

/// A VR of a later edition is two capitals and is read as UN (PS3.5 §6.2); else these are no elements.
fn check_vr(vr: [u8; 2], position: u64) -> Result<(), ReadError> {
    if vr.iter().all(u8::is_ascii_uppercase) {
        return Ok(());
    }
    Err(ReadError::malformed(position, "there is no value representation"))
}

/// Tells from its first element whether a data set is in explicit or implicit VR; `None` if unclear.
pub(super) fn sniff(head: [u8; 8]) -> Option<Encoding> {
    let known = VR::from_binary([head[4], head[5]]).is_some();
    let tag = Tag(u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]));
    if tag.group() == ITEM.group() {
        return None;
    }
    if known {
        return Some(Encoding::ExplicitLittle);
    }
    let capitals = head[4].is_ascii_uppercase() && head[5].is_ascii_uppercase();
    if capitals { None } else { Some(Encoding::ImplicitLittle) }
}
