//! The transfer syntax that the pixels are in, which may be another than that of the file.

use std::io::{self, Read, Seek};

use super::description::ByteOrder;
use super::pixel_data::{PixelData, PixelLayout};
use super::stream::Stream;

const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";

/// A private transfer syntax of GE: Implicit VR Little Endian with native pixel data in big endian
/// (dcmtk has it as `UID_PrivateGE_LEI_WithBigEndianPixelDataTransferSyntax`).
pub(super) const GE_BIG_ENDIAN_PIXELS: &str = "1.2.840.113619.5.2";

/// The transfer syntax of the pixels of a file.
///
/// Where the file's own syntax does not fit how the pixel data is laid out, native pixel data is in
/// little endian, and encapsulated pixel data is what its first fragment begins as. What is not
/// recognized keeps the syntax of the file.
pub(super) fn of<S: Read + Seek>(
    transfer_syntax: &str,
    order: ByteOrder,
    pixels: Option<&PixelData>,
    stream: &mut Stream<S>,
) -> io::Result<String> {
    let found = match pixels.map(|pixels| &pixels.layout) {
        Some(PixelLayout::Native) if transfer_syntax == GE_BIG_ENDIAN_PIXELS => Some(EXPLICIT_BIG),
        Some(PixelLayout::Native) if is_standard_encapsulated(transfer_syntax) => {
            (order == ByteOrder::Little).then_some(EXPLICIT_LITTLE)
        }
        Some(PixelLayout::Encapsulated(found)) if is_native(transfer_syntax) => {
            match found.fragments.first() {
                Some(first) => {
                    stream.seek_to(first.offset)?;
                    let length = first.length.min(LOOKED_AT);
                    of_stream(&stream.read_vec(length)?)
                }
                None => None,
            }
        }
        _ => None,
    };
    Ok(found.unwrap_or(transfer_syntax).to_owned())
}

/// Bytes of the first fragment in which the frame header of a JPEG is looked for, behind its tables.
const LOOKED_AT: u64 = 64 << 10;

/// The three of PS3.5 §A.1 to §A.3 and the deflated one of §A.5.
fn is_native(transfer_syntax: &str) -> bool {
    matches!(
        transfer_syntax,
        "1.2.840.10008.1.2" | EXPLICIT_LITTLE | EXPLICIT_BIG | "1.2.840.10008.1.2.1.99"
    )
}

/// RLE Lossless, and the branch of JPEG and video.
fn is_standard_encapsulated(transfer_syntax: &str) -> bool {
    transfer_syntax == "1.2.840.10008.1.2.5" || transfer_syntax.starts_with("1.2.840.10008.1.2.4.")
}

/// The transfer syntax of a stream, by its start: one whose frames are decoded, since what the
/// syntax promises of them is not known.
fn of_stream(start: &[u8]) -> Option<&'static str> {
    match start {
        [0xFF, 0xD8, rest @ ..] => of_jpeg(rest),
        [0xFF, 0x4F, 0xFF, 0x51, ..] | [0, 0, 0, 0x0C, b'j', b'P', b' ', b' ', ..] => {
            Some("1.2.840.10008.1.2.4.90")
        }
        // Number of segments, then the offset of the first, behind the header (PS3.5 §G.5).
        [1..=15, 0, 0, 0, 64, 0, 0, 0, ..] => Some("1.2.840.10008.1.2.5"),
        _ => None,
    }
}

/// By the marker of the frame header: T.81 Table B.1, T.87 Annex C.
fn of_jpeg(mut rest: &[u8]) -> Option<&'static str> {
    loop {
        let [0xFF, marker, after @ ..] = rest else {
            return None;
        };
        match marker {
            // Fill bytes may stand before a marker.
            0xFF => rest = &rest[1..],
            0xC0..=0xC2 => return Some("1.2.840.10008.1.2.4.51"),
            0xC3 => return Some("1.2.840.10008.1.2.4.57"),
            0xF7 => return Some("1.2.840.10008.1.2.4.80"),
            _ => {
                let [high, low, ..] = *after else {
                    return None;
                };
                rest = after.get(usize::from(u16::from_be_bytes([high, low]))..)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_by_their_first_markers() {
        let tables = [&[0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xFF][..]].concat();
        for (marker, uid) in [
            (0xC0, "1.2.840.10008.1.2.4.51"),
            (0xC3, "1.2.840.10008.1.2.4.57"),
            (0xF7, "1.2.840.10008.1.2.4.80"),
        ] {
            let stream = [&tables[..tables.len() - 1], &[0xFF, marker, 0, 11]].concat();
            assert_eq!(of_stream(&stream), Some(uid));
        }
        assert_eq!(of_stream(&[0xFF, 0x4F, 0xFF, 0x51, 0]), Some("1.2.840.10008.1.2.4.90"));
        assert_eq!(of_stream(&[2, 0, 0, 0, 64, 0, 0, 0, 9]), Some("1.2.840.10008.1.2.5"));
        for unknown in [&[][..], &[0xFF, 0xD8], &[0xFF, 0xD8, 0xFF, 0xE0, 0xFF], &[1; 8]] {
            assert_eq!(of_stream(unknown), None);
        }
    }
}
