//! JP2 files (ITU-T T.800 Annex I): the boxes around a codestream.
//!
//! DICOM has bare codestreams (PS3.5 §A.4.4). `GetImageFrame` of AWS HealthImaging serves HTJ2K
//! frames as JP2 files.

use crate::codestream::Size;
use crate::error::CodecError;
use crate::transfer_syntax::HTJ2K_LOSSLESS_RPCL;

/// First box of a JP2 file: length 12, `jP\x20\x20`, and bytes that transfers as text would change.
const SIGNATURE: [u8; 12] = [0, 0, 0, 12, 0x6A, 0x50, 0x20, 0x20, 0x0D, 0x0A, 0x87, 0x0A];
/// Compression type of the image header box: JPEG 2000 (§I.5.3.1).
const JPEG_2000: u8 = 7;
/// Bits per component of the image header box when they differ; a box of their own has them then.
const BITS_DIFFER: u8 = 255;
/// Enumerated color spaces (§I.5.3.3).
const SRGB: u32 = 16;
const GRAYSCALE: u32 = 17;

/// Length in bytes of [`jp2_header`] while all components have the same bits.
const HEADER_LENGTH: u64 = 85;

/// Bytes that `GetImageFrame` puts before a frame of this transfer syntax that
/// [`encode`](crate::encode) made: the length of [`jp2_header`] for HTJ2K Lossless RPCL, otherwise 0.
#[must_use]
pub fn jp2_header_length(transfer_syntax: &str) -> u64 {
    if transfer_syntax == HTJ2K_LOSSLESS_RPCL { HEADER_LENGTH } else { 0 }
}

/// Returns what makes a JP2 file of a codestream when it is put before it: signature, file type
/// (brand `jp2 `), image header and color specification, and the head of a codestream box that
/// extends to the end of the file. `None` if the codestream has no main header.
///
/// The color space is grayscale for one or two components and sRGB for more, whatever Photometric
/// Interpretation is: for another one decoders would convert the samples.
///
/// ```
/// use healthimaging_pixels::{FrameShape, LosslessFormat, PixelRepresentation, encode, jp2_header};
///
/// let shape = FrameShape {
///     rows: 2,
///     columns: 2,
///     samples_per_pixel: 1,
///     bits_allocated: 8,
///     bits_stored: 8,
///     representation: PixelRepresentation::Unsigned,
/// };
/// let frame = encode(LosslessFormat::Htj2k, &shape, "MONOCHROME2", &[1, 2, 3, 4])?;
/// let header = jp2_header(&frame.bytes).unwrap_or_default();
/// assert_eq!(header[16..24], *b"ftypjp2 ");
/// # Ok::<(), healthimaging_pixels::CodecError>(())
/// ```
#[must_use]
pub fn jp2_header(codestream: &[u8]) -> Option<Vec<u8>> {
    let size = Size::read(codestream)?;
    let (rows, columns) = (u32::try_from(size.rows).ok()?, u32::try_from(size.columns).ok()?);
    let count = u16::try_from(size.components.len()).ok()?;
    // Bits less one, with the sign in bit 7, in SIZ as here.
    let (&bits, others) = size.components.split_first()?;
    let same = others.iter().all(|&other| other == bits);

    let mut image = Vec::new();
    let bits_or_differ = if same { bits } else { BITS_DIFFER };
    let [rows, columns] = [rows, columns].map(u32::to_be_bytes);
    let rest = [bits_or_differ, JPEG_2000, 0, 0];
    image.extend(boxed(*b"ihdr", &[&rows, &columns, &count.to_be_bytes(), &rest]));
    if !same {
        image.extend(boxed(*b"bpcc", &[&size.components]));
    }
    let color_space = if count < 3 { GRAYSCALE } else { SRGB };
    // Method 1: enumerated.
    image.extend(boxed(*b"colr", &[&[1, 0, 0], &color_space.to_be_bytes()]));

    let mut header = SIGNATURE.to_vec();
    header.extend(boxed(*b"ftyp", &[b"jp2 ", &[0; 4], b"jp2 "]));
    header.extend(boxed(*b"jp2h", &[&image]));
    // Length 0: to the end of the file.
    header.extend([0; 4]);
    header.extend(b"jp2c");
    Some(header)
}

/// A short box.
fn boxed(kind: [u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = u32::try_from(content.len() + 8).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), &kind, content.as_slice()].concat()
}

