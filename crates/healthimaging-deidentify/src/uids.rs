//! Which UIDs name definitions and not instances: those stay.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

static WELL_KNOWN: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("../data/well_known_uids.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

/// Reports whether PS3.6 Annex A registers the UID: a SOP class, a transfer syntax, a coding scheme, a frame of
/// reference of an atlas, or a well-known instance.
pub fn is_well_known(uid: &str) -> bool {
    WELL_KNOWN.contains(uid)
}

/// Reports whether every value has the form of a UID, so that it cannot be a name.
pub(crate) fn are_uids(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b".\\ \0".contains(&byte))
}

/// Reports whether the values of an attribute name definitions, which may be private ones.
pub fn names_definitions(tag: Tag) -> bool {
    matches!(
        tag,
        tags::SOP_CLASS_UID
            | tags::RELATED_GENERAL_SOP_CLASS_UID
            | tags::ORIGINAL_SPECIALIZED_SOP_CLASS_UID
            | tags::SOP_CLASSES_IN_STUDY
            | tags::CODING_SCHEME_UID
            | tags::CONTEXT_GROUP_EXTENSION_CREATOR_UID
            | tags::CONTEXT_UID
            | tags::MAPPING_RESOURCE_UID
            | tags::STORED_INSTANCE_TRANSFER_SYNTAX_UID
            | tags::REFERENCED_SOP_CLASS_UID
            | tags::SOP_CLASSES_SUPPORTED
            | tags::AVAILABLE_TRANSFER_SYNTAX_UID
            | tags::FLOW_TRANSFER_SYNTAX_UID
            | tags::MAC_CALCULATION_TRANSFER_SYNTAX_UID
            | tags::ENCRYPTED_CONTENT_TRANSFER_SYNTAX_UID
            | tags::PERTINENT_SOP_CLASSES_IN_STUDY
            | tags::PERTINENT_SOP_CLASSES_IN_SERIES
    )
}
