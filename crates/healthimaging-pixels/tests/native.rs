//! Uncompressed frames: the layouts of PS3.3 §C.7.6.3.1 put right, sample by sample.

mod pictures;

use healthimaging_pixels::{CodecError, PlanarConfiguration, SourceFrame, decode, facts};
use pictures::{frame, shape, signed};

const LITTLE: &str = "1.2.840.10008.1.2.1";
const BIG: &str = "1.2.840.10008.1.2.2";

#[test]
fn planes_become_interleaved() {
    let source = SourceFrame {
        planar: PlanarConfiguration::Planes,
        ..frame(LITTLE, shape(1, 2, 3, 8, 8), "RGB", &[1, 2, 11, 12, 21, 22])
    };
    assert_eq!(decode(&source).unwrap().pixels, [1, 11, 21, 2, 12, 22]);

    let words = [1, 0, 2, 0, 11, 0, 12, 0, 21, 0, 22, 0];
    let source = SourceFrame {
        planar: PlanarConfiguration::Planes,
        ..frame(LITTLE, shape(2, 1, 3, 16, 12), "RGB", &words)
    };
    assert_eq!(decode(&source).unwrap().pixels, [1, 0, 11, 0, 21, 0, 2, 0, 12, 0, 22, 0]);
}

#[test]
fn big_endian_becomes_little() {
    let wide = frame(BIG, shape(1, 2, 1, 16, 16), "MONOCHROME2", &[0x12, 0x34, 0x56, 0x78]);
    assert_eq!(decode(&wide).unwrap().pixels, [0x34, 0x12, 0x78, 0x56]);
    let wider = frame(BIG, shape(1, 1, 1, 32, 32), "MONOCHROME2", &[1, 2, 3, 4]);
    assert_eq!(decode(&wider).unwrap().pixels, [4, 3, 2, 1]);
    let narrow = frame(BIG, shape(1, 2, 1, 8, 8), "MONOCHROME2", &[1, 2]);
    assert_eq!(decode(&narrow).unwrap().pixels, [1, 2]);
}

#[test]
fn halved_chrominance_is_spread_over_both_pixels() {
    // Y0 Y1 Cb Cr, as PS3.3 §C.7.6.3.1.2 has it.
    let data = [10, 11, 20, 30, 12, 13, 21, 31];
    let decoded = decode(&frame(LITTLE, shape(2, 2, 3, 8, 8), "YBR_FULL_422", &data)).unwrap();
    assert_eq!(decoded.pixels, [10, 20, 30, 11, 20, 30, 12, 21, 31, 13, 21, 31]);
    assert_eq!(decoded.photometric, "YBR_FULL");
}

#[test]
fn full_chrominance_declared_as_halved_is_taken_for_what_it_is() {
    let data = [10, 20, 30, 11, 21, 31];
    let decoded = decode(&frame(LITTLE, shape(1, 2, 3, 8, 8), "YBR_FULL_422", &data)).unwrap();
    assert_eq!((decoded.pixels.as_slice(), &*decoded.photometric), (&data[..], "YBR_FULL"));
}

#[test]
fn the_pad_byte_is_not_a_pixel() {
    let decoded = decode(&frame(LITTLE, shape(1, 3, 1, 8, 8), "MONOCHROME2", &[1, 2, 3, 0]));
    assert_eq!(decoded.unwrap().pixels, [1, 2, 3]);
}

#[test]
fn bits_above_bits_stored_survive_but_do_not_count() {
    let shape = shape(1, 3, 1, 16, 12);
    let data = [0x01, 0xF0, 0xFF, 0x0F, 0x05, 0x80];
    assert_eq!(decode(&frame(LITTLE, shape, "MONOCHROME2", &data)).unwrap().pixels, data);
    let unsigned = facts(&shape, &data);
    assert_eq!((unsigned.min, unsigned.max), (1, 4095));
    let signed = facts(&signed(shape), &data);
    assert_eq!((signed.min, signed.max), (-1, 5));
}

#[test]
fn the_checksum_is_zlibs() {
    // The check value of CRC-32/ISO-HDLC.
    assert_eq!(facts(&shape(1, 9, 1, 8, 8), b"123456789").crc32, 0xCBF4_3926);
}

#[test]
fn a_frame_of_another_length_is_refused() {
    for length in [0, 7, 9, 10] {
        let data = vec![0; length];
        let refused = decode(&frame(LITTLE, shape(2, 2, 1, 16, 16), "MONOCHROME2", &data));
        assert!(matches!(refused, Err(CodecError::Disagreement(_))), "{length}: {refused:?}");
    }
}

#[test]
fn attributes_without_sense_are_refused() {
    let shapes =
        [shape(0, 2, 1, 8, 8), shape(2, 2, 0, 8, 8), shape(2, 2, 1, 8, 9), shape(2, 2, 1, 8, 0)];
    for shape in shapes {
        let refused = decode(&frame(LITTLE, shape, "MONOCHROME2", &[0; 4]));
        assert!(matches!(refused, Err(CodecError::Shape(_))), "{refused:?}");
    }
    let gray = decode(&frame(LITTLE, shape(2, 2, 1, 8, 8), "YBR_FULL_422", &[0; 8]));
    assert!(matches!(gray, Err(CodecError::Shape(_))), "{gray:?}");
    let bits = decode(&frame(LITTLE, shape(2, 4, 1, 1, 1), "MONOCHROME2", &[0]));
    assert!(matches!(bits, Err(CodecError::Unsupported(_))), "{bits:?}");
}

/// A frame of 2 rows and 3 columns in the two ways that pairs of odd rows are written.
#[test]
fn chroma_of_odd_columns_is_shared_within_rows_or_runs_on() {
    let pixels = |data: &[u8]| {
        decode(&frame(LITTLE, shape(2, 3, 3, 8, 8), "YBR_FULL_422", data)).unwrap().pixels
    };
    // Y Y Cb Cr for two pixels each, and one luminance a row that belongs to no pixel.
    let by_row = [1, 2, 11, 21, 3, 99, 12, 22, 4, 5, 13, 23, 6, 99, 14, 24];
    let expected = [1, 11, 21, 2, 11, 21, 3, 12, 22, 4, 13, 23, 5, 13, 23, 6, 14, 24];
    assert_eq!(pixels(&by_row), expected);
    let running_on = [1, 2, 11, 21, 3, 4, 12, 22, 5, 6, 13, 23];
    let expected = [1, 11, 21, 2, 11, 21, 3, 12, 22, 4, 12, 22, 5, 13, 23, 6, 13, 23];
    assert_eq!(pixels(&running_on), expected);
}
