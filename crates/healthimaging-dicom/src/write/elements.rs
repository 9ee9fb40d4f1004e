//! Elements, sequences and items in one encoding.

use std::io::{Read, Write};

use dicom_core::header::DataElementHeader;
use dicom_core::{Length, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::text::SpecificCharacterSet;
use dicom_encoding::transfer_syntax::DynEncoder;
use dicom_parser::StatefulEncoder;
use healthimaging::{Error, Result};

use super::encoding::Order;
use super::{BulkReader, StoredBytes, write_error};
use crate::data_set::Value;
use crate::document::rebuild::{LazyDataSet, LazyElement, LazyItems, LazyValue, Path};
use crate::document::{Instance, dictionary};

/// How much of a value is written at a time: whole numbers of any VR.
const CHUNK: usize = 64 << 10;

/// Writes elements; headers and padding are the library's, values arrive as bytes because their text
/// is Unicode whatever the character set was.
pub(super) struct ElementWriter<'a, 'r, W> {
    encoder: StatefulEncoder<W, DynEncoder<'a, W>>,
    order: Order,
    instance: &'a Instance,
    bulk_data: &'a mut BulkReader<'r>,
    /// Whether items name their character set.
    names_character_sets: bool,
}

impl<'a, 'r, W: Write + 'a> ElementWriter<'a, 'r, W> {
    pub(super) fn new(
        out: W,
        order: Order,
        instance: &'a Instance,
        bulk_data: &'a mut BulkReader<'r>,
        names_character_sets: bool,
    ) -> Result<Self> {
        let charset = SpecificCharacterSet::default();
        Ok(Self {
            encoder: StatefulEncoder::new(out, order.encoder()?, charset),
            order,
            instance,
            bulk_data,
            names_character_sets,
        })
    }

    pub(super) fn data_set(&mut self, data_set: &LazyDataSet<'_>, path: &Path<'_>) -> Result<()> {
        let is_item = !matches!(path, Path::Root);
        for (tag, element) in data_set.elements(path) {
            if tag == tags::SPECIFIC_CHARACTER_SET && is_item && !self.names_character_sets {
                continue;
            }
            self.element(tag, &element, &Path::Into(path, tag))?;
        }
        Ok(())
    }

    fn element(&mut self, tag: Tag, element: &LazyElement<'_>, path: &Path<'_>) -> Result<()> {
        match &element.value {
            LazyValue::Items(items) => self.sequence(tag, *items, path),
            LazyValue::Plain(Value::Bulk { .. }) => {
                let stored = self.instance.details.bulk_data.get(&path.text());
                let stored = stored.ok_or_else(|| Error::not_found("a large value is missing"))?;
                let found = (self.bulk_data)(&stored.blob_id)?;
                self.streamed(tag, element.vr, found)
            }
            LazyValue::Plain(value) => {
                let bytes = self.ordered(element.vr, value_bytes(element.vr, value));
                self.plain(tag, element.vr, &bytes)
            }
        }
    }

    fn sequence(&mut self, tag: Tag, items: LazyItems<'_>, path: &Path<'_>) -> Result<()> {
        if items.is_empty() {
            return self.header(tag, VR::SQ, Length(0));
        }
        self.header(tag, VR::SQ, Length::UNDEFINED)?;
        for (number, item) in items.iter().enumerate() {
            self.item_header(Length::UNDEFINED)?;
            self.data_set(&item, &Path::Item(path, number))?;
            self.encoder.encode_item_delimiter().map_err(write_error)?;
        }
        self.sequence_delimiter()
    }

    fn plain(&mut self, tag: Tag, vr: VR, bytes: &[u8]) -> Result<()> {
        let pad = self.value_header(tag, vr, bytes.len() as u64)?;
        self.raw(bytes)?;
        self.raw(pad)
    }

    /// Writes a little endian value piece by piece.
    fn streamed(&mut self, tag: Tag, vr: VR, mut value: StoredBytes<'_>) -> Result<()> {
        let pad = self.value_header(tag, vr, value.length)?;
        let mut left = value.length;
        while left > 0 {
            let mut piece = vec![0; usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)];
            value.bytes.read_exact(&mut piece).map_err(super::io_error)?;
            left -= piece.len() as u64;
            let ordered = self.ordered(vr, piece);
            self.raw(&ordered)?;
        }
        self.raw(pad)
    }

    /// Writes the header of a value of `length` bytes; returns the pad that goes behind it.
    fn value_header(&mut self, tag: Tag, vr: VR, length: u64) -> Result<&'static [u8]> {
        let padded = u32::try_from(length.next_multiple_of(2)).ok();
        let padded = padded.filter(|length| *length < u32::MAX);
        let padded = padded.ok_or_else(|| Error::not_supported("a value is longer than 4 GiB"))?;
        // PS3.5 §6.2.2: a value too long for the VR's short length field is written as UN.
        let too_long = self.order.shows_vr() && has_short_length(vr) && padded > 0xFFFF;
        self.header(tag, if too_long { VR::UN } else { vr }, Length(padded))?;
        let is_text = !matches!(vr, VR::UI) && is_text(vr);
        Ok(match length % 2 {
            0 => &[],
            _ if is_text => b" ",
            _ => &[0],
        })
    }

    pub(super) fn header(&mut self, tag: Tag, vr: VR, len: Length) -> Result<()> {
        let header = DataElementHeader { tag, vr, len };
        self.encoder.encode_element_header(header).map_err(write_error)
    }

    pub(super) fn item_header(&mut self, length: Length) -> Result<()> {
        self.encoder.encode_item_header(length.0).map_err(write_error)
    }

    pub(super) fn sequence_delimiter(&mut self) -> Result<()> {
        self.encoder.encode_sequence_delimiter().map_err(write_error)
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.encoder.write_raw_bytes(bytes).map_err(write_error)
    }

    pub(super) fn offset_table(&mut self, offsets: &[u32]) -> Result<()> {
        self.encoder.encode_offset_table(offsets).map_err(write_error)
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.encoder.flush().map_err(super::io_error)
    }

    /// The bytes of a little endian value in the order of the file.
    fn ordered(&self, vr: VR, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.order.is_big() {
            let unit = unit(vr);
            if unit > 1 {
                bytes.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
            }
        }
        bytes
    }
}

