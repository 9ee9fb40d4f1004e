//! Pictures against values worked out from the formulas of PS3.3.
#![expect(clippy::unwrap_used, reason = "a test may")]

use healthimaging_pixels::{
    Channels, CodecError, DecodedFrame, Decoder, FrameShape, LookupTable, Modality, Palette,
    PaletteData, Picture, PictureFormat, PixelRepresentation, PlanarConfiguration, Rendering,
    SourceFrame, Voi, Window, WindowFunction, decode, render,
};

fn shape(count: usize, samples: u16, allocated: u16, stored: u16, signed: bool) -> FrameShape {
    FrameShape {
        rows: 1,
        columns: u32::try_from(count).unwrap(),
        samples_per_pixel: samples,
        bits_allocated: allocated,
        bits_stored: stored,
        representation: if signed {
            PixelRepresentation::Signed
        } else {
            PixelRepresentation::Unsigned
        },
    }
}

fn frame(photometric: &str, pixels: Vec<u8>) -> DecodedFrame {
    DecodedFrame { pixels, photometric: photometric.to_owned() }
}

/// Signed values of 16 bits, drawn.
fn draw(values: &[i16], rendering: &Rendering) -> Result<Picture, CodecError> {
    let pixels = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let shape = shape(values.len(), 1, 16, 16, true);
    render(&frame("MONOCHROME2", pixels), &shape, rendering)
}

fn levels(values: &[i16], rendering: &Rendering) -> Vec<u8> {
    draw(values, rendering).unwrap().samples().to_vec()
}

fn window(center: f64, width: f64, function: WindowFunction) -> Rendering {
    Rendering { voi: Voi::Window(Window { center, width, function }), ..Rendering::default() }
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn linear_windows_are_those_of_the_notes() {
    // C.11.2.1.2.1, notes: c=0, w=100 is 0 up to -50, 255 above 49, and ((x+0.5)/99+0.5)*255 between.
    let linear = window(0.0, 100.0, WindowFunction::Linear);
    assert_eq!(
        levels(&[-1000, -50, -49, -1, 0, 49, 50, 1000], &linear),
        [0, 0, 3, 126, 129, 255, 255, 255]
    );
    // c=0, w=1 is 0 up to -1 and 255 above.
    let step = window(0.0, 1.0, WindowFunction::Linear);
    assert_eq!(levels(&[-2, -1, 0, 1], &step), [0, 0, 255, 255]);
    // c=2048, w=4096 maps 0 to 4095 on the whole range.
    let whole = window(2048.0, 4096.0, WindowFunction::Linear);
    assert_eq!(levels(&[0, 2047, 2048, 4095], &whole), [0, 127, 128, 255]);
}

#[test]
fn exact_and_sigmoid_windows_follow_their_formulas() {
    // C.11.2.1.3.2: (x/100+0.5)*255.
    let exact = window(0.0, 100.0, WindowFunction::LinearExact);
    assert_eq!(levels(&[-50, -49, 0, 25, 50, 51], &exact), [0, 3, 128, 191, 255, 255]);
    // C.11.2.1.3.1: 255/(1+exp(-4(x-c)/w)); e.g. 255/(1+e^-2) = 224.6.
    let sigmoid = window(100.0, 200.0, WindowFunction::Sigmoid);
    assert_eq!(levels(&[-32768, 0, 100, 200, 32767], &sigmoid), [0, 30, 128, 225, 255]);
}

#[test]
fn rescaling_comes_before_the_window() {
    let hounsfield = Rendering {
        modality: Modality::Rescale { slope: 2.0, intercept: -1024.0 },
        ..window(0.0, 100.0, WindowFunction::Linear)
    };
    assert_eq!(levels(&[487, 488, 512, 537], &hounsfield), [0, 5, 129, 255]);
}

#[test]
fn the_automatic_window_spans_all_values_but_padding() {
    let auto = Rendering::default();
    let picture = draw(&[-20, 0, 235], &auto).unwrap();
    assert_eq!(picture.samples(), [0, 20, 255]);
    let window = picture.window().unwrap();
    assert_eq!((window.center, window.width), (108.0, 256.0));
    let padded = Rendering { padding: Some((-2000, -1999)), ..Rendering::default() };
    assert_eq!(levels(&[-2000, -1999, 0, 100, 200], &padded), [0, 0, 0, 128, 255]);
    // Padding alone is all there is to see.
    assert_eq!(levels(&[-2000, -1999], &padded), [0, 255]);
    assert_eq!(levels(&[7, 7], &auto), [0, 0]);
    // Values below one apart, as those of PET: 0 to 0.003.
    let fine = Rendering {
        modality: Modality::Rescale { slope: 0.00001, intercept: 0.0 },
        ..Rendering::default()
    };
    assert_eq!(levels(&[0, 100, 300], &fine), [0, 85, 255]);
}

#[test]
fn monochrome1_is_turned_round() {
    let shape = shape(3, 1, 8, 8, false);
    let turned = frame("MONOCHROME1", vec![0, 51, 255]);
    let picture = render(&turned, &shape, &Rendering::default()).unwrap();
    assert_eq!(picture.samples(), [255, 204, 0]);
}

#[test]
fn tables_replace_rescaling_and_windows() {
    // Entries for -1, 0, 1; what lies outside has the first or the last (C.11.1.1).
    let modality = LookupTable::new([3, 0xffff, 16], true, &words(&[1000, 10, 20])).unwrap();
    let voi = LookupTable::new([11, 10, 12], false, &words(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4095]));
    let tables = Rendering {
        modality: Modality::Table(modality),
        voi: Voi::Table(voi.unwrap()),
        ..Rendering::default()
    };
    let picture = draw(&[-100, -1, 0, 1, 100], &tables).unwrap();
    assert_eq!(picture.samples(), [255, 255, 0, 255, 255]);
    assert_eq!(picture.window(), None);
    // Entries of 8 bits, one a byte; 0 in the descriptor stands for 65536.
    let bytes = LookupTable::new([2, 5, 8], false, &[51, 102]).unwrap();
    let eight = Rendering { voi: Voi::Table(bytes), ..Rendering::default() };
    assert_eq!(levels(&[5, 6], &eight), [51, 102]);
    assert!(LookupTable::new([0, 0, 16], false, &vec![0; 131_072]).is_ok());
}

