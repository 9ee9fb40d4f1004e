//! Levels against values worked out from the formulas of PS3.3.
#![expect(clippy::unwrap_used, reason = "a test may")]

use healthimaging_image::{
    PixelDescription, PixelRepresentation, PlanarConfiguration, SampleFormat,
};
use healthimaging_pixels::DecodedFrame;
use healthimaging_render::{
    Channels, Display, LookupTable, Modality, Palette, PaletteData, Picture, PictureFormat,
    RenderError, Voi, Window, WindowFunction, render_pixels,
};

fn description(count: usize, samples: u16, allocated: u16, stored: u16) -> PixelDescription {
    PixelDescription {
        rows: 1,
        columns: u32::try_from(count).unwrap(),
        samples_per_pixel: samples,
        bits_allocated: allocated,
        bits_stored: stored,
        high_bit: stored - 1,
        representation: PixelRepresentation::Unsigned,
        format: SampleFormat::Integer,
        photometric: "MONOCHROME2".to_owned(),
        planar: PlanarConfiguration::Interleaved,
        number_of_frames: 1,
    }
}

fn signed(count: usize, allocated: u16, stored: u16) -> PixelDescription {
    let representation = PixelRepresentation::Signed;
    PixelDescription { representation, ..description(count, 1, allocated, stored) }
}

/// The picture of a frame, and the window that it was seen through.
fn draw(
    photometric: &str,
    described: &PixelDescription,
    pixels: Vec<u8>,
    display: &Display,
) -> Result<(Picture, Option<Window>), RenderError> {
    let frame = DecodedFrame { pixels, photometric: photometric.to_owned() };
    render_pixels(&frame, described, display, &mut Vec::new())
}

fn shown(photometric: &str, described: &PixelDescription, pixels: Vec<u8>) -> Vec<u8> {
    let (picture, _) = draw(photometric, described, pixels, &Display::default()).unwrap();
    picture.samples().to_vec()
}

/// Signed values of 16 bits.
fn levels(values: &[i16], display: &Display) -> Vec<u8> {
    let pixels = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let (picture, _) = draw("MONOCHROME2", &signed(values.len(), 16, 16), pixels, display).unwrap();
    picture.samples().to_vec()
}

fn window(center: f64, width: f64, function: WindowFunction) -> Display {
    Display { voi: Voi::Window(Window { center, width, function }), ..Display::default() }
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
    let hounsfield = Display {
        modality: Modality::Rescale { slope: 2.0, intercept: -1024.0 },
        ..window(0.0, 100.0, WindowFunction::Linear)
    };
    assert_eq!(levels(&[487, 488, 512, 537], &hounsfield), [0, 5, 129, 255]);
}

#[test]
fn the_automatic_window_spans_all_values_but_padding_which_is_black() {
    let auto = Display::default();
    let pixels = [-20_i16, 0, 235].iter().flat_map(|value| value.to_le_bytes()).collect();
    let (picture, seen) = draw("MONOCHROME2", &signed(3, 16, 16), pixels, &auto).unwrap();
    assert_eq!(picture.samples(), [0, 20, 255]);
    let seen = seen.unwrap();
    assert_eq!((seen.center, seen.width), (108.0, 256.0));
    let padded = Display { padding: Some((-2000.0, -1999.0)), ..Display::default() };
    assert_eq!(levels(&[-2000, -1999, 0, 100, 200], &padded), [0, 0, 0, 128, 255]);
    let inverse = Display { inverse: true, ..padded.clone() };
    assert_eq!(levels(&[-2000, 0, 100, 200], &inverse), [0, 255, 128, 0]);
    assert_eq!(levels(&[-2000, -1999], &padded), [0, 0]);
    assert_eq!(levels(&[7, 7], &auto), [0, 0]);
    // Values below one apart, as those of PET: 0 to 0.003.
    let fine = Display {
        modality: Modality::Rescale { slope: 0.00001, intercept: 0.0 },
        ..Display::default()
    };
    assert_eq!(levels(&[0, 100, 300], &fine), [0, 85, 255]);
}

#[test]
fn inverse_images_are_turned_round() {
    let display = Display { inverse: true, ..Display::default() };
    let (picture, _) =
        draw("MONOCHROME1", &description(3, 1, 8, 8), vec![0, 51, 255], &display).unwrap();
    assert_eq!(picture.samples(), [255, 204, 0]);
}

