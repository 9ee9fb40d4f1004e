//! What delimiters and items mean where the standard has none (PS3.5 §7.5): as little as possible.

use std::io::{Read, Seek};

use dicom_core::Tag;

use super::elements::{Close, Place, Previous, Walk};
use super::header::{Header, ITEM, ITEM_END, SEQUENCE_END, tag_of};
use super::{ReadError, ReadWarning};

/// What a delimiter or an item among elements means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is left out.
    Nothing,
    /// The data set ends.
    End,
    /// The items of the sequence before begin here.
    ItemsBehind,
}

impl<S: Read + Seek> Walk<'_, S> {
    /// What `header`, which has just been read where an element could begin, means.
    pub(super) fn delimiter(
        &mut self,
        header: &Header,
        place: &Place,
        (_, previous): (Tag, Previous),
    ) -> Result<Meaning, ReadError> {
        let is_delimited = matches!(place.close, Close::Delimiter | Close::Mended);
        if header.tag == ITEM_END && is_delimited {
            return Ok(Meaning::End);
        }
        let position = header.start;
        let meaning = match header.tag {
            // Of the sequence before, which has a length too.
            SEQUENCE_END if previous != Previous::Plain => Meaning::Nothing,
            // It ends the item as well: the sequence finds it again, unless it ends but the item.
            SEQUENCE_END if is_delimited => {
                if !self.ends_item_only(header, place)? {
                    self.stream.seek_to(position)?;
                }
                Meaning::End
            }
            // The length of the item is too long, unless it counts the delimiter.
            SEQUENCE_END if place.close == Close::Length && position + 8 < place.end => {
                self.stream.seek_to(position)?;
                Meaning::End
            }
            ITEM_END | SEQUENCE_END => Meaning::Nothing,
            ITEM if previous == Previous::EmptySequence && place.close != Close::Mended => {
                self.stream.seek_to(position)?;
                return Ok(Meaning::ItemsBehind);
            }
            ITEM if place.close == Close::Mended => {
                self.stream.seek_to(position)?;
                return Ok(Meaning::End);
            }
            // The next item begins before this one has ended.
            ITEM if place.depth > 0 => {
                self.stream.seek_to(position)?;
                Meaning::End
            }
            ITEM if header.length == Some(0) => Meaning::Nothing,
            _ => return Err(ReadError::malformed(position, "an item stands alone")),
        };
        self.warn(ReadWarning::Delimiter { position });
        Ok(meaning)
    }

    /// Whether a sequence delimiter that ends an item was written in place of an item delimiter:
    /// another item follows, or more sequence delimiters than there are sequences to end.
    fn ends_item_only(&mut self, header: &Header, place: &Place) -> Result<bool, ReadError> {
        let order = place.encoding.byte_order();
        let mut at = header.start + 8;
        for _ in 0..place.depth {
            match self.stream.glance(at)?.map(|head| tag_of(head, order)) {
                Some(ITEM) => return Ok(true),
                Some(SEQUENCE_END) => at += 8,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}
