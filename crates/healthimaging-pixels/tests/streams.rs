//! Streams that other codecs made (tests/data/make.py) decode to the pictures they were made of.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pictures;

use healthimaging_pixels::{CodecError, FrameShape, decode};
use pictures::{frame, shape, signed};

const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
const JPEG_EXTENDED: &str = "1.2.840.10008.1.2.4.51";
const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.57";
const JPEG_LOSSLESS_SV1: &str = "1.2.840.10008.1.2.4.70";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
const HTJ2K: &str = "1.2.840.10008.1.2.4.201";
const JPEG_XL: &str = "1.2.840.10008.1.2.4.112";

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("data/", $name)).as_slice()
    };
}

fn gray(allocated: u16, stored: u16) -> FrameShape {
    shape(19, 23, 1, allocated, stored)
}

fn rgb() -> FrameShape {
    shape(19, 23, 3, 8, 8)
}

fn assert_decodes(uid: &str, shape: FrameShape, stream: &[u8], picture: &[u8]) {
    let photometric = if shape.samples_per_pixel == 3 { "RGB" } else { "MONOCHROME2" };
    let decoded = decode(&frame(uid, shape, photometric, stream)).unwrap();
    assert!(decoded.pixels == picture, "{uid} {shape:?}: other pixels");
    assert_eq!(decoded.photometric, photometric);
}

#[test]
fn lossless_streams_decode_exactly() {
    let (gray8, gray12, gray16s) = (data!("gray8.raw"), data!("gray12.raw"), data!("gray16s.raw"));
    assert_decodes(JPEG_LS, gray(8, 8), data!("gray8.jls"), gray8);
    assert_decodes(JPEG_LOSSLESS, gray(8, 8), data!("gray8.ljpeg"), gray8);
    assert_decodes(JPEG_2000, gray(8, 8), data!("gray8.j2k"), gray8);
    assert_decodes(HTJ2K, gray(8, 8), data!("gray8.jhc"), gray8);
    assert_decodes(JPEG_LS, gray(16, 12), data!("gray12.jls"), gray12);
    assert_decodes(JPEG_LOSSLESS_SV1, gray(16, 12), data!("gray12.ljpeg"), gray12);
    assert_decodes(JPEG_2000, gray(16, 12), data!("gray12.j2k"), gray12);
    assert_decodes(JPEG_2000, signed(gray(16, 16)), data!("gray16s.j2k"), gray16s);
    assert_decodes(HTJ2K, signed(gray(16, 16)), data!("gray16s.jhc"), gray16s);
    assert_decodes(JPEG_LS, rgb(), data!("rgb8.jls"), data!("rgb8.raw"));
    assert_decodes(JPEG_2000, rgb(), data!("rgb8.j2k"), data!("rgb8.raw"));
    assert_decodes(HTJ2K, rgb(), data!("rgb8.jhc"), data!("rgb8.raw"));
    assert_decodes(JPEG_XL, gray(8, 8), data!("gray8.jxl"), gray8);
    assert_decodes(JPEG_XL, gray(16, 12), data!("gray12.jxl"), gray12);
    assert_decodes(JPEG_XL, rgb(), data!("rgb8.jxl"), data!("rgb8.raw"));
}

/// Against what libjxl 0.11.2 decodes of the same streams.
#[test]
fn lossy_jpeg_xl_decodes_as_by_libjxl() {
    let cases = [
        (gray(8, 8), data!("gray8.lossy.jxl"), data!("gray8.lossy.raw")),
        (rgb(), data!("rgb8.lossy.jxl"), data!("rgb8.lossy.raw")),
    ];
    for (shape, stream, theirs) in cases {
        let decoded = decode(&frame(JPEG_XL, shape, "XYB", stream)).unwrap();
        let apart = greatest_difference(&decoded.pixels, theirs);
        assert!(apart <= 1, "{apart} apart in {shape:?}");
        let photometric = if shape.samples_per_pixel == 3 { "RGB" } else { "XYB" };
        assert_eq!(decoded.photometric, photometric);
    }
}

