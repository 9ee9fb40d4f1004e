//! DICOM Part 10 files out of the document and stored pixels (`PS3.10 §7`).

mod elements;
mod encoding;
mod implicit;
mod meta;
mod pixels;

use std::io::{self, Read, Write};

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging::{Error, ImageFrameId, Result};
use healthimaging_image::PixelDescription;

use crate::data_set::{DataSet, Element, Value};
use crate::document::Document;

use elements::ElementWriter;
use encoding::Encoding;

/// Stored bytes, which are read piece by piece.
pub struct StoredBytes<'a> {
    /// Their number.
    pub length: u64,
    /// The bytes.
    pub bytes: Box<dyn Read + 'a>,
}

impl From<Vec<u8>> for StoredBytes<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self { length: bytes.len() as u64, bytes: Box::new(io::Cursor::new(bytes)) }
    }
}

impl std::fmt::Debug for StoredBytes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredBytes").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Fetches the bytes of a value that is stored apart.
pub type ApartReader<'a> = dyn FnMut(&ImageFrameId) -> Result<StoredBytes<'a>> + 'a;

/// Frames one after another.
pub type FrameIterator<'a> = Box<dyn Iterator<Item = Result<StoredBytes<'a>>> + 'a>;

/// Which instance to write, and how.
#[derive(Debug, Clone)]
pub struct InstanceToWrite<'a> {
    /// Where its metadata is.
    pub document: &'a Document,
    /// `SeriesInstanceUID`.
    pub series_uid: &'a str,
    /// `SOPInstanceUID`.
    pub sop_uid: &'a str,
    /// The transfer syntax of the file; the pixels must already be in it.
    pub transfer_syntax: &'a str,
    /// What the pixels are, where that is no longer what the document says.
    pub overrides: PixelOverrides,
}

/// What decoding and encoding changed about the pixels; absent attributes stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PixelOverrides {
    /// `PhotometricInterpretation`, such as `RGB` where the frames were `YBR_FULL_422`.
    pub photometric_interpretation: Option<String>,
    /// `PlanarConfiguration`: 0 when the samples of a pixel lie side by side.
    pub planar_configuration: Option<u16>,
}

/// The pixels of an instance.
pub enum PixelSource<'a> {
    /// None: no pixel data element is written.
    None,
    /// Native frames: little endian, one after another without padding.
    Native {
        /// Bytes of all frames together.
        length: u64,
        /// The frames.
        frames: FrameIterator<'a>,
    },
    /// Encoded frames: each becomes one fragment. The basic offset table is made from the frame sizes
    /// that the document holds, and stays empty where these do not fit it.
    Frames(FrameIterator<'a>),
    /// The whole value as it was received; of encapsulated pixel data the items and their delimiter.
    Blob {
        /// Bytes of the value.
        length: u64,
        /// The value.
        value: Box<dyn Read + 'a>,
    },
}

impl std::fmt::Debug for PixelSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Native { .. } => "Native",
            Self::Frames(_) => "Frames",
            Self::Blob { .. } => "Blob",
        })
    }
}

/// Writes an instance as a DICOM Part 10 file.
///
/// Text that is not ASCII is written in UTF-8 and `SpecificCharacterSet` says so; otherwise that
/// attribute stays. Sequences have undefined length. Memory holds no frame and no value that is stored
/// apart, but as they come.
///
/// Errors: `NotFound` when the document does not hold the instance; `NotAcceptable` when pixels, or VRs
/// that are not the standard's, do not go together with the transfer syntax, both before anything is
/// written; whatever `apart` and the frames give; `Internal` when `out` cannot be written.
pub fn write_part10(
    source: &InstanceToWrite<'_>,
    pixels: PixelSource<'_>,
    apart: &mut ApartReader<'_>,
    out: &mut dyn Write,
) -> Result<()> {
    let instance = source.document.instance(source.series_uid, source.sop_uid);
    let data_set = source.document.data_set(source.series_uid, source.sop_uid);
    let (Some(instance), Some(mut data_set)) = (instance, data_set) else {
        return Err(Error::not_found("the image set does not hold this instance"));
    };
    let encoding = Encoding::of(source.transfer_syntax);
    pixels::check(&pixels, encoding)?;
    if encoding == Encoding::ImplicitLittle {
        implicit::check(&data_set)?;
    }
    meta::write(&data_set, source.transfer_syntax, out)?;
    prepare(&mut data_set, source, &pixels);
    encoding.run(out, |out, order| {
        let mut writer = ElementWriter::new(out, order, instance, apart)?;
        let pixel_tag = pixels::tag(instance);
        let rest = data_set.elements.split_off(&pixel_tag);
        writer.data_set(&data_set)?;
        pixels::write(pixels, encoding, instance, bits(&data_set), &mut writer)?;
        writer.data_set(&DataSet { elements: rest })?;
        writer.finish()
    })
}

/// Bits allocated to a sample, which decides the VR of native pixel data.
fn bits(data_set: &DataSet) -> Option<u64> {
    let description = PixelDescription::of(data_set).ok()?;
    Some(description.bits_allocated.into())
}

fn prepare(data_set: &mut DataSet, source: &InstanceToWrite<'_>, pixels: &PixelSource<'_>) {
    data_set.elements.retain(|tag, _| tag.group() > 0x0002 && tag.element() != 0);
    if !matches!(pixels, PixelSource::Blob { .. }) {
        // They told of the fragments as received.
        data_set.elements.remove(&tags::EXTENDED_OFFSET_TABLE);
        data_set.elements.remove(&tags::EXTENDED_OFFSET_TABLE_LENGTHS);
    }
    let overrides = &source.overrides;
    if let Some(photometric) = &overrides.photometric_interpretation {
        let value = Value::Text(photometric.clone());
        set(data_set, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, value);
    }
    if let Some(planar) = overrides.planar_configuration {
        let value = Value::Unsigned(vec![u64::from(planar)]);
        set(data_set, tags::PLANAR_CONFIGURATION, VR::US, value);
    }
    if !is_ascii(data_set) {
        without_character_set(data_set);
        let value = Value::Text("ISO_IR 192".to_owned());
        set(data_set, tags::SPECIFIC_CHARACTER_SET, VR::CS, value);
    }
}

fn set(data_set: &mut DataSet, tag: Tag, vr: VR, value: Value) {
    data_set.elements.insert(tag, Element { vr, value });
}

fn is_ascii(data_set: &DataSet) -> bool {
    data_set.elements.values().all(|element| match &element.value {
        Value::Text(text) => text.is_ascii(),
        Value::Items(items) => items.iter().all(is_ascii),
        _ => true,
    })
}

/// Items take the character set of the data set around them (`PS3.5 §6.1.2.4`).
fn without_character_set(data_set: &mut DataSet) {
    data_set.elements.remove(&tags::SPECIFIC_CHARACTER_SET);
    for element in data_set.elements.values_mut() {
        if let Value::Items(items) = &mut element.value {
            items.iter_mut().for_each(without_character_set);
        }
    }
}

fn write_error(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("the DICOM file could not be written", source)
}

fn io_error(source: io::Error) -> Error {
    write_error(source)
}
