//! Names of attributes.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use healthimaging::Attribute;

/// Of a study, out of its series: tag and keyword.
pub(super) const MODALITIES_IN_STUDY: (Tag, &str) =
    (tags::MODALITIES_IN_STUDY, "ModalitiesInStudy");

/// Of an instance, out of its stored form: tag and keyword.
pub(super) const AVAILABLE_TRANSFER_SYNTAX: (Tag, &str) =
    (tags::AVAILABLE_TRANSFER_SYNTAX_UID, "AvailableTransferSyntaxUID");

/// Whether a caller names this attribute, by keyword or by eight hexadecimal digits.
pub(super) fn is(name: &str, (tag, keyword): (Tag, &str)) -> bool {
    name == keyword || name.eq_ignore_ascii_case(&hex(tag))
}

/// A tag as DICOM JSON writes it.
pub(super) fn hex(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.group(), tag.element())
}

/// The tag of an attribute as DICOM JSON writes it.
pub(super) fn hex_of(attribute: &Attribute) -> String {
    format!("{:08X}", attribute.tag)
}
