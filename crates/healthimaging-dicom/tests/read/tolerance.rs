//! What is not as PS3.5 says and is read all the same, as dcmtk and pydicom read it.

use std::io::Write;

use dicom_core::{Tag, VR};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use healthimaging_dicom::{DataSet, FrameError, ReadWarning, Value};
use healthimaging_image::ByteOrder;

use crate::bytes::*;

const SEQUENCE: Tag = Tag(0x0008, 0x1032);
const CODE: Tag = Tag(0x0008, 0x0100);
const COMMENT: Tag = Tag(0x0020, 0x4000);

fn code(text: &str) -> Vec<u8> {
    element(CODE, "SH", text.as_bytes())
}

/// An element behind the odd one, which has to be found again.
fn after() -> Vec<u8> {
    element(COMMENT, "LT", b"after ")
}

/// Reads elements behind the identity and before one that must not be lost.
fn odd(elements: &[u8]) -> (DataSet, Vec<ReadWarning>) {
    let bytes = file(EXPLICIT, &[identity(), elements.to_vec(), after()].concat());
    let read = read(&bytes).unwrap();
    assert_eq!(read.data_set.text(COMMENT), Some("after"));
    (read.data_set, read.warnings)
}

/// The codes of the items of the sequence.
fn codes(data_set: &DataSet) -> Vec<Option<&str>> {
    match data_set.value(SEQUENCE) {
        Some(Value::Items(items)) => items.iter().map(|item| item.text(CODE)).collect(),
        other => panic!("{other:?}"),
    }
}

fn delimiters(warnings: &[ReadWarning]) -> bool {
    !warnings.is_empty()
        && warnings.iter().all(|warning| {
            matches!(warning, ReadWarning::Delimiter { .. })
                && warning.warning_code() == Some(47513)
        })
}

#[test]
fn sequences_and_items_with_a_length_and_a_delimiter() {
    let item_end = item(0xE00D, 0, &[]);
    let undefined = |items: &[Vec<u8>]| {
        [header(SEQUENCE, "SQ", UNDEFINED), items.concat(), sequence_end()].concat()
    };
    let items = [whole_item(&code("A1")), whole_item(&code("B2"))].concat();
    let outside = [element(SEQUENCE, "SQ", &items), sequence_end()].concat();
    let inside = element(SEQUENCE, "SQ", &[items, sequence_end()].concat());
    let counted = |text| whole_item(&[code(text), item_end.clone()].concat());
    let item_inside = undefined(&[counted("A1"), counted("B2")]);
    let item_outside = undefined(&[
        whole_item(&code("A1")),
        item_end.clone(),
        whole_item(&code("B2")),
        item_end.clone(),
    ]);
    for bytes in [outside, inside, item_inside, item_outside] {
        let (data_set, warnings) = odd(&bytes);
        assert_eq!(codes(&data_set), [Some("A1"), Some("B2")]);
        assert!(delimiters(&warnings), "{warnings:?}");
    }
}

#[test]
fn a_sequence_within_a_sequence_with_a_length_and_a_delimiter() {
    let inner = [element(Tag(0x0008, 0x1140), "SQ", &whole_item(&code("in"))), sequence_end()];
    let rest = element(Tag(0x0040, 0xA040), "CS", b"CODE");
    for nested in [
        whole_item(&[code("A1"), inner.concat(), rest.clone()].concat()),
        item(
            0xE000,
            UNDEFINED,
            &[code("A1"), inner.concat(), rest.clone(), item(0xE00D, 0, &[])].concat(),
        ),
    ] {
        let bytes = [header(SEQUENCE, "SQ", UNDEFINED), nested, sequence_end()].concat();
        let (data_set, warnings) = odd(&bytes);
        assert_eq!(codes(&data_set), [Some("A1")]);
        let Some(Value::Items(items)) = data_set.value(SEQUENCE) else { panic!() };
        assert_eq!(items[0].text(Tag(0x0040, 0xA040)), Some("CODE"));
        assert!(delimiters(&warnings), "{warnings:?}");
    }
}

#[test]
fn items_ended_by_the_delimiter_of_a_sequence() {
    let open = |text| item(0xE000, UNDEFINED, &code(text));
    let start = header(SEQUENCE, "SQ", UNDEFINED);
    let once = [start.clone(), open("A1"), sequence_end()].concat();
    let (data_set, warnings) = odd(&once);
    assert_eq!(codes(&data_set), [Some("A1")]);
    assert!(delimiters(&warnings), "{warnings:?}");
    let each =
        [start, open("A1"), sequence_end(), open("B2"), sequence_end(), sequence_end()].concat();
    let (data_set, warnings) = odd(&each);
    assert_eq!(codes(&data_set), [Some("A1"), Some("B2")]);
    assert!(delimiters(&warnings), "{warnings:?}");
}

