//! Burned-in text: the decision, and blanking.

use healthimaging_deidentify::{
    Blanking, HoldReason, Instance, PixelDecision, Rectangle, blank_frame, has_unused_bits,
};
use healthimaging_dicom::{DataSet, Element, Value};
use healthimaging_image::PixelDescription;
use healthimaging_phantoms::{Tag, VR, tags, uids};

use super::{data_set, deidentifier, instance, items, run, text};

fn unsigned(vr: VR, value: u64) -> Element {
    Element { vr, value: Value::Unsigned(vec![value]) }
}

fn image(
    class: &str,
    modality: &str,
    elements: impl IntoIterator<Item = (Tag, Element)>,
) -> DataSet {
    let mut made = instance([
        (tags::SOP_CLASS_UID, text(VR::UI, class)),
        (tags::MODALITY, text(VR::CS, modality)),
        (tags::ROWS, unsigned(VR::US, 100)),
        (tags::COLUMNS, unsigned(VR::US, 200)),
        (tags::BITS_ALLOCATED, unsigned(VR::US, 8)),
        (tags::SAMPLES_PER_PIXEL, unsigned(VR::US, 1)),
        (tags::PHOTOMETRIC_INTERPRETATION, text(VR::CS, "MONOCHROME2")),
    ]);
    made.elements.extend(elements);
    made
}

fn region(left: u64, top: u64, right: u64, bottom: u64) -> DataSet {
    data_set([
        (tags::REGION_LOCATION_MIN_X0, unsigned(VR::UL, left)),
        (tags::REGION_LOCATION_MIN_Y0, unsigned(VR::UL, top)),
        (tags::REGION_LOCATION_MAX_X1, unsigned(VR::UL, right)),
        (tags::REGION_LOCATION_MAX_Y1, unsigned(VR::UL, bottom)),
    ])
}

fn decision(data_set: DataSet) -> PixelDecision {
    run(data_set, &["clean-pixel-data"]).pixels
}

fn held(data_set: DataSet) -> Option<HoldReason> {
    match decision(data_set) {
        PixelDecision::Hold(reason) => Some(reason),
        _ => None,
    }
}

#[test]
fn known_safe_classes_pass_and_say_so() {
    for (class, modality) in [
        (uids::CT_IMAGE_STORAGE, "CT"),
        (uids::MR_IMAGE_STORAGE, "MR"),
        (uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE, "PT"),
        (uids::SEGMENTATION_STORAGE, "SEG"),
        (uids::RT_DOSE_STORAGE, "RTDOSE"),
    ] {
        let done = run(image(class, modality, []), &["clean-pixel-data"]);
        assert_eq!(done.pixels, PixelDecision::Pass, "{modality}");
        assert_eq!(done.data_set.text(tags::BURNED_IN_ANNOTATION), Some("NO"));
        let done = run(image(class, modality, []), &[]);
        assert_eq!(done.pixels, PixelDecision::Pass);
        assert_eq!(done.data_set.text(tags::BURNED_IN_ANNOTATION), None);
    }
}

