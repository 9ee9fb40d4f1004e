//! Any pixels into the formats of data stores: they come back as they were, or the shape is refused.
#![no_main]

use healthimaging_fuzz::shape_of;
use healthimaging_pixels::{CodecError, LosslessFormat, decode_stored, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((shape, photometric, choice, bytes)) = shape_of(data) else {
        return;
    };
    let Ok(length) = usize::try_from(shape.byte_length()) else {
        return;
    };
    let pixels: Vec<u8> = bytes.iter().copied().cycle().take(length).collect();
    let format = [LosslessFormat::Htj2k, LosslessFormat::Jpeg2000][choice & 1];
    match encode(format, &shape, photometric, &pixels) {
        Ok(frame) => {
            let stored = decode_stored(format.transfer_syntax(), &shape, photometric, &frame.bytes);
            assert!(stored.unwrap().pixels == pixels, "other pixels");
        }
        Err(CodecError::Unsupported(_) | CodecError::Shape(_)) => {}
        Err(error) => panic!("{error}"),
    }
});
