//! Stored HTJ2K frames are what PS3.5 §10.18 demands of HTJ2K Lossless RPCL: read marker by marker
//! as ITU-T T.800 Annex A and T.814 lay them out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pictures;

use std::collections::BTreeMap;

use healthimaging_pixels::{FrameShape, LosslessFormat, encode};
use pictures::{shape, signed};

const SIZ: u16 = 0xFF51;
const COD: u16 = 0xFF52;
const CAP: u16 = 0xFF50;
const TLM: u16 = 0xFF55;
const SOT: u16 = 0xFF90;

fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

/// Marker segments of the main header, without marker and length, and the first tile-part.
fn read(stream: &[u8]) -> (BTreeMap<u16, &[u8]>, &[u8]) {
    assert_eq!(stream[..2], [0xFF, 0x4F], "a raw codestream starts with SOC");
    let (mut segments, mut rest) = (BTreeMap::new(), &stream[2..]);
    loop {
        let marker = u16::from_be_bytes([rest[0], rest[1]]);
        if marker == SOT {
            return (segments, rest);
        }
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        segments.insert(marker, &rest[4..length + 2]);
        rest = &rest[length + 2..];
    }
}

fn encoded(shape: &FrameShape, photometric: &str, pixels: &[u8]) -> Vec<u8> {
    encode(LosslessFormat::Htj2k, shape, photometric, pixels).unwrap().bytes
}

fn blank(shape: &FrameShape) -> Vec<u8> {
    vec![1; usize::try_from(shape.byte_length()).unwrap()]
}

/// Tile-parts of the codestream from its first SOT on: the SOT segment and the length of each.
fn tile_parts(mut rest: &[u8]) -> Vec<(&[u8], u32)> {
    let mut found = Vec::new();
    while rest != [0xFF, 0xD9] {
        assert_eq!(rest[..4], [0xFF, 0x90, 0, 10], "SOT or EOC");
        let length = word(&rest[6..10]);
        found.push((&rest[4..12], length));
        rest = &rest[usize::try_from(length).unwrap()..];
    }
    found
}

/// PS3.5 §10.18 asks for TLM, so that a client can fetch the first resolutions alone.
#[test]
fn each_resolution_is_a_tile_part_that_tlm_lists() {
    for (rows, columns, samples, resolutions) in
        [(70, 50, 1, 2), (512, 512, 1, 4), (300, 200, 3, 4), (1, 300, 1, 2), (1, 1, 1, 2)]
    {
        let shape = shape(rows, columns, samples, 8, 8);
        let photometric = if samples == 3 { "RGB" } else { "MONOCHROME2" };
        let stream = encoded(&shape, photometric, &blank(&shape));
        let (segments, rest) = read(&stream);
        let parts = tile_parts(rest);
        assert_eq!(parts.len(), resolutions, "{rows} x {columns}");
        assert_eq!(usize::from(segments[&COD][5]) + 1, resolutions);
        // First segment; 16-bit tile numbers, 32-bit lengths (T.800 Table A.35).
        let mut listed = vec![0, 0x60];
        for (number, &(segment, length)) in parts.iter().enumerate() {
            assert_eq!(segment[..2], [0, 0], "the one tile");
            assert_eq!(usize::from(segment[6]), number, "TPsot");
            assert!([0, resolutions].contains(&segment[7].into()), "TNsot");
            listed.extend([0, 0]);
            listed.extend(length.to_be_bytes());
        }
        assert_eq!(segments[&TLM], listed, "{rows} x {columns}");
    }
}

#[test]
fn coding_style_is_reversible_rpcl_high_throughput() {
    let shape = shape(300, 200, 3, 8, 8);
    let pixels = blank(&shape);
    for (photometric, transform) in [("RGB", 1), ("YBR_FULL", 0)] {
        let stream = encoded(&shape, photometric, &pixels);
        let (segments, _) = read(&stream);
        let cod = segments[&COD];
        assert_eq!(cod[1], 2, "RPCL");
        assert_eq!(cod[4], transform, "component transform of {photometric}");
        assert_eq!(cod[6..8], [4, 4], "code-blocks of 64 by 64");
        assert_eq!(cod[8] & 0x40, 0x40, "high-throughput block coder");
        assert_eq!(cod[9], 1, "5-3 reversible wavelet");
        assert!(segments.contains_key(&CAP));
    }
}

#[test]
fn the_lowest_resolution_is_at_most_64() {
    for (rows, columns, expected) in [
        (64, 64, 1), // the encoder needs one level
        (65, 64, 1),
        (128, 128, 1),
        (129, 100, 2),
        (512, 512, 3),
        (2500, 3000, 6),
        (4, 4000, 2), // a side of one sample cannot be halved
        (1, 300, 1),
        (1, 1, 1),
    ] {
        let shape = shape(rows, columns, 1, 8, 8);
        let stream = encoded(&shape, "MONOCHROME2", &blank(&shape));
        let levels = read(&stream).0[&COD][5];
        assert_eq!(levels, expected, "{rows} x {columns}");
        if rows >= 64 {
            assert!(rows.max(columns).div_ceil(1 << levels) <= 64);
        }
    }
}

#[test]
fn bit_depth_is_bits_stored_while_the_samples_fit() {
    let depth = |shape: &FrameShape, pixels: &[u8]| {
        let stream = encoded(shape, "MONOCHROME2", pixels);
        read(&stream).0[&SIZ][36]
    };
    let unsigned = shape(1, 2, 1, 16, 12);
    assert_eq!(depth(&unsigned, &[0xFF, 0x0F, 0, 0]), 11, "12 bits, less one");
    assert_eq!(depth(&unsigned, &[0x00, 0x10, 0, 0]), 15, "4096 needs more");
    let byte = shape(1, 2, 1, 16, 8);
    assert_eq!(depth(&byte, &[0xFF, 0, 0, 0]), 8, "decoders return two bytes for 9 bits and more");
    assert_eq!(depth(&shape(1, 2, 1, 8, 6), &[63, 0]), 5, "and one byte for 8 and less");
    let signed = signed(unsigned);
    assert_eq!(depth(&signed, &[0x00, 0xF8, 0xFF, 0x07]), 0x80 + 11, "-2048 and 2047");
    assert_eq!(depth(&signed, &[0x00, 0x08, 0, 0]), 0x80 + 15, "2048 needs more");
}
