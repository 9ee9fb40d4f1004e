//! What an import does with each transfer syntax, photometric interpretation and depth: every line of
//! `docs/dicom-support.md` is a file that was imported. `UPDATE=1` writes the page anew.

use std::fmt::Write as _;
use std::path::Path;

use healthimaging_phantoms::{Phantom, PrimitiveValue, VR, tags};
use healthimaging_pixels::{
    FrameShape, PixelRepresentation, PlanarConfiguration, SourceFrame, decode, is_encapsulated,
};
use serde_json::Value;

use crate::frames::only;
use crate::support_cases::{Case, Fate, Pixels, cases};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dicom-support.md");
const HEAD: &str = "\
# What becomes of pixel data

Made by a test (`cargo test -p healthimaging-local --test import support`): each line is a file that was imported into
a data store of the default format, HTJ2K. With `losslessStorageFormat` JPEG_2000_LOSSLESS the target is
`1.2.840.10008.1.2.4.90` instead.

* **transcoded**: every frame is stored in `1.2.840.10008.1.2.4.202`. The stored frame, decoded by OpenJPEG (OpenJPH
  encoded it), is what the last column names: exactly, or within ±n where the file was lossy before it came.
* **kept**: every frame is stored byte for byte as it came. Those of JPEG, JPEG 2000, HTJ2K and JPEG XL are decoded when a
  picture of them is asked for; video is not.
* **kept whole**: the pixel data is stored as it came, as one blob, with the warning; samples of 32 bits in little
  endian. Such instances come back whole, with `transfer-syntax=*`. DICOMweb returns uncompressed frames that begin at
  bytes one by one.

Pictures (`get_image_frame` with `format` png or jpeg) are made of all of these but video: also of samples of 1 to 64 bits,
of floating-point samples, of frames that are deflated, and of what is there of a frame that is cut short. They follow
PS3.3: modality LUT (not for XA and XRF, where it is not for display), VOI LUT or the first usable window (without one, the
range of the values), Presentation LUT Shape, palettes, overlays, padding black, and square pixels by Pixel Spacing or Pixel
Aspect Ratio. What could not be applied, and what was scaled or drawn, is in `notes` of the answer.

Bits above Bits Stored, such as an overlay that was burned in there or a sign that was not extended, are kept in the
frames, so that the pixel data comes back as it was. Pictures, and the lowest and highest value in the metadata, are without
them; a program that decodes an HTJ2K frame and does not mask them reads other values.

An icon whose own pixel data is encapsulated (Icon Image Sequence, PS3.3 C.7.6.1.1.6) loses that value, with the warning
B006; one with native pixel data is kept.

Depth is bits stored of bits allocated; `s` means signed. `make interop` compares these and other files with what
pydicom and dcmtk read, also as Part 10 files in Explicit VR Little Endian.
";

/// Where the pixels of the imported file are, and with which warnings.
struct Found {
    stored: String,
    warnings: Vec<String>,
    frame: Vec<u8>,
}

fn file(case: &Case) -> Vec<u8> {
    let phantom = Phantom::mr().size(case.rows, case.columns).bits(case.allocated, case.stored);
    let phantom = if case.samples == 3 { phantom.rgb() } else { phantom };
    let phantom = if case.planes { phantom.planes() } else { phantom };
    let phantom = if case.signed { phantom.signed() } else { phantom };
    let phantom = phantom.photometric(case.photometric);
    let phantom = match &case.pixels {
        Pixels::Native(syntax, bytes) => phantom.transfer_syntax(*syntax).pixels(bytes.clone()),
        Pixels::Frame(uid, frame) => phantom.encapsulated(uid, vec![frame.to_vec()]),
        Pixels::Float(tag, vr, bytes) => {
            phantom.without_pixels().with(*tag, *vr, PrimitiveValue::U8(bytes.clone().into()))
        }
    };
    if case.photometric == "PALETTE COLOR" {
        return with_palette(phantom).build();
    }
    phantom.build()
}

/// 256 colours of 16 bits (PS3.3 §C.7.6.3.1.5).
fn with_palette(phantom: Phantom) -> Phantom {
    let (tables, descriptors) = (
        [
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ],
        [
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        ],
    );
    let table: Vec<u16> = (0..=255).map(|value| value * 257).collect();
    let phantom = descriptors
        .into_iter()
        .fold(phantom, |phantom, tag| phantom.with(tag, VR::US, words(vec![256, 0, 16])));
    tables.into_iter().fold(phantom, |phantom, tag| phantom.with(tag, VR::OW, words(table.clone())))
}

fn words(words: Vec<u16>) -> PrimitiveValue {
    PrimitiveValue::U16(words.into())
}

