//! DICOM Part 10 files out of the document and stored pixels (`PS3.10 §7`).

mod elements;
mod encoding;
mod implicit;
mod meta;
mod pixels;

use std::collections::HashMap;
use std::io::{self, Read, Write};

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use healthimaging::{Error, ImageFrameId, Result};
use healthimaging_image::PixelDescription;

use crate::data_set::{DataSet, Value};
use crate::document::rebuild::{LazyDataSet, LazyValue, Path};
use crate::document::{Document, Instance, SplitInstance, index};

use elements::ElementWriter;
use encoding::Encoding;

/// Stored bytes, which are read piece by piece.
pub struct StoredBytes<'a> {
    /// Number of bytes.
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

/// Reads the bytes of a value that is stored as bulk data.
pub type BulkReader<'a> = dyn FnMut(&ImageFrameId) -> Result<StoredBytes<'a>> + 'a;

/// Frames one after another.
pub type FrameIterator<'a> = Box<dyn Iterator<Item = Result<StoredBytes<'a>>> + 'a>;

/// Instance to write, and in which form.
#[derive(Debug, Clone)]
pub struct InstanceToWrite<'a> {
    /// Document with its metadata.
    pub document: &'a Document,
    /// `SeriesInstanceUID`.
    pub series_uid: &'a str,
    /// `SOPInstanceUID`.
    pub sop_uid: &'a str,
    /// The transfer syntax of the file; the pixels must already be in it.
    pub transfer_syntax: &'a str,
    /// Attributes of the pixels that differ from those of the document.
    pub overrides: PixelOverrides,
}

/// Attributes of the pixels that decoding and encoding changed; absent ones stay as they are.
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
/// Text that is not ASCII is written in UTF-8 and `SpecificCharacterSet` names it; otherwise that
/// attribute stays. Sequences have undefined length. Frames and bulk data are streamed.
///
/// Errors: `NotFound` when the document does not hold the instance; `NotAcceptable` when pixels, or VRs
/// that are not the standard's, do not go together with the transfer syntax, both before anything is
/// written; whatever `bulk_data` and the frames return; `Internal` when `out` cannot be written.
pub fn write_part10(
    source: &InstanceToWrite<'_>,
    pixels: PixelSource<'_>,
    bulk_data: &mut BulkReader<'_>,
    out: &mut dyn Write,
) -> Result<()> {
    let instance = source.document.instance(source.series_uid, source.sop_uid);
    let data_set = source.document.lazy_data_set(source.series_uid, source.sop_uid);
    let (Some(instance), Some(data_set)) = (instance, data_set) else {
        return Err(Error::not_found("the image set does not hold this instance"));
    };
    let form = (source.transfer_syntax, &source.overrides);
    write_data_set(instance, data_set, form, pixels, bulk_data, out)
}

