//! Names of attributes, and where those of instances are in the catalog.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use healthimaging::Attribute;

/// Of a study, out of its series: tag and keyword.
pub(super) const MODALITIES_IN_STUDY: (Tag, &str) =
    (tags::MODALITIES_IN_STUDY, "ModalitiesInStudy");

/// Of an instance, out of its stored form: tag and keyword.
pub(super) const AVAILABLE_TRANSFER_SYNTAX: (Tag, &str) =
    (tags::AVAILABLE_TRANSFER_SYNTAX_UID, "AvailableTransferSyntaxUID");

/// Columns of the table `instance`, by keyword.
const COLUMNS: [(&str, &str); 8] = [
    ("SOPClassUID", "instance.sop_class_uid"),
    ("SOPInstanceUID", "instance.sop_instance_uid"),
    ("WarningReason", "instance.warning_reason"),
    ("InstanceNumber", "instance.instance_number"),
    ("NumberOfFrames", "instance.number_of_frames"),
    ("Rows", "instance.rows"),
    ("Columns", "instance.columns"),
    ("BitsAllocated", "instance.bits_allocated"),
];

/// The column of an attribute of instances, with its table; `None` for what image sets have.
pub(super) fn column(attribute: &Attribute) -> Option<&'static str> {
    COLUMNS.iter().find(|(keyword, _)| *keyword == attribute.keyword).map(|(_, column)| *column)
}

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