#[test]
fn high_bit_and_bits_stored_tell_where_a_value_lies() {
    // 12 bits in the upper part of 16, with other bits below.
    let shape = shape(3, 1, 16, 12, true);
    let pixels = words(&[0x800f, 0x0007, 0x7ff3]);
    let rendering =
        Rendering { high_bit: Some(15), ..window(0.0, 4096.0, WindowFunction::LinearExact) };
    let picture = render(&frame("MONOCHROME2", pixels), &shape, &rendering).unwrap();
    assert_eq!(picture.samples(), [0, 128, 255]);
    // In the lower part, overlay bits above do not count.
    let pixels = words(&[0x1800, 0xf000, 0x97ff]);
    let rendering = Rendering { high_bit: Some(11), ..rendering };
    let picture = render(&frame("MONOCHROME2", pixels), &shape, &rendering).unwrap();
    assert_eq!(picture.samples(), [0, 128, 255]);
}

#[test]
fn samples_of_32_bits_are_grey_too() {
    let shape = shape(3, 1, 32, 32, false);
    let pixels = [0, 2_147_483_648_u32, 4_294_967_295]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let picture = render(&frame("MONOCHROME2", pixels), &shape, &Rendering::default()).unwrap();
    assert_eq!(picture.samples(), [0, 128, 255]);
}

#[test]
fn bits_of_a_segmentation_are_black_and_white() {
    let source = |data| SourceFrame {
        transfer_syntax: "1.2.840.10008.1.2.1",
        shape: FrameShape { rows: 2, ..shape(5, 1, 1, 1, false) },
        photometric: "MONOCHROME2",
        planar: PlanarConfiguration::Interleaved,
        data,
    };
    let decoder = Decoder::in_process();
    // The first pixel is the lowest bit (PS3.5 8.1.1).
    let (shape, frame) = decoder.decode_to_show(&source(&[0b0010_0001, 0b10])).unwrap();
    let picture = render(&frame, &shape, &Rendering::default()).unwrap();
    assert_eq!(picture.samples(), [255, 0, 0, 0, 0, 255, 0, 0, 0, 255]);
    // A frame without any segment is black, one that is full is white.
    let (shape, frame) = decoder.decode_to_show(&source(&[0xff, 0xff])).unwrap();
    let picture = render(&frame, &shape, &Rendering::default()).unwrap();
    assert_eq!(picture.samples(), [255; 10]);
    assert!(decoder.decode_to_show(&source(&[0xff])).is_err());
}

