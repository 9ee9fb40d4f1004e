//! Blanking of a native frame.

use healthimaging::{Error, Result};
use healthimaging_image::{
    PixelDescription, PixelRepresentation, PlanarConfiguration, SampleFormat,
};

use super::Blanking;

/// Blanks parts of a native frame in place: little endian, as described. Blanked pixels are black, or the value
/// nearest to it; in a palette, index 0.
///
/// Errors: `Validation` when the frame has not the length that its description says; `NotSupported` for samples of
/// neither 1 bit nor whole bytes.
pub fn blank_frame(
    frame: &mut [u8],
    description: &PixelDescription,
    blanking: &Blanking,
) -> Result<()> {
    let length = description.native_frame_bits().div_ceil(8);
    if frame.len() as u64 != length {
        return Err(Error::validation("the frame is not as long as its description says"));
    }
    if blanking.clear_unused_bits {
        clear_unused_bits(frame, description);
    }
    if blanking.keep.is_none() && blanking.blank.is_empty() {
        return Ok(());
    }
    match description.bits_allocated {
        1 => blank_bits(frame, description, blanking),
        bits if bits % 8 == 0 => blank_bytes(frame, description, blanking),
        _ => {
            return Err(Error::not_supported(
                "frames whose samples are not whole bytes cannot be blanked",
            ));
        }
    }
    Ok(())
}

/// Reports whether bits that hold no sample are set in a native frame, as those of a removed overlay: in such bits text may be
/// left that viewers do not show. The sign of a sample may extend over them.
pub fn has_unused_bits(frame: &[u8], description: &PixelDescription) -> bool {
    let mut cleared = frame.to_vec();
    clear_unused_bits(&mut cleared, description);
    cleared != frame
}

impl Blanking {
    /// Reports whether a pixel is blanked.
    pub fn covers(&self, column: u32, row: u32) -> bool {
        self.blank.iter().any(|area| area.contains(column, row))
            || self
                .keep
                .as_ref()
                .is_some_and(|keep| !keep.iter().any(|region| region.contains(column, row)))
    }
}

/// Bytes of each sample of a black pixel.
fn black(description: &PixelDescription) -> Vec<Vec<u8>> {
    let bytes = usize::from(description.bits_allocated / 8);
    let sample = |value: u64| value.to_le_bytes().into_iter().take(bytes).collect::<Vec<_>>();
    let samples = usize::from(description.samples_per_pixel);
    let bits = u32::from(description.bits_stored);
    let middle = 1_u64 << (bits - 1);
    if description.format == SampleFormat::Float {
        return vec![vec![0; bytes]; samples];
    }
    match description.photometric.as_str() {
        "MONOCHROME1" if description.representation == PixelRepresentation::Signed => {
            vec![sample(middle - 1); samples]
        }
        "MONOCHROME1" => vec![sample(u64::MAX >> (64 - bits)); samples],
        _ if description.representation == PixelRepresentation::Signed => {
            // The smallest value, sign extended over the bits that are not stored.
            vec![sample(middle.wrapping_neg()); samples]
        }
        photometric if photometric.starts_with("YBR") && samples == 3 => {
            vec![sample(0), sample(middle), sample(middle)]
        }
        _ => vec![sample(0); samples],
    }
}

fn blank_bytes(frame: &mut [u8], description: &PixelDescription, blanking: &Blanking) {
    let black = black(description);
    let bytes = usize::from(description.bits_allocated / 8);
    let (rows, columns) = (description.rows, description.columns);
    let is_shared = matches!(description.photometric.as_str(), "YBR_FULL_422" | "YBR_PARTIAL_422");
    let pixels = u64::from(rows) * u64::from(columns);
    for row in 0..rows {
        for column in 0..columns {
            if is_shared {
                // Y1 Y2 Cb Cr: chroma goes with either pixel, so both go.
                let first = column - column % 2;
                let is_covered = blanking.covers(first, row)
                    || first + 1 < columns && blanking.covers(first + 1, row);
                if !is_covered || column % 2 == 1 {
                    continue;
                }
                let pair = u64::from(row) * u64::from(columns.div_ceil(2)) + u64::from(column / 2);
                let [luma, blue, red] = black.as_slice() else { continue };
                for (number, sample) in [luma, luma, blue, red].into_iter().enumerate() {
                    put(frame, pair * 4 + number as u64, bytes, sample);
                }
                continue;
            }
            if !blanking.covers(column, row) {
                continue;
            }
            let pixel = u64::from(row) * u64::from(columns) + u64::from(column);
            for (number, sample) in black.iter().enumerate() {
                let number = number as u64;
                let at = match description.planar {
                    PlanarConfiguration::Planes => number * pixels + pixel,
                    PlanarConfiguration::Interleaved => pixel * black.len() as u64 + number,
                };
                put(frame, at, bytes, sample);
            }
        }
    }
}

fn put(frame: &mut [u8], sample: u64, bytes: usize, value: &[u8]) {
    let Ok(start) = usize::try_from(sample) else { return };
    let start = start.saturating_mul(bytes);
    if let Some(room) = frame.get_mut(start..start.saturating_add(bytes)) {
        room.copy_from_slice(value);
    }
}

/// One bit a pixel, the first in the lowest bit (PS3.5 §8.1.1).
fn blank_bits(frame: &mut [u8], description: &PixelDescription, blanking: &Blanking) {
    let is_set = description.photometric == "MONOCHROME1";
    for row in 0..description.rows {
        for column in 0..description.columns {
            if !blanking.covers(column, row) {
                continue;
            }
            let pixel = u64::from(row) * u64::from(description.columns) + u64::from(column);
            let Some(byte) = usize::try_from(pixel / 8).ok().and_then(|at| frame.get_mut(at))
            else {
                continue;
            };
            let bit = 1 << (pixel % 8);
            *byte = if is_set { *byte | bit } else { *byte & !bit };
        }
    }
}

/// Clears the bits above and below those that hold a sample; above a signed one, extends its sign.
fn clear_unused_bits(frame: &mut [u8], description: &PixelDescription) {
    let bytes = usize::from(description.bits_allocated / 8);
    if !description.bits_allocated.is_multiple_of(8) || description.format == SampleFormat::Float {
        return;
    }
    let stored = u32::from(description.bits_stored);
    let lowest = u32::from(description.high_bit) + 1 - stored;
    let mask = (u64::MAX >> (64 - stored)) << lowest;
    let sign = 1_u64 << description.high_bit;
    let above = !(mask | (sign - 1));
    for sample in frame.chunks_exact_mut(bytes) {
        let mut wide = [0; 8];
        for (to, from) in wide.iter_mut().zip(sample.iter()) {
            *to = *from;
        }
        let mut value = u64::from_le_bytes(wide) & mask;
        if description.representation == PixelRepresentation::Signed && value & sign != 0 {
            value |= above;
        }
        for (to, from) in sample.iter_mut().zip(value.to_le_bytes()) {
            *to = from;
        }
    }
}
