//! Pictures of frames: which frame is meant, what is known of it, and how it is shown.

mod attributes;
mod locate;

use bytes::Bytes;
use healthimaging::model::GetImageFrameRequest;
use healthimaging::{
    DatastoreId, Error, ErrorKind, HealthImaging, ImageFrameId, ImageSetId, Result,
};
use healthimaging_image::PixelDescription;
use healthimaging_pixels::{
    CodecError, DecodedFrame, Decoder, FrameShape, PictureFormat, Rendering, SourceFrame, Voi,
    Window, WindowFunction, checksum, content_type, is_video, render,
};

pub(crate) use locate::{Located, frame_ids, locate};

use crate::arguments::PictureSize;

/// Longest frame that is returned, in bytes as stored.
const LONGEST_FRAME: u64 = 64 * 1024 * 1024;

/// Largest frame that is shown, in bytes when decoded.
const LARGEST_SHOWN: u64 = 512 * 1024 * 1024;

/// Which frame is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// The frame of this id.
    Id(ImageFrameId),
    /// A frame of an instance, from 1.
    Number(healthimaging::Uid, u32),
}

/// Which values become black and white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Contrast {
    /// As the file says; [`Contrast::Auto`] where it says nothing.
    File,
    /// From the lowest to the highest value of the frame.
    Auto,
    /// A linear window.
    Window { center: f64, width: f64 },
}

impl Contrast {
    /// What the three arguments ask for together.
    pub(crate) fn of(center: Option<f64>, width: Option<f64>, auto: bool) -> Result<Self> {
        let (center, width) = match (center, width, auto) {
            (None, None, true) => return Ok(Self::Auto),
            (None, None, false) => return Ok(Self::File),
            (Some(center), Some(width), false) => (center, width),
            (_, _, true) => {
                return Err(Error::validation(
                    "give either auto_window or window_center and window_width, not both",
                ));
            }
            _ => {
                return Err(Error::validation(
                    "window_center and window_width go together: give both or neither",
                ));
            }
        };
        let window = Window { center, width, function: WindowFunction::Linear };
        window.check().map_err(|_| {
            Error::validation("window_center must be finite, and window_width at least 1")
        })?;
        Ok(Self::Window { center, width })
    }

    /// The VOI LUT that it stands for; `of_file` is asked only where it counts.
    fn voi(self, of_file: impl FnOnce() -> Result<Voi>) -> Result<Voi> {
        match self {
            Self::File => of_file(),
            Self::Auto => Ok(Voi::Auto),
            Self::Window { center, width } => {
                Ok(Voi::Window(Window { center, width, function: WindowFunction::Linear }))
            }
        }
    }
}

/// How a picture is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wish {
    pub(crate) format: PictureFormat,
    pub(crate) max_size: PictureSize,
    pub(crate) contrast: Contrast,
}

/// A frame as stored.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: String,
}

/// A picture as a file.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) file: Vec<u8>,
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    pub(crate) original_rows: u32,
    pub(crate) original_columns: u32,
    pub(crate) window: Option<Window>,
}

/// Fetches a frame as it is stored.
pub(crate) async fn fetch(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
    image_frame_id: &ImageFrameId,
) -> Result<Stored> {
    let request = GetImageFrameRequest {
        datastore_id: datastore_id.clone(),
        image_set_id: image_set_id.clone(),
        image_frame_id: image_frame_id.clone(),
    };
    let found = service.get_image_frame(request).await?;
    Ok(Stored {
        bytes: found.image_frame.collect(LONGEST_FRAME).await?,
        content_type: found.content_type,
    })
}

/// Fetches a frame, what is known of it, and draws it.
pub(crate) async fn picture(
    service: &dyn HealthImaging,
    decoder: &Decoder,
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
    which: &Which,
    wish: Wish,
) -> Result<(Located, Drawn)> {
    let located = locate(service, datastore_id, image_set_id, which).await?;
    let id = &located.image_frame_id;
    let syntax = located.instance.stored_syntax();
    if is_video(syntax) {
        return Err(no_picture("video", content_type(Some(syntax))));
    }
    if located.instance.is_kept_for_want_of_a_codec() {
        let what = "the store could not decode it, and keeps the pixel data as it was received";
        return Err(no_picture(what, content_type(Some(syntax))));
    }
    let stored = fetch(service, datastore_id, image_set_id, id).await?;
    // Decoding and encoding take a while, and would hold up other calls.
    let decoder = decoder.clone();
    tokio::task::spawn_blocking(move || {
        let drawn = draw(&decoder, &located, &stored, wish)?;
        Ok((located, drawn))
    })
    .await
    .map_err(|error| Error::internal("drawing the picture failed", error))?
}

fn draw(decoder: &Decoder, located: &Located, stored: &Stored, wish: Wish) -> Result<Drawn> {
    let instance = &located.instance;
    let description = instance.description()?;
    let shape = FrameShape::from(&description);
    if shape.byte_length() > LARGEST_SHOWN {
        return Err(Error::validation(format!(
            "the frame has {} bytes when decoded, more than the {LARGEST_SHOWN} that are shown as a \
             picture; take it with format stored",
            shape.byte_length()
        )));
    }
    let rendering = Rendering {
        high_bit: Some(description.high_bit),
        modality: instance.modality(located.index)?,
        voi: wish.contrast.voi(|| instance.voi(located.index))?,
        padding: instance.padding(),
        palette: instance.palette()?,
    };
    let (shape, frame) = decode(decoder, located, stored, &description)?;
    let refused = |error: CodecError| refusal(error, &stored.content_type);
    let whole = render(&frame, &shape, &rendering).map_err(refused)?;
    let window = whole.window();
    let small = whole.at_most(wish.max_size.get())?;
    Ok(Drawn {
        file: small.encode(wish.format)?,
        rows: small.rows(),
        columns: small.columns(),
        original_rows: shape.rows,
        original_columns: shape.columns,
        window,
    })
}

/// Decodes the frame, and compares it with the checksum that the metadata tells.
fn decode(
    decoder: &Decoder,
    located: &Located,
    stored: &Stored,
    description: &PixelDescription,
) -> Result<(FrameShape, DecodedFrame)> {
    let instance = &located.instance;
    let expected = instance.checksum(located.entry);
    let of_stored = instance.checksum_is_of_stored_bytes();
    if of_stored && expected.is_some_and(|expected| expected != checksum(&stored.bytes)) {
        return Err(mismatch());
    }
    let shape = FrameShape::from(description);
    let source = SourceFrame {
        transfer_syntax: instance.stored_syntax(),
        shape,
        photometric: &description.photometric,
        planar: description.planar,
        data: located.part_of(&stored.bytes, &shape)?,
    };
    let (shape, frame) =
        decoder.decode_to_show(&source).map_err(|error| refusal(error, &stored.content_type))?;
    if !of_stored && expected.is_some_and(|expected| expected != checksum(&frame.pixels)) {
        return Err(mismatch());
    }
    Ok((shape, frame))
}

fn mismatch() -> Error {
    Error::new(
        ErrorKind::Service,
        "the frame does not match the checksum in the metadata, so it is not shown",
    )
}

/// Why there is no picture, and what there is instead.
fn refusal(error: CodecError, content_type: &str) -> Error {
    match &error {
        CodecError::Unsupported(what) => no_picture(what, content_type),
        _ => error.into(),
    }
}

fn no_picture(what: &str, content_type: &str) -> Error {
    Error::new(
        ErrorKind::NotSupported,
        format!(
            "no picture can be made of this frame ({what}); take it as it is stored, as \
             {content_type}, with format stored"
        ),
    )
}