#[test]
fn what_may_show_text_is_held_back() {
    let say = |value: &str| (tags::BURNED_IN_ANNOTATION, text(VR::CS, value));
    let kind = |value: &str| (tags::IMAGE_TYPE, text(VR::CS, value));
    let ct = uids::CT_IMAGE_STORAGE;
    for (made, reason) in [
        (image(ct, "CT", [say("YES")]), HoldReason::BurnedInAnnotation),
        (image(uids::SECONDARY_CAPTURE_IMAGE_STORAGE, "CT", [say("NO")]), HoldReason::Capture),
        (
            image(uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE, "US", []),
            HoldReason::Capture,
        ),
        (image(ct, "OT", []), HoldReason::Capture),
        (image(uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE, "XC", []), HoldReason::Capture),
        (image(uids::VL_ENDOSCOPIC_IMAGE_STORAGE, "ES", []), HoldReason::Capture),
        (image(ct, "CT", [kind("DERIVED\\SECONDARY\\SCREEN SAVE")]), HoldReason::Screen),
        (image(ct, "CT", [kind("DERIVED\\SECONDARY\\OTHER\\CT_SOM5 PROT")]), HoldReason::Screen),
        (
            image(ct, "CT", [(tags::SERIES_DESCRIPTION, text(VR::LO, "Dose Report"))]),
            HoldReason::Screen,
        ),
        (image(ct, "CT", [(tags::SAMPLES_PER_PIXEL, unsigned(VR::US, 3))]), HoldReason::Screen),
        (
            image(
                uids::VL_WHOLE_SLIDE_MICROSCOPY_IMAGE_STORAGE,
                "SM",
                [kind("ORIGINAL\\PRIMARY\\LABEL\\NONE")],
            ),
            HoldReason::Screen,
        ),
        (image(uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE, "CR", []), HoldReason::Unstated),
        (
            image(
                uids::X_RAY_ANGIOGRAPHIC_IMAGE_STORAGE,
                "XA",
                [kind("DERIVED\\PRIMARY\\SINGLE PLANE")],
            ),
            HoldReason::Unstated,
        ),
        (
            image(
                uids::OPHTHALMIC_PHOTOGRAPHY8_BIT_IMAGE_STORAGE,
                "OP",
                [kind("ORIGINAL\\PRIMARY\\COLOR")],
            ),
            HoldReason::Unstated,
        ),
        (image("1.2.3.4.5", "CT", []), HoldReason::Unknown),
        (image(uids::VIDEO_ENDOSCOPIC_IMAGE_STORAGE, "ES", []), HoldReason::Recording),
        (image(uids::ENCAPSULATED_PDF_STORAGE, "DOC", []), HoldReason::Document),
    ] {
        assert_eq!(held(made), Some(reason));
    }
    let cr = image(uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE, "CR", [say("NO")]);
    assert_eq!(decision(cr), PixelDecision::Pass);
    for (class, modality) in [
        (uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE, "CR"),
        (uids::X_RAY_ANGIOGRAPHIC_IMAGE_STORAGE, "XA"),
    ] {
        let original = image(class, modality, [kind("ORIGINAL\\PRIMARY\\SINGLE PLANE")]);
        assert_eq!(decision(original), PixelDecision::Pass);
        let stated = [kind("ORIGINAL\\PRIMARY"), say("YES")];
        assert_eq!(held(image(class, modality, stated)), Some(HoldReason::BurnedInAnnotation));
    }
    let held = run(image(ct, "OT", []), &["clean-pixel-data"]);
    assert_eq!(held.report.held_back, 1);
    assert_eq!(held.data_set.text(tags::BURNED_IN_ANNOTATION), None, "nothing is promised");
}

#[test]
fn instances_without_pixels_have_nothing_to_decide() {
    let done = run(instance([]), &["clean-pixel-data"]);
    assert_eq!(done.pixels, PixelDecision::Absent);
    assert_eq!(done.data_set.text(tags::BURNED_IN_ANNOTATION), None);
}

#[test]
fn ultrasound_is_blanked_outside_its_regions() {
    let us = |regions| {
        image(
            uids::ULTRASOUND_IMAGE_STORAGE,
            "US",
            [
                (tags::SEQUENCE_OF_ULTRASOUND_REGIONS, items(regions)),
                (tags::IMAGE_TYPE, text(VR::CS, "ORIGINAL\\PRIMARY\\TTE")),
            ],
        )
    };
    let done = run(us(vec![region(10, 20, 110, 90)]), &["clean-pixel-data"]);
    let keep = vec![Rectangle { left: 10, top: 20, right: 110, bottom: 90 }];
    let expected = Blanking { keep: Some(keep), ..Blanking::default() };
    assert_eq!(done.pixels, PixelDecision::Blank(expected));
    assert_eq!(done.data_set.text(tags::BURNED_IN_ANNOTATION), Some("NO"));
    assert_eq!(done.data_set.text(tags::IMAGE_TYPE), Some("DERIVED\\PRIMARY\\TTE"));
    assert_eq!(done.report.blanked, 1);
    let basic = run(us(vec![region(10, 20, 110, 90)]), &[]);
    assert_eq!(basic.pixels, PixelDecision::Hold(HoldReason::NotBlanked));
    for regions in [
        vec![],
        vec![region(0, 0, 199, 99)],
        vec![region(0, 0, 200, 100)],
        vec![region(10, 20, 300, 90)],
        vec![region(110, 20, 10, 90)],
        vec![region(10, 20, 110, 90), DataSet::default()],
    ] {
        assert_eq!(held(us(regions)), Some(HoldReason::Regions));
    }
}

