//! The files open in dicom-object and hold what was asked for.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use dicom_object::{DefaultDicomObject, from_reader};
use healthimaging_phantoms::{
    Archive, InMemDicomObject, Phantom, PrimitiveValue, TransferSyntax, VR, demo_archive, tags,
    uid, write_to,
};

fn open(bytes: &[u8]) -> DefaultDicomObject {
    from_reader(bytes).expect("a phantom is a readable Part 10 file")
}

fn text(object: &InMemDicomObject, tag: healthimaging_phantoms::Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_end().to_owned()
}

fn number(object: &InMemDicomObject, tag: healthimaging_phantoms::Tag) -> i64 {
    object.element(tag).unwrap().to_int().unwrap()
}

fn pixels(object: &InMemDicomObject) -> Vec<u8> {
    object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned()
}

fn words(object: &InMemDicomObject) -> Vec<i16> {
    pixels(object).chunks(2).map(|p| i16::from_le_bytes([p[0], p[1]])).collect()
}

const ALL: [TransferSyntax; 4] = [
    TransferSyntax::ImplicitVrLittleEndian,
    TransferSyntax::ExplicitVrLittleEndian,
    TransferSyntax::ExplicitVrBigEndian,
    TransferSyntax::DeflatedExplicitVrLittleEndian,
];

#[test]
fn every_encoding_holds_the_same_values() {
    let build = |syntax| {
        let phantom = Phantom::ct().patient("DOE^JANE", "MRN-1").size(40, 30).study_uid("2.25.1");
        phantom.series_uid("2.25.2").sop_uid("2.25.3").transfer_syntax(syntax).build()
    };
    let expected = words(&open(&build(TransferSyntax::ExplicitVrLittleEndian)));
    assert_eq!(expected.len(), 1200);
    for syntax in ALL {
        let file = open(&build(syntax));
        assert_eq!(file.meta().transfer_syntax(), syntax.uid());
        assert_eq!(file.meta().media_storage_sop_instance_uid(), "2.25.3");
        assert_eq!(text(&file, tags::PATIENT_NAME), "DOE^JANE");
        assert_eq!(text(&file, tags::STUDY_INSTANCE_UID), "2.25.1");
        assert_eq!(number(&file, tags::ROWS), 40);
        assert_eq!(number(&file, tags::COLUMNS), 30);
        assert_eq!(number(&file, tags::PIXEL_REPRESENTATION), 1);
        assert_eq!(words(&file), expected, "{syntax:?}");
    }
}

#[test]
fn a_ct_is_air_around_a_noisy_body() {
    let file = open(&Phantom::ct().build());
    let values = words(&file);
    let corner = f64::from(values[..16].iter().map(|v| i32::from(*v)).sum::<i32>()) / 16.0;
    assert!((-1024.0..-950.0).contains(&corner), "air is near -1000 HU, not {corner}");
    assert!(values.iter().any(|v| *v > 300), "bone is above 300 HU");
    assert!(values.iter().collect::<BTreeSet<_>>().len() > 500, "noise spreads the values");
}

#[test]
fn shapes_are_as_asked_for() {
    let rgb = Phantom::ultrasound().size(9, 7).frames(3);
    let together = open(&rgb.clone().build());
    let apart = open(&rgb.planes().build());
    assert_eq!(number(&together, tags::NUMBER_OF_FRAMES), 3);
    assert_eq!(text(&together, tags::PHOTOMETRIC_INTERPRETATION), "RGB");
    assert_eq!(number(&apart, tags::PLANAR_CONFIGURATION), 1);
    let (together, apart) = (pixels(&together), pixels(&apart));
    // 9 × 7 × 3 samples × 3 frames is odd, so one byte of padding follows.
    assert_eq!((together.len(), apart.len()), (568, 568));
    for sample in 0..3 {
        let interleaved: Vec<u8> =
            together[..189].iter().skip(sample).step_by(3).copied().collect();
        assert_eq!(interleaved, apart[sample * 63..][..63]);
    }

    let wide = open(&Phantom::mr().size(5, 5).bits(32, 32).build());
    assert_eq!(pixels(&wide).len(), 100);
    let bits = open(&Phantom::mr().size(5, 5).bits(1, 1).build());
    assert_eq!(pixels(&bits).len(), 4, "25 bits are 4 bytes");
    let byte = open(&Phantom::ct().size(16, 16).bits(8, 8).unsigned().build());
    assert_eq!(pixels(&byte).len(), 256);
    let radiograph = open(&Phantom::radiograph().build());
    assert_eq!(pixels(&radiograph).len(), 1500 * 1200 * 2);
    assert!(words(&radiograph).iter().all(|v| (0..4096).contains(v)), "12 bits stored");
}

