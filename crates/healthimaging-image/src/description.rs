//! The description, and the rule for each attribute that is absent or out of range.

use crate::attributes::{Attribute, ImageAttributes};
use crate::{PixelRepresentation, PlanarConfiguration};

macro_rules! attributes {
    ($($name:ident = $keyword:literal, $group:literal, $element:literal;)*) => {$(
        const $name: Attribute = Attribute { keyword: $keyword, tag: ($group, $element) };
    )*};
}

attributes! {
    SAMPLES_PER_PIXEL = "SamplesPerPixel", 0x0028, 0x0002;
    PHOTOMETRIC = "PhotometricInterpretation", 0x0028, 0x0004;
    PLANAR = "PlanarConfiguration", 0x0028, 0x0006;
    NUMBER_OF_FRAMES = "NumberOfFrames", 0x0028, 0x0008;
    ROWS = "Rows", 0x0028, 0x0010;
    COLUMNS = "Columns", 0x0028, 0x0011;
    BITS_ALLOCATED = "BitsAllocated", 0x0028, 0x0100;
    BITS_STORED = "BitsStored", 0x0028, 0x0101;
    HIGH_BIT = "HighBit", 0x0028, 0x0102;
    REPRESENTATION = "PixelRepresentation", 0x0028, 0x0103;
    RED_PALETTE = "RedPaletteColorLookupTableDescriptor", 0x0028, 0x1101;
}

/// Kind of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleFormat {
    /// An integer, as Bits Stored and Pixel Representation describe it.
    Integer,
    /// IEEE 754: single precision at 32 Bits Allocated, double at 64 (PS3.3 §C.7.6.24, §C.7.6.25).
    Float,
}

/// Description of the pixels of an instance.
///
/// Values of any representation are read, the first of several. Only Rows, Columns and Bits Allocated
/// are required; every other attribute has a rule for its absence, and one that is out of range counts
/// as absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelDescription {
    /// Rows (0028,0010), 1 to 65535.
    pub rows: u32,
    /// Columns (0028,0011), 1 to 65535.
    pub columns: u32,
    /// Samples per Pixel (0028,0002); as many as Photometric Interpretation has where absent, else 1.
    pub samples_per_pixel: u16,
    /// Bits Allocated (0028,0100), 1 to 64: 1 or a multiple of 8 today; older files pack 12 bits.
    pub bits_allocated: u16,
    /// Bits Stored (0028,0101), 1 to Bits Allocated; Bits Allocated where absent.
    pub bits_stored: u16,
    /// High Bit (0028,0102), at least Bits Stored less one; that where absent.
    pub high_bit: u16,
    /// Pixel Representation (0028,0103): signed when it is 1; unsigned in all other cases.
    pub representation: PixelRepresentation,
    /// Whether samples are integers or floating-point numbers: floating-point when 32 or 64 bits are
    /// allocated and Bits Stored, High Bit and Pixel Representation are all absent, which integers
    /// need and the Float Pixel Modules do not have.
    pub format: SampleFormat,
    /// Photometric Interpretation (0028,0004), such as `MONOCHROME2`. Where absent: `RGB` for three
    /// samples a pixel, `PALETTE COLOR` where there is a palette, else `MONOCHROME2`.
    pub photometric: String,
    /// Planar Configuration (0028,0006): planes when it is 1; interleaved in all other cases.
    pub planar: PlanarConfiguration,
    /// Number of Frames (0028,0008), 1 where absent; 0 when it is declared as 0, less, or more than
    /// there can be.
    pub number_of_frames: u32,
}

/// Why pixels cannot be described: an attribute is absent or unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{keyword} {problem}")]
pub struct DescriptionError {
    /// Keyword of the attribute.
    pub keyword: &'static str,
    /// The problem, such as `does not exist`.
    pub problem: String,
}