#[test]
fn rectangles_that_a_person_gave_are_blanked() {
    let rectangles = vec![Rectangle { left: 0, top: 0, right: 199, bottom: 9 }];
    let deidentify = |options: &[&str], rectangles: &[Rectangle]| {
        let data_set = image(uids::SECONDARY_CAPTURE_IMAGE_STORAGE, "OT", []);
        let instance = Instance {
            data_set,
            has_pixels: true,
            rectangles: rectangles.to_vec(),
            ..Instance::default()
        };
        deidentifier(options).deidentify(instance).unwrap().pixels
    };
    let blank = Blanking { blank: rectangles.clone(), ..Blanking::default() };
    assert_eq!(deidentify(&["clean-pixel-data"], &rectangles), PixelDecision::Blank(blank));
    assert_eq!(deidentify(&[], &rectangles), PixelDecision::Hold(HoldReason::NotBlanked));
    // The frames have 200 columns and 100 rows.
    for outside in [
        Rectangle { left: 200, top: 0, right: 210, bottom: 9 },
        Rectangle { left: 0, top: 100, right: 9, bottom: 120 },
    ] {
        let found = deidentify(&["clean-pixel-data"], &[rectangles[0], outside]);
        assert_eq!(found, PixelDecision::Hold(HoldReason::Outside));
    }
}

#[test]
fn what_a_person_reviewed_passes_but_for_documents() {
    let reviewed = |data_set| {
        let instance =
            Instance { data_set, has_pixels: true, is_reviewed: true, ..Instance::default() };
        deidentifier(&["clean-pixel-data"]).deidentify(instance).unwrap().pixels
    };
    let capture = || image(uids::SECONDARY_CAPTURE_IMAGE_STORAGE, "OT", []);
    assert_eq!(reviewed(capture()), PixelDecision::Pass);
    let says = [(tags::BURNED_IN_ANNOTATION, text(VR::CS, "YES"))];
    assert_eq!(reviewed(image(uids::CT_IMAGE_STORAGE, "CT", says)), PixelDecision::Pass);
    let document = image(uids::ENCAPSULATED_PDF_STORAGE, "DOC", []);
    assert_eq!(reviewed(document), PixelDecision::Hold(HoldReason::Document));
    let video = image(uids::VIDEO_ENDOSCOPIC_IMAGE_STORAGE, "ES", []);
    assert_eq!(reviewed(video), PixelDecision::Hold(HoldReason::Recording));
}

#[test]
fn blanked_frames_that_were_lossy_stay_lossy() {
    let lossy = |syntax: &str, stated: Option<&str>, blank: bool| {
        let mut data_set = image(uids::CT_IMAGE_STORAGE, "CT", []);
        let stated = stated.map(|value| (tags::LOSSY_IMAGE_COMPRESSION, text(VR::CS, value)));
        data_set.elements.extend(stated);
        let rectangle = Rectangle { left: 0, top: 0, right: 9, bottom: 9 };
        let instance = Instance {
            meta: self::data_set([(tags::TRANSFER_SYNTAX_UID, text(VR::UI, syntax))]),
            data_set,
            has_pixels: true,
            rectangles: blank.then_some(rectangle).into_iter().collect(),
            ..Instance::default()
        };
        let done = deidentifier(&["clean-pixel-data"]).deidentify(instance).unwrap();
        done.data_set.text(tags::LOSSY_IMAGE_COMPRESSION).map(str::to_owned)
    };
    let (baseline, near, j2k) =
        ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.90");
    assert_eq!(lossy(baseline, None, true).as_deref(), Some("01"));
    assert_eq!(lossy(baseline, Some("00"), true).as_deref(), Some("01"));
    assert_eq!(lossy(near, None, true).as_deref(), Some("01"));
    assert_eq!(lossy(near, Some("00"), true).as_deref(), Some("00"));
    assert_eq!(lossy(j2k, None, true), None);
    assert_eq!(lossy(j2k, Some("01"), true).as_deref(), Some("01"));
    assert_eq!(lossy(baseline, None, false), None, "frames that are left state nothing new");
}

