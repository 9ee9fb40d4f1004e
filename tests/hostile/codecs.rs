//! Frames of every codec, small and large, through the real child: no codec starts a thread or makes a
//! system call that the sandbox refuses, for that ends the child.

use charls::{CharLS, FrameInfo};
use healthimaging_phantoms::LosslessJpeg;
use healthimaging_pixels::{
    FrameShape, IsolatedDecoder, LosslessFormat, PixelRepresentation, PlanarConfiguration,
    SourceFrame, encode,
};
use healthimaging_sandbox::Children;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::PROGRAM;

/// `jpeg-decoder` took threads above 128x128.
const SIDES: [u16; 3] = [129, 512, 2048];
const BASELINE: &str = "1.2.840.10008.1.2.4.50";
const EXTENDED: &str = "1.2.840.10008.1.2.4.51";

struct Frame {
    transfer_syntax: &'static str,
    shape: FrameShape,
    stream: Vec<u8>,
    pixels: Vec<u8>,
    /// How far a sample may be from `pixels`.
    tolerance: i32,
}

fn shape(side: u16, samples: u16, bits: u16) -> FrameShape {
    FrameShape {
        rows: side.into(),
        columns: side.into(),
        samples_per_pixel: samples,
        bits_allocated: if bits <= 8 { 8 } else { 16 },
        bits_stored: bits,
        representation: PixelRepresentation::Unsigned,
    }
}

/// A slope of so many bits.
fn slope(shape: &FrameShape) -> Vec<u16> {
    let count = shape.rows * shape.columns * u32::from(shape.samples_per_pixel);
    let top = (1_u32 << shape.bits_stored) - 1;
    (0..count).map(|at| u16::try_from((at / 3) & top).unwrap()).collect()
}

fn bytes(shape: &FrameShape, samples: &[u16]) -> Vec<u8> {
    let wide = usize::from(shape.bits_allocated / 8);
    samples.iter().flat_map(|value| value.to_le_bytes().into_iter().take(wide)).collect()
}

#[test]
fn frames_of_every_codec_and_size_decode_in_the_sandbox() {
    let children = Children::new(PROGRAM, "decode-frames");
    for side in SIDES {
        for frame in frames(side) {
            let samples = frame.shape.samples_per_pixel;
            let source = SourceFrame {
                transfer_syntax: frame.transfer_syntax,
                shape: frame.shape,
                photometric: if samples == 3 { "RGB" } else { "MONOCHROME2" },
                planar: PlanarConfiguration::Interleaved,
                data: &frame.stream,
            };
            let what = format!("{} of {:?}", frame.transfer_syntax, frame.shape);
            let decoded = children.decode(&source).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(decoded.pixels.len(), frame.pixels.len(), "{what}");
            let apart = decoded.pixels.iter().zip(&frame.pixels);
            let apart = apart.map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).max().unwrap();
            assert!(apart <= frame.tolerance, "{what}: {apart} apart");
        }
    }
}

fn frames(side: u16) -> Vec<Frame> {
    let mut frames = vec![baseline(side, 1), baseline(side, 3), jpeg_xl(side)];
    // Baseline, extended of 12 bits, progressive of either.
    for (process, precision) in [(0xC0, 8), (0xC1, 12), (0xC2, 8), (0xC2, 12)] {
        frames.push(even_jpeg(side, process, precision));
    }
    // Of the largest frames, the shape that takes the most memory: all of them take minutes to make and
    // compare without optimization.
    let all = [(3, 8), (1, 8), (1, 12), (1, 16)];
    let shapes = if side < 2048 { &all[..] } else { &all[..1] };
    for &(samples, bits) in shapes {
        let shape = shape(side, samples, bits);
        let samples = slope(&shape);
        let pixels = bytes(&shape, &samples);
        let mut exact = |transfer_syntax, stream| {
            let pixels = pixels.clone();
            frames.push(Frame { transfer_syntax, shape, stream, pixels, tolerance: 0 });
        };
        exact("1.2.840.10008.1.2.4.70", lossless_jpeg(side, &shape, &samples));
        exact("1.2.840.10008.1.2.4.80", jpeg_ls(&shape, &pixels));
        exact("1.2.840.10008.1.2.5", rle(&shape, &pixels));
        for (uid, format) in [
            ("1.2.840.10008.1.2.4.90", LosslessFormat::Jpeg2000),
            ("1.2.840.10008.1.2.4.201", LosslessFormat::Htj2k),
        ] {
            exact(uid, encode(format, &shape, "MONOCHROME2", &pixels).unwrap().bytes);
        }
    }
    frames
}