#[test]
fn jpeg_xl_that_is_cut_or_of_another_shape_is_refused() {
    let whole = data!("rgb8.jxl");
    for length in [0, 1, 2, 20, whole.len() / 2, whole.len() - 1] {
        let refused = decode(&frame(JPEG_XL, rgb(), "RGB", &whole[..length]));
        assert!(matches!(refused, Err(CodecError::Malformed(_))), "{length}: {refused:?}");
    }
    let others =
        [shape(19, 22, 3, 8, 8), shape(20, 23, 3, 8, 8), gray(8, 8), shape(19, 23, 4, 8, 8)];
    for other in others {
        let refused = decode(&frame(JPEG_XL, other, "RGB", whole));
        assert!(matches!(refused, Err(CodecError::Disagreement(_))), "{other:?}: {refused:?}");
    }
    // A channel more than the one of the picture.
    let extra = data!("gray8.extra.jxl");
    let more = decode(&frame(JPEG_XL, gray(8, 8), "MONOCHROME2", extra));
    assert!(matches!(more, Err(CodecError::Disagreement(_))), "{more:?}");
    let narrow = decode(&frame(JPEG_XL, gray(8, 8), "MONOCHROME2", data!("gray12.jxl")));
    assert!(matches!(narrow, Err(CodecError::Disagreement(_))), "{narrow:?}");
}

/// Streams of dcmtk, which has codecs of its own for RLE, JPEG and the lossless process.
#[test]
fn streams_of_dcmtk_decode_exactly() {
    const RLE: &str = "1.2.840.10008.1.2.5";
    let wide = signed(gray(16, 16));
    let (gray16s, rgb8) = (data!("gray16s.raw"), data!("rgb8.raw"));
    assert_decodes(RLE, gray(8, 8), data!("gray8.rle"), data!("gray8.raw"));
    assert_decodes(RLE, gray(16, 12), data!("gray12.rle"), data!("gray12.raw"));
    assert_decodes(RLE, wide, data!("gray16s.rle"), gray16s);
    assert_decodes(RLE, rgb(), data!("rgb8.rle"), rgb8);
    let gray12 = (gray(16, 12), data!("gray12.p14"), data!("gray12.raw"));
    assert_decodes(JPEG_LOSSLESS, gray12.0, gray12.1, gray12.2);
    assert_decodes(JPEG_LOSSLESS_SV1, wide, data!("gray16s.p14"), gray16s);
    assert_decodes(JPEG_LOSSLESS_SV1, rgb(), data!("rgb8.p14"), rgb8);
    assert_decodes(JPEG_LS, wide, data!("gray16s.jls"), gray16s);
    assert_decodes(JPEG_LS, rgb(), data!("rgb8.lines"), rgb8);
    assert_decodes(JPEG_LS, rgb(), data!("rgb8.planes"), rgb8);
}

/// The bound of 12 bits: 3 is what another decoder, pylibjpeg's, differs by from the picture, and it
/// differs by 1 from `libjpeg-turbo`.
#[test]
fn extended_jpeg_comes_close_in_8_and_12_bits() {
    let eight = frame(JPEG_EXTENDED, gray(8, 8), "MONOCHROME2", data!("gray8.extended"));
    let eight = decode(&eight).unwrap().pixels;
    assert!(greatest_difference(&eight, data!("gray8.raw")) <= 5);
    for stream in [data!("gray12.jpeg"), data!("gray12.extended")] {
        let shape = gray(16, 12);
        let decoded = decode(&frame(JPEG_EXTENDED, shape, "MONOCHROME2", stream)).unwrap();
        let apart = words(&decoded.pixels).zip(words(data!("gray12.raw")));
        let apart = apart.map(|(ours, picture)| ours.abs_diff(picture)).max();
        assert!(apart.unwrap() <= 4, "{apart:?}");
    }
    // Scan parameters left zero, as NEMA's NM1 sample has them.
    let mut zeroed = data!("gray12.jpeg").to_vec();
    let scan = zeroed.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    assert_eq!(zeroed[scan + 7..scan + 10], [0, 63, 0]);
    zeroed[scan + 8] = 0;
    let odd = decode(&frame(JPEG_EXTENDED, gray(16, 12), "MONOCHROME2", &zeroed)).unwrap();
    let right = frame(JPEG_EXTENDED, gray(16, 12), "MONOCHROME2", data!("gray12.jpeg"));
    assert!(odd.pixels == decode(&right).unwrap().pixels);
    let cut = &data!("gray12.jpeg")[..400];
    let refused = decode(&frame(JPEG_EXTENDED, gray(16, 12), "MONOCHROME2", cut));
    assert!(matches!(refused, Err(CodecError::Malformed(_))), "{refused:?}");
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
}

