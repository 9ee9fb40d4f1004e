//! A decoded frame that is not drawn yet, because its window may depend on other frames.

use healthimaging_image::PixelDescription;
use healthimaging_pixels::{DecodedFrame, Decoder};

use crate::attributes::Attributes;
use crate::display::Display;
use crate::document::FrameLocation;
use crate::error::RenderError;
use crate::frame::{DrawnFrame, Kind, decode, described, render_pixels};
use crate::grayscale;
use crate::lower::least;
use crate::options::{Contrast, RenderOptions};
use crate::overlay::{FrameSamples, Overlay};
use crate::pixel_aspect;
use crate::window::Window;

/// A decoded frame, of the resolution that a picture needs.
#[derive(Debug)]
pub struct DecodedImage {
    /// What the attributes say of the whole frame.
    pub(crate) described: PixelDescription,
    /// What was decoded.
    pub(crate) description: PixelDescription,
    pub(crate) frame: DecodedFrame,
    pub(crate) notes: Vec<String>,
}

impl DecodedImage {
    /// Decodes a stored frame for a picture with these options, and compares it with the checksum in the metadata. Blocks.
    ///
    /// # Errors
    /// As [`crate::render`].
    pub fn of(
        decoder: &Decoder,
        location: &FrameLocation,
        stored: &[u8],
        options: &RenderOptions,
    ) -> Result<Self, RenderError> {
        let attributes = &location.instance.attributes;
        let described = described(attributes)?;
        let mut notes = Vec::new();
        let least = least(attributes, location.index, &described, options);
        let (description, frame) =
            decode(decoder, location, stored, &described, least, &mut notes)?;
        Ok(Self { described, description, frame, notes })
    }

    /// Size of the pixels in bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.frame.pixels.len() as u64
    }

    /// Returns the window of [`Contrast::Auto`], from the lowest to the highest value; `None` for color. The location must be
    /// that of [`Self::of`].
    #[must_use]
    pub fn range(&self, location: &FrameLocation) -> Option<Window> {
        let (attributes, index) = (&location.instance.attributes, location.index);
        let notes = &mut Vec::new();
        let display = Display::of(attributes, index, &self.description, Contrast::Auto, notes);
        match Kind::of(&self.frame.photometric, &self.description, &display, notes) {
            Kind::Gray => grayscale::window(&self.description, &self.frame.pixels, &display),
            Kind::Palette | Kind::Color(_) => None,
        }
    }

    /// Draws the frame. The location must be that of [`Self::of`], and the options may differ from those in their contrast
    /// only. Blocks.
    ///
    /// # Errors
    /// As [`crate::render`].
    pub fn draw(
        &self,
        location: &FrameLocation,
        options: &RenderOptions,
    ) -> Result<DrawnFrame, RenderError> {
        self.show(&location.instance.attributes, location.index, options)
    }

    /// Turns the frame into a picture, by the attributes of its instance.
    pub(crate) fn show(
        &self,
        attributes: &Attributes,
        index: usize,
        options: &RenderOptions,
    ) -> Result<DrawnFrame, RenderError> {
        let Self { described, description, frame, notes } = self;
        let mut notes = notes.clone();
        let display = Display::of(attributes, index, description, options.contrast, &mut notes);
        let (mut picture, window) = render_pixels(frame, description, &display, &mut notes)?;
        if options.annotation {
            let samples = FrameSamples {
                pixels: &frame.pixels,
                columns: description.columns as usize,
                bits_allocated: description.bits_allocated,
                has_all_bits: description.samples_per_pixel == 1,
            };
            let overlays = Overlay::of(attributes, index, &samples, &mut notes);
            if !overlays.is_empty() {
                notes.push("overlays are drawn".to_owned());
            }
            for overlay in &overlays {
                overlay.draw(&mut picture);
            }
        }
        if let Some(viewport) = &options.viewport {
            picture = viewport.cropped(picture)?;
        }
        let is_lower =
            (description.rows, description.columns) != (described.rows, described.columns);
        let mut size = if is_lower {
            (described.rows, described.columns)
        } else {
            (picture.rows, picture.columns)
        };
        if let Some((ratio, keyword)) = pixel_aspect::of(attributes, index) {
            size = pixel_aspect::square(size.0, size.1, ratio);
            notes.push(format!(
                "scaled to square pixels: by {keyword}, a pixel of the frame is {} times as high as wide",
                (ratio * 1000.0).round() / 1000.0
            ));
        }
        let mut picture = match &options.viewport {
            Some(viewport) => picture.filling(size, (viewport.rows, viewport.columns))?,
            None => picture.scaled(size, (options.max_rows, options.max_columns))?,
        };
        options.labels.draw(&mut picture, attributes, window);
        Ok(DrawnFrame {
            picture,
            original_rows: described.rows,
            original_columns: described.columns,
            window,
            notes,
        })
    }
}
