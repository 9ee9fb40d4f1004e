//! Pictures: a metadata document, a stored frame and options to a PNG or JPEG.
//!
//! * [`find_frame`] finds a frame and its instance in an image set metadata document.
//! * [`render`] decodes the stored bytes of that frame and applies what PS3.3 and PS3.4 Annex N ask of
//!   a display: the modality LUT, the VOI LUT, the Presentation LUT shape, palettes, color spaces,
//!   overlays, and square pixels. What could not be applied is stated in [`RenderedFrame::notes`];
//!   a picture is never refused for it.
//! * [`slices`] lists the frames of a series in the order in which they are scrolled, and [`ContactSheet`] puts
//!   several into one picture. [`native`] returns the pixels themselves.
//! * [`render_instance_frame`] is the same for a frame and the attributes of its instance as DICOMweb returns them.
//! * [`report`] reads structured reports, key object selections, presentation states and encapsulated documents.
//! * [`render_pixels`] is the same for pixels that are decoded and attributes that are read already.
//!
//! It fetches nothing, knows no protocol, and names no codec but those that write pictures.
//!
//! ```
//! use healthimaging_image::PixelDescription;
//! use healthimaging_pixels::DecodedFrame;
//! use healthimaging_render::{Display, PictureFormat, render_pixels};
//! use serde_json::json;
//!
//! let attributes = json!({ "Rows": 1, "Columns": 2, "BitsAllocated": 8 });
//! let description = PixelDescription::of(attributes.as_object().unwrap()).unwrap();
//! let frame = DecodedFrame { pixels: vec![0, 255], photometric: "MONOCHROME2".to_owned() };
//! let mut notes = Vec::new();
//! let (picture, _) = render_pixels(&frame, &description, &Display::default(), &mut notes)?;
//! assert!(picture.encode(PictureFormat::Png, 90)?.starts_with(b"\x89PNG"));
//! # Ok::<(), healthimaging_render::RenderError>(())
//! ```

mod attributes;
mod color;
mod decoded;
mod display;
mod document;
mod encapsulated;
mod error;
mod frame;
mod geometry;
mod grayscale;
mod instance;
mod labels;
mod lookup_table;
mod lower;
mod options;
mod orientation;
mod overlay;
mod palette;
mod picture;
mod pixel_aspect;
pub mod report;
mod samples;
mod sheet;
mod stack;
mod text;
mod viewport;
mod window;

pub use decoded::DecodedImage;
pub use display::{Display, Modality, Voi};
pub use document::{FrameLocation, FrameSelector, find_frame};
pub use error::RenderError;
pub use frame::{
    DrawnFrame, NativeFrame, RenderedFrame, RetrievedFrame, draw, native, render,
    render_instance_frame, render_pixels,
};
pub use geometry::{Distance, Geometry};
pub use instance::InstanceAttributes;
pub use labels::Labels;
pub use lookup_table::LookupTable;
pub use options::{Contrast, PictureFormat, RenderOptions};
pub use orientation::Orientation;
pub use overlay::Overlay;
pub use palette::{Palette, PaletteData};
pub use picture::{Channels, Picture};
pub use sheet::{ContactSheet, Tile};
pub use stack::{Slice, SliceOrder, evenly_spaced, slices, slices_and_geometry};
pub use viewport::Viewport;
pub use window::{Window, WindowFunction};
