//! What attributes of a document do to a picture: right values are those of PS3.3 and of dcmtk.
#![expect(clippy::unwrap_used, reason = "a test may")]

use healthimaging::Uid;
use healthimaging_dicom::DocumentText;
use healthimaging_pixels::Decoder;
use healthimaging_render::{
    Contrast, FrameSelector, RenderOptions, RenderedFrame, Window, find_frame, render,
};
use serde_json::{Value, json};

const SOP: &str = "2.25.1";

/// A document of one frame, kept as received: 2 rows and 3 columns of 8 bits, with these attributes.
fn document(changes: &Value) -> DocumentText {
    let mut attributes = json!({
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "Rows": 2, "Columns": 3,
        "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0,
    });
    for (keyword, value) in changes.as_object().unwrap() {
        attributes[keyword] = value.clone();
    }
    let whole = json!({
        "Patient": { "DICOM": {} },
        "Study": { "DICOM": {}, "Series": { "2.25.2": {
            "DICOM": { "PixelPaddingValue": 0 },
            "Instances": { SOP: {
                "DICOM": attributes,
                "StoredTransferSyntaxUID": "1.2.840.10008.1.2.1",
                "ChecksumType": "COMPRESSED",
                "ImageFrames": [{ "ID": "5c0ffee05c0ffee05c0ffee05c0ffee0" }],
            } },
        } } },
    });
    DocumentText::read(whole.to_string().into()).unwrap()
}

fn rendered(changes: &Value, pixels: &[u8], options: &RenderOptions) -> RenderedFrame {
    let selector = FrameSelector::Number(Uid::try_from(SOP).unwrap(), 1);
    let location = find_frame(&document(changes), &selector).unwrap();
    render(&Decoder::in_process(), &location, pixels, options).unwrap()
}

/// The levels of the picture, and what is noted.
#[expect(clippy::needless_pass_by_value, reason = "a test hands over what it made")]
fn seen(changes: Value, pixels: &[u8], options: &RenderOptions) -> (Vec<u8>, Vec<String>) {
    let picture = rendered(&changes, pixels, options);
    let mut reader = png::Decoder::new(std::io::Cursor::new(&picture.file)).read_info().unwrap();
    let mut levels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut levels).unwrap();
    (levels, picture.notes)
}

const PIXELS: [u8; 6] = [5, 55, 105, 155, 205, 255];

fn default(changes: Value) -> (Vec<u8>, Vec<String>) {
    seen(changes, &PIXELS, &RenderOptions::default())
}

#[test]
fn a_window_that_is_not_usable_gives_way_to_the_next_or_to_the_range() {
    // The range, 5 to 255: 51 levels for 50.
    let range = vec![0, 51, 102, 153, 204, 255];
    for (center, width) in [
        (json!("40"), json!("0.3")),
        (json!("40"), json!("0")),
        (json!("40"), json!("-5")),
        (json!("40,5"), json!("400,0")),
        (json!(["40"]), json!(["NaN"])),
        (json!("40"), Value::Null),
    ] {
        let (levels, notes) = default(json!({ "WindowCenter": center, "WindowWidth": width }));
        assert_eq!(levels, range, "{center} {width}");
        assert!(notes.iter().any(|note| note.contains("not usable")), "{notes:?}");
    }
    let (levels, notes) = default(json!({ "WindowCenter": "", "WindowWidth": Value::Null }));
    assert_eq!((levels, notes), (range, vec![]));
    let (levels, notes) =
        default(json!({ "WindowCenter": ["9", "128"], "WindowWidth": ["0", "256"] }));
    assert_eq!(levels, PIXELS);
    assert!(notes[0].contains("window 2"), "{notes:?}");
}

#[test]
fn a_broken_voi_lut_does_not_forbid_the_window_beside_it() {
    let (levels, notes) = default(json!({
        "VOILUTSequence": [{ "LUTDescriptor": [256, 0] }],
        "WindowCenter": "128", "WindowWidth": "256",
    }));
    assert_eq!(levels, PIXELS);
    assert!(notes[0].contains("VOILUTSequence"), "{notes:?}");
}