#[test]
fn delimiters_that_are_missing_or_of_the_wrong_kind() {
    let open = |text| item(0xE000, UNDEFINED, &code(text));
    let item_end = item(0xE00D, 0, &[]);
    let start = header(SEQUENCE, "SQ", UNDEFINED);
    let no_item_end = [start.clone(), open("A1"), open("B2"), item_end.clone(), sequence_end()];
    let no_end = [
        start.clone(),
        open("A1"),
        item_end.clone(),
        open("B2"),
        item_end.clone(),
        element(Tag(0x0008, 0x1040), "LO", b"more"),
    ];
    let wrong_end =
        [start, open("A1"), item_end.clone(), open("B2"), item_end.clone(), item_end.clone()];
    for bytes in [no_item_end.concat(), no_end.concat(), wrong_end.concat()] {
        let (data_set, warnings) = odd(&bytes);
        assert_eq!(codes(&data_set), [Some("A1"), Some("B2")]);
        assert!(delimiters(&warnings), "{warnings:?}");
    }
    let (data_set, _) = odd(&no_end.concat());
    assert_eq!(data_set.text(Tag(0x0008, 0x1040)), Some("more"));
}

#[test]
fn delimiters_that_stand_alone() {
    for stray in [0xE00D, 0xE0DD] {
        let (_, warnings) = odd(&item(stray, 0, &[]));
        assert!(delimiters(&warnings), "{stray:04X}: {warnings:?}");
        let last = [identity(), item(stray, 0, &[])].concat();
        assert!(delimiters(&read(&file(EXPLICIT, &last)).unwrap().warnings));
        let pixels = element(Tag(0x7FE0, 0x0010), "OB", &[1, 2, 3, 4]);
        let behind = [identity(), picture("1 "), pixels, item(stray, 0, &[])].concat();
        assert!(delimiters(&read(&file(EXPLICIT, &behind)).unwrap().warnings));
    }
}

#[test]
fn items_behind_a_sequence_of_length_0() {
    let items = [whole_item(&code("A1")), whole_item(&code("B2"))].concat();
    let empty = element(SEQUENCE, "SQ", b"");
    let ended = [empty.clone(), items.clone(), sequence_end()].concat();
    for bytes in [ended, [empty, items].concat()] {
        let (data_set, warnings) = odd(&bytes);
        assert_eq!(codes(&data_set), [Some("A1"), Some("B2")]);
        assert_eq!(warnings, [ReadWarning::ItemsBehind(SEQUENCE)]);
    }
}

#[test]
fn wrong_lengths_of_items() {
    let content = code("A1");
    for wrong in [0, 2, 8, 11, 300, 70_000] {
        let first = item(0xE000, wrong, &content);
        let items = [first, whole_item(&code("B2"))].concat();
        let undefined = [header(SEQUENCE, "SQ", UNDEFINED), items.clone(), sequence_end()].concat();
        for bytes in [element(SEQUENCE, "SQ", &items), undefined] {
            let (data_set, warnings) = odd(&bytes);
            assert_eq!(codes(&data_set), [Some("A1"), Some("B2")], "{wrong}");
            assert_eq!(warnings.len(), 1, "{wrong}: {warnings:?}");
            assert_eq!(warnings[0].warning_code(), Some(47513));
        }
    }
}

#[test]
fn a_sequence_whose_value_is_not_made_of_items_keeps_its_bytes() {
    for value in [&b"no items at all."[..], &whole_item(b"no elements, as it seems")] {
        for tag in [SEQUENCE, Tag(0x0009, 0x1001)] {
            let (data_set, warnings) = odd(&element(tag, "SQ", value));
            assert_eq!(data_set.elements[&tag].vr, VR::UN);
            assert_eq!(data_set.value(tag), Some(&Value::Bytes(value.to_vec())));
            assert_eq!(warnings, [ReadWarning::Sequence(tag)]);
            assert_eq!(warnings[0].warning_code(), Some(45056));
        }
    }
}

