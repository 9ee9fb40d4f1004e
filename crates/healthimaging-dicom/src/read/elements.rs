//! Walks the elements of a data set, items within items.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{Read, Seek};

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use crate::charset::CharacterSets;
use crate::data_set::{DataSet, Element, Value};
use crate::document::dictionary;

use super::delimiters::Meaning;
use super::description::ByteOrder;
use super::header::{Encoding, Header, read_header, sniff, tag_of};
use super::limits::Budget;
use super::pixel_data::PixelData;
use super::sequences::Sniff;
use super::stream::Stream;
use super::values::{self, Fidelity};
use super::{ReadError, ReadWarning, ambiguous};

/// More would not help.
const MOST_WARNINGS: usize = 100;

/// The tag of an item in little endian.
const ITEM_BYTES: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];

/// Reads one file's elements; what it finds besides them is kept here.
#[derive(Debug)]
pub(super) struct Walk<'s, S> {
    pub(super) stream: &'s mut Stream<S>,
    pub(super) budget: Budget,
    pub(super) found: Found,
    pub(super) until: Until,
}

/// How far a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// To its end.
    End,
    /// To the pixel data of the root.
    PixelData,
}

/// What was found besides elements.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) warnings: Vec<ReadWarning>,
    pub(super) pixels: Option<PixelData>,
    /// VR of bulk data in big endian, by offset.
    pub(super) big_endian_bulk: BTreeMap<u64, VR>,
    /// Bytes of memory of all elements.
    pub(super) memory: u64,
}

/// Where in the data set the walk is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) encoding: Encoding,
    /// No element may go past this byte.
    pub(super) end: u64,
    /// Whether a length defines it, and not the end of the file.
    pub(super) has_length: bool,
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
    /// A delimiter or the next item, since its length is wrong.
    Mended,
}

/// The element before, on which it depends what a delimiter means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Previous {
    /// No sequence.
    Plain,
    /// A sequence whose length is 0.
    EmptySequence,
    /// A sequence that has a length.
    Sequence,
}

impl Previous {
    /// An element of VR UN may be a sequence.
    fn of(element: &Element, header: &Header) -> Self {
        match (&element.value, header.length) {
            (Value::Items(_), Some(0)) => Self::EmptySequence,
            (Value::Empty, Some(0)) if element.vr == VR::UN => Self::EmptySequence,
            (Value::Items(_), Some(_)) => Self::Sequence,
            (Value::Bytes(bytes), _) if bytes.starts_with(&ITEM_BYTES) => Self::Sequence,
            _ => Self::Plain,
        }
    }
}

impl<'s, S: Read + Seek> Walk<'s, S> {
    pub(super) fn new(stream: &'s mut Stream<S>, budget: Budget) -> Self {
        Self { stream, budget, found: Found::default(), until: Until::End }
    }

    /// Reads the data set that goes from here to the end of the source; with it comes the encoding that
    /// it is in.
    pub(super) fn root(&mut self, declared: Encoding) -> Result<(DataSet, Encoding), ReadError> {
        let encoding = self.encoding_here(declared)?;
        let data_set = self.data_set(Place {
            encoding,
            end: self.stream.length(),
            has_length: false,
            close: Close::File,
            depth: 0,
            character_sets: CharacterSets::default(),
        })?;
        Ok((data_set, encoding))
    }

