//! Values without a length, and sequences with their items (PS3.5 §7.5).

use std::io::{Read, Seek};

use dicom_core::{Tag, VR};

use crate::data_set::{DataSet, Element, Value};

use super::elements::{Close, Place, Walk, is_pixel_data};
use super::header::{Encoding, Header, ITEM, ITEM_END, SEQUENCE_END, read_header, sniff, tag_of};
use super::pixel_data::{PixelData, PixelLayout};
use super::values::{self, Shape};
use super::{ReadError, ReadWarning, fragments};

/// Whether the encoding of each item is detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sniff {
    Yes,
    No,
}

/// How a sequence ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// At the end that its length defines.
    Length,
    /// With a delimiter.
    Delimiter,
    /// With a delimiter, or where no item follows.
    LastItem,
}

impl<S: Read + Seek> Walk<'_, S> {
    pub(super) fn undefined_length(
        &mut self,
        header: &Header,
        place: &Place,
    ) -> Result<Option<Element>, ReadError> {
        let place = &Place { encoding: header.encoding, ..*place };
        let is_binary = values::shape(header.vr) == Shape::Binary && header.vr != VR::UN;
        if is_binary || is_pixel_data(header.tag) {
            return self.encapsulated(header, place).map(|()| None);
        }
        let tag = header.tag;
        match header.vr {
            VR::SQ => self.sequence(tag, place, End::Delimiter, Sniff::No).map(Some),
            // Implicit little endian, whatever the rest is in (PS3.5 §6.2.2 note 4); yet some write it
            // in explicit VR.
            VR::UN => {
                let place = Place { encoding: Encoding::ImplicitLittle, ..*place };
                self.sequence(tag, &place, End::Delimiter, Sniff::Yes).map(Some)
            }
            _ if self.tag_at(self.stream.position(), place)? == Some(ITEM) => {
                self.warn(ReadWarning::Header(tag));
                self.sequence(tag, place, End::Delimiter, Sniff::Yes).map(Some)
            }
            _ => Err(ReadError::malformed(
                header.start,
                format!("element {} of VR {} has no length", header.tag, header.vr),
            )),
        }
    }

    fn encapsulated(&mut self, header: &Header, place: &Place) -> Result<(), ReadError> {
        let offset = self.stream.position();
        let is_root = place.depth == 0 && is_pixel_data(header.tag);
        let found = fragments::locate(self.stream, header.tag, place, &mut self.budget)?;
        if let Some(position) = found.fragments.unterminated {
            self.warn(ReadWarning::Delimiter { position });
        }
        if is_root {
            self.located(header, offset, PixelLayout::Encapsulated(found.fragments), found.missing);
        } else {
            self.warn(ReadWarning::NestedFragments(header.tag));
        }
        Ok(())
    }

    /// Notes native pixel data of which `length` bytes are there and `missing` are not.
    pub(super) fn native(
        &mut self,
        header: &Header,
        length: u64,
        missing: u64,
    ) -> Result<(), ReadError> {
        let offset = self.stream.position();
        self.stream.seek_to(offset + length)?;
        if length == 0 && missing == 0 {
            self.warn(ReadWarning::NoPixels);
        }
        self.located(header, offset, PixelLayout::Native, missing);
        Ok(())
    }

    /// Notes pixel data of the root that go from `offset` to here.
    fn located(&mut self, header: &Header, offset: u64, layout: PixelLayout, missing: u64) {
        let (tag, vr, length) = (header.tag, header.vr, self.stream.position() - offset);
        if self.found.pixels.is_some() {
            return self.warn(ReadWarning::Duplicate(tag));
        }
        if missing > 0 {
            self.warn(ReadWarning::PixelDataCut { missing });
        }
        self.found.pixels = Some(PixelData { tag, vr, offset, length, missing, layout });
    }

    /// Reads the items behind a sequence whose length is 0.
    pub(super) fn items_behind(&mut self, tag: Tag, place: &Place) -> Result<Element, ReadError> {
        self.warn(ReadWarning::ItemsBehind(tag));
        self.sequence(tag, place, End::LastItem, Sniff::Yes)
    }

    /// Reads a sequence of `length` bytes; its bytes, when they are not items.
    pub(super) fn sequence_or_bytes(
        &mut self,
        tag: Tag,
        length: u64,
        place: &Place,
        sniffing: Sniff,
    ) -> Result<Element, ReadError> {
        let mark = self.mark();
        let within = Place { end: mark.0 + length, has_length: true, ..*place };
        match self.sequence(tag, &within, End::Length, sniffing) {
            Err(error) if error.is_structural() => {
                self.go_back(mark)?;
                self.warn(ReadWarning::Sequence(tag));
                self.value(tag, VR::UN, length, place)
            }
            read => read,
        }
    }

    /// Reads the items of a sequence from here to its end, at most to that of `place`.
    fn sequence(
        &mut self,
        tag: Tag,
        place: &Place,
        ends: End,
        sniffing: Sniff,
    ) -> Result<Element, ReadError> {
        let limit = self.budget.limits().depth;
        let place = &Place { depth: place.depth + 1, ..*place };
        if place.depth > limit {
            return Err(ReadError::TooDeep { limit });
        }
        let mut items = Vec::new();
        let mut has_length = false;
        while self.has_items(place, ends) {
            let header = read_header(self.stream, place.encoding, place.end)?;
            let position = header.start;
            match header.tag {
                ITEM => {
                    self.budget.take_item()?;
                    has_length = header.length.is_some();
                    items.push(self.item(&header, place, ends, sniffing)?);
                    continue;
                }
                SEQUENCE_END if ends != End::Length => break,
                SEQUENCE_END => {}
                ITEM_END
                    if ends == End::Length || self.is_of_item(&header, has_length, place)? => {}
                // Of the item around the sequence, whose own delimiter is missing; or in its place.
                ITEM_END => {
                    if place.depth > 1 {
                        self.stream.seek_to(position)?;
                    }
                    self.warn(ReadWarning::Delimiter { position });
                    break;
                }
                _ if ends == End::LastItem => {
                    self.stream.seek_to(position)?;
                    break;
                }
                next if ends == End::Delimiter && next > tag && !header.is_delimiter() => {
                    self.stream.seek_to(position)?;
                    self.warn(ReadWarning::Delimiter { position });
                    break;
                }
                _ => return Err(ReadError::malformed(position, "an item should begin")),
            }
            self.warn(ReadWarning::Delimiter { position });
        }
        Ok(Element { vr: VR::SQ, value: Value::Items(items) })
    }

    /// Whether the sequence has not ended for lack of bytes. At the end of the file a delimiter is
    /// needed, since files are cut.
    fn has_items(&mut self, place: &Place, ends: End) -> bool {
        let position = self.stream.position();
        if position < place.end || (ends == End::Delimiter && !place.has_length) {
            return true;
        }
        if ends == End::Delimiter {
            self.warn(ReadWarning::Delimiter { position });
        }
        false
    }

    /// Whether an item delimiter where an item could begin is that of the item before.
    fn is_of_item(
        &mut self,
        header: &Header,
        has_length: bool,
        place: &Place,
    ) -> Result<bool, ReadError> {
        let next = self.tag_at(header.start + 8, place)?;
        let goes_on = matches!(next, Some(ITEM | SEQUENCE_END));
        Ok(goes_on && (has_length || place.depth == 1))
    }

    /// Reads the item after its header. One whose length is wrong is read up to what ends it.
    fn item(
        &mut self,
        header: &Header,
        place: &Place,
        ends: End,
        sniffing: Sniff,
    ) -> Result<DataSet, ReadError> {
        let mark = self.mark();
        let offset = mark.0;
        let encoding = match sniffing {
            Sniff::Yes if place.encoding != Encoding::ExplicitBig => {
                self.stream.peek()?.and_then(sniff).unwrap_or(place.encoding)
            }
            _ => place.encoding,
        };
        let place = &Place { encoding, ..*place };
        let Some(length) = header.length else {
            return self.data_set(Place { close: Close::Delimiter, ..*place });
        };
        let end = offset.saturating_add(length);
        let read = if end > place.end {
            let left = place.end.saturating_sub(offset);
            Err(ReadError::cut(ITEM, offset, length, left))
        } else {
            self.data_set(Place { end, has_length: true, close: Close::Length, ..*place })
        };
        let is_right = match &read {
            Ok(_) => self.is_item_end(place, ends)?,
            Err(error) => !error.is_structural(),
        };
        if is_right {
            return read;
        }
        let after = self.mark();
        let kept = self.found.warnings.split_off(mark.1);
        self.stream.seek_to(offset)?;
        let mended = self.data_set(Place { close: Close::Mended, ..*place });
        match mended {
            Ok(item) if self.is_mended(place, ends, read.is_ok())? => {
                self.warn(ReadWarning::ItemLength { position: header.start });
                Ok(item)
            }
            Err(error @ (ReadError::Io(_) | ReadError::TooManyElements { .. })) => Err(error),
            // The item is right, and what follows it is not.
            _ => {
                self.go_back((after.0, mark.1))?;
                self.found.warnings.extend(kept);
                read
            }
        }
    }

    /// Whether the sequence goes on or ends here.
    fn is_item_end(&mut self, place: &Place, ends: End) -> Result<bool, ReadError> {
        let position = self.stream.position();
        if position >= place.end || ends == End::LastItem {
            return Ok(true);
        }
        let next = self.tag_at(position, place)?;
        Ok(next.is_some_and(|next| next.group() == ITEM.group()))
    }

    /// Whether an item that was read without regard to its length ends where the sequence goes on. Where
    /// the item makes sense with its length, the delimiter of an item is that of an outer one.
    fn is_mended(&mut self, place: &Place, ends: End, was_read: bool) -> Result<bool, ReadError> {
        let position = self.stream.position();
        let before = position.checked_sub(8);
        let last = before.map(|before| self.tag_at(before, place)).transpose()?.flatten();
        if last == Some(ITEM_END) {
            return Ok(!was_read);
        }
        let is_at_end = position >= place.end && ends == End::Length;
        let next = self.tag_at(position, place)?;
        Ok(is_at_end || matches!(next, Some(ITEM | SEQUENCE_END)))
    }

    /// The tag of the header at a position.
    fn tag_at(&mut self, at: u64, place: &Place) -> Result<Option<Tag>, ReadError> {
        let order = place.encoding.byte_order();
        Ok(self.stream.glance(at)?.map(|head| tag_of(head, order)))
    }
}
