//! A stored frame to a picture.

use healthimaging_image::{PixelDescription, PlanarConfiguration, SampleFormat};
use healthimaging_pixels::{
    CodecError, DecodedFrame, Decoder, FrameShape, ShownFrame, SourceFrame, checksum, is_video,
    lower_resolution,
};

use crate::attributes::Attributes;
use crate::color::{self, Space};
use crate::decoded::DecodedImage;
use crate::display::{Display, Voi};
use crate::document::{FrameLocation, StoredPixels};
use crate::error::RenderError;
use crate::grayscale;
use crate::instance::InstanceAttributes;
use crate::lower::least;
use crate::options::{Contrast, PictureFormat, RenderOptions};
use crate::picture::{Channels, Picture};
use crate::pixel_aspect;
use crate::samples::{Reader, samples};
use crate::window::Window;

/// Largest frame that is shown, in bytes when decoded.
const LARGEST: u64 = 96 * 1024 * 1024;

/// A picture of a frame as a file.
#[derive(Debug)]
pub struct RenderedFrame {
    /// The file.
    pub file: Vec<u8>,
    /// Its format.
    pub format: PictureFormat,
    /// Height of the picture in pixels.
    pub rows: u32,
    /// Width of the picture in pixels.
    pub columns: u32,
    /// Rows of the frame.
    pub original_rows: u32,
    /// Columns of the frame.
    pub original_columns: u32,
    /// The window that gray values were seen through; `None` for color and VOI LUTs.
    pub window: Option<Window>,
    /// Notes for the viewer: what was scaled, drawn, or could not be applied. Holds no values of
    /// patient attributes.
    pub notes: Vec<String>,
}

/// A picture of a frame before it is written as a file.
#[derive(Debug)]
pub struct DrawnFrame {
    /// The picture.
    pub picture: Picture,
    /// Rows of the frame.
    pub original_rows: u32,
    /// Columns of the frame.
    pub original_columns: u32,
    /// As [`RenderedFrame::window`].
    pub window: Option<Window>,
    /// As [`RenderedFrame::notes`].
    pub notes: Vec<String>,
}

impl DrawnFrame {
    /// Writes the picture as a file.
    ///
    /// # Errors
    /// As [`Picture::encode`].
    pub fn encode(self, options: &RenderOptions) -> Result<RenderedFrame, RenderError> {
        Ok(RenderedFrame {
            file: self.picture.encode(options.format, options.quality)?,
            format: options.format,
            rows: self.picture.rows,
            columns: self.picture.columns,
            original_rows: self.original_rows,
            original_columns: self.original_columns,
            window: self.window,
            notes: self.notes,
        })
    }
}

/// Makes a picture of a stored frame. Blocks: decoding and encoding take a while.
///
/// # Errors
/// [`RenderError`]; never for a window, palette or overlay that is not usable.
pub fn render(
    decoder: &Decoder,
    location: &FrameLocation,
    stored: &[u8],
    options: &RenderOptions,
) -> Result<RenderedFrame, RenderError> {
    draw(decoder, location, stored, options)?.encode(options)
}

/// As [`render`], without writing a file. Blocks.
///
/// # Errors
/// As [`render`].
pub fn draw(
    decoder: &Decoder,
    location: &FrameLocation,
    stored: &[u8],
    options: &RenderOptions,
) -> Result<DrawnFrame, RenderError> {
    DecodedImage::of(decoder, location, stored, options)?.draw(location, options)
}

/// A frame as DICOMweb returns it.
#[derive(Clone, Copy)]
pub struct RetrievedFrame<'a> {
    /// UID of the transfer syntax.
    pub transfer_syntax: &'a str,
    /// Rows and columns, if it is a lower resolution of the frame.
    pub lower_resolution: Option<(u32, u32)>,
    /// The bytes of the frame, or all pixel data where [`InstanceAttributes::is_kept_whole`].
    pub bytes: &'a [u8],
}

