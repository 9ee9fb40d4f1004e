//! Walks the elements of a data set, items within items.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{Read, Seek};

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use crate::charset::CharacterSets;
use crate::data_set::{DataSet, Element, Value};

use super::description::ByteOrder;
use super::header::{Encoding, Header, ITEM, ITEM_END, read_header, sniff};
use super::limits::Budget;
use super::pixel_data::{PixelData, PixelLayout};
use super::sequences::Sniff;
use super::stream::Stream;
use super::values::{self, Fidelity, Shape};
use super::{ReadError, ReadWarning, ambiguous};

/// More would tell nobody anything.
const MOST_WARNINGS: usize = 100;

/// The tag of an item in little endian.
const ITEM_BYTES: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];

/// Reads one file's elements; what it finds besides them is kept here.
#[derive(Debug)]
pub(super) struct Walk<'s, S> {
    pub(super) stream: &'s mut Stream<S>,
    pub(super) budget: Budget,
    pub(super) warnings: Vec<ReadWarning>,
    pub(super) pixels: Option<PixelData>,
    /// VR of values left apart in big endian, by offset.
    pub(super) big_endian_apart: BTreeMap<u64, VR>,
}

/// Where in the data set the walk is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) encoding: Encoding,
    /// No element may go past this byte.
    pub(super) end: u64,
    /// What ends the data set.
    pub(super) close: Close,
    pub(super) depth: usize,
    pub(super) character_sets: CharacterSets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// The end of the file: this is the root.
    File,
    /// The end that its length gives.
    Length,
    /// A delimiter.
    Delimiter,
}

impl<'s, S: Read + Seek> Walk<'s, S> {
    pub(super) fn new(stream: &'s mut Stream<S>, budget: Budget) -> Self {
        Self {
            stream,
            budget,
            warnings: Vec::new(),
            pixels: None,
            big_endian_apart: BTreeMap::new(),
        }
    }

    /// Reads the data set that goes from here to the end of the source.
    pub(super) fn root(&mut self, declared: Encoding) -> Result<DataSet, ReadError> {
        let encoding = self.encoding_here(declared)?;
        self.data_set(Place {
            encoding,
            end: self.stream.length(),
            close: Close::File,
            depth: 0,
            character_sets: CharacterSets::default(),
        })
    }

    /// Reads the File Meta Information from here: explicit little endian, group 0002 (PS3.10 §7.1).
    pub(super) fn meta(&mut self) -> Result<DataSet, ReadError> {
        let place = Place {
            encoding: Encoding::ExplicitLittle,
            end: self.stream.length(),
            close: Close::File,
            depth: 0,
            character_sets: CharacterSets::default(),
        };
        let mut meta = DataSet::default();
        while let Some([2, 0]) = self.stream.peek()? {
            let header = read_header(self.stream, place.encoding, place.end)?;
            self.budget.take_element()?;
            if let Some(element) = self.element(&header, &place)? {
                self.insert(&mut meta, header.tag, element);
            }
        }
        match self.stream.left() {
            left @ 1..8 => {
                let position = self.stream.position();
                let what = "the file meta information".to_owned();
                Err(ReadError::Cut { what, position, needed: 8, left })
            }
            _ => Ok(meta),
        }
    }

    /// The encoding that the first element shows, where that is not the one declared.
    fn encoding_here(&mut self, declared: Encoding) -> Result<Encoding, ReadError> {
        if declared == Encoding::ExplicitBig {
            return Ok(declared);
        }
        let found = self.stream.peek()?.and_then(sniff).unwrap_or(declared);
        if found != declared {
            let found = if found == Encoding::ExplicitLittle { "explicit" } else { "implicit" };
            self.warn(ReadWarning::Encoding { found });
        }
        Ok(found)
    }