#[test]
fn eight_bits_widen_into_sixteen() {
    let wide: Vec<u8> = data!("gray8.raw").iter().flat_map(|&value| [value, 0]).collect();
    for (uid, stream) in [
        (JPEG_LS, data!("gray8.jls")),
        (JPEG_LOSSLESS, data!("gray8.ljpeg")),
        (JPEG_2000, data!("gray8.j2k")),
    ] {
        assert_decodes(uid, gray(16, 8), stream, &wide);
    }
}

/// JPEG carries no sign, and JPEG 2000 writers get it wrong: Pixel Representation wins.
#[test]
fn the_sign_comes_from_pixel_representation() {
    let extended: Vec<u8> = data!("gray12.raw")
        .chunks_exact(2)
        .flat_map(|pair| {
            let value = i16::from_le_bytes([pair[0], pair[1]]);
            (if value >= 0x800 { value - 0x1000 } else { value }).to_le_bytes()
        })
        .collect();
    for (uid, stream) in
        [(JPEG_LOSSLESS_SV1, data!("gray12.ljpeg")), (JPEG_2000, data!("gray12.j2k"))]
    {
        assert_decodes(uid, signed(gray(16, 12)), stream, &extended);
    }
    // The other way round: what was signed keeps its bits.
    assert_decodes(JPEG_2000, gray(16, 16), data!("gray16s.j2k"), data!("gray16s.raw"));
}

/// What some old writers did to make the length even.
#[test]
fn a_zero_byte_before_the_end_of_jpeg_ls_is_ignored() {
    let stream = data!("gray8.jls");
    let scan = stream.strip_suffix(&[0xFF, 0xD9]).unwrap();
    let padded = [scan, &[0, 0xFF, 0xD9, 0]].concat();
    assert_decodes(JPEG_LS, gray(8, 8), &padded, data!("gray8.raw"));
}

#[test]
fn streams_that_are_cut_off_are_refused() {
    for (uid, stream) in [
        (JPEG_LS, data!("gray8.jls")),
        (JPEG_LOSSLESS, data!("gray8.ljpeg")),
        (JPEG_2000, data!("gray8.j2k")),
        (HTJ2K, data!("gray8.jhc")),
    ] {
        let half = &stream[..stream.len() * 3 / 4];
        let refused = decode(&frame(uid, gray(8, 8), "MONOCHROME2", half));
        assert!(matches!(refused, Err(CodecError::Malformed(_))), "{uid}: {refused:?}");
    }
}

#[test]
fn a_codestream_in_a_jp2_file_is_found() {
    assert_decodes(JPEG_2000, gray(8, 8), data!("gray8.jp2"), data!("gray8.raw"));
}

/// Whatever the attribute says: the stream names its transform, and the decoder undoes it.
#[test]
fn multi_component_transforms_end_as_rgb() {
    for (uid, stream) in [(JPEG_2000, data!("rgb8.j2k")), (HTJ2K, data!("rgb8.jhc"))] {
        let cod = stream.windows(2).position(|pair| pair == [0xFF, 0x52]).unwrap();
        let is_transformed = stream[cod + 8] == 1;
        for label in ["YBR_RCT", "YBR_FULL", "RGB"] {
            let decoded = decode(&frame(uid, rgb(), label, stream)).unwrap();
            assert_eq!(decoded.pixels.as_slice(), data!("rgb8.raw"));
            let expected = if is_transformed || label == "YBR_RCT" { "RGB" } else { label };
            assert_eq!(decoded.photometric, expected, "{uid} labelled {label}");
        }
    }
}

/// As dcmtk and pydicom read it: all tile-parts are there.
#[test]
fn a_missing_end_of_a_jpeg_2000_codestream_is_tolerated() {
    for (uid, stream) in [(JPEG_2000, data!("gray8.j2k")), (HTJ2K, data!("gray8.jhc"))] {
        let endless = stream.strip_suffix(&[0xFF, 0xD9]).unwrap();
        for stream in [endless, &[endless, &[0]].concat(), &[stream, &[0, 0, 0]].concat()] {
            assert_decodes(uid, gray(8, 8), stream, data!("gray8.raw"));
        }
        let cut = &endless[..endless.len() - 5];
        let refused = decode(&frame(uid, gray(8, 8), "MONOCHROME2", cut));
        assert!(matches!(refused, Err(CodecError::Malformed(_))), "{uid}: {refused:?}");
    }
}

