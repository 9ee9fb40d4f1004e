//! Specific Character Set. The names are the examples of PS3.5 Annexes H to K.

use dicom_core::Tag;
use healthimaging_dicom::{ReadWarning, Value};

use crate::bytes::*;

fn name(terms: &str, bytes: &[u8]) -> (String, Vec<ReadWarning>) {
    text(terms, Tag(0x0010, 0x0010), "PN", bytes)
}

fn text(terms: &str, tag: Tag, vr: &str, bytes: &[u8]) -> (String, Vec<ReadWarning>) {
    let data_set =
        [element(Tag(0x0008, 0x0005), "CS", terms.as_bytes()), identity(), element(tag, vr, bytes)]
            .concat();
    let bytes = file(EXPLICIT, &data_set);
    let file = read(&bytes).unwrap();
    let Value::Text(text) = &file.data_set.elements[&tag].value else { panic!("no text") };
    (text.clone(), file.warnings)
}

#[track_caller]
fn reads(terms: &str, bytes: &[u8], expected: &str) {
    assert_eq!(name(terms, bytes), (expected.to_owned(), vec![]), "{terms}");
}

#[test]
fn single_byte_sets() {
    reads("ISO_IR 100", b"Buc^J\xE9r\xF4me", "Buc^Jérôme");
    reads("ISO_IR 101", b"Wa\xB3\xEAsa", "Wałęsa");
    reads("ISO_IR 109", b"\xB6", "ĥ");
    reads("ISO_IR 110", b"\xE0", "ā");
    reads("ISO_IR 126", b"\xC4\xE9\xEF\xED\xF5\xF3\xE9\xEF\xF2", "Διονυσιος");
    reads("ISO_IR 127", b"\xE2\xC8\xC7\xE6\xEA^\xE4\xE6\xD2\xC7\xD1", "قباني^لنزار");
    reads("ISO_IR 138", b"\xF9\xF8\xE5\xEF^\xE3\xE1\xE5\xF8\xE4", "שרון^דבורה");
    reads("ISO_IR 144", b"\xBB\xEE\xDAce\xDC\xD1yp\xD3", "Люкceмбypг");
    reads("ISO_IR 148", b"\xD0\xFE", "Ğş");
    reads("ISO_IR 166", b"\xB9\xD2\xC1\xCA\xA1\xD8\xC5", "นามสกุล");
    reads("ISO_IR 203", b"\xA4", "€");
    reads("ISO_IR 13", b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3", "ﾔﾏﾀﾞ^ﾀﾛｳ");
}

#[test]
fn whole_sets() {
    reads("ISO_IR 192", "Wang^XiaoDong=王^小東".as_bytes(), "Wang^XiaoDong=王^小東");
    reads("GB18030", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB", "Wang^XiaoDong=王^小东");
    reads("GBK", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB", "Wang^XiaoDong=王^小东");
    // The second byte of 誠 is a backslash, and that is no separator.
    reads("GBK", b"\xD5\x5C\\\xCD\xF5", "誠\\王");
}

#[test]
fn japanese_with_code_extensions() {
    // PS3.5 §H.3.1 and §H.3.2.
    reads(
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    );
    reads(
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    );
    // JIS X 0212, row 16 cell 1.
    reads("\\ISO 2022 IR 159", b"\x1B$(D0!\x1B(B", "丂");
}

#[test]
fn korean_and_chinese_with_code_extensions() {
    // PS3.5 §I.2 and §K.2: the set has to be designated anew after each delimiter.
    reads(
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF",
        "Hong^Gildong=洪^吉洞=홍^길동",
    );
    reads(
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB=",
        "Zhang^XiaoDong=张^小东=",
    );
}

#[test]
fn sets_are_reset_at_delimiters() {
    // Greek up to the delimiter, then Latin-1 again.
    reads("ISO 2022 IR 100\\ISO 2022 IR 126", b"\x1B-F\xC4^\xC4", "Δ^Ä");
    let lines =
        |bytes: &[u8]| text("ISO 2022 IR 100\\ISO 2022 IR 126", Tag(0x0020, 0x4000), "LT", bytes).0;
    assert_eq!(lines(b"\x1B-F\xC4\r\n\xC4"), "Δ\r\nÄ");
    // A backslash, circumflex or equals sign is ordinary in LT.
    assert_eq!(lines(b"\x1B-F\xC4\\^=\xC4"), "Δ\\^=Δ");
}

#[test]
fn spellings_that_are_seen() {
    for terms in ["ISO-IR 100", "ISO IR 100", "iso_ir 100", "ISO_IR 100 ", "ISO 2022-IR 100"] {
        reads(terms, b"\xE9", "é");
    }
}

#[test]
fn only_text_that_may_be_is_extended() {
    // Code strings are always in the default repertoire (PS3.5 §6.1.2.2).
    let (value, warnings) = text("ISO_IR 144", Tag(0x0008, 0x0060), "CS", b"C\xD2");
    assert_eq!(value, "CÒ");
    assert_eq!(warnings, [ReadWarning::Text(Tag(0x0008, 0x0060))]);
}

#[test]
fn what_cannot_be_decoded_is_guessed_with_a_warning() {
    let warning = vec![ReadWarning::Text(Tag(0x0010, 0x0010))];
    assert_eq!(name("", b"Jos\xE9"), ("José".into(), warning.clone()));
    assert_eq!(name("", "José".as_bytes()), ("José".into(), warning.clone()));
    assert_eq!(name("ISO_IR 192", b"Jos\xE9"), ("José".into(), warning.clone()));
    assert_eq!(name("GB18030", b"A\xFF"), ("Aÿ".into(), warning.clone()));
    assert_eq!(name("ISO_IR 126", b"\xD2\xC4"), ("ÒΔ".into(), warning.clone()));
    // Shift JIS, which dcmtk and pydicom read under this name.
    assert_eq!(name("ISO_IR 13", b"\x8ER\x93c"), ("山田".into(), warning));
    let (value, warnings) = name("KLINGON", b"Jos\xE9");
    assert_eq!(value, "José");
    assert_eq!(warnings[0], ReadWarning::UnknownCharacterSet);
    assert_eq!(warnings[0].warning_code(), Some(45056));
    let (value, _) = name("ISO_IR 100", b"\x1B%Gx");
    assert_eq!(value, "\u{1B}%Gx");
}

#[test]
fn items_have_the_set_around_them_or_their_own() {
    let patient = |bytes: &[u8]| element(Tag(0x0010, 0x0010), "PN", bytes);
    let own = [element(Tag(0x0008, 0x0005), "CS", b"ISO_IR 126"), patient(b"\xC4")].concat();
    let items = [whole_item(&patient(b"\xE9")), whole_item(&own), whole_item(&patient(b"\xE8"))];
    let data_set = [
        element(Tag(0x0008, 0x0005), "CS", b"ISO_IR 100"),
        identity(),
        element(Tag(0x0040, 0x0275), "SQ", &items.concat()),
        element(Tag(0x0040, 0xA075), "PN", b"\xC4"),
    ]
    .concat();
    let bytes = file(EXPLICIT, &data_set);
    let data_set = read(&bytes).unwrap().data_set;
    let Value::Items(items) = value(&data_set, 0x0040, 0x0275) else { panic!("no items") };
    let names: Vec<_> = items.iter().map(|item| item.text(Tag(0x0010, 0x0010)).unwrap()).collect();
    assert_eq!(names, ["é", "Δ", "è"]);
    assert_eq!(value(&data_set, 0x0040, 0xA075), &Value::Text("Ä".into()));
}
