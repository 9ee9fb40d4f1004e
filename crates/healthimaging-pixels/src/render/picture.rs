//! A picture: made smaller, and written as PNG or JPEG.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::Window;
use crate::error::CodecError;

/// Quality of JPEG pictures, of 100: no artefacts that could be taken for findings.
const JPEG_QUALITY: u8 = 92;

/// The channels of a [`Picture`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One, from black to white.
    Grey,
    /// Red, green, blue.
    Rgb,
}

/// The file format of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// A picture of 8 bits a channel.
#[derive(Clone)]
pub struct Picture {
    pub(super) rows: u32,
    pub(super) columns: u32,
    pub(super) channels: Channels,
    pub(super) samples: Vec<u8>,
    pub(super) window: Option<Window>,
}

impl std::fmt::Debug for Picture {
    /// Leaves the pixels out: they are patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("rows", &self.rows)
            .field("columns", &self.columns)
            .field("channels", &self.channels)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl Picture {
    /// Height in pixels.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Width in pixels.
    #[must_use]
    pub fn columns(&self) -> u32 {
        self.columns
    }

    /// Its channels.
    #[must_use]
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// Levels, row by row, channels interleaved.
    #[must_use]
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// The window that grey values were seen through; `None` for colour and for VOI LUTs.
    #[must_use]
    pub fn window(&self) -> Option<Window> {
        self.window
    }

    /// The picture with no side longer than `longest`; one that is small enough stays as it is.
    ///
    /// # Errors
    /// [`CodecError::Shape`] when `longest` is 0.
    pub fn at_most(self, longest: u32) -> Result<Self, CodecError> {
        let side = self.rows.max(self.columns);
        if side <= longest {
            return Ok(self);
        }
        let shrunk = |length: u32| {
            let scaled = u64::from(length) * u64::from(longest) + u64::from(side) / 2;
            u32::try_from(scaled / u64::from(side)).unwrap_or(longest).max(1)
        };
        let (rows, columns) = (shrunk(self.rows), shrunk(self.columns));
        if longest == 0 {
            return Err(CodecError::Shape("a picture needs a size".to_owned()));
        }
        let extent = (rows, columns);
        let samples = match self.channels {
            Channels::Grey => self.resized::<U8>(extent)?,
            Channels::Rgb => self.resized::<U8x3>(extent)?,
        };
        Ok(Self { rows, columns, samples, ..self })
    }

    /// Samples of a picture of other rows and columns. Typed: the library's untyped images bring code for
    /// every kind of pixel, which is slow to build.
    fn resized<P: PixelTrait>(&self, (rows, columns): (u32, u32)) -> Result<Vec<u8>, CodecError> {
        let failed = |error: &dyn std::fmt::Display| {
            CodecError::Shape(format!("the picture could not be made smaller: {error}"))
        };
        let source = TypedImageRef::<P>::from_buffer(self.columns, self.rows, &self.samples)
            .map_err(|error| failed(&error))?;
        let mut samples = vec![0; rows as usize * columns as usize * P::size()];
        let mut target = TypedImage::<P>::from_buffer(columns, rows, &mut samples)
            .map_err(|error| failed(&error))?;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
        Resizer::new()
            .resize_typed(&source, &mut target, &options)
            .map_err(|error| failed(&error))?;
        drop(target);
        Ok(samples)
    }

    /// The picture as a file.
    ///
    /// # Errors
    /// [`CodecError::Shape`] when it is larger than the format allows.
    pub fn encode(&self, format: PictureFormat) -> Result<Vec<u8>, CodecError> {
        match format {
            PictureFormat::Png => self.png(),
            PictureFormat::Jpeg => self.jpeg(),
        }
    }

    fn png(&self) -> Result<Vec<u8>, CodecError> {
        let failed =
            |error| CodecError::Shape(format!("the picture cannot be written as PNG: {error}"));
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.columns, self.rows);
        encoder.set_color(match self.channels {
            Channels::Grey => png::ColorType::Grayscale,
            Channels::Rgb => png::ColorType::Rgb,
        });
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.samples).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(file)
    }

    fn jpeg(&self) -> Result<Vec<u8>, CodecError> {
        let side = |length: u32| {
            u16::try_from(length)
                .map_err(|_| CodecError::Shape("a JPEG has at most 65535 rows and columns".into()))
        };
        let (columns, rows) = (side(self.columns)?, side(self.rows)?);
        let colour = match self.channels {
            Channels::Grey => jpeg_encoder::ColorType::Luma,
            Channels::Rgb => jpeg_encoder::ColorType::Rgb,
        };
        let mut file = Vec::new();
        jpeg_encoder::Encoder::new(&mut file, JPEG_QUALITY)
            .encode(&self.samples, columns, rows, colour)
            .map_err(|error| {
                CodecError::Shape(format!("the picture cannot be written as JPEG: {error}"))
            })?;
        Ok(file)
    }
}