#[test]
fn value_representations_that_are_none() {
    let tag = Tag(0x0018, 0x9999);
    for vr in ["  ", "\0\0", "??", "us", "--"] {
        let mut bytes = element(tag, "US", &[7, 0]);
        bytes[4..6].copy_from_slice(vr.as_bytes());
        let (data_set, warnings) = odd(&bytes);
        let expected = match vr {
            "us" => Value::Unsigned(vec![7]),
            _ => Value::Bytes(vec![7, 0]),
        };
        assert_eq!(data_set.value(tag), Some(&expected), "{vr}");
        assert_eq!(warnings, [ReadWarning::Header(tag)]);
        assert_eq!(warnings[0].warning_code(), Some(45056));
    }
    // Of an element that is known, the standard says what it is.
    for (vr, value) in [("  ", &b"AB"[..]), ("lo", b"AB"), ("\0\0", b"ABCDEFGHIJKLMNOP")] {
        let mut bytes = element(Tag(0x0010, 0x0020), "LO", value);
        bytes[4..6].copy_from_slice(vr.as_bytes());
        let (data_set, _) = odd(&bytes);
        let text = std::str::from_utf8(value).unwrap();
        assert_eq!(data_set.text(Tag(0x0010, 0x0020)), Some(text), "{vr}");
    }
    let mut long = element(Tag(0x0009, 0x1002), "OB", &[9; 20]);
    long[4..6].copy_from_slice(b"ob");
    let (data_set, _) = odd(&long);
    assert_eq!(value(&data_set, 0x0009, 0x1002), &Value::Bytes(vec![9; 20]));
    let mut nested = element(SEQUENCE, "SQ", &whole_item(&code("A1")));
    nested[4..6].copy_from_slice(b"sq");
    assert_eq!(codes(&odd(&nested).0), [Some("A1")]);
}

#[test]
fn value_representations_that_are_none_within_a_sequence_and_in_big_endian() {
    let mut blank = code("A1");
    blank[4..6].copy_from_slice(b"  ");
    let (data_set, warnings) = odd(&element(SEQUENCE, "SQ", &whole_item(&blank)));
    assert_eq!(codes(&data_set), [Some("A1")]);
    assert_eq!(warnings, [ReadWarning::Header(CODE)]);
    let mut big = Vec::new();
    for (group, number, vr, text) in [
        (0x0008_u16, 0x0016_u16, "UI", "1.2.840.10008.5.1.4.1.1.7\0"),
        (0x0008, 0x0018, "UI", "2.25.3"),
        (0x0010, 0x0020, "??", "ID"),
        (0x0020, 0x000D, "UI", "2.25.1"),
        (0x0020, 0x000E, "UI", "2.25.2"),
    ] {
        big.extend([group.to_be_bytes(), number.to_be_bytes()].concat());
        big.extend(vr.as_bytes());
        big.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        big.extend(text.as_bytes());
    }
    let bytes = file(BIG_ENDIAN, &big);
    let read_it = read(&bytes).unwrap();
    assert_eq!(read_it.data_set.text(Tag(0x0010, 0x0020)), Some("ID"));
    assert_eq!(read_it.warnings, [ReadWarning::Header(Tag(0x0010, 0x0020))]);
    // The same in a file that says little endian.
    let bytes = file(EXPLICIT, &big);
    let found = ReadWarning::Encoding { found: "explicit big endian" };
    assert!(read(&bytes).unwrap().warnings.contains(&found));
}

