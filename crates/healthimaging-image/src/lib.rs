//! What the pixels of an image are, by the Image Pixel Module (PS3.3 §C.7.6.3).
//!
//! [`PixelDescription`] is read by one set of rules, whether the attributes come from a data set (at
//! import) or from an image set metadata document (retrieval, export, pictures). It holds no pixels,
//! names no codec and parses no file.
//!
//! ```
//! use healthimaging_image::PixelDescription;
//! use serde_json::json;
//!
//! let attributes = json!({ "Rows": 512, "Columns": 256, "BitsAllocated": 16, "BitsStored": "12" });
//! let description = PixelDescription::of(attributes.as_object().unwrap())?;
//! assert_eq!((description.columns, description.bits_stored, description.high_bit), (256, 12, 11));
//! assert_eq!(description.photometric, "MONOCHROME2");
//! # Ok::<(), healthimaging_image::DescriptionError>(())
//! ```

mod attributes;
mod description;

pub use attributes::{Attribute, ImageAttributes, whole_number};
pub use description::{DescriptionError, PixelDescription, SampleFormat, number_of_frames};

use serde::{Deserialize, Serialize};

/// Whether samples are unsigned or two's complement (Pixel Representation, PS3.3 §C.7.6.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PixelRepresentation {
    /// Pixel Representation 0.
    Unsigned,
    /// Pixel Representation 1: two's complement.
    Signed,
}

/// Order of native samples (Planar Configuration, PS3.3 §C.7.6.3.1.3).
///
/// Compressed frames have an order of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PlanarConfiguration {
    /// Planar Configuration 0: all samples of a pixel together.
    Interleaved,
    /// Planar Configuration 1: all pixels of a sample together.
    Planes,
}

/// Order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first: Explicit VR Big Endian.
    Big,
}
