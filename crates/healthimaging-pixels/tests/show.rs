//! Frames that are decoded for pictures alone: samples of any number of bits, frames cut short.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};
use healthimaging_pixels::{
    Decoder, FrameShape, PixelRepresentation, PlanarConfiguration, ShownFrame, SourceFrame,
};

const NATIVE: &str = "1.2.840.10008.1.2.1";
const RLE: &str = "1.2.840.10008.1.2.5";
const DEFLATED: &str = "1.2.840.10008.1.2.8.1";

fn show(syntax: &str, (rows, columns): (u32, u32), bits: u16, data: &[u8]) -> ShownFrame {
    let source = SourceFrame {
        transfer_syntax: syntax,
        shape: FrameShape {
            rows,
            columns,
            samples_per_pixel: 1,
            bits_allocated: bits,
            bits_stored: bits,
            representation: PixelRepresentation::Unsigned,
        },
        photometric: "MONOCHROME2",
        planar: PlanarConfiguration::Interleaved,
        data,
    };
    Decoder::in_process().decode_to_show(&source).unwrap()
}

fn rle(segment: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[0] = 1;
    header[4] = 64;
    [header, segment.to_vec()].concat()
}

#[test]
fn single_bits_become_bytes_lowest_first() {
    // PS3.5 8.1.1: the first pixel is the lowest bit.
    let expected = [1, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    let bits = [0b0010_0001, 0b10];
    let shown = show(NATIVE, (2, 5), 1, &bits);
    assert_eq!((shown.shape.bits_allocated, shown.shape.bits_stored), (8, 1));
    assert_eq!((shown.frame.pixels.as_slice(), shown.is_complete), (&expected[..], true));
    // Two literal bytes in one RLE segment; and ten of them, one a pixel.
    let shown = show(RLE, (2, 5), 1, &rle(&[1, bits[0], bits[1]]));
    assert_eq!((shown.frame.pixels.as_slice(), shown.is_complete), (&expected[..], true));
    let shown = show(RLE, (2, 5), 1, &rle(&[0, 1, 253, 0, 0, 1, 254, 0, 0, 1]));
    assert_eq!(shown.frame.pixels, expected);
    let shown = show(NATIVE, (2, 5), 1, &bits[..1]);
    assert_eq!(
        (shown.frame.pixels.as_slice(), shown.is_complete),
        (&[1, 0, 0, 0, 0, 1, 0, 0, 0, 0][..], false)
    );
}

#[test]
fn samples_of_12_and_24_bits_fill_whole_bytes() {
    // 0x321 and 0x654, the lowest bits first.
    let shown = show(NATIVE, (1, 2), 12, &[0x21, 0x43, 0x65]);
    assert_eq!(shown.shape.bits_allocated, 16);
    assert_eq!(shown.frame.pixels, [0x21, 0x03, 0x54, 0x06]);
    let shown = show(NATIVE, (1, 2), 24, &[1, 2, 3, 4, 5, 6]);
    assert_eq!(shown.frame.pixels, [1, 2, 3, 0, 4, 5, 6, 0]);
}

#[test]
fn deflated_frames_are_inflated_with_and_without_a_header() {
    let pixels: Vec<u8> = (0..=255).collect();
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(&pixels).unwrap();
    let shown = show(DEFLATED, (16, 16), 8, &raw.finish().unwrap());
    assert_eq!((shown.frame.pixels.as_slice(), shown.is_complete), (pixels.as_slice(), true));
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&pixels).unwrap();
    assert_eq!(show(DEFLATED, (16, 16), 8, &zlib.finish().unwrap()).frame.pixels, pixels);
}

#[test]
fn what_is_cut_short_is_shown_as_far_as_it_goes() {
    let shown = show(NATIVE, (1, 4), 8, &[1, 2]);
    assert_eq!((shown.frame.pixels.as_slice(), shown.is_complete), (&[1, 2, 0, 0][..], false));
    let shown = show(RLE, (1, 4), 8, &rle(&[1, 1, 2]));
    assert_eq!((shown.frame.pixels.as_slice(), shown.is_complete), (&[1, 2, 0, 0][..], false));
    let shown = show(NATIVE, (1, 2), 8, &[1, 2, 3, 4]);
    assert_eq!((shown.frame.pixels.as_slice(), shown.is_complete), (&[1, 2][..], true));
}
