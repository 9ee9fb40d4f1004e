//! The rule for each attribute, by PS3.3 §C.7.6.3 and by what pydicom and dcmtk make of odd files.
#![expect(clippy::unwrap_used, reason = "a test may")]

use healthimaging_image::{
    PixelDescription, PixelRepresentation, PlanarConfiguration, SampleFormat, whole_number,
};
use serde_json::{Map, Value, json};

/// A CT slice of 4 rows and 6 columns, with other attributes instead of some; null removes one.
fn with(changes: &Value) -> Map<String, Value> {
    let mut attributes = json!({
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "Rows": 4, "Columns": 6,
        "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 1,
    })
    .as_object()
    .unwrap()
    .clone();
    for (keyword, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => attributes.remove(keyword),
            value => attributes.insert(keyword.clone(), value.clone()),
        };
    }
    attributes
}

#[expect(clippy::needless_pass_by_value, reason = "a test hands over what it made")]
fn described(changes: Value) -> PixelDescription {
    PixelDescription::of(&with(&changes)).unwrap()
}

#[test]
fn a_proper_image_is_described_as_it_says() {
    let found = described(json!({"PlanarConfiguration": 1, "NumberOfFrames": "3 "}));
    assert_eq!((found.rows, found.columns, found.samples_per_pixel), (4, 6, 1));
    assert_eq!((found.bits_allocated, found.bits_stored, found.high_bit), (16, 12, 11));
    assert_eq!(found.representation, PixelRepresentation::Signed);
    assert_eq!(found.planar, PlanarConfiguration::Planes);
    assert_eq!(found.format, SampleFormat::Integer);
    assert_eq!((found.photometric.as_str(), found.number_of_frames), ("MONOCHROME2", 3));
    assert_eq!(found.native_frame_bits(), 4 * 6 * 16);
}

#[test]
fn the_first_of_several_values_counts_whatever_its_representation() {
    let found = described(json!({
        "Rows": [4, 9], "Columns": "6", "BitsAllocated": ["16"], "BitsStored": 12.0,
        "PhotometricInterpretation": ["MONOCHROME1 ", "RGB"],
    }));
    assert_eq!((found.rows, found.columns), (4, 6));
    assert_eq!((found.bits_allocated, found.bits_stored), (16, 12));
    assert_eq!(found.photometric, "MONOCHROME1");
}

#[test]
fn absent_samples_follow_from_the_photometric_interpretation_and_the_reverse() {
    let by = |photometric: &str| {
        let absent = json!({"SamplesPerPixel": null, "PhotometricInterpretation": photometric});
        described(absent).samples_per_pixel
    };
    assert_eq!((by("MONOCHROME2"), by("PALETTE COLOR")), (1, 1));
    assert_eq!((by("RGB"), by("YBR_FULL_422"), by("YBR_RCT"), by("CMYK")), (3, 3, 3, 4));
    assert_eq!(by("unheard of"), 1);
    let of = |samples: u16| {
        described(json!({"SamplesPerPixel": samples, "PhotometricInterpretation": null}))
            .photometric
    };
    assert_eq!((of(1).as_str(), of(3).as_str()), ("MONOCHROME2", "RGB"));
    let palette = json!({
        "PhotometricInterpretation": "", "RedPaletteColorLookupTableDescriptor": [256, 0, 16],
    });
    assert_eq!(described(palette).photometric, "PALETTE COLOR");
}

#[test]
fn attributes_out_of_range_count_as_absent() {
    let found = described(json!({
        "BitsStored": 17, "HighBit": 3, "PixelRepresentation": 2, "PlanarConfiguration": 7,
        "SamplesPerPixel": 0,
    }));
    assert_eq!((found.bits_stored, found.high_bit), (16, 15));
    assert_eq!(found.representation, PixelRepresentation::Unsigned);
    assert_eq!(found.planar, PlanarConfiguration::Interleaved);
    assert_eq!(found.samples_per_pixel, 1);
    let absent = described(json!({"BitsStored": null, "HighBit": null}));
    assert_eq!((absent.bits_stored, absent.high_bit), (16, 15));
}

#[test]
fn numbers_of_frames_that_cannot_be_are_none() {
    let frames = |value: Value| described(json!({ "NumberOfFrames": value })).number_of_frames;
    assert_eq!((frames(Value::Null), frames(json!("0")), frames(json!("-3"))), (1, 0, 0));
    assert_eq!(frames(json!("99999999999")), 0);
}

#[test]
fn floats_are_what_lacks_the_attributes_that_integers_need() {
    let none = json!({
        "BitsAllocated": 32, "BitsStored": null, "HighBit": null, "PixelRepresentation": null,
    });
    assert_eq!(described(none).format, SampleFormat::Float);
    let dose = json!({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31});
    assert_eq!(described(dose).format, SampleFormat::Integer);
    let sixteen = json!({"BitsStored": null, "HighBit": null, "PixelRepresentation": null});
    assert_eq!(described(sixteen).format, SampleFormat::Integer);
}

#[test]
fn two_pixels_of_a_row_share_their_chroma() {
    let frame = |columns: u16| {
        let subsampled = json!({
            "PhotometricInterpretation": "YBR_FULL_422", "SamplesPerPixel": 3, "Columns": columns,
            "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7,
        });
        described(subsampled).native_frame_bits() / 8
    };
    assert_eq!((frame(6), frame(5)), (4 * 6 * 2, 4 * 6 * 2));
}

#[test]
fn what_is_required_is_named_when_it_is_absent_or_out_of_range() {
    let refused = |changes: Value| PixelDescription::of(&with(&changes)).unwrap_err().to_string();
    assert_eq!(refused(json!({ "Rows": null })), "Rows does not exist");
    assert_eq!(refused(json!({ "Columns": 0 })), "Columns is 0, not from 1 to 65535");
    assert_eq!(refused(json!({ "BitsAllocated": "much" })), "BitsAllocated does not exist");
    assert_eq!(refused(json!({ "BitsAllocated": 65 })), "BitsAllocated is 65, not from 1 to 64");
}

#[test]
fn texts_spell_whole_numbers() {
    assert_eq!(
        (whole_number(" 16 "), whole_number("3.0"), whole_number("-1\0")),
        (Some(16), Some(3), Some(-1))
    );
    assert_eq!((whole_number("3.5"), whole_number(""), whole_number("1e300")), (None, None, None));
}