/// Bytes of one number of a VR; 1 for text and byte strings. A tag is two numbers.
fn unit(vr: VR) -> usize {
    match vr {
        VR::US | VR::SS | VR::OW | VR::AT => 2,
        VR::UL | VR::SL | VR::FL | VR::OF | VR::OL => 4,
        VR::UV | VR::SV | VR::FD | VR::OD | VR::OV => 8,
        _ => 1,
    }
}

fn is_text(vr: VR) -> bool {
    unit(vr) == 1 && !dictionary::is_bytes(vr)
}

/// VRs with a length field of 16 bits (`PS3.5 §7.1.2`).
fn has_short_length(vr: VR) -> bool {
    !dictionary::is_bytes(vr) && !matches!(vr, VR::SQ | VR::SV | VR::UC | VR::UR | VR::UT | VR::UV)
}

/// The value in little endian; numbers are as wide as the VR says.
fn value_bytes(vr: VR, value: &Value) -> Vec<u8> {
    match value {
        Value::Empty | Value::Items(_) | Value::Bulk { .. } => Vec::new(),
        Value::Text(text) => text.clone().into_bytes(),
        Value::Unsigned(numbers) => narrowed(vr, numbers.iter().map(|number| number.to_le_bytes())),
        Value::Signed(numbers) => narrowed(vr, numbers.iter().map(|number| number.to_le_bytes())),
        Value::Float(numbers) => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        Value::Double(numbers) => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        Value::Tags(tags) => tags
            .iter()
            .flat_map(|tag| [tag.group().to_le_bytes(), tag.element().to_le_bytes()].concat())
            .collect(),
        Value::Bytes(bytes) => bytes.clone(),
    }
}

/// The low bytes of each number; the value is known to fit.
fn narrowed(vr: VR, numbers: impl Iterator<Item = [u8; 8]>) -> Vec<u8> {
    numbers.flat_map(|number| number.into_iter().take(unit(vr))).collect()
}
