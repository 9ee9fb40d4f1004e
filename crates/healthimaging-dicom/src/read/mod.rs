//! Reads DICOM Part 10 files: headers through dicom-rs, every length checked before it is believed.
//!
//! Element headers are decoded by `dicom-encoding`; the walk over them is here, because the data set
//! readers of dicom-rs believe declared lengths, end quietly where a file is cut, and cannot change
//! to implicit VR inside an element of VR UN and undefined length (PS3.5 §6.2.2).
//!
//! What dcmtk or pydicom reads although it violates PS3.5 is read too, and a [`ReadWarning`]
//! reports it.

mod ambiguous;
mod binary;
mod delimiters;
mod description;
mod elements;
mod error;
mod fragments;
mod frames;
mod header;
mod limits;
mod media_directory;
mod meta;
mod odd_header;
mod part10;
mod pixel_data;
mod pixel_syntax;
mod sequences;
mod sop_uids;
mod stream;
mod trailing;
mod values;
mod warning;

pub use error::{FrameError, ReadError};
pub use limits::ReadLimits;
pub use media_directory::read_media_directory;
pub use part10::{Part10, Part10Header, read_header, read_part10};
pub use pixel_data::{Encapsulation, ExtendedOffsets, Fragment, PixelData, PixelLayout};
pub use sop_uids::{SopUids, read_sop_uids};
pub use warning::ReadWarning;

use healthimaging_image::{PixelDescription, PixelRepresentation};
