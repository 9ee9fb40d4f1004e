//! One CT slice, element by element, as a reader would give it.

use dicom_core::{Tag, VR};
use healthimaging::{DatastoreId, ImageSetId};
use healthimaging_dicom::{DataSet, Document, Element, Instance, SplitInstance, Value};

pub(crate) const SERIES: &str = "2.25.1001.1";
pub(crate) const SOP: &str = "2.25.1001.1.1";

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn data_set(elements: impl IntoIterator<Item = (u32, VR, Value)>) -> DataSet {
    let tag = |number: u32| Tag((number >> 16) as u16, (number & 0xFFFF) as u16);
    let elements = elements.into_iter();
    let elements = elements.map(|(number, vr, value)| (tag(number), Element { vr, value }));
    DataSet { elements: elements.collect() }
}

pub(crate) fn meta() -> DataSet {
    data_set([
        (0x0002_0000, VR::UL, Value::Unsigned(vec![192])),
        (0x0002_0001, VR::OB, Value::Bytes(vec![0, 1])),
        (0x0002_0002, VR::UI, text("1.2.840.10008.5.1.4.1.1.2")),
        (0x0002_0003, VR::UI, text(SOP)),
        (0x0002_0010, VR::UI, text("1.2.840.10008.1.2.1")),
    ])
}

pub(crate) fn elements(sop_uid: &str) -> Vec<(u32, VR, Value)> {
    let number = |number: u64| Value::Unsigned(vec![number]);
    let code = data_set([
        (0x0008_0100, VR::SH, text("113040")),
        (0x0008_0102, VR::SH, text("DCM")),
        (0x0008_0104, VR::LO, text("Lossy Compression")),
    ]);
    vec![
        (0x0008_0005, VR::CS, text("ISO_IR 192")),
        (0x0008_0008, VR::CS, text("ORIGINAL\\PRIMARY\\AXIAL")),
        (0x0008_0016, VR::UI, text("1.2.840.10008.5.1.4.1.1.2")),
        (0x0008_0018, VR::UI, text(sop_uid)),
        (0x0008_0020, VR::DA, text("20260214")),
        (0x0008_0030, VR::TM, text("101500.000")),
        (0x0008_0050, VR::SH, text("ACC77")),
        (0x0008_0060, VR::CS, text("CT")),
        (0x0008_0070, VR::LO, text("ACME")),
        (0x0008_0090, VR::PN, Value::Empty),
        (0x0008_9215, VR::SQ, Value::Items(vec![code])),
        (0x0010_0010, VR::PN, text("DOE^JANE")),
        (0x0010_0020, VR::LO, text("MRN-0042")),
        (0x0010_0030, VR::DA, Value::Empty),
        (0x0010_0040, VR::CS, text("F")),
        (0x0010_1001, VR::PN, text("DOE^J")),
        (0x0010_1030, VR::DS, text("61.5 ")),
        (0x0018_1020, VR::LO, text("v2")),
        (0x0019_0010, VR::LO, text("ACME PRIV")),
        (0x0019_1001, VR::DS, text("97")),
        (0x0019_1002, VR::UN, Value::Bytes(vec![0, 1, 2])),
        (0x0020_000D, VR::UI, text("2.25.1001")),
        (0x0020_000E, VR::UI, text(SERIES)),
        (0x0020_0010, VR::SH, text("S1")),
        (0x0020_0011, VR::IS, text("3 ")),
        (0x0020_0013, VR::IS, text("1 ")),
        (0x0020_0020, VR::CS, Value::Empty),
        (0x0020_0032, VR::DS, text("0\\0\\-12.5")),
        (0x0020_0052, VR::UI, text("2.25.9")),
        (0x0028_0002, VR::US, number(1)),
        (0x0028_0004, VR::CS, text("MONOCHROME2")),
        (0x0028_0010, VR::US, number(512)),
        (0x0028_0011, VR::US, number(512)),
        (0x0028_0030, VR::DS, text("0.7\\0.7 ")),
        (0x0028_0100, VR::US, number(16)),
        (0x0028_0101, VR::US, number(12)),
        (0x0028_0102, VR::US, number(11)),
        (0x0028_0103, VR::US, number(0)),
        (0x0028_1050, VR::DS, text("40")),
        (0x0028_1051, VR::DS, text("400 ")),
        (0x0028_1052, VR::DS, text("-1024 ")),
        (0x0028_1053, VR::DS, text("1 ")),
    ]
}

pub(crate) fn split(sop_uid: &str) -> SplitInstance {
    Document::new_instance(&meta(), data_set(elements(sop_uid)))
}

/// A document of one series with instances of these UIDs.
pub(crate) fn document(sop_uids: &[&str]) -> Document {
    let mut document = Document::default();
    for sop_uid in sop_uids {
        document.add(split(sop_uid));
    }
    document
}

/// The same with one element more, or with another value.
pub(crate) fn document_with(tag: u32, vr: VR, value: Value) -> Document {
    let mut all = elements(SOP);
    all.retain(|(known, ..)| *known != tag);
    all.push((tag, vr, value));
    let mut document = Document::default();
    document.add(Document::new_instance(&meta(), data_set(all)));
    document
}

pub(crate) fn only(document: &Document) -> &Instance {
    document.instances().next().unwrap()
}

pub(crate) fn json(document: &Document) -> String {
    let datastore = DatastoreId::try_from("0f1e2d3c4b5a69788796a5b4c3d2e1f0").unwrap();
    let image_set = ImageSetId::try_from("a0b1c2d3e4f5061728394a5b6c7d8e9f").unwrap();
    String::from_utf8(document.to_json(&datastore, &image_set).unwrap()).unwrap()
}