fn greatest_difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// The bound is what imagecodecs' own decoder differs by from the picture, plus 2 for rounding.
#[test]
fn lossy_jpeg_comes_close_in_gray_rgb_and_ybr() {
    let gray8 = decode(&frame(JPEG_BASELINE, gray(8, 8), "MONOCHROME2", data!("gray8.jpeg")));
    assert!(greatest_difference(&gray8.unwrap().pixels, data!("gray8.raw")) <= 5);
    for (photometric, stream, bound) in [
        ("RGB", data!("rgb8.jpeg"), 5),
        ("YBR_FULL", data!("rgb8.jpeg"), 5), // its Adobe segment says: no transform
        ("YBR_FULL", data!("rgb8.ybr"), 7),
        ("YBR_FULL_422", data!("rgb8.ybr"), 7),
    ] {
        let decoded = decode(&frame(JPEG_BASELINE, rgb(), photometric, stream)).unwrap();
        assert_eq!(decoded.photometric, "RGB");
        let difference = greatest_difference(&decoded.pixels, data!("rgb8.raw"));
        assert!(difference <= bound, "{photometric}: {difference}");
    }
}

/// JFIF is YCbCr by definition, whatever Photometric Interpretation is; Adobe says it better still.
#[test]
fn the_stream_names_its_colors() {
    const JFIF: &[u8] = b"\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
    let adobe =
        |transform| [b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat();
    // Without the segments between SOI and the first table.
    let plain = |stream: &'static [u8]| {
        let table = stream.windows(2).position(|pair| pair == [0xFF, 0xDB]).unwrap();
        &stream[table..]
    };
    let (ybr, red) = (plain(data!("rgb8.ybr")), plain(data!("rgb8.jpeg")));
    for (segments, photometric, stream) in [
        (JFIF.to_vec(), "RGB", ybr),
        (JFIF.to_vec(), "YBR_FULL_422", ybr),
        (Vec::new(), "YBR_FULL_422", ybr),
        (adobe(1), "RGB", ybr),
        ([JFIF, &adobe(1)].concat(), "RGB", ybr),
        ([JFIF, &adobe(0)].concat(), "YBR_FULL", red),
        (adobe(0), "YBR_FULL", red),
        (Vec::new(), "RGB", red),
    ] {
        let stream = [&[0xFF, 0xD8], segments.as_slice(), stream].concat();
        let decoded = decode(&frame(JPEG_BASELINE, rgb(), photometric, &stream)).unwrap();
        assert_eq!(decoded.photometric, "RGB");
        let difference = greatest_difference(&decoded.pixels, data!("rgb8.raw"));
        assert!(difference <= 7, "{photometric}: {difference}");
    }
}

#[test]
fn streams_that_disagree_with_the_attributes_are_refused() {
    for (uid, stream) in [
        (JPEG_BASELINE, data!("gray8.jpeg")),
        (JPEG_LOSSLESS, data!("gray8.ljpeg")),
        (JPEG_LS, data!("gray8.jls")),
        (JPEG_2000, data!("gray8.j2k")),
        (HTJ2K, data!("gray8.jhc")),
    ] {
        for other in [shape(23, 19, 1, 8, 8), shape(19, 24, 1, 8, 8), shape(19, 23, 3, 8, 8)] {
            let refused = decode(&frame(uid, other, "MONOCHROME2", stream));
            assert!(matches!(refused, Err(CodecError::Disagreement(_))), "{uid}: {refused:?}");
        }
    }
    for (uid, stream) in [
        (JPEG_LOSSLESS, data!("gray12.ljpeg")),
        (JPEG_LS, data!("gray12.jls")),
        (JPEG_2000, data!("gray12.j2k")),
    ] {
        let refused = decode(&frame(uid, gray(8, 8), "MONOCHROME2", stream));
        assert!(matches!(refused, Err(CodecError::Disagreement(_))), "{uid}: {refused:?}");
    }
}