#[test]
fn unsigned_ct_moves_the_intercept() {
    let signed = open(&Phantom::ct().size(16, 16).build());
    let moved = open(&Phantom::ct().size(16, 16).unsigned().bits(16, 12).build());
    let intercept = text(&moved, tags::RESCALE_INTERCEPT).parse::<f64>().unwrap();
    assert!((intercept + 1024.0).abs() < 1e-9);
    let back: Vec<i16> = words(&moved).iter().map(|v| v - 1024).collect();
    // What lies below the range is cut off, as a scanner does.
    let expected: Vec<i16> = words(&signed).into_iter().map(|v| v.max(-1024)).collect();
    assert_eq!(back, expected);
}

#[test]
fn edits_come_last_and_contradict() {
    let file = Phantom::ct()
        .size(4, 4)
        .with(tags::ROWS, VR::US, PrimitiveValue::from(9u16))
        .with((0x0010, 0x4000), VR::LT, "comment")
        .without(tags::STUDY_INSTANCE_UID)
        .private(0x0019, "PHANTOM 01", 0x01, VR::LO, "first")
        .private(0x0019, "PHANTOM 02", 0x01, VR::LO, "second")
        .private(0x0019, "PHANTOM 01", 0x02, VR::DS, "1.25")
        .build();
    let file = open(&file);
    assert_eq!(number(&file, tags::ROWS), 9);
    assert_eq!(pixels(&file).len(), 32);
    assert_eq!(text(&file, tags::PATIENT_COMMENTS), "comment");
    assert!(file.element(tags::STUDY_INSTANCE_UID).is_err());
    let private = [(0x0010, "PHANTOM 01"), (0x0011, "PHANTOM 02"), (0x1001, "first")];
    for (element, expected) in private.into_iter().chain([(0x1101, "second"), (0x1002, "1.25")]) {
        assert_eq!(text(&file, healthimaging_phantoms::Tag(0x0019, element)), expected);
    }
}

#[test]
fn text_is_written_in_the_character_set_named() {
    let name = "Müller^Jörg";
    for (set, umlaut) in [("ISO_IR 100", &b"M\xfcller"[..]), ("ISO_IR 192", "Müller".as_bytes())] {
        let bytes = Phantom::mr().size(2, 2).character_set(set).patient(name, "1").build();
        assert!(bytes.windows(umlaut.len()).any(|window| window == umlaut), "{set}");
        assert_eq!(text(&open(&bytes), tags::PATIENT_NAME), name);
    }
    let raw = PrimitiveValue::U8(b"\xff\xfe".as_slice().into());
    let bytes = Phantom::mr().size(2, 2).with(tags::PATIENT_COMMENTS, VR::LT, raw).build();
    assert!(bytes.windows(10).any(|w| w == b"\x10\x00\x00\x40LT\x02\x00\xff\xfe"));
}

#[test]
fn fragments_are_the_callers() {
    let syntax = "1.2.840.10008.1.2.5";
    let frames = vec![vec![1, 2, 3, 4], vec![5, 6, 7]];
    let bytes = Phantom::mr().size(2, 2).encapsulated(syntax, frames).build();
    let file = open(&bytes);
    assert_eq!(file.meta().transfer_syntax(), syntax);
    assert_eq!(number(&file, tags::NUMBER_OF_FRAMES), 2);
    let fragments = file.element(tags::PIXEL_DATA).unwrap().fragments().unwrap();
    assert_eq!(fragments, [vec![1, 2, 3, 4], vec![5, 6, 7, 0]]);

    let bytes = Phantom::mr().fragments(syntax, vec![0, 12], vec![vec![1; 4], vec![2; 4]]).build();
    let file = open(&bytes);
    assert_eq!(file.element(tags::PIXEL_DATA).unwrap().value().offset_table(), Some(&[0, 12][..]));
}

