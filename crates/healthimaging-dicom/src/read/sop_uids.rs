//! What an instance is known by, also of a file that cannot be stored.

use std::io::{Read, Seek};

use dicom_dictionary_std::tags;

use super::part10::open;
use super::stream::Stream;
use super::{ReadError, ReadLimits, meta};

/// SOP Class and SOP Instance UID, without padding; `None` where a file has no value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SopUids {
    /// SOP Class UID (0008,0016), or (0002,0002).
    pub class: Option<String>,
    /// SOP Instance UID (0008,0018), or (0002,0003).
    pub instance: Option<String>,
}

/// Reads the UIDs of a file from its data set, else from its File Meta Information (PS3.10 §7.1): that of a file whose
/// data set is cut, malformed, or without other attributes that [`crate::read_part10`] needs.
///
/// Errors: those of [`crate::read_part10`] for a file without readable File Meta Information.
pub fn read_sop_uids<S: Read + Seek>(
    mut source: S,
    limits: &ReadLimits,
) -> Result<SopUids, ReadError> {
    let (meta, data_set) = match open(&mut source, limits) {
        Ok(opened) => (opened.meta, Some(opened.data_set)),
        Err(_) => (meta::read(&mut Stream::new(source)?, limits)?.data_set, None),
    };
    let value = |tag, of_meta| {
        let own = data_set.as_ref().and_then(|data_set| data_set.text(tag));
        own.or_else(|| meta.text(of_meta)).map(str::to_owned)
    };
    Ok(SopUids {
        class: value(tags::SOP_CLASS_UID, tags::MEDIA_STORAGE_SOP_CLASS_UID),
        instance: value(tags::SOP_INSTANCE_UID, tags::MEDIA_STORAGE_SOP_INSTANCE_UID),
    })
}