#[test]
fn tables_replace_rescaling_and_windows() {
    // Entries for -1, 0, 1; what lies outside has the first or the last (C.11.1.1).
    let modality = LookupTable::new([3, 0xffff, 16], true, &words(&[1000, 10, 20])).unwrap();
    let voi = LookupTable::new([11, 10, 12], false, &words(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4095]));
    let tables = Display {
        modality: Modality::Table(modality),
        voi: Voi::Table(voi.unwrap()),
        ..Display::default()
    };
    assert_eq!(levels(&[-100, -1, 0, 1, 100], &tables), [255, 255, 0, 255, 255]);
    // Entries of 8 bits, one a byte; 0 in the descriptor stands for 65536.
    let bytes = LookupTable::new([2, 5, 8], false, &[51, 102]).unwrap();
    let eight = Display { voi: Voi::Table(bytes), ..Display::default() };
    assert_eq!(levels(&[5, 6], &eight), [51, 102]);
    assert!(LookupTable::new([0, 0, 16], false, &vec![0; 131_072]).is_some());
    assert!(LookupTable::new([3, 0, 16], false, &[]).is_none());
}

#[test]
fn high_bit_and_bits_stored_tell_where_a_value_lies() {
    // 12 bits in the upper part of 16, with other bits below.
    let upper = PixelDescription { high_bit: 15, ..signed(3, 16, 12) };
    let display = window(0.0, 4096.0, WindowFunction::LinearExact);
    let pixels = words(&[0x800f, 0x0007, 0x7ff3]);
    let (picture, _) = draw("MONOCHROME2", &upper, pixels, &display).unwrap();
    assert_eq!(picture.samples(), [0, 128, 255]);
    // In the lower part, overlay bits above do not count.
    let pixels = words(&[0x1800, 0xf000, 0x97ff]);
    let (picture, _) = draw("MONOCHROME2", &signed(3, 16, 12), pixels, &display).unwrap();
    assert_eq!(picture.samples(), [0, 128, 255]);
}

#[test]
fn samples_of_32_and_64_bits_and_floats_are_gray_too() {
    let values = [0, 2_147_483_648_u32, 4_294_967_295];
    let pixels = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(shown("MONOCHROME2", &description(3, 1, 32, 32), pixels), [0, 128, 255]);
    let values = [0, 1_u64 << 62, 1 << 63];
    let pixels = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(shown("MONOCHROME2", &description(3, 1, 64, 64), pixels), [0, 128, 255]);
    let float =
        |bits| PixelDescription { format: SampleFormat::Float, ..description(5, 1, bits, bits) };
    let values = [-1.0, 0.0, 1.0, f64::NAN, f64::INFINITY];
    let double = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(shown("MONOCHROME2", &float(64), double), [0, 128, 255, 0, 255]);
    let values = [-1e-20_f32, 0.0, 1e-20, f32::NAN, f32::INFINITY];
    let single = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(shown("MONOCHROME2", &float(32), single), [0, 128, 255, 0, 255]);
}

fn palette(bits: i64, segmented: bool, red: &[u16]) -> Option<Palette> {
    let data = if bits == 8 {
        red.iter().map(|&entry| entry.to_le_bytes()[0]).collect()
    } else {
        words(red)
    };
    let data = if segmented { PaletteData::Segmented(data) } else { PaletteData::Plain(data) };
    let count = if segmented { 10 } else { i64::try_from(red.len()).unwrap() };
    let table = ([count, 2, bits], data);
    Palette::new([table.clone(), table.clone(), table], false)
}

