//! Shapes and source frames for the tests.

#![allow(dead_code, reason = "every test binary uses its own part")]

use healthimaging_pixels::{FrameShape, PixelRepresentation, PlanarConfiguration, SourceFrame};

pub(crate) fn shape(
    rows: u32,
    columns: u32,
    samples: u16,
    allocated: u16,
    stored: u16,
) -> FrameShape {
    FrameShape {
        rows,
        columns,
        samples_per_pixel: samples,
        bits_allocated: allocated,
        bits_stored: stored,
        representation: PixelRepresentation::Unsigned,
    }
}

pub(crate) fn signed(shape: FrameShape) -> FrameShape {
    FrameShape { representation: PixelRepresentation::Signed, ..shape }
}

pub(crate) fn frame<'a>(
    transfer_syntax: &'a str,
    shape: FrameShape,
    photometric: &'a str,
    data: &'a [u8],
) -> SourceFrame<'a> {
    SourceFrame {
        transfer_syntax,
        shape,
        photometric,
        planar: PlanarConfiguration::Interleaved,
        data,
    }
}
