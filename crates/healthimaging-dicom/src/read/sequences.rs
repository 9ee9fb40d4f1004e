//! Values without a length, and sequences with their items (PS3.5 §7.5).

use std::io::{Read, Seek};

use dicom_core::VR;

use crate::data_set::{Element, Value};

use super::elements::{Close, Place, Walk, is_pixel_data};
use super::header::{Encoding, Header, ITEM, SEQUENCE_END, read_header, sniff};
use super::pixel_data::{PixelData, PixelLayout};
use super::values::{self, Shape};
use super::{ReadError, ReadWarning, fragments};

/// Memory that an item takes besides its values: one node of its map, measured as about 500 bytes.
const ITEM_COST: u64 = 500;

/// Whether each item is asked which encoding it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sniff {
    Yes,
    No,
}

impl<S: Read + Seek> Walk<'_, S> {
    pub(super) fn undefined_length(
        &mut self,
        header: &Header,
        place: &Place,
    ) -> Result<Option<Element>, ReadError> {
        let is_binary = values::shape(header.vr) == Shape::Binary && header.vr != VR::UN;
        if is_binary || is_pixel_data(header.tag) {
            return self.encapsulated(header, place).map(|()| None);
        }
        let place = Place { close: Close::Delimiter, ..*place };
        match header.vr {
            VR::SQ => self.sequence(&place, Sniff::No).map(Some),
            // Implicit little endian, whatever the rest is in (PS3.5 §6.2.2 note 4); yet some write it
            // in explicit VR.
            VR::UN => {
                let encoding = Encoding::ImplicitLittle;
                self.sequence(&Place { encoding, ..place }, Sniff::Yes).map(Some)
            }
            _ => Err(ReadError::malformed(
                header.start,
                format!("element {} of VR {} has no length", header.tag, header.vr),
            )),
        }
    }

    fn encapsulated(&mut self, header: &Header, place: &Place) -> Result<(), ReadError> {
        let offset = self.stream.position();
        let found = fragments::locate(self.stream, place.encoding, place.end, &mut self.budget)?;
        if place.depth == 0 && is_pixel_data(header.tag) {
            self.located(header, offset, PixelLayout::Encapsulated(found));
        } else {
            self.warn(ReadWarning::NestedFragments(header.tag));
        }
        Ok(())
    }

    /// Notes pixel data of the root that go from `offset` to here.
    pub(super) fn located(&mut self, header: &Header, offset: u64, layout: PixelLayout) {
        let (tag, vr, length) = (header.tag, header.vr, self.stream.position() - offset);
        if self.pixels.is_some() {
            return self.warn(ReadWarning::Duplicate(tag));
        }
        self.pixels = Some(PixelData { tag, vr, offset, length, layout });
    }

    /// Reads the items of a sequence from here to the end of `place`.
    pub(super) fn sequence(
        &mut self,
        place: &Place,
        sniffing: Sniff,
    ) -> Result<Element, ReadError> {
        let limit = self.budget.limits().depth;
        let depth = place.depth + 1;
        if depth > limit {
            return Err(ReadError::TooDeep { limit });
        }
        let mut items = Vec::new();
        while place.close == Close::Delimiter || self.stream.position() < place.end {
            let header = read_header(self.stream, place.encoding, place.end)?;
            match header.tag {
                ITEM => {}
                SEQUENCE_END if place.close == Close::Delimiter => break,
                _ => return Err(ReadError::malformed(header.start, "an item should begin")),
            }
            self.budget.take_element()?;
            self.budget.take_bytes(ITEM_COST)?;
            let (offset, left) = (self.stream.position(), place.end - self.stream.position());
            let (end, close) = match header.length {
                Some(length) if length > left => {
                    return Err(ReadError::cut(ITEM, offset, length, left));
                }
                Some(length) => (offset + length, Close::Length),
                None => (place.end, Close::Delimiter),
            };
            let encoding = match sniffing {
                Sniff::Yes => self.stream.peek()?.and_then(sniff).unwrap_or(place.encoding),
                Sniff::No => place.encoding,
            };
            items.push(self.data_set(Place { encoding, end, close, depth, ..*place })?);
        }
        Ok(Element { vr: VR::SQ, value: Value::Items(items) })
    }
}