fn palette(bits: i64, segmented: bool, red: &[u16]) -> Result<Palette, CodecError> {
    let data = if bits == 8 {
        red.iter().map(|&entry| entry.to_le_bytes()[0]).collect()
    } else {
        words(red)
    };
    let data = if segmented { PaletteData::Segmented(data) } else { PaletteData::Plain(data) };
    let count = if segmented { 10 } else { i64::try_from(red.len()).unwrap() };
    let table = ([count, 2, bits], data);
    Palette::new([table.clone(), table.clone(), table])
}

fn reds(palette: Palette, indices: Vec<u8>) -> Vec<u8> {
    let shape = shape(indices.len(), 1, 8, 8, false);
    let rendering = Rendering { palette: Some(palette), ..Rendering::default() };
    let picture = render(&frame("PALETTE COLOR", indices), &shape, &rendering).unwrap();
    assert_eq!(picture.channels(), Channels::Rgb);
    picture.samples().iter().copied().step_by(3).collect()
}

#[test]
fn palettes_have_entries_of_8_or_16_bits() {
    let eight = palette(8, false, &[10, 20, 30]).unwrap();
    assert_eq!(reds(eight, vec![0, 2, 3, 4, 255]), [10, 10, 20, 30, 30]);
    let sixteen = palette(16, false, &[0, 0x8080, 0xffff]).unwrap();
    assert_eq!(reds(sixteen, vec![2, 3, 4]), [0, 128, 255]);
}

#[test]
fn segments_are_expanded() {
    // C.7.9.2: two entries as they are, a line of four to 200, then the first segment and the line
    // (0 bytes from the start, entries of one byte) once more.
    let segments = [0, 2, 0, 100, 1, 3, 250, 2, 2, 0, 0, 0, 0];
    let eight = palette(8, true, &segments).unwrap();
    assert_eq!(reds(eight, (2..12).collect()), [0, 100, 150, 200, 250, 0, 100, 150, 200, 250]);
    // In words, an offset is two of them, and is counted in bytes: 8 bytes from the start is the line.
    let line = [0, 2, 0, 0x1010, 1, 4, 0x5050, 2, 1, 8, 0];
    let sixteen = palette(16, true, &line).unwrap();
    assert_eq!(reds(sixteen, (2..12).collect()), [0, 16, 32, 48, 64, 80, 80, 80, 80, 80]);
    for wrong in [
        // A line without a start, an unknown operation, an indirect segment that leads to another one.
        &[1, 10, 3][..],
        &[7, 1, 3],
        &[0, 1, 5, 2, 1, 6, 0],
        &[0, 9, 1],
        &[2, 1, 900, 0],
        &[0, 1, 5, 1, 65535, 9, 1, 65535, 9],
    ] {
        assert!(palette(16, true, wrong).is_err(), "{wrong:?}");
    }
}

fn colours(photometric: &str, bits: (u16, u16), pixels: Vec<u8>) -> Vec<u8> {
    let count = pixels.len() / 3 / usize::from(bits.0 / 8);
    let shape = shape(count, 3, bits.0, bits.1, false);
    let picture = render(&frame(photometric, pixels), &shape, &Rendering::default()).unwrap();
    picture.samples().to_vec()
}