/// Proves that the header and the data set of an instance can be written in its stored transfer syntax, large
/// values as zeros and pixels left out: writes the file and keeps nothing of it.
///
/// # Errors
///
/// As [`write_part10`].
pub fn check_part10(split: &SplitInstance) -> Result<()> {
    let instance = &split.instance;
    let stored =
        instance.stored_transfer_syntax.as_deref().unwrap_or(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let lengths = instance.details.bulk_data.values();
    let lengths: HashMap<&ImageFrameId, u64> =
        lengths.map(|value| (&value.blob_id, value.length)).collect();
    let mut bulk_data = |id: &ImageFrameId| {
        let length = lengths.get(id).copied().unwrap_or_default();
        Ok(StoredBytes { length, bytes: Box::new(io::repeat(0).take(length)) })
    };
    let form = (stored, &PixelOverrides::default());
    let mut sink = io::sink();
    write_data_set(
        instance,
        split.lazy_data_set(),
        form,
        PixelSource::None,
        &mut bulk_data,
        &mut sink,
    )
}

fn write_data_set(
    instance: &Instance,
    mut data_set: LazyDataSet<'_>,
    (transfer_syntax, overrides): (&str, &PixelOverrides),
    pixels: PixelSource<'_>,
    bulk_data: &mut BulkReader<'_>,
    out: &mut dyn Write,
) -> Result<()> {
    let encoding = Encoding::of(transfer_syntax);
    pixels::check(&pixels, encoding)?;
    if encoding == Encoding::ImplicitLittle {
        implicit::check(&data_set, &Path::Root)?;
    }
    meta::write(&data_set.plain(is_of_meta), transfer_syntax, out)?;
    let frames = unstated_frames(instance, &pixels);
    let is_ascii = prepare(&mut data_set, overrides, &pixels, frames);
    encoding.run(out, |out, order| {
        let mut writer = ElementWriter::new(out, order, instance, bulk_data, is_ascii)?;
        let pixel_tag = pixels::tag(instance);
        let rest = data_set.split_off(pixel_tag);
        writer.data_set(&data_set, &Path::Root)?;
        pixels::write(
            pixels,
            encoding,
            instance,
            bits(&data_set.plain(|tag| tag.group() == 0x0028)),
            &mut writer,
        )?;
        writer.data_set(&rest, &Path::Root)?;
        writer.finish()
    })
}

/// Bits allocated to a sample, which decides the VR of native pixel data.
fn bits(data_set: &DataSet) -> Option<u64> {
    let description = PixelDescription::of(data_set).ok()?;
    Some(description.bits_allocated.into())
}

/// The number of separate frames, where the document has several and its attributes state none: without it a
/// reader takes the fragments for one frame (`PS3.5 §A.4`).
fn unstated_frames(instance: &Instance, pixels: &PixelSource<'_>) -> Option<usize> {
    let are_separate = matches!(pixels, PixelSource::Frames(_) | PixelSource::Native { .. });
    let stated = index::integer::<u64>(&instance.attributes, "NumberOfFrames").unwrap_or(0);
    let frames = instance.frames.len();
    (are_separate && stated == 0 && frames > 1).then_some(frames)
}

/// Attributes that the file meta information is made of.
fn is_of_meta(tag: Tag) -> bool {
    tag.group() == 0x0002 || matches!(tag, tags::SOP_CLASS_UID | tags::SOP_INSTANCE_UID)
}

/// Sets the values in which the file differs from the document; returns whether all texts are ASCII.
fn prepare(
    data_set: &mut LazyDataSet<'_>,
    overrides: &PixelOverrides,
    pixels: &PixelSource<'_>,
    frames: Option<usize>,
) -> bool {
    // The tables describe the fragments as received.
    let is_received = matches!(pixels, PixelSource::Blob { .. });
    let is_table =
        |tag| matches!(tag, tags::EXTENDED_OFFSET_TABLE | tags::EXTENDED_OFFSET_TABLE_LENGTHS);
    data_set.retain(|tag| {
        tag.group() > 0x0002 && tag.element() != 0 && (is_received || !is_table(tag))
    });
    if let Some(photometric) = &overrides.photometric_interpretation {
        let value = Value::Text(photometric.clone());
        data_set.set(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, value);
    }
    if let Some(planar) = overrides.planar_configuration {
        let value = Value::Unsigned(vec![u64::from(planar)]);
        data_set.set(tags::PLANAR_CONFIGURATION, VR::US, value);
    }
    if let Some(frames) = frames {
        data_set.set(tags::NUMBER_OF_FRAMES, VR::IS, Value::Text(frames.to_string()));
    }
    let is_ascii = is_ascii(data_set, &Path::Root);
    if !is_ascii {
        // Items take the character set of the data set around them (PS3.5 §6.1.2.4).
        let value = Value::Text("ISO_IR 192".to_owned());
        data_set.set(tags::SPECIFIC_CHARACTER_SET, VR::CS, value);
    }
    is_ascii
}

fn is_ascii(data_set: &LazyDataSet<'_>, path: &Path<'_>) -> bool {
    data_set.elements(path).all(|(tag, element)| match element.value {
        LazyValue::Plain(Value::Text(text)) => text.is_ascii(),
        LazyValue::Items(items) => {
            let path = Path::Into(path, tag);
            let mut items = items.iter().enumerate();
            items.all(|(number, item)| is_ascii(&item, &Path::Item(&path, number)))
        }
        LazyValue::Plain(_) => true,
    })
}

fn write_error(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("the DICOM file could not be written", source)
}

fn io_error(source: io::Error) -> Error {
    write_error(source)
}
