//! What one core does to typical frames: the hot path of import (encode, which verifies) and of
//! reading back. Prints million pixels a second, median of 9.

#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::time::Instant;

use healthimaging_pixels::{
    CodecError, FrameShape, LosslessFormat, PixelRepresentation, decode_stored, encode,
};

fn main() -> Result<(), CodecError> {
    let cases = [
        ("CT 512x512, 12 of 16 bits", shape(512, 512, 1, 16, 12)),
        ("DX 2500x3000, 14 of 16 bits", shape(2500, 3000, 1, 16, 14)),
        ("RGB 768x1024", shape(768, 1024, 3, 8, 8)),
    ];
    for (name, shape) in cases {
        let photometric = if shape.samples_per_pixel == 3 { "RGB" } else { "MONOCHROME2" };
        let pixels = paint(&shape);
        let megapixels = f64::from(shape.rows * shape.columns) / 1e6;
        for format in [LosslessFormat::Htj2k, LosslessFormat::Jpeg2000] {
            let uid = format.transfer_syntax();
            let stored = encode(format, &shape, photometric, &pixels)?.bytes;
            let ratio = stored.len() * 100 / pixels.len();
            let write = median(|| encode(format, &shape, photometric, &pixels).map(drop))?;
            let read = median(|| decode_stored(uid, &shape, photometric, &stored).map(drop))?;
            println!(
                "{name:28} {format:?}: encode, verify {:6.1} MP/s; decode {:6.1} MP/s; {ratio} %",
                megapixels / write,
                megapixels / read
            );
        }
    }
    Ok(())
}

fn shape(rows: u32, columns: u32, samples: u16, allocated: u16, stored: u16) -> FrameShape {
    FrameShape {
        rows,
        columns,
        samples_per_pixel: samples,
        bits_allocated: allocated,
        bits_stored: stored,
        representation: PixelRepresentation::Unsigned,
    }
}

/// A smooth picture with noise in the low bits, which compresses about as well as a scan does.
fn paint(shape: &FrameShape) -> Vec<u8> {
    let top = (1_u32 << shape.bits_stored) - 1;
    let mut state = 1_u32;
    let mut pixels = Vec::new();
    for row in 0..shape.rows {
        for column in 0..shape.columns {
            for sample in 1..=u32::from(shape.samples_per_pixel) {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let smooth = (row * sample + column) * top / (shape.rows * sample + shape.columns);
                let value = (smooth ^ (state >> 28)).min(top).to_le_bytes();
                pixels.extend_from_slice(&value[..usize::from(shape.bits_allocated / 8)]);
            }
        }
    }
    pixels
}

/// Seconds.
fn median(mut work: impl FnMut() -> Result<(), CodecError>) -> Result<f64, CodecError> {
    let mut times = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