/// Returns the codestream of a JP2 file, and anything else as it is.
///
/// # Errors
/// [`CodecError::Malformed`] for a JP2 file without a codestream.
pub fn codestream_of(data: &[u8]) -> Result<&[u8], CodecError> {
    if !data.starts_with(&SIGNATURE[..8]) {
        return Ok(data);
    }
    codestream_box(data).ok_or_else(|| CodecError::malformed("the JP2 file has no codestream"))
}

fn codestream_box(data: &[u8]) -> Option<&[u8]> {
    let mut rest = data;
    loop {
        let (&[l0, l1, l2, l3, kind @ ..], _) = rest.split_first_chunk::<8>()?;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let (header, length) = match length {
            0 => (8, rest.len()),
            1 => {
                let long = rest.get(8..)?.first_chunk()?;
                (16, usize::try_from(u64::from_be_bytes(*long)).ok()?)
            }
            length => (8, usize::try_from(length).ok()?),
        };
        let (this, after) = rest.split_at_checked(length)?;
        if &kind == b"jp2c" {
            return this.get(header..);
        }
        // A box shorter than its own header would never end.
        this.get(header..)?;
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Main header up to SIZ of `rows` × `columns`, with these Ssiz of its components.
    fn start(rows: u32, columns: u32, components: &[u8]) -> Vec<u8> {
        let mut found = vec![0xFF, 0x4F, 0xFF, 0x51];
        let length = u16::try_from(38 + 3 * components.len()).unwrap();
        found.extend(length.to_be_bytes());
        found.extend([0x40, 0]);
        for word in [columns, rows, 0, 0, columns, rows, 0, 0] {
            found.extend(word.to_be_bytes());
        }
        found.extend(u16::try_from(components.len()).unwrap().to_be_bytes());
        found.extend(components.iter().flat_map(|&bits| [bits, 1, 1]));
        found
    }

    /// Byte by byte as T.800 §I.5 lays the boxes out.
    #[test]
    fn the_boxes_are_those_of_the_standard() {
        for (components, color_space) in
            [(vec![11], 17), (vec![0x8F], 17), (vec![7; 2], 17), (vec![7; 3], 16), (vec![7; 4], 16)]
        {
            let count = u8::try_from(components.len()).unwrap();
            let stream = start(0x0102, 0x0304, &components);
            #[rustfmt::skip]
            let expected = [
                0, 0, 0, 12, b'j', b'P', b' ', b' ', 0x0D, 0x0A, 0x87, 0x0A,
                0, 0, 0, 20, b'f', b't', b'y', b'p', b'j', b'p', b'2', b' ', 0, 0, 0, 0, b'j', b'p', b'2', b' ',
                0, 0, 0, 45, b'j', b'p', b'2', b'h',
                0, 0, 0, 22, b'i', b'h', b'd', b'r', 0, 0, 1, 2, 0, 0, 3, 4, 0, count, components[0], 7, 0, 0,
                0, 0, 0, 15, b'c', b'o', b'l', b'r', 1, 0, 0, 0, 0, 0, color_space,
                0, 0, 0, 0, b'j', b'p', b'2', b'c',
            ];
            let header = jp2_header(&stream).unwrap();
            assert_eq!(header, expected, "{components:?}");
            assert_eq!(header.len() as u64, jp2_header_length(HTJ2K_LOSSLESS_RPCL));
            let file = [header, stream.clone()].concat();
            assert_eq!(codestream_of(&file), Ok(stream.as_slice()));
        }
    }

    #[test]
    fn depths_that_differ_have_a_box_of_their_own() {
        let header = jp2_header(&start(1, 1, &[7, 0x8B, 7])).unwrap();
        assert_eq!(header[58], 255);
        assert_eq!(header[62..73], *b"\0\0\0\x0Bbpcc\x07\x8B\x07");
        assert_eq!(header[32..36], [0, 0, 0, 56], "bpcc lies in jp2h");
    }

    #[test]
    fn what_is_no_codestream_gets_no_boxes() {
        let stream = start(1, 1, &[7]);
        for data in [&[][..], &stream[..20], b"\xFF\xD8\xFF\xE0", &start(1, 1, &[])] {
            assert_eq!(jp2_header(data), None);
        }
        assert_eq!(codestream_of(&stream), Ok(stream.as_slice()), "it has no box to take away");
    }
}