#[test]
fn overlays_in_unused_bits_are_cleared() {
    let made = image(
        uids::CT_IMAGE_STORAGE,
        "CT",
        [(Tag(0x6000, 0x0102), unsigned(VR::US, 12)), (Tag(0x6000, 0x0010), unsigned(VR::US, 100))],
    );
    let blank = Blanking { clear_unused_bits: true, ..Blanking::default() };
    assert_eq!(decision(made), PixelDecision::Blank(blank));
}

fn described(rows: u64, columns: u64, bits: u64, elements: &[(Tag, Element)]) -> PixelDescription {
    let mut made = data_set([
        (tags::ROWS, unsigned(VR::US, rows)),
        (tags::COLUMNS, unsigned(VR::US, columns)),
        (tags::BITS_ALLOCATED, unsigned(VR::US, bits)),
        (tags::BITS_STORED, unsigned(VR::US, bits)),
        (tags::PIXEL_REPRESENTATION, unsigned(VR::US, 0)),
    ]);
    made.elements.extend(elements.to_vec());
    PixelDescription::of(&made).unwrap()
}

fn photometric(term: &str) -> (Tag, Element) {
    (tags::PHOTOMETRIC_INTERPRETATION, text(VR::CS, term))
}

/// Blanks the pixel in the middle of the second row of a frame of 3 × 3, or all but that.
fn middle() -> [Blanking; 2] {
    let middle = vec![Rectangle { left: 1, top: 1, right: 1, bottom: 1 }];
    [
        Blanking { blank: middle.clone(), ..Blanking::default() },
        Blanking { keep: Some(middle), ..Blanking::default() },
    ]
}

#[test]
fn gray_samples_become_black() {
    let [inside, outside] = middle();
    let cases = [
        (described(3, 3, 8, &[photometric("MONOCHROME2")]), 1, vec![0]),
        (described(3, 3, 8, &[photometric("MONOCHROME1")]), 1, vec![255]),
        (described(3, 3, 16, &[photometric("MONOCHROME2")]), 2, vec![0, 0]),
        (
            described(
                3,
                3,
                16,
                &[photometric("MONOCHROME1"), (tags::BITS_STORED, unsigned(VR::US, 12))],
            ),
            2,
            vec![0xFF, 0x0F],
        ),
        (
            described(
                3,
                3,
                16,
                &[photometric("MONOCHROME2"), (tags::PIXEL_REPRESENTATION, unsigned(VR::US, 1))],
            ),
            2,
            vec![0x00, 0x80],
        ),
        (described(3, 3, 32, &[photometric("MONOCHROME2")]), 4, vec![0; 4]),
        (described(3, 3, 8, &[photometric("PALETTE COLOR")]), 1, vec![0]),
    ];
    for (description, bytes, black) in cases {
        let original = vec![77; 9 * bytes];
        let mut frame = original.clone();
        blank_frame(&mut frame, &description, &inside).unwrap();
        let mut expected = original.clone();
        expected[4 * bytes..5 * bytes].copy_from_slice(&black);
        assert_eq!(frame, expected, "{description:?}");
        let mut frame = original.clone();
        blank_frame(&mut frame, &description, &outside).unwrap();
        let mut expected = black.repeat(9);
        expected[4 * bytes..5 * bytes].copy_from_slice(&original[..bytes]);
        assert_eq!(frame, expected, "{description:?}");
    }
}

#[test]
fn color_samples_become_black_in_both_layouts() {
    let [inside, _] = middle();
    let color = |photometric_term: &str, planar| {
        described(
            3,
            3,
            8,
            &[
                photometric(photometric_term),
                (tags::SAMPLES_PER_PIXEL, unsigned(VR::US, 3)),
                (tags::PLANAR_CONFIGURATION, unsigned(VR::US, planar)),
            ],
        )
    };
    let mut frame = vec![77; 27];
    blank_frame(&mut frame, &color("RGB", 0), &inside).unwrap();
    assert_eq!(frame[9..18], [77, 77, 77, 0, 0, 0, 77, 77, 77]);
    let mut frame = vec![77; 27];
    blank_frame(&mut frame, &color("RGB", 1), &inside).unwrap();
    let zeros: Vec<_> = (0..27).filter(|at| frame[*at] == 0).collect();
    assert_eq!(zeros, [4, 13, 22]);
    let mut frame = vec![77; 27];
    blank_frame(&mut frame, &color("YBR_FULL", 0), &inside).unwrap();
    assert_eq!(frame[12..15], [0, 128, 128]);
}