fn reds(palette: Palette, indices: Vec<u8>) -> Vec<u8> {
    let described = description(indices.len(), 1, 8, 8);
    let display = Display { palette: Some(palette), ..Display::default() };
    let (picture, _) = draw("PALETTE COLOR", &described, indices, &display).unwrap();
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

/// What dcmtk 3.6.7 shows, but for 8 bits in entries of 16, which it shows black.
#[test]
fn palettes_that_are_not_as_described_are_used_as_they_are() {
    let with = |numbers: [i64; 3], data: Vec<u8>| {
        let table = (numbers, PaletteData::Plain(data));
        Palette::new([table.clone(), table.clone(), table], numbers[1] > 0x7fff).unwrap()
    };
    let ramp = words(&(0..=255).map(|entry| entry * 257).collect::<Vec<u16>>());
    let longer = with([200, 0, 16], ramp.clone());
    assert_eq!(reds(longer, vec![0, 199, 200, 255]), [0, 199, 200, 255]);
    let shorter = with([256, 0, 16], ramp[..300].to_vec());
    assert_eq!(reds(shorter, vec![0, 149, 150, 255]), [0, 149, 149, 149]);
    let bytes = with([256, 0, 16], (0..=255).collect());
    assert_eq!(reds(bytes, vec![0, 100, 255]), [0, 100, 255]);
    let low = with([256, 0, 16], words(&(0..=255).collect::<Vec<u16>>()));
    assert_eq!(reds(low, vec![0, 100, 255]), [0, 100, 255]);
    let in_words = with([256, 0, 8], words(&(0..=255).collect::<Vec<u16>>()));
    assert_eq!(reds(in_words, vec![0, 100, 255]), [0, 100, 255]);
    // A first value of 65408 with signed samples is -128.
    let described =
        PixelDescription { representation: PixelRepresentation::Signed, ..description(3, 1, 8, 8) };
    let display = Display { palette: Some(with([256, 65408, 16], ramp)), ..Display::default() };
    let (picture, _) = draw("PALETTE COLOR", &described, vec![0x80, 0, 0x7f], &display).unwrap();
    assert_eq!(picture.samples(), [0, 0, 0, 128, 128, 128, 255, 255, 255]);
    let empty = ([256, 0, 16], PaletteData::Plain(Vec::new()));
    assert!(Palette::new([empty.clone(), empty.clone(), empty], false).is_none());
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
    // Nothing comes of a line without a start, an unknown operation, an offset behind the end.
    for wrong in [&[1, 10, 3][..], &[7, 1, 3], &[0, 9, 1], &[2, 1, 900, 0]] {
        assert!(palette(16, true, wrong).is_none(), "{wrong:?}");
    }
    // What makes sense before is used.
    assert!(palette(16, true, &[0, 1, 5, 1, 65535, 9, 1, 65535, 9]).is_some());
}

#[test]
fn a_supplemental_palette_colors_the_values_from_its_first_on() {
    let red = ([2, 100, 8], PaletteData::Plain(vec![255, 128]));
    let none = ([2, 100, 8], PaletteData::Plain(vec![0, 0]));
    let display = Display {
        palette: Palette::new([red, none.clone(), none], false),
        ..window(50.5, 101.0, WindowFunction::Linear)
    };
    let (picture, _) =
        draw("MONOCHROME2", &description(4, 1, 8, 8), vec![0, 99, 100, 101], &display).unwrap();
    assert_eq!(picture.samples(), [0, 0, 0, 252, 252, 252, 255, 0, 0, 128, 0, 0]);
}

fn colors(photometric: &str, bits: (u16, u16), pixels: Vec<u8>) -> Vec<u8> {
    let samples = if matches!(photometric, "CMYK" | "ARGB") { 4 } else { 3 };
    let count = pixels.len() / usize::from(samples) / usize::from(bits.0 / 8);
    shown(photometric, &description(count, samples, bits.0, bits.1), pixels)
}

#[test]
fn color_is_red_green_and_blue() {
    assert_eq!(colors("RGB", (8, 8), vec![1, 2, 3]), [1, 2, 3]);
    assert_eq!(colors("RGB", (16, 12), words(&[0, 2048, 4095])), [0, 128, 255]);
    // C.7.6.3.1.2, turned round: white, black, and 255, 0, 0 as it comes back from whole numbers.
    let ybr = vec![255, 128, 128, 0, 128, 128, 76, 85, 255];
    assert_eq!(colors("YBR_FULL", (8, 8), ybr), [255, 255, 255, 0, 0, 0, 254, 0, 0]);
    let partial = vec![235, 128, 128, 16, 128, 128];
    assert_eq!(colors("YBR_PARTIAL_422", (8, 8), partial), [255, 255, 255, 0, 0, 0]);
    // Full red, a gray, and the hue of a half turn, which is cyan.
    let hsv = vec![0, 255, 255, 77, 0, 99, 128, 255, 200];
    assert_eq!(colors("HSV", (8, 8), hsv), [255, 0, 0, 99, 99, 99, 0, 200, 200]);
    assert_eq!(colors("CMYK", (8, 8), vec![255, 0, 0, 0, 0, 0, 0, 255]), [0, 255, 255, 0, 0, 0]);
    assert_eq!(colors("ARGB", (8, 8), vec![9, 1, 2, 3]), [1, 2, 3]);
}

#[test]
fn samples_decide_where_the_photometric_interpretation_does_not_fit() {
    let mut notes = Vec::new();
    let mut see = |photometric: &str, samples: u16, pixels: &[u8]| {
        let frame = DecodedFrame { pixels: pixels.to_vec(), photometric: photometric.to_owned() };
        let described = description(pixels.len() / usize::from(samples), samples, 8, 8);
        let shown = render_pixels(&frame, &described, &Display::default(), &mut notes).unwrap();
        shown.0.samples().to_vec()
    };
    assert_eq!(see("RGB", 1, &[0, 255]), [0, 255]);
    assert_eq!(see("MONOCHROME2", 3, &[1, 2, 3]), [1, 2, 3]);
    assert_eq!(see("unheard of", 1, &[0, 255]), [0, 255]);
    assert_eq!(see("RGB", 4, &[1, 2, 3, 9]), [1, 2, 3]);
    assert_eq!(see("PALETTE COLOR", 1, &[0, 255]), [0, 255]);
    assert_eq!(notes.len(), 3, "{notes:?}");
}

#[test]
fn a_frame_that_is_too_short_is_refused() {
    let display = Display::default();
    assert!(draw("MONOCHROME2", &description(1, 1, 8, 8), vec![], &display).is_err());
    let float = PixelDescription { format: SampleFormat::Float, ..description(1, 3, 32, 32) };
    let refused = draw("RGB", &float, vec![0; 12], &display).unwrap_err();
    assert!(matches!(refused, RenderError::Unsupported(_)), "{refused}");
}

fn field(rows: u32, columns: u32, photometric: &str) -> Picture {
    let samples = if photometric == "RGB" { 3 } else { 1 };
    let described = PixelDescription { rows, columns, ..description(1, samples, 8, 8) };
    let count = rows as usize * columns as usize * usize::from(samples);
    let pixels = (0..count).map(|index| (index % 256).to_le_bytes()[0]).collect();
    draw(photometric, &described, pixels, &Display::default()).unwrap().0
}

#[test]
fn a_picture_becomes_smaller_and_never_larger() {
    for photometric in ["MONOCHROME2", "RGB"] {
        let size = |longest| {
            let picture =
                field(300, 600, photometric).scaled((300, 600), (longest, longest)).unwrap();
            let pixels = picture.rows() as usize * picture.columns() as usize;
            assert_eq!(picture.samples().len() % pixels, 0);
            (picture.rows(), picture.columns())
        };
        assert_eq!(size(4096), (300, 600));
        assert_eq!(size(600), (300, 600));
        assert_eq!(size(512), (256, 512));
        assert_eq!(size(16), (8, 16));
    }
    let line = field(1, 600, "MONOCHROME2").scaled((1, 600), (16, 16)).unwrap();
    assert_eq!((line.rows(), line.columns()), (1, 16));
    // Other proportions, for pixels twice as high as wide.
    let high = field(30, 60, "MONOCHROME2").scaled((60, 60), (512, 512)).unwrap();
    assert_eq!((high.rows(), high.columns()), (60, 60));
    let high = field(30, 60, "RGB").scaled((60, 60), (20, 100)).unwrap();
    assert_eq!((high.rows(), high.columns()), (20, 20));
}

#[test]
fn files_hold_the_picture() {
    for photometric in ["MONOCHROME2", "RGB"] {
        let picture = field(20, 30, photometric);
        let file = picture.encode(PictureFormat::Png, 92).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (30, 20));
        assert_eq!(pixels, picture.samples());
        let file = picture.encode(PictureFormat::Jpeg, 92).unwrap();
        assert_eq!(file[..3], [0xff, 0xd8, 0xff]);
    }
}