/// Smooth, so that subsampled colors and quantized blocks come close to it.
fn baseline(side: u16, components: u16) -> Frame {
    let shape = shape(side, components, 8);
    let rows = 0..u32::from(side);
    let pixels: Vec<u8> = rows
        .flat_map(|row| (0..u32::from(side) * u32::from(components)).map(move |_| row))
        .map(|row| u8::try_from(row * 250 / u32::from(side)).unwrap())
        .collect();
    let mut stream = Vec::new();
    let mut encoder = Encoder::new(&mut stream, 95);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let color = if components == 3 { ColorType::Rgb } else { ColorType::Luma };
    encoder.encode(&pixels, side, side, color).unwrap();
    Frame { transfer_syntax: BASELINE, shape, stream, pixels, tolerance: 4 }
}

/// Blocks that all are the middle of the range: each is a bit for its mean, and one for its end where
/// the scan has more than means.
fn even_jpeg(side: u16, process: u8, precision: u16) -> Frame {
    let shape = shape(side, 1, precision);
    let progressive = process == 0xC2;
    let blocks = usize::from(side.div_ceil(8)).pow(2);
    let bits = if progressive { blocks } else { 2 * blocks };
    let table = |kind: u8| [&[0xFF, 0xC4, 0, 20, kind, 1][..], &[0; 15], &[0]].concat();
    let [high, low] = side.to_be_bytes();
    let bits_of_sample = u8::try_from(precision).unwrap();
    let frame = [0xFF, process, 0, 11, bits_of_sample, high, low, high, low, 1, 1, 0x11, 0];
    let last_byte = [0xFF >> (bits % 8)];
    let last = if progressive { 0 } else { 63 };
    let stream = [
        &[0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0][..],
        &[1; 64],
        &frame,
        &table(0x00),
        &table(0x10),
        &[0xFF, 0xDA, 0, 8, 1, 1, 0, 0, last, 0],
        &vec![0; bits / 8],
        // What the last byte has no bits for is filled with ones.
        if bits.is_multiple_of(8) { &[] } else { &last_byte },
        &[0xFF, 0xD9],
    ]
    .concat();
    let middle = 1 << (precision - 1);
    let pixels = bytes(&shape, &vec![middle; usize::from(side).pow(2)]);
    Frame { transfer_syntax: EXTENDED, shape, stream, pixels, tolerance: 0 }
}

/// Gray of 77, by libjxl.
fn jpeg_xl(side: u16) -> Frame {
    let stream: &[u8] = match side {
        129 => include_bytes!("data/gray77-129.jxl"),
        512 => include_bytes!("data/gray77-512.jxl"),
        _ => include_bytes!("data/gray77-2048.jxl"),
    };
    let (shape, pixels) = (shape(side, 1, 8), vec![77; usize::from(side).pow(2)]);
    let transfer_syntax = "1.2.840.10008.1.2.4.112";
    Frame { transfer_syntax, shape, stream: stream.to_vec(), pixels, tolerance: 0 }
}

fn lossless_jpeg(side: u16, shape: &FrameShape, samples: &[u16]) -> Vec<u8> {
    let jpeg = LosslessJpeg {
        rows: side,
        columns: side,
        components: shape.samples_per_pixel.try_into().unwrap(),
        precision: shape.bits_stored.try_into().unwrap(),
        predictor: 1,
        point_transform: 0,
        restart_rows: 0,
    };
    jpeg.encode(samples)
}

fn jpeg_ls(shape: &FrameShape, pixels: &[u8]) -> Vec<u8> {
    let info = FrameInfo {
        width: shape.columns,
        height: shape.rows,
        bits_per_sample: shape.bits_stored.into(),
        component_count: shape.samples_per_pixel.into(),
    };
    // The encoder takes planes.
    let width = usize::from(shape.bits_allocated / 8);
    let count = usize::from(shape.samples_per_pixel);
    let planes: Vec<u8> = (0..count)
        .flat_map(|plane| pixels.chunks(width).skip(plane).step_by(count).flatten().copied())
        .collect();
    CharLS::default().encode(info, 0, &planes).unwrap()
}

/// Literal runs of up to 128 bytes, most significant byte first (PS3.5 Annex G).
fn rle(shape: &FrameShape, pixels: &[u8]) -> Vec<u8> {
    let width = usize::from(shape.bits_allocated / 8);
    let samples = usize::from(shape.samples_per_pixel);
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for sample in 0..samples {
        for byte in (0..width).rev() {
            let at = sample * width + byte;
            let plane: Vec<u8> = pixels.iter().skip(at).step_by(width * samples).copied().collect();
            let run = |run: &[u8]| [&[u8::try_from(run.len() - 1).unwrap()], run].concat();
            let mut segment: Vec<u8> = plane.chunks(128).flat_map(run).collect();
            segment.resize(segment.len().next_multiple_of(2), 0);
            segments.push(segment);
        }
    }
    let mut header = vec![u32::try_from(segments.len()).unwrap()];
    let mut offset = 64;
    for segment in &segments {
        header.push(offset);
        offset += u32::try_from(segment.len()).unwrap();
    }
    header.resize(16, 0);
    let header = header.into_iter().flat_map(u32::to_le_bytes);
    header.chain(segments.into_iter().flatten()).collect()
}
