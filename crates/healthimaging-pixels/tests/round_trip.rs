//! Every shape that can be encoded comes back byte for byte, through both stored formats and
//! through two independent HTJ2K decoders (`OpenJPH` for stored frames, `OpenJPEG` for any other).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod pictures;

use healthimaging_pixels::{
    CodecError, FrameShape, LosslessFormat, PixelRepresentation, decode, decode_stored, encode,
};
use pictures::{frame, shape, signed};
use proptest::prelude::*;

/// The kinds of picture that break codecs in different ways.
#[derive(Debug, Clone, Copy)]
enum Picture {
    Constant,
    Gradient,
    Noise,
    Extremes,
}

/// Samples of `bits` bits, sign-extended or zero-extended into the container.
fn paint(shape: &FrameShape, picture: Picture, bits: u16, seed: u32) -> Vec<u8> {
    let count =
        usize::try_from(shape.byte_length()).unwrap() / usize::from(shape.bits_allocated / 8);
    let mut state = seed | 1;
    let mut pixels = Vec::new();
    for index in 0..count {
        // Numerical Recipes' linear congruential generator; its high bits are good enough.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let raw = match picture {
            Picture::Constant => seed >> 7,
            Picture::Gradient => u32::try_from(index).unwrap().wrapping_mul(3),
            Picture::Noise => state >> 12,
            Picture::Extremes => {
                // Smallest and largest value of the width, whatever its sign.
                let low = if shape.representation == PixelRepresentation::Signed {
                    1_u32 << (bits - 1)
                } else {
                    0
                };
                if state >> 31 == 0 { low } else { !low }
            }
        };
        let unused = 32 - u32::from(bits);
        let value = if shape.representation == PixelRepresentation::Signed {
            (raw.cast_signed() << unused >> unused).cast_unsigned()
        } else {
            raw << unused >> unused
        };
        pixels.extend_from_slice(&value.to_le_bytes()[..usize::from(shape.bits_allocated / 8)]);
    }
    pixels
}

/// Encodes in `format` and decodes with everything that can read it.
fn assert_comes_back(format: LosslessFormat, shape: &FrameShape, photometric: &str, pixels: &[u8]) {
    let uid = format.transfer_syntax();
    let encoded = encode(format, shape, photometric, pixels)
        .unwrap_or_else(|error| panic!("{format:?} {shape:?}: {error}"));
    let stored = decode_stored(uid, shape, photometric, &encoded.bytes).unwrap();
    assert!(stored.pixels == pixels, "{format:?} {shape:?}: stored frame differs");
    let outside = decode(&frame(uid, *shape, photometric, &encoded.bytes))
        .unwrap_or_else(|error| panic!("{format:?} {shape:?}: {error}"));
    assert!(outside.pixels == pixels, "{format:?} {shape:?}: OpenJPEG decodes something else");
    assert_eq!(outside.photometric, photometric);
}

fn photometric(samples: u16) -> &'static str {
    match samples {
        3 => "RGB",
        4 => "ARGB",
        _ => "MONOCHROME2",
    }
}

fn any_picture() -> impl Strategy<Value = Picture> {
    prop_oneof![
        Just(Picture::Constant),
        Just(Picture::Gradient),
        Just(Picture::Noise),
        Just(Picture::Extremes),
    ]
}

fn any_format() -> impl Strategy<Value = LosslessFormat> {
    prop_oneof![Just(LosslessFormat::Htj2k), Just(LosslessFormat::Jpeg2000)]
}

