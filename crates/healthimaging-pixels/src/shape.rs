//! The shape of one frame: how many samples, how wide, signed or not.

use healthimaging_image::{PixelDescription, PixelRepresentation};
use serde::{Deserialize, Serialize};

use crate::error::CodecError;

/// The shape of one frame.
///
/// Pixel bytes everywhere in this crate are little endian, interleaved by pixel (Planar
/// Configuration 0), `bits_allocated / 8` bytes a sample. The high bit is taken to be
/// `bits_stored - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameShape {
    /// Rows (0028,0010).
    pub rows: u32,
    /// Columns (0028,0011).
    pub columns: u32,
    /// Samples per Pixel (0028,0002).
    pub samples_per_pixel: u16,
    /// Bits Allocated (0028,0100).
    pub bits_allocated: u16,
    /// Bits Stored (0028,0101).
    pub bits_stored: u16,
    /// Pixel Representation (0028,0103).
    pub representation: PixelRepresentation,
}

impl From<&PixelDescription> for FrameShape {
    fn from(description: &PixelDescription) -> Self {
        Self {
            rows: description.rows,
            columns: description.columns,
            samples_per_pixel: description.samples_per_pixel,
            bits_allocated: description.bits_allocated,
            bits_stored: description.bits_stored,
            representation: description.representation,
        }
    }
}

/// Shape in the header of a compressed stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamShape {
    pub(crate) rows: u64,
    pub(crate) columns: u64,
    pub(crate) components: usize,
    /// Bits of a sample, in the component that has most.
    pub(crate) depth: u32,
}

impl FrameShape {
    /// Length in bytes of the decoded frame; saturates for shapes that no memory can hold.
    ///
    /// A last byte that is only partly used (Bits Allocated 1) counts as a whole.
    #[must_use]
    pub fn byte_length(&self) -> u64 {
        (u128::from(self.samples()) * u128::from(self.bits_allocated))
            .div_ceil(8)
            .try_into()
            .unwrap_or(u64::MAX)
    }

    /// Samples of all components; saturates.
    pub(crate) fn samples(&self) -> u64 {
        (u64::from(self.rows) * u64::from(self.columns))
            .saturating_mul(u64::from(self.samples_per_pixel))
    }

    /// The decoded length as a size in memory, for shapes with whole bytes a sample.
    ///
    /// # Errors
    /// [`CodecError::Unsupported`] when Bits Allocated is not 8, 16, 32 or 64;
    /// [`CodecError::Shape`] when an attribute is zero, Bits Stored exceeds Bits Allocated, or
    /// the frame exceeds 4 GiB.
    pub(crate) fn checked_length(&self) -> Result<usize, CodecError> {
        if !matches!(self.bits_allocated, 8 | 16 | 32 | 64) {
            return Err(CodecError::unsupported(format!("Bits Allocated {}", self.bits_allocated)));
        }
        if self.rows == 0 || self.columns == 0 || self.samples_per_pixel == 0 {
            return Err(CodecError::Shape(format!(
                "Rows {}, Columns {}, Samples per Pixel {}: none may be 0",
                self.rows, self.columns, self.samples_per_pixel
            )));
        }
        if self.bits_stored == 0 || self.bits_stored > self.bits_allocated {
            return Err(CodecError::Shape(format!(
                "Bits Stored {} must be 1 to Bits Allocated, {}",
                self.bits_stored, self.bits_allocated
            )));
        }
        u32::try_from(self.byte_length())
            .ok()
            .and_then(|length| usize::try_from(length).ok())
            .ok_or_else(|| {
                CodecError::Shape(format!("a frame of {} bytes exceeds 4 GiB", self.byte_length()))
            })
    }

    /// Rejects a stream whose header contradicts the image attributes.
    pub(crate) fn agree(&self, stream: &StreamShape) -> Result<(), CodecError> {
        let same = stream.rows == u64::from(self.rows)
            && stream.columns == u64::from(self.columns)
            && stream.components == self.samples_in_a_pixel()
            && (1..=u32::from(self.bits_allocated)).contains(&stream.depth);
        if same {
            return Ok(());
        }
        Err(CodecError::Disagreement(format!(
            "the stream holds {} rows, {} columns, {} components of {} bits; the attributes say \
             {}, {}, {} of {} allocated",
            stream.rows,
            stream.columns,
            stream.components,
            stream.depth,
            self.rows,
            self.columns,
            self.samples_per_pixel,
            self.bits_allocated
        )))
    }

    pub(crate) fn bytes_per_sample(&self) -> usize {
        usize::from(self.bits_allocated / 8)
    }

    pub(crate) fn samples_in_a_pixel(&self) -> usize {
        usize::from(self.samples_per_pixel)
    }

    pub(crate) fn is_signed(&self) -> bool {
        self.representation == PixelRepresentation::Signed
    }
}

/// A zeroed buffer of `length` bytes, or an error instead of an abort when memory is short.
pub(crate) fn zeroed(length: usize) -> Result<Vec<u8>, CodecError> {
    let mut buffer = Vec::new();
    buffer
        .try_reserve_exact(length)
        .map_err(|_| CodecError::OutOfMemory(length.try_into().unwrap_or(u64::MAX)))?;
    buffer.resize(length, 0);
    Ok(buffer)
}