impl PixelDescription {
    /// Reads the description from attributes.
    ///
    /// # Errors
    /// When Rows, Columns or Bits Allocated is absent or out of range.
    pub fn of(attributes: &impl ImageAttributes) -> Result<Self, DescriptionError> {
        let bits_allocated = required(attributes, BITS_ALLOCATED, 64)?;
        let stored = optional(attributes, BITS_STORED, 1, bits_allocated);
        let bits_stored = stored.unwrap_or(bits_allocated);
        let high_bit = optional(attributes, HIGH_BIT, bits_stored - 1, bits_allocated - 1);
        let sign = attributes.integer(REPRESENTATION);
        let is_float =
            matches!(bits_allocated, 32 | 64) && (stored, high_bit, sign) == (None, None, None);
        let declared = attributes.text(PHOTOMETRIC).and_then(|text| {
            let first = text.split('\\').next()?.trim();
            (!first.is_empty()).then_some(first)
        });
        let samples_per_pixel = optional(attributes, SAMPLES_PER_PIXEL, 1, u16::MAX)
            .or_else(|| samples_of(declared?))
            .unwrap_or(1);
        let photometric = declared.unwrap_or_else(|| match samples_per_pixel {
            3 => "RGB",
            _ if attributes.integer(RED_PALETTE).is_some() => "PALETTE COLOR",
            _ => "MONOCHROME2",
        });
        Ok(Self {
            rows: required(attributes, ROWS, u16::MAX)?.into(),
            columns: required(attributes, COLUMNS, u16::MAX)?.into(),
            samples_per_pixel,
            bits_allocated,
            bits_stored,
            high_bit: high_bit.unwrap_or(bits_stored - 1),
            representation: match sign {
                Some(1) => PixelRepresentation::Signed,
                _ => PixelRepresentation::Unsigned,
            },
            format: if is_float { SampleFormat::Float } else { SampleFormat::Integer },
            photometric: photometric.to_owned(),
            planar: match attributes.integer(PLANAR) {
                Some(1) => PlanarConfiguration::Planes,
                _ => PlanarConfiguration::Interleaved,
            },
            number_of_frames: u32::try_from(number_of_frames(attributes)).unwrap_or(0),
        })
    }

    /// Bits of one frame of native pixel data; chroma of `YBR_FULL_422` is shared by two pixels of a row
    /// (PS3.3 §C.7.6.3.1.2), of which the last has one of its own where Columns is odd.
    #[must_use]
    pub fn native_frame_bits(&self) -> u64 {
        let (rows, columns) = (u64::from(self.rows), u64::from(self.columns));
        let samples = match self.photometric.as_str() {
            "YBR_FULL_422" | "YBR_PARTIAL_422" => rows * columns.div_ceil(2) * 4,
            _ => rows * columns * u64::from(self.samples_per_pixel),
        };
        // At most 2^16 · 2^16 · 2^16 · 2^6.
        samples * u64::from(self.bits_allocated)
    }
}

/// Number of Frames (0028,0008) as declared; 1 where it is absent or not a number.
pub fn number_of_frames(attributes: &impl ImageAttributes) -> i64 {
    attributes.integer(NUMBER_OF_FRAMES).unwrap_or(1)
}

/// Samples of a pixel by Photometric Interpretation (PS3.3 §C.7.6.3.1.2).
fn samples_of(photometric: &str) -> Option<u16> {
    match photometric {
        "MONOCHROME1" | "MONOCHROME2" | "PALETTE COLOR" => Some(1),
        "RGB" | "HSV" | "XYB" => Some(3),
        "ARGB" | "CMYK" => Some(4),
        other => other.starts_with("YBR_").then_some(3),
    }
}

fn required(
    attributes: &impl ImageAttributes,
    attribute: Attribute,
    most: u16,
) -> Result<u16, DescriptionError> {
    let wrong = |problem| DescriptionError { keyword: attribute.keyword, problem };
    let value = attributes.integer(attribute).ok_or_else(|| wrong("does not exist".to_owned()))?;
    in_range(value, 1, most).ok_or_else(|| wrong(format!("is {value}, not from 1 to {most}")))
}

fn optional(
    attributes: &impl ImageAttributes,
    attribute: Attribute,
    least: u16,
    most: u16,
) -> Option<u16> {
    in_range(attributes.integer(attribute)?, least, most)
}

fn in_range(value: i64, least: u16, most: u16) -> Option<u16> {
    u16::try_from(value).ok().filter(|value| (least..=most).contains(value))
}