impl std::fmt::Debug for RetrievedFrame<'_> {
    /// Leaves the pixels out: they are patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetrievedFrame")
            .field("transfer_syntax", &self.transfer_syntax)
            .field("lower_resolution", &self.lower_resolution)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// Makes a picture of a frame of an instance, counted from 0, as DICOMweb returns both. Blocks.
///
/// # Errors
/// As [`render`].
pub fn render_instance_frame(
    decoder: &Decoder,
    instance: &InstanceAttributes,
    index: usize,
    RetrievedFrame { transfer_syntax, lower_resolution, bytes }: RetrievedFrame<'_>,
    options: &RenderOptions,
) -> Result<RenderedFrame, RenderError> {
    if is_video(transfer_syntax) {
        return Err(RenderError::Unsupported("video".to_owned()));
    }
    let attributes = instance.attributes();
    let described = described(attributes)?;
    let mut notes = Vec::new();
    let is_kept_whole = instance.is_kept_whole();
    let count = instance.number_of_frames();
    let stored =
        StoredPixels { transfer_syntax, is_kept_whole, is_one_frame: !is_kept_whole || count == 1 };
    let (rows, columns) = lower_resolution.unwrap_or((described.rows, described.columns));
    let retrieved = PixelDescription { rows, columns, ..described.clone() };
    let data = stored.frame(bytes, index, count, &retrieved)?;
    let source = SourceFrame {
        transfer_syntax,
        shape: FrameShape::from(&retrieved),
        photometric: &retrieved.photometric,
        // A frame that was decoded by its store is interleaved.
        planar: if is_kept_whole { described.planar } else { PlanarConfiguration::Interleaved },
        data: &data,
    };
    let least = least(attributes, index, &described, options);
    let (description, frame) = decode_source(decoder, &source, &retrieved, least, &mut notes)?;
    let image = DecodedImage { described, description, frame, notes };
    let drawn = image.show(attributes, index, options)?;
    drop(image);
    drawn.encode(options)
}

/// Describes the pixels, unless there are too many to decode.
pub(crate) fn described(attributes: &Attributes) -> Result<PixelDescription, RenderError> {
    let described = PixelDescription::of(attributes)?;
    let length = FrameShape::from(&described).byte_length();
    if length > LARGEST {
        return Err(RenderError::Request(format!(
            "the frame has {length} bytes when decoded, more than the {LARGEST} that are shown as a \
             picture"
        )));
    }
    Ok(described)
}

/// The pixels of a frame, as Explicit VR Little Endian has them (PS3.5 §8.2), interleaved by pixel.
#[derive(Debug)]
pub struct NativeFrame {
    /// What the pixels are. Bits Allocated, Bits Stored and Photometric Interpretation may differ from those of
    /// the instance.
    pub description: PixelDescription,
    /// The pixels.
    pub pixels: Vec<u8>,
}

/// Decodes a stored frame, and compares it with the checksum in the metadata. Blocks.
///
/// # Errors
/// As [`render`].
pub fn native(
    decoder: &Decoder,
    location: &FrameLocation,
    stored: &[u8],
) -> Result<NativeFrame, RenderError> {
    let described = described(&location.instance.attributes)?;
    let (description, frame) =
        decode(decoder, location, stored, &described, None, &mut Vec::new())?;
    let DecodedFrame { pixels, photometric } = frame;
    let planar = PlanarConfiguration::Interleaved;
    let description = PixelDescription { photometric, planar, ..description };
    Ok(NativeFrame { description, pixels })
}

