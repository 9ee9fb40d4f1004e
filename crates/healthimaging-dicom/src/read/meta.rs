//! Preamble and File Meta Information (PS3.10 §7.1).

use std::io::{Read, Seek};

use dicom_core::VR;
use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::{StandardDataDictionary, tags};

use crate::data_set::DataSet;

use super::description::ByteOrder;
use super::elements::Walk;
use super::header::{Encoding, tag_of};
use super::limits::Budget;
use super::stream::Stream;
use super::{ReadError, ReadLimits, ReadWarning};

/// The part before the data set.
#[derive(Debug, Default)]
pub(super) struct Meta {
    /// Group 0002.
    pub(super) data_set: DataSet,
    /// Without padding.
    pub(super) transfer_syntax: String,
    pub(super) warnings: Vec<ReadWarning>,
}

/// Reads preamble, prefix and group 0002; the stream is then at the data set. A file may begin with
/// elements right away, as those of before PS3.10 do; it shows how they are encoded.
pub(super) fn read<S: Read + Seek>(
    stream: &mut Stream<S>,
    limits: &ReadLimits,
) -> Result<Meta, ReadError> {
    let has_prefix = stream.glance(124)?.is_some_and(|[.., a, b, c, d]| [a, b, c, d] == *b"DICM");
    let mut read = Meta::default();
    if has_prefix {
        stream.seek_to(132)?;
        if stream.left() == 0 {
            return Err(ReadError::Empty);
        }
    } else if begins_with_elements(stream)? {
        read.warnings.push(ReadWarning::NoPreamble);
    } else {
        return Err(ReadError::NotPart10);
    }
    let mut walk = Walk::new(stream, Budget::new(limits));
    read.data_set = walk.meta()?;
    read.warnings.append(&mut walk.found.warnings);
    let named = read.data_set.text(tags::TRANSFER_SYNTAX_UID).map(str::to_owned);
    read.transfer_syntax = match (named, has_prefix) {
        (Some(named), _) => named,
        (None, true) => return Err(ReadError::Missing("TransferSyntaxUID")),
        (None, false) => match stream.peek()?.and_then(encoding_of) {
            Some(Encoding::ImplicitLittle) => "1.2.840.10008.1.2",
            Some(Encoding::ExplicitLittle) => "1.2.840.10008.1.2.1",
            Some(Encoding::ExplicitBig) => "1.2.840.10008.1.2.2",
            None => return Err(ReadError::NotPart10),
        }
        .to_owned(),
    };
    Ok(read)
}

/// Whether the file begins with an element of group 0002 or 0008.
fn begins_with_elements<S: Read + Seek>(stream: &mut Stream<S>) -> Result<bool, ReadError> {
    let Some(head) = stream.peek()? else {
        return Ok(false);
    };
    let length = match encoding_of(head) {
        None => return Ok(false),
        Some(Encoding::ImplicitLittle) => {
            u32::from_le_bytes([head[4], head[5], head[6], head[7]]).into()
        }
        Some(_) => 0,
    };
    Ok(length <= stream.left())
}

/// How a first element of group 0002 or 0008 is encoded; `None` when it is not one.
fn encoding_of(head: [u8; 8]) -> Option<Encoding> {
    let is_first = |order| {
        let tag = tag_of(head, order);
        let is_known = StandardDataDictionary.by_tag(tag).is_some();
        matches!(tag.group(), 0x0002 | 0x0008) && (tag.element() == 0 || is_known)
    };
    let has_vr = VR::from_binary([head[4], head[5]]).is_some();
    match (is_first(ByteOrder::Little), is_first(ByteOrder::Big), has_vr) {
        (true, _, true) => Some(Encoding::ExplicitLittle),
        (true, _, false) => Some(Encoding::ImplicitLittle),
        (false, true, true) => Some(Encoding::ExplicitBig),
        _ => None,
    }
}
