//! What is refused, and in which words.

use std::io::{Cursor, Write};

use dicom_core::Tag;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use healthimaging::ErrorKind;
use healthimaging_dicom::{ReadError, ReadLimits, read_part10};
use healthimaging_phantoms::{Phantom, Tag as PhantomTag, TransferSyntax, tags};

use crate::bytes::*;

fn refusal(bytes: &[u8]) -> String {
    read(bytes).map(|_| ()).unwrap_err().message()
}

#[test]
fn what_is_no_part_10_file() {
    let expected = "not a DICOM Part 10 file: there is no DICM prefix at byte 128";
    assert_eq!(refusal(b""), expected);
    assert_eq!(refusal(b"plain text"), expected);
    assert_eq!(refusal(&[7; 4096]), expected);
    assert_eq!(refusal(&identity()[4..]), expected);
}

#[test]
fn missing_identity_in_the_words_of_the_service() {
    let without = |tag: PhantomTag| refusal(&Phantom::report().without(tag).build());
    for (tag, keyword) in [
        (tags::SOP_CLASS_UID, "SOPClassUID"),
        (tags::SOP_INSTANCE_UID, "SOPInstanceUID"),
        (tags::STUDY_INSTANCE_UID, "StudyInstanceUID"),
        (tags::SERIES_INSTANCE_UID, "SeriesInstanceUID"),
    ] {
        assert_eq!(without(tag), format!("DICOM attribute {keyword} does not exist"));
    }
    let mut no_meta = vec![0; 128];
    no_meta.extend(b"DICM");
    assert_eq!(refusal(&no_meta), "DICOM attributes does not exist");
    no_meta.extend(identity());
    assert_eq!(refusal(&no_meta), "DICOM attribute TransferSyntaxUID does not exist");
    assert_eq!(refusal(&file(EXPLICIT, b"")), "DICOM attributes does not exist");
    let empty = element(Tag(0x0008, 0x0016), "UI", b"");
    assert_eq!(refusal(&file(EXPLICIT, &empty)), "DICOM attribute SOPClassUID does not exist");
}

#[test]
fn refusals_are_errors_of_the_input() {
    let error = healthimaging::Error::from(read(b"").map(|_| ()).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.message().starts_with("not a DICOM Part 10 file"));
}

#[test]
fn lengths_that_are_not_there() {
    let claims = |elements: &[u8]| {
        let data_set = [identity(), elements.to_vec()].concat();
        read(&file(EXPLICIT, &data_set)).map(|_| ()).unwrap_err()
    };
    for vr in ["OB", "OW", "UN", "UT", "SQ"] {
        let error = claims(&header(Tag(0x0009, 0x1000), vr, 0xFFFF_FFF0));
        assert!(matches!(error, ReadError::Cut { needed: 0xFFFF_FFF0, left: 0, .. }), "{error}");
    }
}

#[test]
fn sequences_without_an_end() {
    let start = header(Tag(0x0008, 0x1032), "SQ", UNDEFINED);
    let item = item(0xE000, UNDEFINED, &element(Tag(0x0008, 0x0100), "SH", b"CODE"));
    for tail in [start.clone(), [start, item].concat()] {
        let data_set = [identity(), tail].concat();
        let error = read(&file(EXPLICIT, &data_set)).map(|_| ()).unwrap_err();
        assert!(matches!(error, ReadError::Cut { .. }), "{error}");
    }
}

#[test]
fn an_item_out_of_place() {
    let stray = item(0xE000, 8, &[1; 8]);
    let data_set = [identity(), stray, element(Tag(0x0028, 0x0004), "CS", b"AB")].concat();
    let error = read(&file(EXPLICIT, &data_set)).map(|_| ()).unwrap_err();
    assert!(matches!(error, ReadError::Malformed { .. }), "{error}");
}

fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..levels {
        bytes.extend(header(Tag(0x0008, 0x1032), "SQ", UNDEFINED));
        bytes.extend(item(0xE000, UNDEFINED, &[]));
    }
    for _ in 0..levels {
        bytes.extend(item(0xE00D, 0, &[]));
        bytes.extend(sequence_end());
    }
    [identity(), bytes].concat()
}

#[test]
fn sequences_too_deep() {
    assert!(read(&file(EXPLICIT, &nested(128))).is_ok());
    let error = read(&file(EXPLICIT, &nested(129))).map(|_| ()).unwrap_err();
    assert!(matches!(error, ReadError::TooDeep { limit: 128 }), "{error}");
    let error = read(&file(EXPLICIT, &nested(100_000))).map(|_| ()).unwrap_err();
    assert!(matches!(error, ReadError::TooDeep { .. }), "{error}");
}

#[test]
fn more_elements_and_bytes_than_the_limits() {
    let bytes = file(EXPLICIT, &identity());
    let with = |limits: &ReadLimits| read_part10(Cursor::new(&bytes), limits).map(|_| ());
    let limits = ReadLimits { elements: 3, ..ReadLimits::default() };
    assert!(matches!(with(&limits).unwrap_err(), ReadError::TooManyElements { limit: 3 }));
    let limits = ReadLimits { elements: 4, ..ReadLimits::default() };
    assert!(with(&limits).is_ok());
    let limits = ReadLimits { header_bytes: 30, ..ReadLimits::default() };
    assert!(matches!(with(&limits).unwrap_err(), ReadError::TooLarge { limit: 30 }));
}

#[test]
fn more_items_than_memory() {
    let items = whole_item(b"").repeat(1_000_000);
    let sequence = element(Tag(0x0008, 0x1032), "SQ", &items);
    let error = refusal(&file(EXPLICIT, &[identity(), sequence].concat()));
    let expected = "the values and items of the data set take more than 268435456 bytes of memory";
    assert_eq!(error, expected);
}

#[test]
fn a_deflated_data_set_that_becomes_too_large() {
    let pixels = element(Tag(0x7FE0, 0x0010), "OB", &vec![0; 32 << 20]);
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&[identity(), picture("1 "), pixels].concat()).unwrap();
    let bomb = file(DEFLATED, &encoder.finish().unwrap());
    assert!(bomb.len() < 40_000, "{}", bomb.len());
    let error = read(&bomb).map(|_| ()).unwrap_err();
    assert!(matches!(error, ReadError::Inflates { .. }), "{error}");
    let limits = ReadLimits { inflation: 2000, ..ReadLimits::default() };
    assert!(read_part10(Cursor::new(&bomb), &limits).is_ok());
    let limits = ReadLimits { inflated_bytes: 1 << 20, ..limits };
    let error = read_part10(Cursor::new(&bomb), &limits).map(|_| ()).unwrap_err();
    assert!(matches!(error, ReadError::Inflates { limit: 0x10_0000 }), "{error}");
}

#[test]
fn a_deflated_data_set_that_is_damaged_or_cut() {
    let whole =
        Phantom::report().transfer_syntax(TransferSyntax::DeflatedExplicitVrLittleEndian).build();
    let cut = &whole[..whole.len() - 40];
    assert!(read(&whole).is_ok());
    assert!(read(cut).is_err());
}