/// Decodes the frame, and compares it with the checksum in the metadata.
pub(crate) fn decode(
    decoder: &Decoder,
    location: &FrameLocation,
    stored: &[u8],
    described: &PixelDescription,
    least: Option<(u32, u32)>,
    notes: &mut Vec<String>,
) -> Result<(PixelDescription, DecodedFrame), RenderError> {
    let instance = &location.instance;
    let syntax = instance.stored_syntax();
    if is_video(syntax) {
        return Err(RenderError::Unsupported("video".to_owned()));
    }
    let expected = instance.checksum(location.entry);
    let of_stored = instance.checksum_is_of_stored_bytes();
    if of_stored && expected.is_some_and(|expected| expected != checksum(stored)) {
        return Err(RenderError::Checksum);
    }
    let data = location.part_of(stored, described)?;
    let source = SourceFrame {
        transfer_syntax: syntax,
        shape: FrameShape::from(described),
        photometric: &described.photometric,
        planar: described.planar,
        data: &data,
    };
    let (description, frame) = decode_source(decoder, &source, described, least, notes)?;
    let size = (description.rows, description.columns);
    let is_whole = size == (described.rows, described.columns);
    let expected = if is_whole { expected } else { instance.lower_checksum(location.entry, size) };
    if !of_stored && expected.is_some_and(|expected| expected != checksum(&frame.pixels)) {
        return Err(RenderError::Checksum);
    }
    Ok((description, frame))
}

/// Decodes a frame, or a lower resolution with at least these rows and columns. Samples of other than whole bytes become such;
/// the description follows.
fn decode_source(
    decoder: &Decoder,
    source: &SourceFrame<'_>,
    described: &PixelDescription,
    least: Option<(u32, u32)>,
    notes: &mut Vec<String>,
) -> Result<(PixelDescription, DecodedFrame), RenderError> {
    let lower = least.and_then(|least| {
        let (shape, data) =
            lower_resolution(source.transfer_syntax, &source.shape, source.data, least)?;
        // A stream of another writer may not have the form that its header describes: then all of it is decoded.
        let shown = decoder.decode_to_show(&SourceFrame { shape, data: &data, ..*source }).ok()?;
        Some((shape, shown))
    });
    if let Some((shape, ShownFrame { frame, .. })) = lower {
        let (rows, columns) = (shape.rows, shape.columns);
        return Ok((PixelDescription { rows, columns, ..described.clone() }, frame));
    }
    let ShownFrame { shape, frame, is_complete } = decoder.decode_to_show(source)?;
    if !is_complete {
        notes.push("the frame is cut short; pixels that are missing are shown as 0".to_owned());
    }
    let description = PixelDescription {
        bits_allocated: shape.bits_allocated,
        bits_stored: shape.bits_stored,
        ..described.clone()
    };
    Ok((description, frame))
}

/// Turns decoded pixels into a picture of the same size; returns it with the window that gray values
/// were seen through. What does not fit together is noted.
///
/// # Errors
/// [`RenderError::Frame`] when there are fewer pixels than described, [`RenderError::Unsupported`] for
/// color of floating-point samples.
pub fn render_pixels(
    frame: &DecodedFrame,
    description: &PixelDescription,
    display: &Display,
    notes: &mut Vec<String>,
) -> Result<(Picture, Option<Window>), RenderError> {
    let length = FrameShape::from(description).byte_length();
    let whole = usize::try_from(length).ok().and_then(|length| frame.pixels.get(..length));
    let pixels = whole.ok_or_else(|| {
        RenderError::Frame(CodecError::Disagreement(format!(
            "the image attributes require {length} bytes, {} were decoded",
            frame.pixels.len()
        )))
    })?;
    let (channels, samples, window) =
        match Kind::of(&frame.photometric, description, display, notes) {
            Kind::Gray if display.palette.is_some() => {
                let (colors, window) = grayscale::shade_and_color(description, pixels, display);
                (Channels::Rgb, colors, window)
            }
            Kind::Gray => {
                let (levels, window) = grayscale::shade(description, pixels, display);
                (Channels::Gray, levels, window)
            }
            Kind::Palette => (Channels::Rgb, paint(description, pixels, display), None),
            Kind::Color(_) if description.format == SampleFormat::Float => {
                return Err(RenderError::Unsupported("color of floating-point samples".into()));
            }
            Kind::Color(space) => (Channels::Rgb, color::rgb(description, pixels, space), None),
        };
    let (rows, columns) = (description.rows, description.columns);
    Ok((Picture { rows, columns, channels, samples }, window))
}