/// Enough for every run; `PROPTEST_CASES` asks for more, because what is left to find is rare.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES");
    asked.map_or(200, |cases| cases.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_shape_comes_back(
        format in any_format(),
        rows in 1_u32..140,
        columns in 1_u32..140,
        samples in 1_u16..=4,
        allocated in prop_oneof![Just(8_u16), Just(16_u16)],
        stored in 1_u16..=16,
        used in 1_u16..=16,
        is_signed in any::<bool>(),
        picture in any_picture(),
        seed in any::<u32>(),
    ) {
        let shape = shape(rows, columns, samples, allocated, stored.min(allocated));
        let shape = if is_signed { signed(shape) } else { shape };
        // Bits above Bits Stored may be in use (overlays, padding values): they must survive.
        let pixels = paint(&shape, picture, used.min(allocated), seed);
        assert_comes_back(format, &shape, photometric(samples), &pixels);
    }

    /// Sizes of one row or column, and just around the powers of two where levels change.
    #[test]
    fn thin_and_tiny_frames_come_back(
        format in any_format(),
        short in 1_u32..=3,
        long in prop_oneof![1_u32..=9, 63_u32..=66, 127_u32..=130, 1000_u32..=1030],
        upright in any::<bool>(),
        samples in 1_u16..=3,
        seed in any::<u32>(),
    ) {
        let (rows, columns) = if upright { (long, short) } else { (short, long) };
        let shape = shape(rows, columns, samples, 16, 12);
        let pixels = paint(&shape, Picture::Noise, 12, seed);
        assert_comes_back(format, &shape, photometric(samples), &pixels);
    }
}

/// The lowest and the highest value of every depth, in shapes from one sample to those that need no
/// decomposition for their size.
#[test]
fn extreme_values_of_every_depth_come_back() {
    for (rows, columns) in [(64, 64), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (1, 77), (77, 1)] {
        for bits in 1..=16 {
            for samples in [1, 3] {
                let shape = shape(rows, columns, samples, if bits <= 8 { 8 } else { 16 }, bits);
                for shape in [shape, signed(shape)] {
                    let pixels = paint(&shape, Picture::Extremes, bits, 620_193_070);
                    for photometric in ["MONOCHROME2", "RGB", "YBR_FULL"] {
                        if (photometric == "MONOCHROME2") == (samples == 1) {
                            let format = LosslessFormat::Htj2k;
                            assert_comes_back(format, &shape, photometric, &pixels);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn frames_beyond_2048_come_back() {
    for (rows, columns, samples, allocated, stored) in
        [(2500, 3000, 1, 16, 14), (2049, 2305, 3, 8, 8), (1, 4097, 1, 16, 16), (4097, 2, 1, 8, 8)]
    {
        let shape = shape(rows, columns, samples, allocated, stored);
        let pixels = paint(&shape, Picture::Noise, stored, 77);
        assert_comes_back(LosslessFormat::Htj2k, &shape, photometric(samples), &pixels);
    }
}

/// Noise of few bits grows when it is encoded, past the room that `OpenJPEG` makes for it.
#[test]
fn noise_of_few_bits_comes_back() {
    for (rows, columns, samples, allocated, stored) in [
        (22, 134, 3, 8, 2),
        (256, 256, 1, 8, 1),
        (256, 256, 3, 8, 1),
        (256, 256, 3, 16, 3),
        (256, 256, 3, 8, 8),
        (256, 256, 1, 16, 16),
    ] {
        for picture in [Picture::Noise, Picture::Extremes] {
            for shape in [
                shape(rows, columns, samples, allocated, stored),
                signed(shape(rows, columns, samples, allocated, stored)),
            ] {
                let pixels = paint(&shape, picture, stored, 620_193_070);
                for format in [LosslessFormat::Htj2k, LosslessFormat::Jpeg2000] {
                    assert_comes_back(format, &shape, photometric(samples), &pixels);
                }
            }
        }
    }
}

#[test]
fn color_that_is_not_rgb_comes_back_as_it_is() {
    let shape = shape(33, 47, 3, 8, 8);
    let pixels = paint(&shape, Picture::Noise, 8, 5);
    for format in [LosslessFormat::Htj2k, LosslessFormat::Jpeg2000] {
        assert_comes_back(format, &shape, "YBR_FULL", &pixels);
    }
}

#[test]
fn what_cannot_be_exact_is_refused() {
    let wide = shape(4, 4, 1, 32, 32);
    let many = shape(4, 4, 5, 8, 8);
    for (shape, length) in [(wide, 64), (many, 80)] {
        let refused = encode(LosslessFormat::Htj2k, &shape, "MONOCHROME2", &vec![0; length]);
        assert!(matches!(refused, Err(CodecError::Unsupported(_))), "{refused:?}");
    }
    let short = encode(LosslessFormat::Htj2k, &shape(4, 4, 1, 16, 12), "MONOCHROME2", &[0; 31]);
    assert!(matches!(short, Err(CodecError::Shape(_))), "{short:?}");
}
