//! DICOMDIR: the directory of a medium, which names files and is no instance (PS3.10 §8.6).

use std::io::{Read, Seek};

use dicom_dictionary_std::{tags, uids};

use crate::data_set::{DataSet, Value};

use super::part10::open;
use super::{ReadError, ReadLimits};

/// Whether this is a directory, by its File Meta Information or by its records.
pub(super) fn is_directory(meta: &DataSet, data_set: &DataSet) -> bool {
    meta.text(tags::MEDIA_STORAGE_SOP_CLASS_UID) == Some(uids::MEDIA_STORAGE_DIRECTORY_STORAGE)
        || data_set.elements.contains_key(&tags::DIRECTORY_RECORD_SEQUENCE)
}

/// The files that a DICOMDIR names, each as the components of its path from the folder of the DICOMDIR
/// (Referenced File ID, PS3.3 §F.3.2.2).
///
/// Errors: those of [`crate::read_part10`]; `Empty` for a file that is not a DICOMDIR.
pub fn read_media_directory<S: Read + Seek>(
    source: S,
    limits: &ReadLimits,
) -> Result<Vec<Vec<String>>, ReadError> {
    let opened = open(source, limits)?;
    if !is_directory(&opened.meta, &opened.data_set) {
        return Err(ReadError::Empty);
    }
    let Some(Value::Items(records)) = opened.data_set.value(tags::DIRECTORY_RECORD_SEQUENCE) else {
        return Ok(Vec::new());
    };
    let ids = records.iter().filter_map(|record| record.text(tags::REFERENCED_FILE_ID));
    let trimmed = |part: &str| part.trim_matches([' ', '\0']).to_owned();
    Ok(ids.map(|id| id.split('\\').map(trimmed).collect()).collect())
}