/// Colors of a palette image.
fn paint(description: &PixelDescription, pixels: &[u8], display: &Display) -> Vec<u8> {
    let reader = Reader::of(description, false);
    let color = |sample: u64| {
        #[expect(clippy::cast_possible_truncation, reason = "only integers have palettes")]
        let stored = reader.value(sample) as i64;
        display.palette.as_ref().map_or([0; 3], |palette| palette.at(stored))
    };
    match description.bits_allocated {
        8 => samples::<1>(pixels).flat_map(color).collect(),
        16 => samples::<2>(pixels).flat_map(color).collect(),
        32 => samples::<4>(pixels).flat_map(color).collect(),
        _ => samples::<8>(pixels).flat_map(color).collect(),
    }
}

/// The kinds of Photometric Interpretation (0028,0004).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Gray,
    Palette,
    Color(Space),
}

impl Kind {
    /// The kind of decoded pixels. If Samples per Pixel contradicts it, that is used, since
    /// the frame was decoded by it.
    pub(crate) fn of(
        photometric: &str,
        description: &PixelDescription,
        display: &Display,
        notes: &mut Vec<String>,
    ) -> Self {
        let named = match photometric {
            "PALETTE COLOR" if display.palette.is_some() => Some(Self::Palette),
            "MONOCHROME1" | "MONOCHROME2" | "PALETTE COLOR" => Some(Self::Gray),
            "RGB" | "YBR_RCT" | "YBR_ICT" | "XYB" => Some(Self::Color(Space::Rgb)),
            // What is subsampled in a frame is not so after decoding.
            "YBR_FULL" | "YBR_FULL_422" => Some(Self::Color(Space::YbrFull)),
            "YBR_PARTIAL_422" | "YBR_PARTIAL_420" => Some(Self::Color(Space::YbrPartial)),
            "HSV" => Some(Self::Color(Space::Hsv)),
            "CMYK" => Some(Self::Color(Space::Cmyk)),
            "ARGB" => Some(Self::Color(Space::Argb)),
            _ => None,
        };
        let samples = description.samples_per_pixel;
        let needed = match named {
            Some(Self::Color(Space::Cmyk | Space::Argb)) => 4..=4,
            Some(Self::Color(_)) => 3..=u16::MAX,
            _ => 1..=1,
        };
        match named {
            Some(kind) if needed.contains(&samples) => return kind,
            None => notes.push("PhotometricInterpretation is not a known one".to_owned()),
            Some(_) => notes.push(
                "PhotometricInterpretation does not fit SamplesPerPixel, which is believed".into(),
            ),
        }
        match samples {
            1 => Self::Gray,
            _ => Self::Color(Space::Rgb),
        }
    }
}

impl FrameLocation {
    /// Rows and columns of its picture before that is scaled to a limit; 1 and 1 where its attributes do not describe
    /// it.
    #[must_use]
    pub fn picture_size(&self) -> (u32, u32) {
        let attributes = &self.instance.attributes;
        let Ok(PixelDescription { rows, columns, .. }) = PixelDescription::of(attributes) else {
            return (1, 1);
        };
        match pixel_aspect::of(attributes, self.index) {
            Some((ratio, _)) => pixel_aspect::square(rows, columns, ratio),
            None => (rows, columns),
        }
    }

    /// Returns the contrast that the file defines for the frame: its window, or [`Contrast::File`] for a VOI LUT; `None` if it
    /// defines nothing usable.
    #[must_use]
    pub fn contrast_of_file(&self) -> Option<Contrast> {
        let attributes = &self.instance.attributes;
        let description = PixelDescription::of(attributes).ok()?;
        let contrast = Contrast::File;
        let display = Display::of(attributes, self.index, &description, contrast, &mut Vec::new());
        match display.voi {
            Voi::Auto => None,
            Voi::Window(window) => Some(Contrast::Window(window)),
            Voi::Table(_) => Some(Contrast::File),
        }
    }
}
