//! How a picture is to be made.

use healthimaging_image::SampleFormat;

use crate::labels::Labels;
use crate::viewport::Viewport;
use crate::window::{Window, WindowFunction};

/// The file format of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PictureFormat {
    /// PNG: every level as it is.
    Png,
    /// JPEG: smaller, and not exact.
    Jpeg,
}

impl PictureFormat {
    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }
}

/// Which values become black and white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Contrast {
    /// As the file defines; [`Contrast::Auto`] if it defines nothing usable.
    File,
    /// From the lowest to the highest value of the frame, padding left out.
    Auto,
    /// This window; [`Contrast::Auto`] when [`Contrast::is_usable`] is false.
    Window(Window),
    /// A window that is named without its function: exact for floating-point samples and for widths below 1, otherwise linear;
    /// [`Contrast::Auto`] when [`Contrast::is_usable`] is false.
    Named {
        /// Window Center.
        center: f64,
        /// Window Width, more than 0.
        width: f64,
    },
}

impl Contrast {
    /// A linear window.
    #[must_use]
    pub const fn linear(center: f64, width: f64) -> Self {
        Self::Window(Window { center, width, function: WindowFunction::Linear })
    }

    /// Whether a window that is asked for can be used: [`Window::is_usable`].
    #[must_use]
    pub fn is_usable(&self) -> bool {
        // A named window is usable for all samples or for none.
        self.window(SampleFormat::Integer).is_none_or(|window| window.is_usable())
    }

    /// The window that is asked for, over samples of this format.
    pub(crate) fn window(&self, format: SampleFormat) -> Option<Window> {
        match *self {
            Self::File | Self::Auto => None,
            Self::Window(window) => Some(window),
            Self::Named { center, width } => Some(Window::named(center, width, format)),
        }
    }
}

/// How a picture is to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RenderOptions {
    /// File format.
    pub format: PictureFormat,
    /// Greatest height in pixels, at least 1. Larger frames are scaled down, smaller ones stay.
    pub max_rows: u32,
    /// Greatest width in pixels, at least 1.
    pub max_columns: u32,
    /// Which values become black and white; without effect on color.
    pub contrast: Contrast,
    /// Whether overlays (60xx) are drawn into the picture.
    pub annotation: bool,
    /// The part of the frame that is shown, and the size that it fills; `max_rows` and `max_columns` do not count then.
    pub viewport: Option<Viewport>,
    /// Whether a small picture may be made of a lower resolution of the frame, if it is stored with several. That is
    /// faster, and levels differ slightly from those of the whole frame.
    pub may_use_lower_resolution: bool,
    /// Texts that are drawn into the picture (`annotation` in PS3.18 §8.3.5.1.1).
    pub labels: Labels,
    /// Quality of JPEG pictures, 1 to 100 (`quality` in PS3.18 §8.3.5.1.2).
    pub quality: u8,
}

impl Default for RenderOptions {
    /// A PNG in the size of the frame, with the contrast of the file and with overlays.
    fn default() -> Self {
        Self {
            format: PictureFormat::Png,
            max_rows: u32::MAX,
            max_columns: u32::MAX,
            contrast: Contrast::File,
            annotation: true,
            viewport: None,
            may_use_lower_resolution: false,
            labels: Labels::NONE,
            // No artifacts that could be taken for findings.
            quality: 92,
        }
    }
}