    pub(super) fn warn(&mut self, warning: ReadWarning) {
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(warning);
        }
    }

    pub(super) fn data_set(&mut self, mut place: Place) -> Result<DataSet, ReadError> {
        let mut data_set = DataSet::default();
        let mut previous = Tag(0, 0);
        while place.close == Close::Delimiter || self.stream.position() < place.end {
            let Some(header) = self.next_header(&place, previous)? else {
                break;
            };
            if header.tag == ITEM_END && place.close == Close::Delimiter {
                break;
            }
            if header.tag.group() == ITEM.group() {
                return Err(ReadError::malformed(header.start, "a delimiter stands alone"));
            }
            self.budget.take_element()?;
            previous = header.tag;
            if let Some(element) = self.element(&header, &place)? {
                if header.tag == tags::SPECIFIC_CHARACTER_SET {
                    place.character_sets = self.character_sets(&element.value);
                }
                self.insert(&mut data_set, header.tag, element);
            }
        }
        Ok(data_set)
    }

    /// The next header, or `None` where the root has ended and other bytes begin.
    fn next_header(&mut self, place: &Place, previous: Tag) -> Result<Option<Header>, ReadError> {
        let start = self.stream.position();
        if place.close == Close::File && self.zeros_here()? {
            return self.trailing(start);
        }
        let read = read_header(self.stream, place.encoding, place.end);
        if place.close != Close::File {
            return read.map(Some);
        }
        let trailing = match &read {
            Ok(header) => {
                let left = place.end.saturating_sub(self.stream.position());
                let fits = header.length.is_none_or(|length| length <= left);
                let follows = header.tag > previous && header.tag.group() != ITEM.group();
                self.pixels.is_some() && !(fits && follows)
            }
            Err(ReadError::Io(_)) => false,
            Err(_) => self.pixels.is_some(),
        };
        if trailing { self.trailing(start) } else { read.map(Some) }
    }

    /// Whether padding begins here: there is no element (0000,0000) of length 0.
    fn zeros_here(&mut self) -> Result<bool, ReadError> {
        let left = self.stream.left();
        let mut bytes = [0; 8];
        let head = usize::try_from(left).ok().and_then(|left| bytes.get_mut(..left));
        let start = self.stream.position();
        match head {
            Some(short) => self.stream.read_exact(short)?,
            None => self.stream.read_exact(&mut bytes)?,
        }
        self.stream.seek_to(start)?;
        Ok(bytes == [0; 8])
    }

    /// Ends the data set at `start`, before the end of the file.
    fn trailing(&mut self, start: u64) -> Result<Option<Header>, ReadError> {
        let length = self.stream.length().saturating_sub(start);
        self.warn(ReadWarning::TrailingBytes { position: start, length });
        self.stream.seek_to(self.stream.length())?;
        Ok(None)
    }

    fn insert(&mut self, data_set: &mut DataSet, tag: Tag, element: Element) {
        match data_set.elements.entry(tag) {
            Entry::Vacant(entry) => {
                entry.insert(element);
            }
            Entry::Occupied(_) => self.warn(ReadWarning::Duplicate(tag)),
        }
    }

    fn character_sets(&mut self, value: &Value) -> CharacterSets {
        let terms = match value {
            Value::Text(terms) => terms.as_str(),
            _ => "",
        };
        let (character_sets, unknown) = CharacterSets::parse(terms);
        if unknown {
            self.warn(ReadWarning::UnknownCharacterSet);
        }
        character_sets
    }

    /// Reads the element after its header; `None` when it is not kept among the elements.
    fn element(&mut self, header: &Header, place: &Place) -> Result<Option<Element>, ReadError> {
        let is_root = place.depth == 0;
        let Some(length) = header.length else {
            return self.undefined_length(header, place);
        };
        let (offset, left) = (self.stream.position(), place.end - self.stream.position());
        let is_pixel_data = is_root && is_pixel_data(header.tag);
        if length > left {
            return Err(if is_pixel_data {
                ReadError::PixelDataCut { position: offset, needed: length, left }
            } else {
                ReadError::cut(header.tag, offset, length, left)
            });
        }
        if is_pixel_data {
            self.stream.seek_to(offset + length)?;
            self.located(header, offset, PixelLayout::Native);
            return Ok(None);
        }
        if header.tag.element() == 0 && header.tag.group() != 2 {
            // Group lengths are retired (PS3.5 §7.2) and would be wrong after any change.
            self.stream.seek_to(offset + length)?;
            return Ok(None);
        }
        match known_vr(header, place.encoding) {
            VR::SQ if header.vr != VR::UN => {
                let place = Place { end: offset + length, close: Close::Length, ..*place };
                self.sequence(&place, Sniff::No).map(Some)
            }
            VR::SQ if length == 0 || self.stream.peek()? == Some(ITEM_BYTES) => {
                let (end, encoding) = (offset + length, Encoding::ImplicitLittle);
                let place = Place { encoding, end, close: Close::Length, ..*place };
                self.sequence(&place, Sniff::Yes).map(Some)
            }
            VR::SQ => self.value(header.tag, VR::UN, length, place).map(Some),
            vr => self.value(header.tag, vr, length, place).map(Some),
        }
    }

    /// Reads a value, whose length has been checked.
    fn value(
        &mut self,
        tag: Tag,
        vr: VR,
        length: u64,
        place: &Place,
    ) -> Result<Element, ReadError> {
        let order = place.encoding.byte_order();
        let large = length > self.budget.limits().value_bytes;
        if large && values::shape(vr) == Shape::Binary && !is_offset_table(tag) {
            let offset = self.stream.position();
            self.stream.seek_to(offset + length)?;
            if order == ByteOrder::Big {
                self.big_endian_apart.insert(offset, vr);
            }
            return Ok(Element { vr, value: Value::Apart { offset, length } });
        }
        self.budget.take_bytes(values::cost(vr, length))?;
        let bytes = self.stream.read_vec(length)?;
        let (value, fidelity) = values::decode(vr, bytes, order, &place.character_sets);
        match fidelity {
            Fidelity::Exact => {}
            Fidelity::Remainder => self.warn(ReadWarning::ValueLength(tag)),
            Fidelity::Guessed => self.warn(ReadWarning::Text(tag)),
        }
        Ok(Element { vr, value })
    }
}

pub(super) fn is_pixel_data(tag: Tag) -> bool {
    matches!(tag, tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA)
}

/// The tables are needed to find frames, however long they are.
fn is_offset_table(tag: Tag) -> bool {
    matches!(tag, tags::EXTENDED_OFFSET_TABLE | tags::EXTENDED_OFFSET_TABLE_LENGTHS)
}

/// VR of the element: where the file does not say, the dictionary's if it knows the element (PS3.5
/// §6.2.2 note 5). What is US or SS stays UN until Pixel Representation is known.
fn known_vr(header: &Header, encoding: Encoding) -> VR {
    let says = encoding != Encoding::ImplicitLittle && header.vr != VR::UN;
    if says {
        return header.vr;
    }
    if ambiguous::is_us_or_ss(header.tag) {
        return VR::UN;
    }
    match StandardDataDictionary.by_tag(header.tag).map(DataDictionaryEntry::vr) {
        Some(vr) if header.vr == VR::UN => vr.relaxed(),
        _ => header.vr,
    }
}