#[test]
fn elements_in_implicit_vr_among_explicit_ones() {
    let group = [
        implicit(Tag(0x0009, 0x0010), b"ACME 1.0"),
        implicit(Tag(0x0009, 0x1001), &[1, 0, 0, 0]),
        implicit(Tag(0x0009, 0x1002), b"some text that is longer"),
    ];
    let (data_set, warnings) = odd(&group.concat());
    assert_eq!(value(&data_set, 0x0009, 0x0010), &Value::Text("ACME 1.0".to_owned()));
    assert_eq!(value(&data_set, 0x0009, 0x1001), &Value::Bytes(vec![1, 0, 0, 0]));
    let text = b"some text that is longer".to_vec();
    assert_eq!(value(&data_set, 0x0009, 0x1002), &Value::Bytes(text));
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn file_meta_information_in_implicit_vr() {
    let meta = implicit(Tag(0x0002, 0x0010), b"1.2.840.10008.1.2.1\0");
    let bytes = [vec![0; 128], b"DICM".to_vec(), meta, identity()].concat();
    let read = read(&bytes).unwrap();
    assert_eq!(read.transfer_syntax, EXPLICIT);
    assert_eq!(read.warnings, [ReadWarning::ImplicitMeta]);
}

#[test]
fn files_without_a_preamble() {
    let with_meta = file(EXPLICIT, &identity())[132..].to_vec();
    for bytes in [with_meta, identity()] {
        let read = read(&bytes).unwrap();
        assert_eq!(read.transfer_syntax, EXPLICIT);
        assert_eq!(read.data_set.text(Tag(0x0008, 0x0018)), Some("2.25.3"));
        assert_eq!(read.warnings, [ReadWarning::NoPreamble]);
    }
    let implicit_one = [
        implicit(Tag(0x0008, 0x0000), &[9, 0, 0, 0]),
        implicit(Tag(0x0008, 0x0016), b"1.2.840.10008.5.1.4.1.1.7\0"),
        implicit(Tag(0x0008, 0x0018), b"2.25.3"),
        implicit(Tag(0x0020, 0x000D), b"2.25.1"),
        implicit(Tag(0x0020, 0x000E), b"2.25.2"),
    ]
    .concat();
    assert_eq!(read(&implicit_one).unwrap().transfer_syntax, IMPLICIT);
}

#[test]
fn an_element_behind_the_pixel_data_that_belongs_before_them_is_kept() {
    let pixels = element(Tag(0x7FE0, 0x0010), "OB", &[1, 2, 3, 4]);
    let bytes = file(EXPLICIT, &[identity(), picture("1 "), pixels, after()].concat());
    let read = read(&bytes).unwrap();
    assert_eq!(read.data_set.text(COMMENT), Some("after"));
    assert_eq!(read.warnings, []);
}

#[test]
fn a_private_creator_in_a_group_that_looks_like_a_repeating_one() {
    for group in [0x5001, 0x6001, 0x7F01, 0x7FE1] {
        let data_set = [
            implicit(Tag(0x0008, 0x0016), b"1.2.840.10008.5.1.4.1.1.7\0"),
            implicit(Tag(0x0008, 0x0018), b"2.25.3"),
            implicit(Tag(0x0020, 0x000D), b"2.25.1"),
            implicit(Tag(0x0020, 0x000E), b"2.25.2"),
            implicit(Tag(group, 0x0010), b"ACME"),
            implicit(Tag(group, 0x1001), b"abcd"),
        ]
        .concat();
        let bytes = file(IMPLICIT, &data_set);
        let read = read(&bytes).unwrap();
        let creator = &read.data_set.elements[&Tag(group, 0x0010)];
        assert_eq!((creator.vr, &creator.value), (VR::LO, &Value::Text("ACME".to_owned())));
        assert_eq!(value(&read.data_set, group, 0x1001), &Value::Bytes(b"abcd".to_vec()));
    }
}

#[test]
fn pixel_data_without_its_last_delimiter() {
    let fragments = [
        header(Tag(0x7FE0, 0x0010), "OB", UNDEFINED),
        whole_item(b""),
        whole_item(b"one."),
        whole_item(b"two2"),
    ]
    .concat();
    let whole = [&fragments[12..], &sequence_end()].concat();
    let endings = [vec![], vec![0; 8], vec![0; 3], vec![0; 40], item(0xE00D, 0, &[])];
    let padding = element(Tag(0xFFFC, 0xFFFC), "OB", &[0; 6]);
    for ending in endings.into_iter().chain([padding]) {
        let data_set = [identity(), picture("2 "), fragments.clone(), ending].concat();
        let bytes = file(RLE, &data_set);
        let mut read = read(&bytes).unwrap();
        assert!(matches!(read.warnings[0], ReadWarning::Delimiter { .. }), "{:?}", read.warnings);
        assert_eq!(read.read_frame(0, 9).unwrap(), b"one.");
        assert_eq!(read.read_frame(1, 9).unwrap(), b"two2");
        let mut blob = Vec::new();
        assert_eq!(read.read_pixel_blob_into(&mut blob).unwrap(), whole.len() as u64);
        assert_eq!(blob, whole);
    }
}

#[test]
fn files_that_are_cut_within_their_pixel_data() {
    let native = header(Tag(0x7FE0, 0x0010), "OW", 0xFFFF_FFF0);
    let bytes = file(EXPLICIT, &[identity(), picture("1 "), native, vec![1, 2, 3]].concat());
    let mut file_read = read(&bytes).unwrap();
    assert_eq!(file_read.warnings, [ReadWarning::PixelDataCut { missing: 0xFFFF_FFED }]);
    assert_eq!(file_read.frame_problem(), Some(FrameError::Short { needed: 4, found: 3 }));
    let mut blob = Vec::new();
    file_read.read_pixel_blob_into(&mut blob).unwrap();
    assert_eq!(blob, [1, 2, 3]);
    let fragments = [
        header(Tag(0x7FE0, 0x0010), "OB", UNDEFINED),
        whole_item(b""),
        whole_item(b"one."),
        item(0xE000, 100, b"two"),
    ];
    let bytes = file(RLE, &[identity(), picture("2 "), fragments.concat()].concat());
    let mut file_read = read(&bytes).unwrap();
    assert!(file_read.warnings.contains(&ReadWarning::PixelDataCut { missing: 97 }));
    assert_eq!(file_read.frame_problem().and_then(|problem| problem.warning_code()), Some(45328));
    let mut blob = Vec::new();
    file_read.read_pixel_blob_into(&mut blob).unwrap();
    let expected = [whole_item(b""), whole_item(b"one."), whole_item(b"two\0"), sequence_end()];
    assert_eq!(blob, expected.concat());
}

#[test]
fn pixel_data_of_length_0() {
    let empty = element(Tag(0x7FE0, 0x0010), "OW", b"");
    let bytes = file(EXPLICIT, &[identity(), picture("1 "), empty].concat());
    let read = read(&bytes).unwrap();
    assert_eq!((read.frame_count(), read.frame_problem()), (0, None));
    assert_eq!(read.warnings, [ReadWarning::NoPixels]);
    assert_eq!(read.warnings[0].warning_code(), Some(45063));
}

#[test]
fn deflated_with_the_header_of_zlib_or_not_at_all() {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&identity()).unwrap();
    let zipped = encoder.finish().unwrap();
    assert_eq!(read(&file(DEFLATED, &zipped)).unwrap().warnings, [ReadWarning::Zlib]);
    let plain = file(DEFLATED, &identity());
    assert_eq!(read(&plain).unwrap().warnings, [ReadWarning::NotDeflated]);
}