    /// Reads the File Meta Information from here: explicit little endian, group 0002 (PS3.10 §7.1).
    pub(super) fn meta(&mut self) -> Result<DataSet, ReadError> {
        let head = self.stream.peek()?.filter(|head| head.starts_with(&[2, 0]));
        let found = head.and_then(sniff).unwrap_or(Encoding::ExplicitLittle);
        if found == Encoding::ImplicitLittle {
            self.warn(ReadWarning::ImplicitMeta);
        }
        let place = Place {
            encoding: found,
            end: self.stream.length(),
            has_length: false,
            close: Close::File,
            depth: 0,
            character_sets: CharacterSets::default(),
        };
        let mut meta = DataSet::default();
        while let Some([2, 0]) = self.stream.peek()? {
            let header = read_header(self.stream, place.encoding, place.end)?;
            self.budget.take_element(header.tag)?;
            self.note_odd(&header);
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
        let Some(head) = self.stream.peek()? else {
            return Ok(declared);
        };
        let found = self.encoding_of(head, declared)?;
        if found != declared {
            self.warn(ReadWarning::Encoding { found: found.name() });
        }
        Ok(found)
    }

    /// Groups are low numbers at the start of a data set, which shows the byte order (and so does
    /// dcmtk distinguish them). An invalid value representation may be a damaged one: the element
    /// is implicit only if the next element begins where the implicit length says.
    fn encoding_of(&mut self, head: [u8; 8], declared: Encoding) -> Result<Encoding, ReadError> {
        let has_vr = VR::from_binary([head[4], head[5]]).is_some();
        let [little, big] = [ByteOrder::Little, ByteOrder::Big].map(|o| tag_of(head, o).group());
        if has_vr && little != big {
            return Ok(if big < little { Encoding::ExplicitBig } else { Encoding::ExplicitLittle });
        }
        if declared == Encoding::ExplicitBig {
            return Ok(declared);
        }
        let found = sniff(head).unwrap_or(declared);
        if declared == Encoding::ExplicitLittle && found == Encoding::ImplicitLittle {
            let start = self.stream.position();
            let header = read_header(self.stream, declared, self.stream.length());
            self.stream.seek_to(start)?;
            return Ok(header.map_or(found, |header| header.encoding));
        }
        Ok(found)
    }

    pub(super) fn warn(&mut self, warning: ReadWarning) {
        if self.found.warnings.len() < MOST_WARNINGS {
            self.found.warnings.push(warning);
        }
    }

    /// Where warnings stand, to go back to.
    pub(super) fn mark(&self) -> (u64, usize) {
        (self.stream.position(), self.found.warnings.len())
    }

    /// Goes back to a mark, as if nothing had been read since.
    pub(super) fn go_back(&mut self, (position, warnings): (u64, usize)) -> Result<(), ReadError> {
        self.found.warnings.truncate(warnings);
        Ok(self.stream.seek_to(position)?)
    }

    pub(super) fn note_odd(&mut self, header: &Header) {
        if header.is_odd {
            self.warn(ReadWarning::Header(header.tag));
        }
    }

    pub(super) fn data_set(&mut self, mut place: Place) -> Result<DataSet, ReadError> {
        let mut data_set = DataSet::default();
        let mut before = (Tag(0, 0), Previous::Plain);
        while self.goes_on(&place) {
            let Some(header) = self.next_header(&place, before.0)? else {
                break;
            };
            if header.is_delimiter() {
                match self.delimiter(&header, &place, before)? {
                    Meaning::Nothing => {}
                    Meaning::End => break,
                    Meaning::ItemsBehind => {
                        let items = self.items_behind(before.0, &place)?;
                        data_set.elements.insert(before.0, items);
                    }
                }
                before.1 = Previous::Plain;
                continue;
            }
            let is_root = place.depth == 0;
            if self.until == Until::PixelData && is_root && is_pixel_data(header.tag) {
                break;
            }
            self.budget.take_element(header.tag)?;
            self.note_odd(&header);
            before = (header.tag, Previous::Plain);
            if let Some(element) = self.element(&header, &place)? {
                if header.tag == tags::SPECIFIC_CHARACTER_SET {
                    place.character_sets = self.character_sets(&element.value);
                }
                before.1 = Previous::of(&element, &header);
                self.insert(&mut data_set, header.tag, element);
            }
        }
        Ok(data_set)
    }

    /// Whether the data set has not ended for its length. A delimiter that is missing at the end of
    /// what is around the item is not needed; at the end of the file it is, since files are cut.
    fn goes_on(&mut self, place: &Place) -> bool {
        let position = self.stream.position();
        let is_delimited = matches!(place.close, Close::Delimiter | Close::Mended);
        if position < place.end || (is_delimited && !place.has_length) {
            return true;
        }
        if place.close == Close::Delimiter {
            self.warn(ReadWarning::Delimiter { position });
        }
        false
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
        let offset = self.stream.position();
        let left = place.end.saturating_sub(offset);
        if is_root && is_pixel_data(header.tag) {
            return self
                .native(header, length.min(left), length.saturating_sub(left))
                .map(|()| None);
        }
        if length > left {
            return Err(ReadError::cut(header.tag, offset, length, left));
        }
        if header.tag.element() == 0 && header.tag.group() != 2 {
            // Group lengths are retired (PS3.5 §7.2) and would be wrong after any change.
            self.stream.seek_to(offset + length)?;
            return Ok(None);
        }
        let place = &Place { encoding: header.encoding, ..*place };
        match known_vr(header) {
            VR::SQ if header.vr != VR::UN => {
                self.sequence_or_bytes(header.tag, length, place, Sniff::No).map(Some)
            }
            VR::SQ if length == 0 || self.stream.peek()? == Some(ITEM_BYTES) => {
                let place = Place { encoding: Encoding::ImplicitLittle, ..*place };
                self.sequence_or_bytes(header.tag, length, &place, Sniff::Yes).map(Some)
            }
            VR::SQ => self.value(header.tag, VR::UN, length, place).map(Some),
            vr => self.value(header.tag, vr, length, place).map(Some),
        }
    }

    /// Reads a value, whose length has been checked.
    pub(super) fn value(
        &mut self,
        tag: Tag,
        vr: VR,
        length: u64,
        place: &Place,
    ) -> Result<Element, ReadError> {
        let order = place.encoding.byte_order();
        let offset = self.stream.position();
        let (shape, mut cost) = (values::shape(vr), values::cost(vr, length));
        let may_be_bulk = values::may_be_bulk(vr) && !is_offset_table(tag);
        if may_be_bulk
            && self.budget.is_bulk(shape, length, cost)
            && self.is_in_unicode(vr, offset, length, place)?
        {
            return self.left_as_bulk(vr, offset, length, order);
        }
        self.budget.take_bytes(cost)?;
        let bytes = self.stream.read_vec(length)?;
        let (value, fidelity) = values::decode(vr, bytes, order, &place.character_sets);
        let parts = values::cost_of_parts(vr, &value);
        cost = cost.saturating_add(parts);
        if may_be_bulk
            && self.budget.is_bulk(shape, length, cost)
            && self.is_in_unicode(vr, offset, length, place)?
        {
            self.budget.give_back(values::cost(vr, length));
            return self.left_as_bulk(vr, offset, length, order);
        }
        self.budget.take_bytes(parts)?;
        self.budget.note_inline(shape, cost);
        match fidelity {
            Fidelity::Exact => {}
            Fidelity::Remainder => self.warn(ReadWarning::ValueLength(tag)),
            Fidelity::Guessed => self.warn(ReadWarning::Text(tag)),
        }
        Ok(Element { vr, value })
    }

    /// Leaves a value where it is, and goes on behind it.
    fn left_as_bulk(
        &mut self,
        vr: VR,
        offset: u64,
        length: u64,
        order: ByteOrder,
    ) -> Result<Element, ReadError> {
        self.stream.seek_to(offset + length)?;
        if order == ByteOrder::Big {
            self.found.big_endian_bulk.insert(offset, vr);
        }
        Ok(Element { vr, value: Value::Bulk { offset, length } })
    }

    /// Whether a value of `length` bytes is the same in UTF-8, as bulk data is: binary, declared so, or
    /// ASCII without escape sequences. The position does not change.
    fn is_in_unicode(
        &mut self,
        vr: VR,
        offset: u64,
        length: u64,
        place: &Place,
    ) -> Result<bool, ReadError> {
        if !values::has_character_set(vr) || place.character_sets.is_utf_8() {
            return Ok(true);
        }
        let position = self.stream.position();
        self.stream.seek_to(offset)?;
        let mut piece = [0; 8 << 10];
        let mut left = length;
        let mut is_ascii = true;
        while is_ascii && left > 0 {
            let wanted = usize::try_from(left).unwrap_or(piece.len()).min(piece.len());
            let bytes = piece.get_mut(..wanted).unwrap_or_default();
            self.stream.read_exact(bytes)?;
            is_ascii = bytes.is_ascii() && !bytes.contains(&0x1B);
            left -= wanted as u64;
        }
        self.stream.seek_to(position)?;
        Ok(is_ascii)
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
/// §6.2.2 note 5). What is US or SS stays UN until Pixel Representation is known. Of private elements
/// only the creators are known (PS3.5 §7.8.1), though groups such as 7FE1 look like repeating ones.
fn known_vr(header: &Header) -> VR {
    let says = header.encoding != Encoding::ImplicitLittle && header.vr != VR::UN;
    if says {
        return header.vr;
    }
    let tag = header.tag;
    if dictionary::is_private(tag) {
        return if dictionary::is_private_creator(tag) { VR::LO } else { VR::UN };
    }
    if ambiguous::is_us_or_ss(tag) {
        return VR::UN;
    }
    match StandardDataDictionary.by_tag(tag).map(DataDictionaryEntry::vr) {
        Some(vr) if header.vr == VR::UN => vr.relaxed(),
        _ => header.vr,
    }
}
