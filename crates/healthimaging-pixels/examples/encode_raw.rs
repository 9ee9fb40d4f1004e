//! Encodes raw pixels to a codestream, for tests with other decoders.
//!
//! `encode_raw IN OUT ROWS COLUMNS SAMPLES BITS_ALLOCATED BITS_STORED SIGNED(0|1) [PHOTOMETRIC]`
//!
//! IN is little endian, interleaved by pixel. The ending of OUT decides: `.j2k` is JPEG 2000, any
//! other HTJ2K.

use std::error::Error;
use std::path::Path;

use healthimaging_pixels::{FrameShape, LosslessFormat, PixelRepresentation, encode};

const USAGE: &str = "usage: encode_raw IN OUT ROWS COLUMNS SAMPLES BITS_ALLOCATED BITS_STORED \
                     SIGNED(0|1) [PHOTOMETRIC]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (required, photometric) = arguments.split_at_checked(8).ok_or(USAGE)?;
    let &[input, output, rows, columns, samples, allocated, stored, signed] = required else {
        return Err(USAGE.into());
    };
    let shape = FrameShape {
        rows: rows.parse()?,
        columns: columns.parse()?,
        samples_per_pixel: samples.parse()?,
        bits_allocated: allocated.parse()?,
        bits_stored: stored.parse()?,
        representation: match signed {
            "0" => PixelRepresentation::Unsigned,
            "1" => PixelRepresentation::Signed,
            _ => return Err(USAGE.into()),
        },
    };
    let format = match Path::new(output).extension() {
        Some(extension) if extension == "j2k" => LosslessFormat::Jpeg2000,
        _ => LosslessFormat::Htj2k,
    };
    let photometric = match (photometric, shape.samples_per_pixel) {
        ([photometric, ..], _) => photometric,
        ([], 3) => "RGB",
        ([], _) => "MONOCHROME2",
    };
    let encoded = encode(format, &shape, photometric, &std::fs::read(input)?)?;
    std::fs::write(output, encoded.bytes)?;
    Ok(())
}
