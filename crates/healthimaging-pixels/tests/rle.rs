//! RLE Lossless (PS3.5 Annex G).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pictures;

use healthimaging_pixels::{CodecError, decode};
use pictures::{frame, shape};

const RLE: &str = "1.2.840.10008.1.2.5";

/// The worked example of Apple's Technical Note 1023, which defines `PackBits`.
const PACKED: [u8; 15] =
    [0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7, 0xAA];
const UNPACKED: [u8; 24] = [
    0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22, 0xAA, 0xAA,
    0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
];

fn encapsulate(segments: &[&[u8]]) -> Vec<u8> {
    let mut header = vec![u32::try_from(segments.len()).unwrap()];
    let mut body = Vec::new();
    for segment in segments {
        header.push(u32::try_from(64 + body.len()).unwrap());
        body.extend_from_slice(segment);
    }
    header.resize(16, 0);
    let mut data: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
    data.append(&mut body);
    data
}

#[test]
fn the_packbits_example_unpacks() {
    let data = encapsulate(&[&PACKED]);
    let decoded = decode(&frame(RLE, shape(4, 6, 1, 8, 8), "MONOCHROME2", &data)).unwrap();
    assert_eq!(decoded.pixels, UNPACKED);
}

#[test]
fn segments_come_most_significant_byte_first() {
    // Two pixels of value 0x0102 and 0x0104; -128 does nothing, and the segment is padded.
    let data = encapsulate(&[&[0xFF, 0x01], &[0x80, 0x01, 0x02, 0x04, 0x00, 0x00]]);
    let decoded = decode(&frame(RLE, shape(1, 2, 1, 16, 16), "MONOCHROME2", &data)).unwrap();
    assert_eq!(decoded.pixels, [0x02, 0x01, 0x04, 0x01]);

    let data = encapsulate(&[&[0, 1], &[0, 2], &[0, 3], &[0, 4]]);
    let decoded = decode(&frame(RLE, shape(1, 1, 1, 32, 32), "MONOCHROME2", &data)).unwrap();
    assert_eq!(decoded.pixels, [4, 3, 2, 1]);
}

#[test]
fn components_become_interleaved() {
    let data = encapsulate(&[&[1, 1, 2], &[1, 11, 12], &[1, 21, 22]]);
    let decoded = decode(&frame(RLE, shape(1, 2, 3, 8, 8), "RGB", &data)).unwrap();
    assert_eq!(
        (decoded.pixels.as_slice(), &*decoded.photometric),
        (&[1, 11, 21, 2, 12, 22][..], "RGB")
    );
}

#[test]
fn blank_frames_unpack() {
    // 128 pixels in two bytes, the greatest ratio there is.
    let segment: Vec<u8> = [0x81, 7].repeat(512);
    let data = encapsulate(&[&segment]);
    let decoded = decode(&frame(RLE, shape(256, 256, 1, 8, 8), "MONOCHROME2", &data)).unwrap();
    assert_eq!(decoded.pixels, vec![7; 65_536]);
}

#[test]
fn damaged_frames_are_refused() {
    let whole = encapsulate(&[&PACKED]);
    let mut beyond = whole.clone();
    beyond[4..8].copy_from_slice(&1000_u32.to_le_bytes());
    let mut inside = whole.clone();
    inside[4..8].copy_from_slice(&3_u32.to_le_bytes());
    let mut many = whole.clone();
    many[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let cases: [&[u8]; 6] = [&[], &whole[..63], &whole[..70], &beyond, &inside, &many];
    for data in cases {
        let refused = decode(&frame(RLE, shape(4, 6, 1, 8, 8), "MONOCHROME2", data));
        assert!(matches!(refused, Err(CodecError::Malformed(_))), "{refused:?}");
    }
    let huge = decode(&frame(RLE, shape(60_000, 60_000, 1, 8, 8), "MONOCHROME2", &whole));
    assert!(matches!(huge, Err(CodecError::Malformed(_))), "{huge:?}");
    let color = decode(&frame(RLE, shape(4, 6, 3, 8, 8), "RGB", &whole));
    assert!(matches!(color, Err(CodecError::Disagreement(_))), "{color:?}");
}
