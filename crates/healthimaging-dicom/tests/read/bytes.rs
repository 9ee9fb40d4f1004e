//! Part 10 files byte by byte, so that they can be wrong.

use std::io::Cursor;

use dicom_core::Tag;
use healthimaging_dicom::{DataSet, Part10, ReadError, ReadLimits, Value, read_part10};

pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
pub(crate) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub(crate) const JPEG: &str = "1.2.840.10008.1.2.4.50";
pub(crate) const RLE: &str = "1.2.840.10008.1.2.5";
pub(crate) const UNDEFINED: u32 = u32::MAX;

/// The header of an explicit little endian element, with a length that need not be true.
pub(crate) fn header(tag: Tag, vr: &str, length: u32) -> Vec<u8> {
    let mut bytes = tag_bytes(tag);
    bytes.extend(vr.as_bytes());
    if matches!(vr, "OB" | "OD" | "OF" | "OL" | "OV" | "OW" | "SQ" | "UC" | "UN" | "UR" | "UT") {
        bytes.extend([0, 0]);
        bytes.extend(length.to_le_bytes());
    } else {
        bytes.extend(u16::try_from(length).unwrap().to_le_bytes());
    }
    bytes
}

/// An explicit little endian element.
pub(crate) fn element(tag: Tag, vr: &str, value: &[u8]) -> Vec<u8> {
    [header(tag, vr, length(value)), value.to_vec()].concat()
}

/// An implicit little endian element.
pub(crate) fn implicit(tag: Tag, value: &[u8]) -> Vec<u8> {
    [tag_bytes(tag), length(value).to_le_bytes().to_vec(), value.to_vec()].concat()
}

/// An item, delimiter or fragment.
pub(crate) fn item(element: u16, length: u32, value: &[u8]) -> Vec<u8> {
    let tag = tag_bytes(Tag(0xFFFE, element));
    [tag, length.to_le_bytes().to_vec(), value.to_vec()].concat()
}

/// An item of defined length, or a fragment.
pub(crate) fn whole_item(value: &[u8]) -> Vec<u8> {
    item(0xE000, length(value), value)
}

/// Sequence Delimitation Item.
pub(crate) fn sequence_end() -> Vec<u8> {
    item(0xE0DD, 0, &[])
}

fn length(value: &[u8]) -> u32 {
    u32::try_from(value.len()).unwrap()
}

fn tag_bytes(Tag(group, element): Tag) -> Vec<u8> {
    [group.to_le_bytes(), element.to_le_bytes()].concat()
}

/// The UIDs without which nothing is accepted.
pub(crate) fn identity() -> Vec<u8> {
    [
        element(Tag(0x0008, 0x0016), "UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
        element(Tag(0x0008, 0x0018), "UI", b"2.25.3\0\0"),
        element(Tag(0x0020, 0x000D), "UI", b"2.25.1\0\0"),
        element(Tag(0x0020, 0x000E), "UI", b"2.25.2\0\0"),
    ]
    .concat()
}

/// Preamble, prefix, the transfer syntax, and `data_set` as it is.
pub(crate) fn file(transfer_syntax: &str, data_set: &[u8]) -> Vec<u8> {
    let mut uid = transfer_syntax.as_bytes().to_vec();
    uid.resize(uid.len().next_multiple_of(2), 0);
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(element(Tag(0x0002, 0x0010), "UI", &uid));
    bytes.extend(data_set);
    bytes
}

/// Attributes of `frames` frames of 2 rows and 2 columns with 8 bits.
pub(crate) fn picture(frames: &str) -> Vec<u8> {
    let short =
        |element: u16, value: u16| self::element(Tag(0x0028, element), "US", &value.to_le_bytes());
    [
        short(0x0002, 1),
        element(Tag(0x0028, 0x0004), "CS", b"MONOCHROME2 "),
        element(Tag(0x0028, 0x0008), "IS", frames.as_bytes()),
        short(0x0010, 2),
        short(0x0011, 2),
        short(0x0100, 8),
        short(0x0101, 8),
        short(0x0102, 7),
        short(0x0103, 0),
    ]
    .concat()
}

/// Reads with the default limits.
pub(crate) fn read(bytes: &[u8]) -> Result<Part10<Cursor<&[u8]>>, ReadError> {
    read_part10(Cursor::new(bytes), &ReadLimits::default())
}

/// Reads explicit little endian elements that come after the identity.
pub(crate) fn read_elements(elements: &[u8]) -> DataSet {
    let data_set = [identity(), elements.to_vec()].concat();
    read(&file(EXPLICIT, &data_set)).unwrap().data_set
}

/// The value of an element.
pub(crate) fn value(data_set: &DataSet, group: u16, element: u16) -> &Value {
    &data_set.elements[&Tag(group, element)].value
}
