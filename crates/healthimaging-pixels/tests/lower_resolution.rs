//! Lower resolutions of frames, beside what `opj_decompress -r` and `ojph_expand -skip_res` make of the whole codestream.
//!
//! `data/*.levels.jhc` was encoded by `encode_raw`; `data/*.lowerN.raw` are the samples that both programs of Debian 12 (OpenJPEG
//! 2.5.0 and OpenJPH 0.9.0) decode of it, N resolutions below the highest.
#![cfg(feature = "codecs")]
#![expect(clippy::unwrap_used, reason = "a test may")]

use healthimaging_pixels::{
    FrameShape, LosslessFormat, PixelRepresentation, PlanarConfiguration, SourceFrame, decode,
    decode_stored_lower, encode, lower_resolution,
};

const HTJ2K: &str = "1.2.840.10008.1.2.4.202";

const GRAY: FrameShape = FrameShape {
    rows: 101,
    columns: 150,
    samples_per_pixel: 1,
    bits_allocated: 16,
    bits_stored: 12,
    representation: PixelRepresentation::Unsigned,
};
const COLOR: FrameShape = FrameShape {
    rows: 130,
    columns: 97,
    samples_per_pixel: 3,
    bits_allocated: 8,
    bits_stored: 8,
    ..GRAY
};

fn decoded(shape: FrameShape, data: &[u8]) -> Vec<u8> {
    let photometric = if shape.samples_per_pixel == 3 { "RGB" } else { "MONOCHROME2" };
    let planar = PlanarConfiguration::Interleaved;
    let source = SourceFrame { transfer_syntax: HTJ2K, shape, photometric, planar, data };
    decode(&source).unwrap().pixels
}

#[test]
fn a_lower_resolution_is_that_of_other_decoders() {
    let gray = include_bytes!("data/gray12.levels.jhc");
    let color = include_bytes!("data/rgb8.levels.jhc");
    for (shape, stream, size, expected) in [
        (GRAY, &gray[..], (51, 75), &include_bytes!("data/gray12.lower1.raw")[..]),
        (GRAY, gray, (26, 38), include_bytes!("data/gray12.lower2.raw")),
        (COLOR, color, (65, 49), include_bytes!("data/rgb8.lower1.raw")),
        (COLOR, color, (33, 25), include_bytes!("data/rgb8.lower2.raw")),
    ] {
        let (lower, bytes) = lower_resolution(HTJ2K, &shape, stream, size).unwrap();
        assert_eq!((lower.rows, lower.columns), size);
        assert!(bytes.len() < stream.len(), "the higher resolutions are left out");
        assert!(decoded(lower, &bytes) == expected, "{shape:?} {size:?}");
        let photometric = if shape.samples_per_pixel == 3 { "YBR_RCT" } else { "MONOCHROME2" };
        let stored = decode_stored_lower(HTJ2K, &shape, photometric, stream, size).unwrap();
        let (found, frame) = stored.unwrap();
        assert!((found, frame.pixels) == (lower, expected.to_vec()), "{shape:?} {size:?}");
        // One pixel more needs the next resolution, or the whole frame.
        let larger = lower_resolution(HTJ2K, &shape, stream, (size.0 + 1, size.1));
        assert!(larger.is_none_or(|(larger, _)| larger.rows > size.0));
    }
}

/// The filter of the wavelet goes beyond the lowest and the highest sample: both decoders keep to the bit depth.
#[test]
fn samples_of_a_lower_resolution_stay_within_the_bit_depth() {
    for (bits_stored, representation) in [
        (12, PixelRepresentation::Unsigned),
        (16, PixelRepresentation::Unsigned),
        (12, PixelRepresentation::Signed),
        (16, PixelRepresentation::Signed),
    ] {
        let shape = FrameShape { rows: 96, columns: 80, bits_stored, representation, ..GRAY };
        let (least, greatest) = match representation {
            PixelRepresentation::Unsigned => (0, (1 << bits_stored) - 1),
            PixelRepresentation::Signed => {
                (-(1 << (bits_stored - 1)), (1 << (bits_stored - 1)) - 1)
            }
        };
        // Blocks of three pixels of the lowest and the highest value.
        let sample = |at: u32| {
            let square = at % shape.columns / 3 + at / shape.columns / 3;
            let is_high = square.is_multiple_of(2);
            let value: i32 = if is_high { greatest } else { least };
            let [low, high, ..] = value.to_le_bytes();
            [low, high]
        };
        let pixels: Vec<u8> = (0..shape.rows * shape.columns).flat_map(sample).collect();
        let stored = encode(LosslessFormat::Htj2k, &shape, "MONOCHROME2", &pixels).unwrap().bytes;
        let (lower, stream) = lower_resolution(HTJ2K, &shape, &stored, (24, 20)).unwrap();
        let expected = decoded(lower, &stream);
        let found = decode_stored_lower(HTJ2K, &shape, "MONOCHROME2", &stored, (24, 20)).unwrap();
        let (found, frame) = found.unwrap();
        assert!((found, frame.pixels) == (lower, expected), "{shape:?}");
    }
}

/// Odd sizes, signed samples and every level of a large frame decode to amounts of the frame.
#[test]
fn flat_frames_stay_flat_in_every_resolution() {
    for (rows, columns, value) in [(512, 512, -1000_i16), (65, 1023, 700), (1000, 33, -1)] {
        let shape = FrameShape {
            rows,
            columns,
            bits_stored: 16,
            representation: PixelRepresentation::Signed,
            ..GRAY
        };
        let pixels = value.to_le_bytes().repeat((rows * columns) as usize);
        let encoded = encode(LosslessFormat::Htj2k, &shape, "MONOCHROME2", &pixels).unwrap();
        let mut sizes = Vec::new();
        for least in 1..rows {
            let Some((lower, bytes)) = lower_resolution(HTJ2K, &shape, &encoded.bytes, (least, 1))
            else {
                continue;
            };
            if sizes.contains(&lower.rows) {
                continue;
            }
            sizes.push(lower.rows);
            let found = decoded(lower, &bytes);
            assert!(found.chunks(2).all(|sample| sample == value.to_le_bytes()), "{lower:?}");
        }
        assert!(!sizes.is_empty(), "{rows} x {columns}");
    }
}

#[test]
fn streams_of_another_form_are_left_alone() {
    let gray = include_bytes!("data/gray12.levels.jhc");
    let least = (26, 38);
    assert!(lower_resolution(HTJ2K, &GRAY, gray, least).is_some());
    for other in ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.1"] {
        assert!(lower_resolution(other, &GRAY, gray, least).is_none());
    }
    let turned = FrameShape { rows: GRAY.columns, columns: GRAY.rows, ..GRAY };
    assert!(lower_resolution(HTJ2K, &turned, gray, least).is_none());
    for end in 0..gray.len() {
        assert!(
            lower_resolution(HTJ2K, &GRAY, &gray[..end], least)
                .is_none_or(|_| end + 2 >= gray.len())
        );
    }
    // Whatever byte of the header is wrong, nothing panics.
    for at in 0..256 {
        let mut damaged = gray.to_vec();
        damaged[at] ^= 0xFF;
        let _ = lower_resolution(HTJ2K, &GRAY, &damaged, least);
    }
}
