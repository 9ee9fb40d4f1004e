//! Lossless JPEG of every predictor, point transform and precision, with and without restarts, against
//! what T.81 Annex H says the samples are.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pictures;

use healthimaging_phantoms::LosslessJpeg;
use healthimaging_pixels::{CodecError, FrameShape, decode};
use pictures::{frame, shape, signed};

const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.57";

fn jpeg(components: u8, precision: u8) -> LosslessJpeg {
    LosslessJpeg {
        rows: 11,
        columns: 13,
        components,
        precision,
        predictor: 1,
        point_transform: 0,
        restart_rows: 0,
    }
}

fn shape_of(jpeg: &LosslessJpeg) -> FrameShape {
    let allocated = if jpeg.precision <= 8 { 8 } else { 16 };
    let (rows, columns) = (jpeg.rows.into(), jpeg.columns.into());
    shape(rows, columns, jpeg.components.into(), allocated, jpeg.precision.into())
}

/// Samples over the whole range, both ends of it next to each other.
fn samples(jpeg: &LosslessJpeg) -> Vec<u16> {
    let count = usize::from(jpeg.rows) * usize::from(jpeg.columns) * usize::from(jpeg.components);
    let top = u16::MAX >> (16 - jpeg.precision);
    let step = |at: usize| u16::try_from(at * at * 40_503 % 65_536).unwrap();
    let mut samples: Vec<u16> = (0..count).map(|at| step(at) & top).collect();
    samples[..4].copy_from_slice(&[0, top, top, 0]);
    samples
}

fn bytes(jpeg: &LosslessJpeg, samples: &[u16]) -> Vec<u8> {
    let wide = jpeg.precision > 8;
    samples.iter().flat_map(|v| v.to_le_bytes().into_iter().take(1 + usize::from(wide))).collect()
}

#[test]
fn every_way_to_code_decodes_exactly() {
    let mut count = 0;
    for precision in 2..=16 {
        for predictor in 1..=7 {
            for point_transform in 0..4.min(precision) {
                for restart_rows in [0, 1, 2, 5] {
                    for components in [1, 3] {
                        let jpeg = LosslessJpeg {
                            predictor,
                            point_transform,
                            restart_rows,
                            ..jpeg(components, precision)
                        };
                        let samples = samples(&jpeg);
                        let stream = jpeg.encode(&samples);
                        // The low bits are lost, and come back as zeros (H.1.2.2, H.2.2).
                        let kept: Vec<u16> = samples
                            .iter()
                            .map(|v| v >> point_transform << point_transform)
                            .collect();
                        let photometric = if components == 3 { "YBR_FULL" } else { "MONOCHROME2" };
                        let source = frame(JPEG_LOSSLESS, shape_of(&jpeg), photometric, &stream);
                        let decoded = decode(&source).unwrap();
                        assert!(decoded.pixels == bytes(&jpeg, &kept), "other pixels: {jpeg:?}");
                        assert_eq!(decoded.photometric, photometric);
                        count += 1;
                    }
                }
            }
        }
    }
    assert_eq!(count, (2 + 3 + 13 * 4) * 7 * 4 * 2);
}

/// JPEG carries no sign: Pixel Representation does.
#[test]
fn samples_are_extended_as_pixel_representation_says() {
    let jpeg = jpeg(1, 12);
    let samples = samples(&jpeg);
    let stream = jpeg.encode(&samples);
    let source = frame(JPEG_LOSSLESS, signed(shape_of(&jpeg)), "MONOCHROME2", &stream);
    let extended: Vec<u8> = samples
        .iter()
        .map(|value| if *value >= 0x800 { value | 0xF000 } else { *value })
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(decode(&source).unwrap().pixels == extended);
}

/// A JFIF or Adobe segment says nothing about lossless samples, which stay what they are.
#[test]
fn application_data_does_not_change_lossless_samples() {
    let jpeg = jpeg(3, 8);
    let samples = samples(&jpeg);
    let stream = jpeg.encode(&samples);
    let jfif = b"\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".as_slice();
    let adobe = |code: u8| [b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0".as_slice(), &[code]].concat();
    for segments in [jfif, &adobe(0), &adobe(1), &[jfif, &adobe(1)].concat()] {
        let stream = [&stream[..2], segments, &stream[2..]].concat();
        for photometric in ["RGB", "YBR_FULL"] {
            let decoded = decode(&frame(JPEG_LOSSLESS, shape_of(&jpeg), photometric, &stream));
            let decoded = decoded.unwrap();
            assert!(decoded.pixels == bytes(&jpeg, &samples));
            assert_eq!(decoded.photometric, photometric);
        }
    }
}

#[test]
fn what_has_no_exact_decoder_is_unsupported_and_not_damaged() {
    let jpeg = LosslessJpeg { restart_rows: 1, ..jpeg(1, 12) };
    let good = jpeg.encode(&samples(&jpeg));
    let at = good.windows(2).position(|pair| pair == [0xFF, 0xDD]).unwrap();
    // Restarts in the middle of rows (T.81 H.1.1 forbids them).
    let mut inside = good.clone();
    inside[at + 5] = 7;
    // Arithmetic coding, differential coding, 17 bits, two components.
    let changed = |marker: u8| {
        let mut stream = good.clone();
        stream[3] = marker;
        stream
    };
    for stream in [inside, changed(0xCB), changed(0xC7), changed(0xC5)] {
        let refused = decode(&frame(JPEG_LOSSLESS, shape_of(&jpeg), "MONOCHROME2", &stream));
        assert!(matches!(refused, Err(CodecError::Unsupported(_))), "{refused:?}");
    }
}

/// What stands around the coded samples may be odd, as long as all of them are there.
#[test]
fn fill_bytes_padding_junk_and_a_missing_end_are_tolerated() {
    for (components, precision) in [(1, 8), (1, 12), (3, 8)] {
        let jpeg = jpeg(components, precision);
        let (rows, columns) = (jpeg.rows, jpeg.columns);
        let samples = samples(&jpeg);
        let good = jpeg.encode(&samples);
        let scan = &good[..good.len() - 2];
        let padded = |zeros: usize| [scan, &vec![0; zeros], &[0xFF, 0xD9]].concat();
        let streams = [
            [scan, &[0xFF, 0xFF, 0xD9]].concat(),
            [&good, b"junk behind the end".as_slice()].concat(),
            [&good, [0; 3].as_slice()].concat(),
            [&good[..2], &[0xFF, 0xFF], &good[2..]].concat(),
            scan.to_vec(),
            [scan, &[0; 1]].concat(),
            padded(1),
            padded(2),
            padded(40),
        ];
        for (number, stream) in streams.iter().enumerate() {
            let decoded = decode(&frame(JPEG_LOSSLESS, shape_of(&jpeg), "RGB", stream));
            let decoded = decoded.unwrap_or_else(|error| panic!("{number}: {error}"));
            assert!(decoded.pixels == bytes(&jpeg, &samples), "{number}, {rows}x{columns}");
        }
        // Pixels that are missing, or what remains of others.
        for stream in
            [&good[..good.len() - 20], &[scan, b"lefthere, and more", &[0xFF, 0xD9]].concat()]
        {
            let refused = decode(&frame(JPEG_LOSSLESS, shape_of(&jpeg), "RGB", stream));
            assert!(matches!(refused, Err(CodecError::Malformed(_))), "{refused:?}");
        }
    }
}
