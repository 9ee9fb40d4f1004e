//! Decoded samples to a picture of 8 bits a channel, as PS3.3 asks of a display: the modality LUT
//! (§C.11.1), the VOI LUT (§C.11.2), palettes (§C.7.9) and colour spaces (§C.7.6.3.1.2).

mod bits;
mod colour;
mod grey;
mod palette;
mod picture;
mod table;

pub(crate) use bits::unpack_bits;
pub use palette::{Palette, PaletteData};
pub use picture::{Channels, Picture, PictureFormat};
pub use table::LookupTable;

use crate::decode::DecodedFrame;
use crate::error::CodecError;
use crate::shape::FrameShape;

/// What the attributes of an image say about how it is shown.
#[derive(Debug, Clone, Default)]
pub struct Rendering {
    /// High Bit (0028,0102); `None` is Bits Stored less one.
    pub high_bit: Option<u16>,
    /// From stored values to values that mean something, such as Hounsfield units.
    pub modality: Modality,
    /// From those to grey levels.
    pub voi: Voi,
    /// Lowest and highest stored value that stand for no pixel (Pixel Padding Value (0028,0120) and
    /// Pixel Padding Range Limit (0028,0121)); [`Voi::Auto`] leaves them out.
    pub padding: Option<(i64, i64)>,
    /// The palette of a `PALETTE COLOR` image.
    pub palette: Option<Palette>,
}

/// The modality LUT (PS3.3 §C.11.1).
#[derive(Debug, Clone)]
pub enum Modality {
    /// `slope * value + intercept`.
    Rescale {
        /// Rescale Slope (0028,1053).
        slope: f64,
        /// Rescale Intercept (0028,1052).
        intercept: f64,
    },
    /// Modality LUT Sequence (0028,3000).
    Table(LookupTable),
}

impl Default for Modality {
    /// Values as they are.
    fn default() -> Self {
        Self::Rescale { slope: 1.0, intercept: 0.0 }
    }
}

/// The VOI LUT (PS3.3 §C.11.2): which values become black, which white.
#[derive(Debug, Clone, Default)]
pub enum Voi {
    /// From the lowest to the highest value of the frame.
    #[default]
    Auto,
    /// A window.
    Window(Window),
    /// VOI LUT Sequence (0028,3010).
    Table(LookupTable),
}

/// A window over values after the modality LUT (PS3.3 §C.11.2.1.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Window Center (0028,1050).
    pub center: f64,
    /// Window Width (0028,1051): at least 1 for [`WindowFunction::Linear`], more than 0 for others.
    pub width: f64,
    /// VOI LUT Function (0028,1056).
    pub function: WindowFunction,
}

/// VOI LUT Function (0028,1056).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowFunction {
    /// `LINEAR`, the default: half a value off, as for whole numbers.
    Linear,
    /// `LINEAR_EXACT`.
    LinearExact,
    /// `SIGMOID`.
    Sigmoid,
}

impl Window {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`CodecError::Shape`] for numbers that are not finite and for a width that is too small.
    pub fn check(&self) -> Result<(), CodecError> {
        if !self.center.is_finite() || !self.width.is_finite() {
            return Err(CodecError::Shape(
                "Window Center and Window Width must be finite numbers".to_owned(),
            ));
        }
        match self.function {
            WindowFunction::Linear if self.width < 1.0 => {
                Err(CodecError::Shape("Window Width must be at least 1".to_owned()))
            }
            _ if self.width <= 0.0 => {
                Err(CodecError::Shape("Window Width must be more than 0".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// Turns the pixels of a frame into a picture of the same size.
///
/// # Errors
/// [`CodecError::Unsupported`] for samples and photometric interpretations that cannot be shown,
/// [`CodecError::Shape`] for attributes that make no sense.
pub fn render(
    frame: &DecodedFrame,
    shape: &FrameShape,
    rendering: &Rendering,
) -> Result<Picture, CodecError> {
    let length = shape.checked_length()?;
    let pixels = frame.pixels.get(..length).ok_or_else(|| {
        CodecError::Disagreement(format!(
            "the image attributes ask for {length} bytes, {} were decoded",
            frame.pixels.len()
        ))
    })?;
    let kind = Kind::of(&frame.photometric)?;
    if shape.samples_per_pixel != kind.samples() {
        return Err(CodecError::Shape(format!(
            "{} samples a pixel do not fit the photometric interpretation",
            shape.samples_per_pixel
        )));
    }
    let (channels, samples, window) = match kind {
        Kind::Grey { inverted } => {
            let (levels, window) = grey::shade(shape, pixels, rendering, inverted)?;
            (Channels::Grey, levels, window)
        }
        Kind::Palette => {
            let colours = palette::colour(shape, pixels, rendering)?;
            (Channels::Rgb, colours, None)
        }
        Kind::Rgb => (Channels::Rgb, colour::rgb(shape, pixels)?, None),
        Kind::Ybr => (Channels::Rgb, colour::from_ybr(shape, pixels)?, None),
    };
    Ok(Picture { rows: shape.rows, columns: shape.columns, channels, samples, window })
}

/// The kinds of Photometric Interpretation (0028,0004).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grey { inverted: bool },
    Palette,
    Rgb,
    Ybr,
}

impl Kind {
    fn of(photometric: &str) -> Result<Self, CodecError> {
        match photometric {
            "MONOCHROME1" => Ok(Self::Grey { inverted: true }),
            "MONOCHROME2" => Ok(Self::Grey { inverted: false }),
            "PALETTE COLOR" => Ok(Self::Palette),
            "RGB" | "YBR_RCT" | "YBR_ICT" => Ok(Self::Rgb),
            // What is subsampled in a stream is not so after decoding.
            "YBR_FULL" | "YBR_FULL_422" => Ok(Self::Ybr),
            _ => Err(CodecError::unsupported("its photometric interpretation")),
        }
    }

    fn samples(self) -> u16 {
        match self {
            Self::Grey { .. } | Self::Palette => 1,
            Self::Rgb | Self::Ybr => 3,
        }
    }
}

/// A level from 0 to 255 as a byte; what lies outside is cut.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 255")]
fn byte(level: f64) -> u8 {
    level.round().clamp(0.0, 255.0) as u8
}

/// Stored values are whole numbers of at most 32 bits, which a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "at most 33 bits")]
fn float(value: i64) -> f64 {
    value as f64
}