/// The one frame of a file of 2 rows and 2 columns of 8 bits, and the syntax that it is in.
fn frame_of(syntax: &str, vr: &str, pixels: &[u8]) -> (String, Vec<u8>, Vec<ReadWarning>) {
    let bytes = file(syntax, &[identity(), picture("1 "), pixels_element(vr, pixels)].concat());
    let mut found = read(&bytes).unwrap();
    (found.pixel_syntax.clone(), found.read_frame(0, 1 << 20).unwrap(), found.warnings)
}

fn pixels_element(vr: &str, pixels: &[u8]) -> Vec<u8> {
    element(Tag(0x7FE0, 0x0010), vr, pixels)
}

#[test]
fn native_pixel_data_in_an_encapsulated_syntax() {
    let (syntax, frame, warnings) = frame_of(JPEG, "OB", &[1, 2, 3, 4]);
    assert_eq!((syntax.as_str(), &frame[..]), (EXPLICIT, &[1, 2, 3, 4][..]));
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].warning_code(), Some(47513));
}

#[test]
fn a_compressed_frame_in_a_native_syntax() {
    // The start of a lossless JPEG (SOF3), behind an application segment.
    let stream = [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 0, 0, 0xFF, 0xC3, 0, 11];
    let fragments = [
        header(Tag(0x7FE0, 0x0010), "OB", UNDEFINED),
        whole_item(&[]),
        whole_item(&stream),
        sequence_end(),
    ];
    let bytes = file(EXPLICIT, &[identity(), picture("1 "), fragments.concat()].concat());
    let mut found = read(&bytes).unwrap();
    assert_eq!(found.pixel_syntax, "1.2.840.10008.1.2.4.57");
    assert_eq!(found.transfer_syntax, EXPLICIT);
    assert_eq!(found.read_frame(0, 99).unwrap(), stream);
    assert!(matches!(found.warnings[..], [ReadWarning::PixelSyntax { .. }]));
}

#[test]
fn pixels_in_big_endian_of_a_private_syntax_of_ge() {
    let short = |element: u16, value: u16| implicit(Tag(0x0028, element), &value.to_le_bytes());
    let text = |group, element, value: &[u8]| implicit(Tag(group, element), value);
    let data_set = [
        text(0x0008, 0x0016, b"1.2.840.10008.5.1.4.1.1.7\0"),
        text(0x0008, 0x0018, b"2.25.3\0\0"),
        text(0x0020, 0x000D, b"2.25.1\0\0"),
        text(0x0020, 0x000E, b"2.25.2\0\0"),
        short(0x0002, 1),
        text(0x0028, 0x0004, b"MONOCHROME2 "),
        short(0x0010, 1),
        short(0x0011, 2),
        short(0x0100, 16),
        short(0x0101, 16),
        short(0x0102, 15),
        short(0x0103, 0),
        implicit(Tag(0x7FE0, 0x0010), &[1, 2, 3, 4]),
    ];
    let bytes = file("1.2.840.113619.5.2", &data_set.concat());
    let found = read(&bytes).unwrap();
    assert_eq!(found.pixel_syntax, BIG_ENDIAN);
    assert_eq!(found.byte_order(), ByteOrder::Big);
    assert_eq!(found.warnings, []);
}
