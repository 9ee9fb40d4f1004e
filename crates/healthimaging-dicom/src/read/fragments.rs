//! Finds the fragments of an encapsulated value (PS3.5 §A.4).

use std::io::{Read, Seek};

use dicom_core::Tag;

use super::ReadError;
use super::binary::numbers;
use super::description::ByteOrder;
use super::elements::{Close, Place};
use super::header::{ITEM, ITEM_END, SEQUENCE_END, read_header};
use super::limits::Budget;
use super::pixel_data::{Encapsulation, Fragment};
use super::stream::Stream;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Located {
    pub(super) fragments: Encapsulation,
    /// Bytes of the last fragment that are not there.
    pub(super) missing: u64,
}

/// Reads the item headers from here through the sequence delimiter, and the basic offset table.
///
/// The delimiter may be missing at the end of the file, be zeros, or be that of an item; and the last
/// fragment of pixel data may be cut.
pub(super) fn locate<S: Read + Seek>(
    stream: &mut Stream<S>,
    tag: Tag,
    place: &Place,
    budget: &mut Budget,
) -> Result<Located, ReadError> {
    let may_be_cut = place.close == Close::File;
    let mut found = Located::default();
    let mut table_seen = false;
    loop {
        let position = stream.position();
        found.fragments.unterminated = Some(position);
        if table_seen && (position >= place.end || (may_be_cut && stream.left() < 8)) {
            return Ok(found);
        }
        if table_seen && may_be_cut && stream.peek()? == Some([0; 8]) {
            stream.seek_to(position + 8)?;
            return Ok(found);
        }
        let header =
            read_header(stream, place.encoding, place.end).map_err(|error| match error {
                ReadError::Cut { position, needed, left, .. } => {
                    ReadError::PixelDataCut { position, needed, left }
                }
                other => other,
            })?;
        match header.tag {
            SEQUENCE_END => {
                found.fragments.unterminated = None;
                return Ok(found);
            }
            ITEM => {}
            ITEM_END if table_seen => return Ok(found),
            // What follows the value in the data set.
            next if table_seen && next > tag && !header.is_delimiter() => {
                stream.seek_to(position)?;
                return Ok(found);
            }
            _ => {
                let reason = "a fragment of pixel data should begin";
                return Err(ReadError::malformed(position, reason));
            }
        }
        let length = header.length.ok_or_else(|| {
            ReadError::malformed(position, "a fragment of pixel data has no length")
        })?;
        let (offset, left) = (stream.position(), place.end.saturating_sub(stream.position()));
        if length > left && !(may_be_cut && table_seen) {
            return Err(ReadError::PixelDataCut { position: offset, needed: length, left });
        }
        budget.take_fragment()?;
        if table_seen {
            found.missing = length.saturating_sub(left);
            let length = length.min(left);
            found.fragments.fragments.push(Fragment { offset, length });
            stream.seek_to(offset + length)?;
        } else {
            budget.take_bytes(length)?;
            let table = stream.read_vec(length)?;
            found.fragments.basic_offsets = numbers(&table, ByteOrder::Little, u32::from_le_bytes);
            table_seen = true;
        }
    }
}