async fn import(case: &Case) -> Found {
    let (fixture, set, instance, warnings) = only(file(case)).await;
    let frames = instance["ImageFrames"].as_array().unwrap();
    assert_eq!(frames.len(), 1, "{case:?}");
    let id = frames[0]["ID"].as_str().unwrap();
    Found {
        stored: instance["StoredTransferSyntaxUID"].as_str().unwrap().to_owned(),
        warnings: warnings.iter().map(code).collect(),
        frame: fixture.frame(&set, id).await.unwrap(),
    }
}

/// The code in hexadecimal, as the service's guide writes it.
fn code(warning: &Value) -> String {
    format!("{:X}", warning["warning_reason_code"].as_u64().unwrap())
}

/// Checks what was stored, and names it.
fn fate(case: &Case, found: &Found) -> &'static str {
    match (&found.stored[..], &found.warnings[..]) {
        ("1.2.840.10008.1.2.4.202", []) => {
            assert_pixels(case, found);
            "transcoded"
        }
        ("1.2.840.10008.1.2.4.202", [coerced]) if coerced == "B000" => {
            assert_pixels(case, found);
            "transcoded"
        }
        (_, []) => {
            assert_eq!(unpadded(&found.frame), unpadded(case.pixels.bytes()), "{case:?}");
            "kept"
        }
        (_, [reason]) if matches!(reason.as_str(), "B100" | "B120") => {
            assert_whole(case, found);
            "kept whole"
        }
        other => panic!("{case:?}: {other:?}"),
    }
}

/// A fragment has an even length; streams end where they say.
fn unpadded(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(&[0]).unwrap_or(bytes)
}

fn assert_whole(case: &Case, found: &Found) {
    if is_encapsulated(&found.stored) {
        let frame = unpadded(case.pixels.bytes());
        let there = found.frame.windows(frame.len()).any(|part| part == frame);
        assert!(there, "{case:?}: the fragment is not in the blob");
    } else {
        assert_eq!(found.frame, case.picture, "{case:?}");
    }
}

fn assert_pixels(case: &Case, found: &Found) {
    let decoded = decode(&SourceFrame {
        transfer_syntax: &found.stored,
        shape: FrameShape {
            rows: case.rows.into(),
            columns: case.columns.into(),
            samples_per_pixel: case.samples,
            bits_allocated: case.allocated,
            bits_stored: case.stored,
            representation: if case.signed {
                PixelRepresentation::Signed
            } else {
                PixelRepresentation::Unsigned
            },
        },
        photometric: "MONOCHROME2",
        planar: PlanarConfiguration::Interleaved,
        data: &found.frame,
    });
    let pixels = decoded.unwrap().pixels;
    assert_eq!(pixels.len(), case.picture.len(), "{case:?}");
    let width = usize::from(case.allocated / 8);
    let value =
        |sample: &[u8]| sample.iter().rev().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
    let apart = pixels.chunks_exact(width).zip(case.picture.chunks_exact(width));
    let most = apart.map(|(ours, theirs)| value(ours).abs_diff(value(theirs))).max();
    assert!(most.unwrap() <= case.bound, "{case:?}: apart by {most:?}");
}

/// One line of the page.
fn line(case: &Case, found: &Found, fate: &str) -> String {
    let sign = if case.signed { "s" } else { "" };
    let planar = match (case.samples, case.planes, &case.pixels) {
        (3, true, _) => "1",
        (3, false, Pixels::Native(..)) => "0",
        _ => "",
    };
    let against = match (fate, case.bound) {
        ("transcoded", 0) => format!("{}, exactly", case.oracle),
        ("transcoded", bound) => format!("{}, ±{bound}", case.oracle),
        _ => "the bytes of the file".to_owned(),
    };
    format!(
        "| {} | {} of {}{sign} | {planar} | {fate} | {} | {against} |\n",
        case.photometric,
        case.stored,
        case.allocated,
        found.warnings.join(" ")
    )
}

#[tokio::test]
async fn every_kind_of_pixel_data_is_stored_as_the_page_says() {
    let mut page = HEAD.to_owned();
    let mut heading = "";
    for case in cases() {
        if heading != case.heading {
            heading = case.heading;
            let columns = "| photometric interpretation | depth | planar | stored | warning | compared with |";
            write!(page, "\n## {heading}\n{columns}\n|---|---|---|---|---|---|\n").unwrap();
        }
        let found = import(&case).await;
        let fate = fate(&case, &found);
        let guide = match case.fate() {
            Fate::Kept => "kept",
            Fate::Transcoded => "transcoded",
            Fate::Whole => "kept whole",
        };
        assert_eq!(fate, guide, "{case:?}: {:?}", found.warnings);
        page += &line(&case, &found, fate);
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(Path::new(PAGE)).unwrap_or_default();
    assert!(written == page, "docs/dicom-support.md is not what was found; UPDATE=1 writes it");
}
