//! What the pixels are, by the Image Pixel Module (PS3.3 §C.7.6.3).

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::data_set::DataSet;

use super::ReadError;

/// Order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Pixel Representation (0028,0103).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelRepresentation {
    /// Unsigned integers (0).
    Unsigned,
    /// Two's complement (1).
    Signed,
}

/// Planar Configuration (0028,0006).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanarConfiguration {
    /// Samples of a pixel side by side (0).
    Interleaved,
    /// A plane a sample (1).
    Planes,
}

/// What the pixels of an instance are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelDescription {
    /// Rows (0028,0010), 1 to 65535.
    pub rows: u32,
    /// Columns (0028,0011), 1 to 65535.
    pub columns: u32,
    /// Samples per Pixel (0028,0002); 1 where absent.
    pub samples_per_pixel: u16,
    /// Bits Allocated (0028,0100): 1 or 8 to 64 by eight.
    pub bits_allocated: u16,
    /// Bits Stored (0028,0101); bits allocated where absent.
    pub bits_stored: u16,
    /// High Bit (0028,0102); bits stored less one where absent.
    pub high_bit: u16,
    /// Pixel Representation; unsigned where absent.
    pub representation: PixelRepresentation,
    /// Photometric Interpretation (0028,0004), such as `MONOCHROME2`.
    pub photometric: String,
    /// Planar Configuration; interleaved where absent.
    pub planar: PlanarConfiguration,
    /// Number of Frames (0028,0008), 1 where absent; 0 when it is declared as 0, less, or no number
    /// of frames that there can be.
    pub number_of_frames: u32,
    /// Byte order of native pixel data.
    pub byte_order: ByteOrder,
}

impl PixelDescription {
    pub(super) fn of(data_set: &DataSet, byte_order: ByteOrder) -> Result<Self, ReadError> {
        let bits_allocated = required(data_set, tags::BITS_ALLOCATED, "BitsAllocated", 1, 64)?;
        if bits_allocated != 1 && !bits_allocated.is_multiple_of(8) {
            return Err(wrong("BitsAllocated", format!("is {bits_allocated}")));
        }
        let most = i64::from(bits_allocated);
        let bits_stored =
            optional(data_set, tags::BITS_STORED, "BitsStored", bits_allocated, 1, most)?;
        let photometric = data_set
            .text(tags::PHOTOMETRIC_INTERPRETATION)
            .ok_or_else(|| wrong("PhotometricInterpretation", "does not exist"))?;
        let representation =
            optional(data_set, tags::PIXEL_REPRESENTATION, "PixelRepresentation", 0, 0, 1)?;
        let planar =
            optional(data_set, tags::PLANAR_CONFIGURATION, "PlanarConfiguration", 0, 0, 1)?;
        Ok(Self {
            rows: required(data_set, tags::ROWS, "Rows", 1, 65_535)?.into(),
            columns: required(data_set, tags::COLUMNS, "Columns", 1, 65_535)?.into(),
            samples_per_pixel: optional(
                data_set,
                tags::SAMPLES_PER_PIXEL,
                "SamplesPerPixel",
                1,
                1,
                65_535,
            )?,
            bits_allocated,
            bits_stored,
            high_bit: optional(data_set, tags::HIGH_BIT, "HighBit", bits_stored - 1, 0, most - 1)?,
            representation: match representation {
                0 => PixelRepresentation::Unsigned,
                _ => PixelRepresentation::Signed,
            },
            photometric: photometric.to_owned(),
            planar: match planar {
                0 => PlanarConfiguration::Interleaved,
                _ => PlanarConfiguration::Planes,
            },
            number_of_frames: u32::try_from(declared_frames(data_set)).unwrap_or(0),
            byte_order,
        })
    }

    /// Bits of one frame of native pixel data; chroma of `YBR_FULL_422` is shared by two pixels
    /// (PS3.3 §C.7.6.3.1.2).
    pub fn native_frame_bits(&self) -> u64 {
        let samples = match self.photometric.as_str() {
            "YBR_FULL_422" | "YBR_PARTIAL_422" => 2,
            _ => u64::from(self.samples_per_pixel),
        };
        // At most 2^16 · 2^16 · 2^16 · 2^6.
        u64::from(self.rows) * u64::from(self.columns) * samples * u64::from(self.bits_allocated)
    }
}

/// Number of Frames as it is declared, 1 where absent or no number.
pub(super) fn declared_frames(data_set: &DataSet) -> i64 {
    data_set.integer(tags::NUMBER_OF_FRAMES).unwrap_or(1)
}

fn wrong(keyword: &'static str, problem: impl Into<String>) -> ReadError {
    ReadError::Attribute { keyword, problem: problem.into() }
}

fn required(
    data_set: &DataSet,
    tag: Tag,
    keyword: &'static str,
    least: i64,
    most: i64,
) -> Result<u16, ReadError> {
    let value = data_set.integer(tag).ok_or_else(|| wrong(keyword, "does not exist"))?;
    in_range(keyword, value, least, most)
}

fn optional(
    data_set: &DataSet,
    tag: Tag,
    keyword: &'static str,
    absent: u16,
    least: i64,
    most: i64,
) -> Result<u16, ReadError> {
    match data_set.integer(tag) {
        Some(value) => in_range(keyword, value, least, most),
        None => Ok(absent),
    }
}

fn in_range(keyword: &'static str, value: i64, least: i64, most: i64) -> Result<u16, ReadError> {
    u16::try_from(value)
        .ok()
        .filter(|_| (least..=most).contains(&value))
        .ok_or_else(|| wrong(keyword, format!("is {value}, not from {least} to {most}")))
}
