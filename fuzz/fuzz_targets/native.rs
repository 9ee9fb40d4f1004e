//! Native frames, and pictures of them.
#![no_main]

use healthimaging_fuzz::shape_of;
use healthimaging_image::{PixelDescription, PlanarConfiguration, SampleFormat};
use healthimaging_pixels::{Decoder, SourceFrame};
use healthimaging_render::{Display, Voi, Window, WindowFunction, render_pixels};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((shape, photometric, choice, bytes)) = shape_of(data) else {
        return;
    };
    let source = SourceFrame {
        transfer_syntax: ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"][choice & 1],
        shape,
        photometric,
        planar: [PlanarConfiguration::Interleaved, PlanarConfiguration::Planes][choice >> 1 & 1],
        data: bytes,
    };
    let Ok(shown) = Decoder::in_process().decode_to_show(&source) else {
        return;
    };
    let voi = match bytes {
        [center, width, ..] if choice & 4 != 0 => Voi::Window(Window {
            center: (*center).into(),
            width: (*width).into(),
            function: WindowFunction::LinearExact,
        }),
        _ => Voi::Auto,
    };
    let shape = shown.shape;
    let description = PixelDescription {
        rows: shape.rows,
        columns: shape.columns,
        samples_per_pixel: shape.samples_per_pixel,
        bits_allocated: shape.bits_allocated,
        bits_stored: shape.bits_stored,
        high_bit: shape.bits_stored.saturating_sub(1),
        representation: shape.representation,
        format: [SampleFormat::Integer, SampleFormat::Float][choice >> 3 & 1],
        photometric: photometric.to_owned(),
        planar: source.planar,
        number_of_frames: 1,
    };
    let display = Display { voi, ..Display::default() };
    let rendered = render_pixels(&shown.frame, &description, &display, &mut Vec::new());
    if let Ok((picture, _)) = rendered {
        assert!(!picture.samples().is_empty());
    }
});
