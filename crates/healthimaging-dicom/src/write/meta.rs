//! Preamble and file meta information (`PS3.10 §7.1`).

use std::io::Write;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::meta::FileMetaTableBuilder;
use healthimaging::Result;

use super::{io_error, write_error};
use crate::data_set::{DataSet, Value};
use crate::document::index::trimmed;

/// Names this program as the writer of a file; derived from a UUID (`PS3.5 §B.2`).
const IMPLEMENTATION_CLASS_UID: &str = "2.25.51686314213386526019036977144597431800";
const IMPLEMENTATION_VERSION_NAME: &str = "HEALTHIMAGINGMCP";

/// Writes the part before the data set. The UIDs are those of the data set, which an update may have
/// changed since the file was received; who sent it is kept.
pub(super) fn write(data_set: &DataSet, transfer_syntax: &str, out: &mut dyn Write) -> Result<()> {
    let mut builder = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(text(data_set, tags::SOP_CLASS_UID).unwrap_or_default())
        .media_storage_sop_instance_uid(text(data_set, tags::SOP_INSTANCE_UID).unwrap_or_default())
        .transfer_syntax(transfer_syntax)
        .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
        .implementation_version_name(IMPLEMENTATION_VERSION_NAME);
    if let Some(title) = text(data_set, tags::SOURCE_APPLICATION_ENTITY_TITLE) {
        builder = builder.source_application_entity_title(title);
    }
    if let Some(title) = text(data_set, tags::SENDING_APPLICATION_ENTITY_TITLE) {
        builder = builder.sending_application_entity_title(title);
    }
    let creator = text(data_set, tags::PRIVATE_INFORMATION_CREATOR_UID);
    let private = data_set.elements.get(&tags::PRIVATE_INFORMATION);
    if let (Some(creator), Some(Value::Bytes(private))) = (creator, private.map(|e| &e.value)) {
        builder = builder.private_information_creator_uid(creator);
        builder = builder.private_information(private.clone());
    }
    let table = builder.build().map_err(write_error)?;
    out.write_all(&[0; 128]).map_err(io_error)?;
    out.write_all(b"DICM").map_err(io_error)?;
    table.write(out).map_err(write_error)
}

fn text(data_set: &DataSet, tag: Tag) -> Option<String> {
    match &data_set.elements.get(&tag)?.value {
        Value::Text(text) if text.is_ascii() => Some(trimmed(text).to_owned()),
        _ => None,
    }
}
