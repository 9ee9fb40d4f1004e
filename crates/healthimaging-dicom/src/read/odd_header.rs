//! Element headers that violate the standard, read as dcmtk and pydicom read them.
//!
//! What is not a value representation may be one that was written wrongly (blanks, NULs, `??`, lower
//! case), or the element is in implicit VR although those around it are not. Each way to read the
//! header defines where the next one begins; the choice that leads to a header is used.

use std::io::{Read, Seek};

use dicom_core::dictionary::DataDictionary;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::ReadError;
use super::description::ByteOrder;
use super::header::{Encoding, Header, ITEM, tag_of};
use super::stream::Stream;

/// One way to read a header.
#[derive(Debug, Clone, Copy)]
struct Reading {
    vr: VR,
    encoding: Encoding,
    /// Bytes of the header.
    header: u64,
    /// Length of the value; `None` when undefined.
    length: Option<u64>,
}

/// How well what follows fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// The value does not end before it must, or no header follows it.
    None,
    /// What follows may be a header.
    Possible,
    /// What follows is a header, or the end.
    Certain,
}

/// Reads the header that begins with `head`, the bytes before the position of `stream`, when it is
/// odd; `None` when it is as it should be. Its value has to end before `end`.
pub(super) fn read<S: Read + Seek>(
    stream: &mut Stream<S>,
    encoding: Encoding,
    head: [u8; 8],
    end: u64,
) -> Result<Option<Header>, ReadError> {
    let tag = tag_of(head, encoding.byte_order());
    let start = stream.position() - 8;
    let Some(readings) = readings(stream, encoding, tag, head, end)? else {
        return Ok(None);
    };
    let mut best: Option<(Fit, Reading)> = None;
    for reading in readings.into_iter().flatten() {
        let fit = reading.fit(stream, tag, start, end)?;
        if fit > best.map_or(Fit::None, |(fit, _)| fit) {
            best = Some((fit, reading));
        }
    }
    let Some((_, reading)) = best else {
        return match encoding {
            // As it is; the value is cut then.
            Encoding::ImplicitLittle => Ok(None),
            _ if is_capitals([head[4], head[5]]) => Ok(None),
            _ => Err(ReadError::malformed(start, "there is no value representation")),
        };
    };
    stream.seek_to(start + reading.header)?;
    let Reading { vr, encoding, length, .. } = reading;
    Ok(Some(Header { tag, vr, length, start, encoding, is_odd: true }))
}

/// The ways to read an odd header, the likeliest first; `None` when it is not odd.
fn readings<S: Read + Seek>(
    stream: &mut Stream<S>,
    encoding: Encoding,
    tag: Tag,
    head: [u8; 8],
    end: u64,
) -> Result<Option<[Option<Reading>; 3]>, ReadError> {
    if tag.group() == ITEM.group() {
        return Ok(None);
    }
    let order = encoding.byte_order();
    let start = stream.position() - 8;
    let letters = [head[4], head[5]];
    let known = VR::from_binary(letters);
    if encoding == Encoding::ImplicitLittle {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let fits = length == u32::MAX || u64::from(length) <= end.saturating_sub(start + 8);
        return Ok(match known {
            Some(vr) if !fits => {
                let explicit = Encoding::ExplicitLittle;
                let short = Reading::short(vr, explicit, head);
                Some([Reading::long(stream, vr, explicit, start)?, Some(short), None])
            }
            _ => None,
        });
    }
    let reserved = [head[6], head[7]] != [0, 0];
    match known {
        Some(vr) if has_long_length(vr) && reserved => {
            let short = Reading::short(vr, encoding, head);
            Ok(Some([Reading::long(stream, vr, encoding, start)?, Some(short), None]))
        }
        Some(_) => Ok(None),
        // A VR of a later edition has a long length (PS3.5 §7.1.2).
        None if is_capitals(letters) => {
            if !reserved {
                return Ok(None);
            }
            Ok(Some([Some(Reading::short(VR::UN, encoding, head)), None, None]))
        }
        None => {
            let meant = VR::from_binary(letters.map(|letter| letter.to_ascii_uppercase()));
            let vr = meant.unwrap_or(VR::UN);
            let short = Some(Reading::short(vr, encoding, head));
            let long = if reserved { None } else { Reading::long(stream, vr, encoding, start)? };
            let implicit = match order {
                ByteOrder::Little => Some(Reading::implicit(head)),
                ByteOrder::Big => None,
            };
            let is_long = meant.is_some_and(has_long_length);
            Ok(Some(if is_long { [long, short, implicit] } else { [short, implicit, long] }))
        }
    }
}

impl Reading {
    fn short(vr: VR, encoding: Encoding, head: [u8; 8]) -> Self {
        let bytes = [head[6], head[7]];
        let length = match encoding.byte_order() {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        };
        Self { vr, encoding, header: 8, length: Some(length.into()) }
    }

    /// `None` where the length would lie behind the end of the file.
    fn long<S: Read + Seek>(
        stream: &mut Stream<S>,
        vr: VR,
        encoding: Encoding,
        start: u64,
    ) -> Result<Option<Self>, ReadError> {
        let Some([_, _, _, _, a, b, c, d]) = stream.glance(start + 4)? else {
            return Ok(None);
        };
        let length = match encoding.byte_order() {
            ByteOrder::Little => u32::from_le_bytes([a, b, c, d]),
            ByteOrder::Big => u32::from_be_bytes([a, b, c, d]),
        };
        let length = (length != u32::MAX).then_some(length.into());
        Ok(Some(Self { vr, encoding, header: 12, length }))
    }

    fn implicit(head: [u8; 8]) -> Self {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let length = (length != u32::MAX).then_some(length.into());
        Self { vr: VR::UN, encoding: Encoding::ImplicitLittle, header: 8, length }
    }

    /// How well what follows the element fits.
    fn fit<S: Read + Seek>(
        &self,
        stream: &mut Stream<S>,
        tag: Tag,
        start: u64,
        end: u64,
    ) -> Result<Fit, ReadError> {
        let value = start + self.header;
        let order = self.encoding.byte_order();
        let Some(length) = self.length else {
            let first = stream.glance(value)?.map(|head| tag_of(head, order));
            return Ok(if first == Some(ITEM) { Fit::Certain } else { Fit::None });
        };
        let next = value.saturating_add(length);
        if next >= end {
            return Ok(if next == end { Fit::Certain } else { Fit::None });
        }
        let Some(head) = stream.glance(next)? else {
            return Ok(Fit::None);
        };
        let follower = tag_of(head, order);
        if follower.group() == ITEM.group() {
            return Ok(Fit::Certain);
        }
        let has_vr = VR::from_binary([head[4], head[5]]).is_some();
        let is_near = follower > tag && follower.group() - tag.group() < 0x2000;
        let is_known = follower.element() != 0 && StandardDataDictionary.by_tag(follower).is_some();
        Ok(match has_vr {
            true if is_near || is_known => Fit::Certain,
            false if is_near && (follower.group() == tag.group() || is_known) => Fit::Possible,
            _ => Fit::None,
        })
    }
}

fn is_capitals(letters: [u8; 2]) -> bool {
    letters.iter().all(u8::is_ascii_uppercase)
}

/// VRs with a length field of 32 bits (PS3.5 §7.1.2).
fn has_long_length(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}
