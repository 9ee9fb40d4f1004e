//! Dummy values by VR, and dummy items for sequences.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use healthimaging_dicom::{DataSet, Element, Value};

/// Dummy text.
pub(crate) const TEXT: &str = "REMOVED";

/// A PDF document of one empty page.
const EMPTY_PDF: &str = concat!(
    "%PDF-1.4\n",
    "1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n",
    "2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n",
    "3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]>>\nendobj\n",
    "xref\n0 4\n",
    "0000000000 65535 f \n",
    "0000000009 00000 n \n",
    "0000000054 00000 n \n",
    "0000000105 00000 n \n",
    "trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n170\n%%EOF\n"
);

/// Makes an element of text.
pub(crate) fn text(vr: VR, text: &str) -> Element {
    Element { vr, value: Value::Text(text.to_owned()) }
}

/// Makes a sequence.
pub(crate) fn items(items: Vec<DataSet>) -> Element {
    Element { vr: VR::SQ, value: Value::Items(items) }
}

/// Makes a data set.
pub(crate) fn data_set(elements: impl IntoIterator<Item = (Tag, Element)>) -> DataSet {
    let mut made = DataSet::default();
    made.elements.extend(elements);
    made
}

/// Makes the item of a code sequence.
pub(crate) fn code(value: &str, scheme: &str, meaning: &str) -> DataSet {
    data_set([
        (tags::CODE_VALUE, text(VR::SH, value)),
        (tags::CODING_SCHEME_DESIGNATOR, text(VR::SH, scheme)),
        (tags::CODE_MEANING, text(VR::LO, meaning)),
    ])
}

/// The VR of a replaced value: that of the file where the standard allows it for the attribute, otherwise the
/// standard's. `UN` names none.
pub(crate) fn vr_of(tag: Tag, vr: VR) -> VR {
    let Some(entry) = StandardDataDictionary.by_tag(tag) else { return vr };
    entry.vr().exact().unwrap_or_else(|| if vr == VR::UN { entry.vr().relaxed() } else { vr })
}

/// The dummy value of a VR. Sequences and UIDs are made elsewhere.
pub(crate) fn value(vr: VR) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    match vr {
        VR::DA => text("19000101"),
        VR::TM => text("000000"),
        VR::DT => text("19000101000000"),
        VR::AS => text("000Y"),
        VR::IS | VR::DS => text("0"),
        VR::UR => text("urn:removed"),
        VR::UI => text("2.25.0"),
        VR::US | VR::UL | VR::UV => Value::Unsigned(vec![0]),
        VR::SS | VR::SL | VR::SV => Value::Signed(vec![0]),
        VR::FL => Value::Float(vec![0.0]),
        VR::FD => Value::Double(vec![0.0]),
        VR::AT => Value::Tags(vec![Tag(0, 0)]),
        VR::OB | VR::UN | VR::OW => Value::Bytes(vec![0; 2]),
        VR::OF | VR::OL => Value::Bytes(vec![0; 4]),
        VR::OD | VR::OV => Value::Bytes(vec![0; 8]),
        VR::SQ => Value::Items(Vec::new()),
        _ => text(TEXT),
    }
}

/// The dummy of an encapsulated document: an empty page for a PDF.
pub(crate) fn document(mime_type: Option<&str>) -> Value {
    Value::Bytes(match mime_type {
        Some("application/pdf") => EMPTY_PDF.as_bytes().to_vec(),
        _ => vec![0; 2],
    })
}

/// The dummy of a content tree: one item of text (PS3.3 §C.17.3).
pub(crate) fn content() -> Value {
    Value::Items(vec![data_set([
        (tags::RELATIONSHIP_TYPE, text(VR::CS, "CONTAINS")),
        (tags::VALUE_TYPE, text(VR::CS, "TEXT")),
        (tags::CONCEPT_NAME_CODE_SEQUENCE, items(vec![code("121106", "DCM", "Comment")])),
        (tags::TEXT_VALUE, text(VR::UT, TEXT)),
    ])])
}

/// The dummy of the graphics of an annotation: one point in the first pixel (PS3.3 §C.10.5).
pub(crate) fn graphic_object() -> Element {
    items(vec![data_set([
        (tags::GRAPHIC_ANNOTATION_UNITS, text(VR::CS, "PIXEL")),
        (tags::GRAPHIC_DIMENSIONS, Element { vr: VR::US, value: Value::Unsigned(vec![2]) }),
        (tags::NUMBER_OF_GRAPHIC_POINTS, Element { vr: VR::US, value: Value::Unsigned(vec![1]) }),
        (tags::GRAPHIC_DATA, Element { vr: VR::FL, value: Value::Float(vec![1.0, 1.0]) }),
        (tags::GRAPHIC_TYPE, text(VR::CS, "POINT")),
    ])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offsets_of_the_pdf_are_right() {
        for (number, offset) in [(1, 9), (2, 54), (3, 105)] {
            assert!(EMPTY_PDF.get(offset..).unwrap().starts_with(&format!("{number} 0 obj")));
        }
        assert!(EMPTY_PDF.get(170..).unwrap().starts_with("xref\n"));
    }
}