#[test]
fn colour_is_red_green_and_blue() {
    assert_eq!(colours("RGB", (8, 8), vec![1, 2, 3]), [1, 2, 3]);
    assert_eq!(colours("RGB", (16, 12), words(&[0, 2048, 4095])), [0, 128, 255]);
    // C.7.6.3.1.2, turned round: white, black, and 255, 0, 0 as it comes back from whole numbers.
    let ybr = vec![255, 128, 128, 0, 128, 128, 76, 85, 255];
    assert_eq!(colours("YBR_FULL", (8, 8), ybr), [255, 255, 255, 0, 0, 0, 254, 0, 0]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let finite = |rendering: &Rendering| draw(&[1, 2, 3], rendering).unwrap_err();
    for (center, width, function) in [
        (0.0, 0.0, WindowFunction::Linear),
        (0.0, 0.99, WindowFunction::Linear),
        (0.0, 0.0, WindowFunction::LinearExact),
        (0.0, -5.0, WindowFunction::Sigmoid),
        (f64::NAN, 5.0, WindowFunction::Linear),
        (0.0, f64::NAN, WindowFunction::Sigmoid),
        (0.0, f64::INFINITY, WindowFunction::Linear),
    ] {
        let error = finite(&window(center, width, function));
        assert!(matches!(error, CodecError::Shape(_)), "{error}");
    }
    let nonsense = Rendering {
        modality: Modality::Rescale { slope: f64::NAN, intercept: 0.0 },
        ..Rendering::default()
    };
    assert!(matches!(finite(&nonsense), CodecError::Shape(_)));
    for (descriptor, bytes) in [
        ([3, 0, 16], 5),
        ([3, 0, 16], 7),
        ([0, 0, 16], 6),
        ([3, 0, 0], 6),
        ([3, 0, 17], 6),
        ([3, 0, -1], 6),
    ] {
        assert!(LookupTable::new(descriptor, false, &vec![0; bytes]).is_err());
    }
    let one = shape(1, 1, 8, 8, false);
    let without = frame("PALETTE COLOR", vec![0]);
    assert!(render(&without, &one, &Rendering::default()).is_err());
    let short = frame("MONOCHROME2", vec![]);
    assert!(render(&short, &one, &Rendering::default()).is_err());
    let three = frame("RGB", vec![0]);
    assert!(render(&three, &one, &Rendering::default()).is_err());
    let other =
        render(&frame("CMYK", vec![0; 4]), &shape(1, 4, 8, 8, false), &Rendering::default());
    assert!(matches!(other.unwrap_err(), CodecError::Unsupported(_)));
}

fn field(rows: u32, columns: u32, photometric: &str) -> Picture {
    let samples = if photometric == "RGB" { 3 } else { 1 };
    let shape = FrameShape { rows, columns, ..shape(1, samples, 8, 8, false) };
    let count = rows as usize * columns as usize * usize::from(samples);
    let pixels = (0..count).map(|index| (index % 256).to_le_bytes()[0]).collect();
    render(&frame(photometric, pixels), &shape, &Rendering::default()).unwrap()
}

#[test]
fn a_picture_becomes_smaller_and_never_larger() {
    for photometric in ["MONOCHROME2", "RGB"] {
        let size = |longest| {
            let picture = field(300, 600, photometric).at_most(longest).unwrap();
            let pixels = picture.rows() as usize * picture.columns() as usize;
            assert_eq!(picture.samples().len() % pixels, 0);
            (picture.rows(), picture.columns())
        };
        assert_eq!(size(4096), (300, 600));
        assert_eq!(size(600), (300, 600));
        assert_eq!(size(512), (256, 512));
        assert_eq!(size(16), (8, 16));
    }
    let line = field(1, 600, "MONOCHROME2").at_most(16).unwrap();
    assert_eq!((line.rows(), line.columns()), (1, 16));
    // What is the same everywhere stays so.
    let shape = FrameShape { rows: 64, columns: 64, ..shape(1, 3, 8, 8, false) };
    let plain = frame("RGB", [9, 99, 199].repeat(64 * 64));
    let plain = render(&plain, &shape, &Rendering::default()).unwrap();
    let small = plain.at_most(20).unwrap();
    assert_eq!(small.samples(), [9, 99, 199].repeat(20 * 20));
}

#[test]
fn files_hold_the_picture() {
    for photometric in ["MONOCHROME2", "RGB"] {
        let picture = field(20, 30, photometric);
        let file = picture.encode(PictureFormat::Png).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (30, 20));
        assert_eq!(pixels, picture.samples());

        let file = picture.encode(PictureFormat::Jpeg).unwrap();
        let samples = picture.samples().len() / (20 * 30);
        let shape = shape(30, 1, 8, 8, false);
        let samples_per_pixel = samples.try_into().unwrap();
        let shape = FrameShape { rows: 20, samples_per_pixel, ..shape };
        let source = SourceFrame {
            transfer_syntax: "1.2.840.10008.1.2.4.50",
            shape,
            photometric,
            planar: PlanarConfiguration::Interleaved,
            data: &file,
        };
        let levels = decode(&source).unwrap().pixels;
        assert_eq!(levels.len(), picture.samples().len());
    }
}