#[test]
fn the_function_is_the_first_of_several() {
    let window = json!({
        "WindowCenter": ["100", "1"], "WindowWidth": ["200", "2"],
        "VOILUTFunction": ["SIGMOID", "SIGMOID"],
    });
    // 255/(1+exp(-4(x-100)/200)): 33.2 at 5, 133.4 at 105, 243.9 at 255.
    let (levels, _) = default(window);
    assert_eq!((levels[0], levels[2], levels[5]), (33, 134, 244));
}

#[test]
fn the_modality_lut_of_xa_is_not_for_display() {
    let window = json!({ "WindowCenter": "128", "WindowWidth": "256", "RescaleIntercept": "50" });
    let mut xa = window.clone();
    xa["SOPClassUID"] = json!("1.2.840.10008.5.1.4.1.1.12.1");
    assert_eq!(default(xa).0, PIXELS);
    assert_eq!(default(window).0, [55, 105, 155, 205, 255, 255]);
}

#[test]
fn the_presentation_lut_shape_decides_before_the_photometric_interpretation() {
    let range = [0, 51, 102, 153, 204, 255];
    let turned = [255, 204, 153, 102, 51, 0];
    for (photometric, shape, expected) in [
        ("MONOCHROME2", Value::Null, range),
        ("MONOCHROME2", json!("IDENTITY"), range),
        ("MONOCHROME2", json!("INVERSE"), turned),
        ("MONOCHROME1", Value::Null, turned),
        ("MONOCHROME1", json!("IDENTITY"), range),
        ("MONOCHROME1", json!("INVERSE"), turned),
    ] {
        let shape =
            json!({ "PhotometricInterpretation": photometric, "PresentationLUTShape": shape });
        assert_eq!(default(shape.clone()).0, expected, "{shape}");
    }
}

#[test]
fn overlays_are_drawn_unless_annotation_is_off() {
    // Pixels 1 and 5 of six, lowest bit first: 0b10_0010.
    let first = json!({
        "OverlayRows": 2, "OverlayColumns": 3, "OverlayType": "G", "OverlayOrigin": [1, 1],
        "OverlayBitsAllocated": 1, "OverlayBitPosition": 0, "OverlayData": "IgA=",
        "WindowCenter": "128", "WindowWidth": "256",
    });
    let (levels, notes) = seen(first.clone(), &[5, 6, 7, 8, 9, 10], &RenderOptions::default());
    assert_eq!(levels, [5, 255, 7, 8, 9, 255]);
    assert_eq!(notes, ["overlays are drawn"]);
    let off = RenderOptions { annotation: false, ..RenderOptions::default() };
    assert_eq!(seen(first, &[5, 6, 7, 8, 9, 10], &off).0, [5, 6, 7, 8, 9, 10]);
    // Another group, by its tags, that begins one row and one column outside of the frame.
    let second = json!({
        "60020010": 2, "60020011": 3, "60020050": [0, 0], "60023000": "IgA=",
        "WindowCenter": "128", "WindowWidth": "256",
    });
    let (levels, _) = seen(second, &[5, 6, 7, 8, 9, 10], &RenderOptions::default());
    assert_eq!(levels, [5, 255, 7, 8, 9, 10]);
    // In bit 7 of samples that have 7 bits.
    let embedded = json!({
        "BitsStored": 7, "HighBit": 6, "OverlayRows": 2, "OverlayColumns": 3,
        "OverlayOrigin": [1, 1], "OverlayBitsAllocated": 8, "OverlayBitPosition": 7,
        "WindowCenter": "64", "WindowWidth": "128",
    });
    let (levels, _) = seen(embedded, &[0, 0x80, 127, 0xff, 0, 127], &RenderOptions::default());
    assert_eq!(levels, [0, 255, 255, 255, 0, 255]);
    // An overlay that claims to be larger than its data is drawn as far as that goes.
    let claims = json!({
        "OverlayRows": 65535, "OverlayColumns": 65535, "OverlayData": "AQA=",
        "WindowCenter": "128", "WindowWidth": "256",
    });
    let (levels, _) = seen(claims, &[5, 6, 7, 8, 9, 10], &RenderOptions::default());
    assert_eq!(levels, [255, 6, 7, 8, 9, 10]);
    let none = json!({ "OverlayRows": 2, "OverlayColumns": 3, "OverlayData": Value::Null });
    assert!(default(none).1[0].contains("not drawn"));
}