#[test]
fn a_report_has_no_pixels_and_nested_text() {
    let file = open(&Phantom::report().build());
    assert!(file.element(tags::PIXEL_DATA).is_err());
    assert!(file.element(tags::ROWS).is_err());
    let items = file.element(tags::CONTENT_SEQUENCE).unwrap().items().unwrap();
    assert_eq!(text(&items[0], tags::TEXT_VALUE), "Synthetic lungs without findings.");
    let ct = open(&Phantom::ct().size(2, 2).build());
    let study = |file| text(file, tags::STUDY_INSTANCE_UID);
    assert_eq!(study(&file), study(&ct), "one seed, one study");
}

#[test]
fn a_claimed_syntax_may_lie() {
    let bytes = Phantom::ct().size(2, 2).claimed_transfer_syntax("1.2.3.4").build();
    assert!(from_reader(&bytes[..]).is_err());
    assert!(bytes.windows(7).any(|w| w == b"1.2.3.4"));
}

#[test]
fn the_seed_decides_everything() {
    let ct = |seed| Phantom::ct().seed(seed).size(32, 32).build();
    assert_eq!(ct(7), ct(7));
    assert_ne!(words(&open(&ct(7))), words(&open(&ct(8))));
    let archive = Archive {
        patients: 2,
        studies: 1,
        series: 2,
        instances: 5,
        size: 24,
        ..Archive::default()
    };
    let all = || archive.files().map(|f| (f.relative_path, f.bytes)).collect::<Vec<_>>();
    assert_eq!(all(), all());
    assert_ne!(uid(1, &["ab", "c"]), uid(1, &["a", "bc"]));
}

#[test]
fn an_archive_has_its_patients_studies_and_series() {
    let archive = Archive {
        patients: 2,
        studies: 2,
        series: 3,
        instances: 4,
        size: 16,
        ..Archive::default()
    };
    let mut seen = [
        tags::PATIENT_ID,
        tags::STUDY_INSTANCE_UID,
        tags::SERIES_INSTANCE_UID,
        tags::SOP_INSTANCE_UID,
    ]
    .map(|tag| (tag, BTreeSet::new()));
    let mut paths = BTreeSet::new();
    for file in archive.files() {
        let object = open(&file.bytes);
        for (tag, values) in &mut seen {
            values.insert(text(&object, *tag));
        }
        paths.insert(file.relative_path);
    }
    assert_eq!(seen.map(|(_, values)| values.len()), [2, 4, 12, 48]);
    assert_eq!(paths.len(), 48);
}

#[test]
fn the_demonstration_has_three_studies() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = write_to(folder.path(), demo_archive()).unwrap();
    let mut studies = BTreeSet::new();
    let mut series = std::collections::BTreeMap::<_, usize>::new();
    let mut patients = BTreeSet::new();
    let mut size = 0;
    for file in demo_archive() {
        let path = folder.path().join(&file.relative_path);
        size += path.metadata().unwrap().len();
        let object = dicom_object::open_file(path).unwrap();
        patients.insert(text(&object, tags::PATIENT_ID));
        studies.insert(text(&object, tags::STUDY_INSTANCE_UID));
        let key = (text(&object, tags::MODALITY), text(&object, tags::SERIES_INSTANCE_UID));
        *series.entry(key).or_default() += 1;
    }
    assert_eq!((patients.len(), studies.len(), size), (2, 3, bytes));
    let counts: Vec<_> = series.iter().map(|((modality, _), n)| (modality.as_str(), *n)).collect();
    assert_eq!(counts, [("CT", 40), ("DX", 1), ("MR", 20), ("US", 1)]);
}
