//! Pictures of a lower resolution beside those of the whole frame.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::Cursor;

use healthimaging::Uid;
use healthimaging_dicom::DocumentText;
use healthimaging_pixels::{Decoder, FrameShape, LosslessFormat, PixelRepresentation, encode};
use healthimaging_render::{Contrast, FrameSelector, RenderOptions, Viewport, find_frame, render};
use serde_json::{Value, json};

const SIDE: u32 = 256;

/// A picture of a ramp with a bright block, by a document with these attributes: its levels and size.
fn shown(changes: &Value, options: &RenderOptions) -> (Vec<u8>, (u32, u32)) {
    let mut attributes = json!({
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "Rows": SIDE, "Columns": SIDE,
        "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0,
        "WindowCenter": 1024, "WindowWidth": 2048,
    });
    for (keyword, value) in changes.as_object().unwrap() {
        attributes[keyword] = value.clone();
    }
    let document = json!({ "Patient": { "DICOM": {} }, "Study": { "DICOM": {}, "Series": { "2.25.2": {
        "DICOM": {},
        "Instances": { "2.25.1": {
            "DICOM": attributes,
            "StoredTransferSyntaxUID": "1.2.840.10008.1.2.4.202",
            "ImageFrames": [{ "ID": "5c0ffee05c0ffee05c0ffee05c0ffee0" }],
        } },
    } } } });
    let value = |x: u32, y: u32| 3 * x + 2 * y + if x > 128 && y > 128 { 700 } else { 0 };
    let samples = (0..SIDE * SIDE).map(|at| u16::try_from(value(at % SIDE, at / SIDE)).unwrap());
    let pixels: Vec<u8> = samples.flat_map(u16::to_le_bytes).collect();
    let shape = FrameShape {
        rows: SIDE,
        columns: SIDE,
        samples_per_pixel: 1,
        bits_allocated: 16,
        bits_stored: 12,
        representation: PixelRepresentation::Unsigned,
    };
    let stored = encode(LosslessFormat::Htj2k, &shape, "MONOCHROME2", &pixels).unwrap().bytes;
    let document = DocumentText::read(document.to_string().into()).unwrap();
    let selector = FrameSelector::Number(Uid::try_from("2.25.1").unwrap(), 1);
    let location = find_frame(&document, &selector).unwrap();
    let picture = render(&Decoder::in_process(), &location, &stored, options).unwrap();
    let mut reader = png::Decoder::new(Cursor::new(&picture.file)).read_info().unwrap();
    let mut levels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut levels).unwrap();
    (levels, (picture.rows, picture.columns))
}

fn both(changes: &Value, options: RenderOptions) -> [(Vec<u8>, (u32, u32)); 2] {
    [false, true].map(|may_use_lower_resolution| {
        shown(changes, &RenderOptions { may_use_lower_resolution, ..options })
    })
}

#[test]
fn small_pictures_look_the_same() {
    let sizes = [(64, 64), (60, 100), (128, 128)];
    for (max_rows, max_columns) in sizes {
        let options = RenderOptions { max_rows, max_columns, ..RenderOptions::default() };
        let viewport = Some(Viewport::whole(max_columns, max_rows));
        for options in [options, RenderOptions { viewport, ..options }] {
            for changes in [json!({}), json!({ "PixelSpacing": [1, 2] })] {
                let [whole, lower] = both(&changes, options);
                assert_eq!(whole.1, lower.1, "{options:?} {changes}");
                let apart =
                    whole.0.iter().zip(&lower.0).filter(|(one, other)| one.abs_diff(**other) > 8);
                // At the edge of the block, filters differ.
                assert!(apart.count() * 20 < whole.0.len(), "{options:?} {changes}");
                assert_ne!(
                    whole.0, lower.0,
                    "a lower resolution was decoded: {options:?} {changes}"
                );
            }
        }
    }
}

#[test]
fn the_whole_frame_is_decoded_where_its_pixels_count() {
    let small = RenderOptions { max_rows: 64, max_columns: 64, ..RenderOptions::default() };
    let part = Viewport { left: 10.0, ..Viewport::whole(64, 64) };
    let overlay = json!({ "OverlayRows": 2, "OverlayColumns": 2, "OverlayOrigin": [1, 1], "OverlayBitsAllocated": 1,
        "OverlayBitPosition": 0, "OverlayType": "G", "OverlayData": "AAA=" });
    for (changes, options) in [
        (json!({}), RenderOptions { viewport: Some(part), ..small }),
        (json!({}), RenderOptions { max_rows: 129, max_columns: 129, ..small }),
        (json!({ "PhotometricInterpretation": "PALETTE COLOR" }), small),
        (json!({ "WindowWidth": 0 }), small),
        (json!({ "WindowWidth": 0, "PixelPaddingValue": 0 }), small),
        (json!({}), RenderOptions { contrast: Contrast::Auto, ..small }),
        (overlay, small),
    ] {
        let [whole, lower] = both(&changes, options);
        assert_eq!(whole, lower, "{options:?} {changes}");
    }
}