#[test]
fn padding_is_black_and_of_the_sign_of_the_samples() {
    let range = json!({ "PixelPaddingValue": 5 });
    assert_eq!(default(range).0, [0, 0, 64, 128, 191, 255]);
    // The padding of the series, 0, counts where the instance has none of its own.
    let inverse = json!({ "PresentationLUTShape": "INVERSE" });
    let (levels, _) = seen(inverse, &[0, 55, 105, 155, 205, 255], &RenderOptions::default());
    assert_eq!(levels, [0, 255, 191, 128, 64, 0]);
    // US 130 is -126 of signed samples: the range is -5 to 0.
    let signed = json!({ "PixelRepresentation": 1, "PixelPaddingValue": 130 });
    let pixels = [130, 251, 252, 253, 254, 0];
    assert_eq!(seen(signed, &pixels, &RenderOptions::default()).0, [0, 0, 51, 102, 153, 255]);
}

#[test]
fn pixels_that_are_not_square_are_scaled() {
    let size = |attribute: Value| {
        let picture = rendered(&attribute, &PIXELS, &RenderOptions::default());
        assert_eq!((picture.original_rows, picture.original_columns), (2, 3));
        let stated = picture.notes.iter().any(|note| note.contains("square"));
        (picture.rows, picture.columns, stated)
    };
    assert_eq!(size(json!({ "PixelSpacing": ["2.0", "1.0"] })), (4, 3, true));
    assert_eq!(size(json!({ "PixelAspectRatio": ["1", "3"] })), (2, 9, true));
    assert_eq!(size(json!({ "PixelSpacing": ["0.5", "0.5"] })), (2, 3, false));
    assert_eq!(size(json!({ "PixelSpacing": ["0", "1"] })), (2, 3, false));
    assert_eq!(size(json!({ "ImagerPixelSpacing": ["1", "2"] })), (2, 6, true));
}

#[test]
fn dose_is_in_gray_and_functional_groups_count() {
    let dose = json!({ "DoseGridScaling": "0.01" });
    let window = rendered(&dose, &PIXELS, &RenderOptions::default()).window.unwrap();
    assert!((window.width - 3.5).abs() < 1e-9, "0.05 to 2.55 Gy: {window:?}");
    let groups = json!({
        "SharedFunctionalGroupsSequence": [{
            "FrameVOILUTSequence": [{ "WindowCenter": "128", "WindowWidth": "256" }],
            "PixelMeasuresSequence": [{ "PixelSpacing": ["1", "1"] }],
        }],
        "WindowCenter": "1", "WindowWidth": "2", "PixelSpacing": ["2", "1"],
    });
    assert_eq!(default(groups).0, PIXELS);
}

#[test]
fn the_requested_window_wins() {
    let options =
        RenderOptions { contrast: Contrast::linear(128.0, 256.0), ..RenderOptions::default() };
    let (levels, _) = seen(json!({ "WindowCenter": "1", "WindowWidth": "0" }), &PIXELS, &options);
    assert_eq!(levels, PIXELS);
    let window = rendered(&json!({}), &PIXELS, &options).window;
    assert_eq!(window.map(|Window { center, .. }| center), Some(128.0));
}
