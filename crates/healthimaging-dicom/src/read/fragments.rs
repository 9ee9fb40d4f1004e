//! Finds the fragments of an encapsulated value (PS3.5 §A.4).

use std::io::{Read, Seek};

use super::ReadError;
use super::binary::numbers;
use super::description::ByteOrder;
use super::header::{Encoding, ITEM, SEQUENCE_END, read_header};
use super::limits::Budget;
use super::pixel_data::{Encapsulation, Fragment};
use super::stream::Stream;

/// Reads the item headers from here through the sequence delimiter, and the basic offset table.
pub(super) fn locate<S: Read + Seek>(
    stream: &mut Stream<S>,
    encoding: Encoding,
    end: u64,
    budget: &mut Budget,
) -> Result<Encapsulation, ReadError> {
    let mut found = Encapsulation::default();
    let mut table_seen = false;
    loop {
        let position = stream.position();
        let header = read_header(stream, encoding, end).map_err(|error| match error {
            ReadError::Cut { position, needed, left, .. } => {
                ReadError::PixelDataCut { position, needed, left }
            }
            other => other,
        })?;
        if header.tag == SEQUENCE_END {
            return Ok(found);
        }
        if header.tag != ITEM {
            return Err(ReadError::malformed(position, "a fragment of pixel data should begin"));
        }
        let length = header.length.ok_or_else(|| {
            ReadError::malformed(position, "a fragment of pixel data has no length")
        })?;
        let (offset, left) = (stream.position(), end.saturating_sub(stream.position()));
        if length > left {
            return Err(ReadError::PixelDataCut { position: offset, needed: length, left });
        }
        budget.take_element()?;
        if table_seen {
            found.fragments.push(Fragment { offset, length });
            stream.seek_to(offset + length)?;
        } else {
            budget.take_bytes(length)?;
            let table = stream.read_vec(length)?;
            found.basic_offsets = numbers(&table, ByteOrder::Little, u32::from_le_bytes);
            table_seen = true;
        }
    }
}
