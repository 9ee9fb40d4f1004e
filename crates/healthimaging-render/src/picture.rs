//! A picture of 8 bits a channel: scaled, and written as PNG or JPEG.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::error::RenderError;
use crate::options::PictureFormat;

/// The channels of a [`Picture`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One, from black to white.
    Gray,
    /// Red, green, blue.
    Rgb,
}

/// A picture of 8 bits a channel.
#[derive(Clone)]
pub struct Picture {
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    pub(crate) channels: Channels,
    pub(crate) samples: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    /// Leaves the pixels out: they are patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("rows", &self.rows)
            .field("columns", &self.columns)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

/// The factor by which a size becomes as large as a limit allows.
fn factor((rows, columns): (u32, u32), (max_rows, max_columns): (u32, u32)) -> f64 {
    (f64::from(max_rows.max(1)) / f64::from(rows))
        .min(f64::from(max_columns.max(1)) / f64::from(columns))
}

/// The rows and columns of a picture of these proportions that is as large as a limit and a factor allow.
pub(crate) fn side_lengths(
    (rows, columns): (u32, u32),
    limit: (u32, u32),
    most: f64,
) -> (u32, u32) {
    let factor = factor((rows, columns), limit).min(most);
    let side = |length: u32| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not larger than what it has to fit"
        )]
        let scaled = (f64::from(length) * factor).round() as u32;
        scaled.max(1)
    };
    (side(rows), side(columns))
}

impl Picture {
    /// Makes a picture of red, green and blue samples, row by row; `None` if their number is not that of the size.
    #[must_use]
    pub fn of_rgb(rows: u32, columns: u32, samples: Vec<u8>) -> Option<Self> {
        let count = 3 * u64::from(rows) * u64::from(columns);
        (samples.len() as u64 == count).then_some(Self {
            rows,
            columns,
            channels: Channels::Rgb,
            samples,
        })
    }

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

    /// The picture in other proportions, `rows` to `columns`, and no larger than `max_rows` and
    /// `max_columns`. One that fits stays as it is.
    ///
    /// # Errors
    /// [`RenderError::Encoding`] when it cannot be scaled.
    pub fn scaled(
        self,
        size: (u32, u32),
        (max_rows, max_columns): (u32, u32),
    ) -> Result<Self, RenderError> {
        self.of_size(side_lengths(size, (max_rows, max_columns), 1.0))
    }

    /// The picture in other proportions, `rows` to `columns`, and as large as a viewport allows
    /// (PS3.18 §8.3.5.1.3).
    ///
    /// # Errors
    /// [`RenderError::Encoding`] when it cannot be scaled.
    pub fn filling(self, size: (u32, u32), viewport: (u32, u32)) -> Result<Self, RenderError> {
        self.of_size(side_lengths(size, viewport, f64::INFINITY))
    }

    fn of_size(self, (rows, columns): (u32, u32)) -> Result<Self, RenderError> {
        if (rows, columns) == (self.rows, self.columns) {
            return Ok(self);
        }
        let samples = match self.channels {
            Channels::Gray => self.resized::<U8>(rows, columns)?,
            Channels::Rgb => self.resized::<U8x3>(rows, columns)?,
        };
        Ok(Self { rows, columns, samples, ..self })
    }

    /// Samples of a picture of other rows and columns. Typed: the library's untyped images bring code for
    /// every kind of pixel, which is slow to build.
    fn resized<P: PixelTrait>(&self, rows: u32, columns: u32) -> Result<Vec<u8>, RenderError> {
        let failed = |error: &dyn std::fmt::Display| RenderError::Encoding(error.to_string());
        let source = TypedImageRef::<P>::from_buffer(self.columns, self.rows, &self.samples)
            .map_err(|error| failed(&error))?;
        let mut samples = vec![0; rows as usize * columns as usize * P::size()];
        let mut target = TypedImage::<P>::from_buffer(columns, rows, &mut samples)
            .map_err(|error| failed(&error))?;
        // Lanczos keeps detail; made larger, it would draw rings around edges.
        let is_larger = rows > self.rows || columns > self.columns;
        let filter = if is_larger { FilterType::Bilinear } else { FilterType::Lanczos3 };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
        Resizer::new()
            .resize_typed(&source, &mut target, &options)
            .map_err(|error| failed(&error))?;
        drop(target);
        Ok(samples)
    }

    /// The picture as a file; `quality` of JPEG is 1 to 100.
    ///
    /// # Errors
    /// [`RenderError::Request`] when it is larger than the format allows,
    /// [`RenderError::Encoding`] when it cannot be written.
    pub fn encode(&self, format: PictureFormat, quality: u8) -> Result<Vec<u8>, RenderError> {
        match format {
            PictureFormat::Png => self.png(),
            PictureFormat::Jpeg => self.jpeg(quality.clamp(1, 100)),
        }
    }

    fn png(&self) -> Result<Vec<u8>, RenderError> {
        let failed = |error: png::EncodingError| RenderError::Encoding(error.to_string());
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.columns, self.rows);
        encoder.set_color(match self.channels {
            Channels::Gray => png::ColorType::Grayscale,
            Channels::Rgb => png::ColorType::Rgb,
        });
        encoder.set_depth(png::BitDepth::Eight);
        // A tenth larger than with the default, in a tenth of the time.
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.samples).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(file)
    }

    fn jpeg(&self, quality: u8) -> Result<Vec<u8>, RenderError> {
        let side = |length: u32| {
            u16::try_from(length).map_err(|_| {
                RenderError::Request("a JPEG has at most 65535 rows and columns".into())
            })
        };
        let (columns, rows) = (side(self.columns)?, side(self.rows)?);
        let color = match self.channels {
            Channels::Gray => jpeg_encoder::ColorType::Luma,
            Channels::Rgb => jpeg_encoder::ColorType::Rgb,
        };
        let mut file = Vec::new();
        jpeg_encoder::Encoder::new(&mut file, quality)
            .encode(&self.samples, columns, rows, color)
            .map_err(|error| RenderError::Encoding(error.to_string()))?;
        Ok(file)
    }
}
