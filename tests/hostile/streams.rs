//! Compressed frames that the tests know, and files of them.

use healthimaging_phantoms::Phantom;
use healthimaging_pixels::{
    EncodedFrame, FrameShape, LosslessFormat, PixelRepresentation, PlanarConfiguration,
    SourceFrame, encode,
};

pub(crate) const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
pub(crate) const RLE: &str = "1.2.840.10008.1.2.5";

/// A frame of so many rows and columns: 16 bits allocated, 12 stored.
pub(crate) fn shape(rows: u32, columns: u32) -> FrameShape {
    FrameShape {
        rows,
        columns,
        samples_per_pixel: 1,
        bits_allocated: 16,
        bits_stored: 12,
        representation: PixelRepresentation::Unsigned,
    }
}

/// Pixels of a slope.
pub(crate) fn pixels(shape: &FrameShape) -> Vec<u8> {
    (0..shape.rows * shape.columns)
        .flat_map(|index| u16::try_from(index % 4096).unwrap().to_le_bytes())
        .collect()
}

/// A JPEG 2000 stream of them.
pub(crate) fn jpeg_2000(shape: &FrameShape) -> Vec<u8> {
    let EncodedFrame { bytes, .. } =
        encode(LosslessFormat::Jpeg2000, shape, "MONOCHROME2", &pixels(shape)).unwrap();
    bytes
}

/// A frame as it lies in a file.
pub(crate) fn source(shape: FrameShape, data: &[u8]) -> SourceFrame<'_> {
    SourceFrame {
        transfer_syntax: JPEG_2000,
        shape,
        photometric: "MONOCHROME2",
        planar: PlanarConfiguration::Interleaved,
        data,
    }
}

/// What the attributes of a file with one such frame say; each number is a series of its own.
pub(crate) fn slice(shape: &FrameShape, number: usize) -> Phantom {
    let size = |pixels: u32| u16::try_from(pixels).unwrap();
    Phantom::ct()
        .size(4, 4)
        .study_uid(&format!("2.25.1.{number}"))
        .series_uid(&format!("2.25.2.{number}"))
        .sop_uid(&format!("2.25.3.{number}"))
        .bits(shape.bits_allocated, shape.bits_stored)
        .unsigned()
        .with(
            healthimaging_phantoms::tags::ROWS,
            healthimaging_phantoms::VR::US,
            healthimaging_phantoms::PrimitiveValue::from(size(shape.rows)),
        )
        .with(
            healthimaging_phantoms::tags::COLUMNS,
            healthimaging_phantoms::VR::US,
            healthimaging_phantoms::PrimitiveValue::from(size(shape.columns)),
        )
}