#[test]
fn shared_chroma_goes_with_both_of_its_pixels() {
    let description = described(
        1,
        4,
        8,
        &[photometric("YBR_FULL_422"), (tags::SAMPLES_PER_PIXEL, unsigned(VR::US, 3))],
    );
    let blank = vec![Rectangle { left: 3, top: 0, right: 3, bottom: 0 }];
    let mut frame = vec![77; 8];
    blank_frame(&mut frame, &description, &Blanking { blank, ..Blanking::default() }).unwrap();
    assert_eq!(frame, [77, 77, 77, 77, 0, 0, 128, 128]);
}

#[test]
fn single_bits_are_cleared() {
    let description = described(3, 3, 1, &[photometric("MONOCHROME2")]);
    let [inside, outside] = middle();
    let mut frame = vec![0xFF, 0x01];
    blank_frame(&mut frame, &description, &inside).unwrap();
    assert_eq!(frame, [0b1110_1111, 1]);
    let mut frame = vec![0xFF, 0x01];
    blank_frame(&mut frame, &description, &outside).unwrap();
    assert_eq!(frame, [0b0001_0000, 0]);
}

#[test]
fn unused_bits_are_cleared_and_signs_stay() {
    let blanking = Blanking { clear_unused_bits: true, ..Blanking::default() };
    let stored = (tags::BITS_STORED, unsigned(VR::US, 12));
    let high = (tags::HIGH_BIT, unsigned(VR::US, 11));
    let unsigned_samples = described(1, 2, 16, &[stored.clone(), high.clone()]);
    let mut frame = vec![0x34, 0xF2, 0xFF, 0x1F];
    blank_frame(&mut frame, &unsigned_samples, &blanking).unwrap();
    assert_eq!(frame, [0x34, 0x02, 0xFF, 0x0F]);
    let signed = (tags::PIXEL_REPRESENTATION, unsigned(VR::US, 1));
    let signed_samples = described(1, 2, 16, &[stored, high, signed]);
    let mut frame = vec![0x34, 0x12, 0xFF, 0x1F];
    blank_frame(&mut frame, &signed_samples, &blanking).unwrap();
    assert_eq!(frame, [0x34, 0x02, 0xFF, 0xFF]);
}

#[test]
fn text_in_unused_bits_is_cleared_with_clean_pixel_data() {
    let stored = (tags::BITS_STORED, unsigned(VR::US, 12));
    let high = (tags::HIGH_BIT, unsigned(VR::US, 11));
    let twelve = described(1, 2, 16, &[stored.clone(), high.clone()]);
    assert!(has_unused_bits(&[0x34, 0xF2, 0xFF, 0x0F], &twelve));
    assert!(!has_unused_bits(&[0x34, 0x02, 0xFF, 0x0F], &twelve));
    let signed = (tags::PIXEL_REPRESENTATION, unsigned(VR::US, 1));
    let extended = described(1, 2, 16, &[stored, high, signed]);
    assert!(!has_unused_bits(&[0x34, 0x02, 0xFF, 0xFF], &extended));
    let found = |options: &[&str]| {
        let instance = Instance {
            data_set: image(uids::CT_IMAGE_STORAGE, "CT", []),
            has_pixels: true,
            has_unused_bits: true,
            ..Instance::default()
        };
        deidentifier(options).deidentify(instance).unwrap().pixels
    };
    let blank = Blanking { clear_unused_bits: true, ..Blanking::default() };
    assert_eq!(found(&["clean-pixel-data"]), PixelDecision::Blank(blank));
    assert_eq!(found(&[]), PixelDecision::Pass);
}

#[test]
fn frames_of_another_length_are_refused() {
    let description = described(3, 3, 8, &[]);
    let [inside, _] = middle();
    assert!(blank_frame(&mut [0; 8], &description, &inside).is_err());
    assert!(blank_frame(&mut [0; 10], &description, &inside).is_err());
    let twelve = described(2, 2, 12, &[]);
    assert!(blank_frame(&mut [0; 6], &twelve, &inside).is_err());
}
