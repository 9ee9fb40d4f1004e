//! Native frames, and pictures of them.
#![no_main]

use healthimaging_fuzz::shape_of;
use healthimaging_pixels::{
    Decoder, PlanarConfiguration, Rendering, SourceFrame, Voi, Window, WindowFunction, render,
};
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
    let Ok((shape, decoded)) = Decoder::in_process().decode_to_show(&source) else {
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
    let rendering = Rendering { voi, ..Rendering::default() };
    if let Ok(picture) = render(&decoded, &shape, &rendering) {
        assert!(!picture.samples().is_empty());
    }
});
