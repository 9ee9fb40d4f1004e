//! Preamble and File Meta Information (PS3.10 §7.1).

use std::io::{Read, Seek};

use dicom_dictionary_std::tags;

use crate::data_set::DataSet;

use super::elements::Walk;
use super::limits::Budget;
use super::stream::Stream;
use super::{ReadError, ReadLimits};

/// Reads preamble, prefix and group 0002; the stream is then at the data set.
pub(super) fn read<S: Read + Seek>(
    stream: &mut Stream<S>,
    limits: &ReadLimits,
) -> Result<DataSet, ReadError> {
    let mut prefix = [0; 4];
    if stream.length() < 132 {
        return Err(ReadError::NotPart10);
    }
    stream.seek_to(128)?;
    stream.read_exact(&mut prefix)?;
    if prefix != *b"DICM" {
        return Err(ReadError::NotPart10);
    }
    if stream.left() == 0 {
        return Err(ReadError::Empty);
    }
    Walk::new(stream, Budget::new(limits)).meta()
}

/// The transfer syntax, without padding.
pub(super) fn transfer_syntax(meta: &DataSet) -> Result<String, ReadError> {
    meta.text(tags::TRANSFER_SYNTAX_UID)
        .map(str::to_owned)
        .ok_or(ReadError::Missing("TransferSyntaxUID"))
}
