//! Frames: as pictures, or as stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::{DatastoreId, Error, ImageFrameId, ImageSetId, Result, Uid, VersionId};
use healthimaging_render::{
    FrameLocation, FrameSelector, PictureFormat, RenderOptions, RenderedFrame,
};

use crate::answer::{Image, Link, Reply};
use crate::arguments::{FrameNumber, PictureSize, SliceChoice};
use crate::base64_text;
use crate::context::Context;
use crate::options::FrameFormat;
use crate::picture;
use crate::resources;
use crate::stack::Stack;
use crate::tool::{Effect, Tool};

/// Longest stored frame in an answer, in bytes; longer ones are resources.
const LONGEST_STORED: usize = 1 << 20;

/// Get one frame as a picture, or as stored (usually HTJ2K). Identify it by its ID, which is in the
/// metadata, by SOP instance UID and frame number, or by slice.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetImageFrame {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Image set ID
    image_set_id: ImageSetId,
    /// Default: the latest
    version_id: Option<VersionId>,
    /// Frame by ID
    image_frame_information: Option<ImageFrameInformation>,
    /// (0008,0018)
    sop_instance_uid: Option<Uid>,
    /// From 1; default 1
    frame_number: Option<FrameNumber>,
    /// middle, or a number from 1 in order of position
    slice: Option<SliceChoice>,
    /// A picture (default png), or the stored bytes in base64
    format: Option<Format>,
    /// With window_width, in rescaled units
    window_center: Option<f64>,
    /// With window_center
    window_width: Option<f64>,
    /// Window from the value range of the frame
    auto_window: Option<bool>,
    /// Longest side of a picture; default 512
    max_size: Option<PictureSize>,
    /// Draw overlays; default true
    annotation: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ImageFrameInformation {
    /// From the metadata
    image_frame_id: ImageFrameId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Format {
    Png,
    Jpeg,
    Stored,
}

/// A frame; the picture itself is image content.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Frame {
    image_frame_id: ImageFrameId,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_frame_blob: Option<String>,
    /// Resource of a longer frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_uri: Option<String>,
    content_type: String,
    size_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<PictureFacts>,
}

/// Facts about a picture.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct PictureFacts {
    rows: u32,
    columns: u32,
    original_rows: u32,
    original_columns: u32,
    sop_instance_uid: String,
    frame_number: usize,
    number_of_frames: usize,
    /// Place of the frame in the series, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    slice: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_of_slices: Option<usize>,
    /// What orders the slices: position, or instance_number where positions are missing or not parallel.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_center: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_width: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voi_lut_function: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl Tool for GetImageFrame {
    const NAME: &'static str = "get_image_frame";
    const TITLE: &'static str = "Get image frame";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f", "image_frame_information": {"imageFrameId": "5c0ffee05c0ffee05c0ffee05c0ffee0"}, "max_size": 1024}"#;
    const EFFECT: Effect = Effect::Reads;
    const HAS_PICTURES: bool = true;
    const IS_LARGE: bool = true;
    type Output = Frame;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let wanted = self.wanted()?;
        let options = self.options(context.frame_format())?;
        let datastore_id = context.datastore(self.datastore_id).await?;
        let (service, documents) = (context.service(), context.documents());
        let version = self.version_id.as_ref();
        let (frame, place) = match wanted {
            Wanted::Frame(selector) => (Located::By(selector), None),
            Wanted::Slice(choice) => {
                let set = self.image_set_id.clone();
                let stack =
                    Stack::of_image_set(documents, datastore_id.clone(), set, version).await?;
                let index = stack.index(choice)?;
                let place =
                    Place { slice: index + 1, number_of_slices: stack.len(), order: stack.order() };
                (Located::At(Box::new(stack.locate(index)?)), Some(place))
            }
        };
        let locate = async |selector: &FrameSelector| {
            picture::locate(documents, &datastore_id, &self.image_set_id, version, selector).await
        };
        if let Some(options) = options {
            let location = match frame {
                Located::At(location) => *location,
                Located::By(selector) => locate(&selector).await?,
            };
            let (location, rendered) = picture::picture(
                (service, context.dicomweb()),
                context.decoder(),
                (&datastore_id, &self.image_set_id),
                location,
                options,
            )
            .await?;
            return Ok(shown(location, rendered, place));
        }
        let id = match frame {
            Located::At(location) => location.image_frame_id,
            Located::By(FrameSelector::Id(id)) => id,
            Located::By(selector) => locate(&selector).await?.image_frame_id,
        };
        let stored = picture::fetch(service, &datastore_id, &self.image_set_id, &id).await?;
        let size = stored.bytes.len();
        let mut output = Frame {
            image_frame_id: id,
            image_frame_blob: None,
            resource_uri: None,
            content_type: stored.content_type,
            size_bytes: size,
            picture: None,
        };
        if size <= LONGEST_STORED {
            output.image_frame_blob = Some(base64_text::encoded(&stored.bytes));
            let text = format!("{size} bytes of {} in image_frame_blob.", output.content_type);
            return Ok(Reply::new(output, text).up_to(usize::MAX));
        }
        let uri = resources::frame_uri(&datastore_id, &self.image_set_id, &output.image_frame_id);
        output.resource_uri = Some(uri.clone());
        let link = Link {
            uri,
            name: "Stored frame".to_owned(),
            media_type: output.content_type.clone(),
            size: size as u64,
            data: Some(stored.bytes),
        };
        let text = format!(
            "{size} bytes of {}; an answer holds at most {LONGEST_STORED}, so read the resource \
             resource_uri.",
            output.content_type
        );
        Ok(Reply::new(output, text).with_link(link))
    }
}

impl GetImageFrame {
    /// Returns the frame that the arguments identify.
    fn wanted(&self) -> Result<Wanted> {
        const WAYS: &str = "image_frame_information, sop_instance_uid and frame_number, or slice";
        match (&self.image_frame_information, &self.sop_instance_uid, self.slice) {
            (Some(information), None, None) if self.frame_number.is_none() => {
                Ok(Wanted::Frame(FrameSelector::Id(information.image_frame_id.clone())))
            }
            (None, Some(uid), None) => {
                let number = self.frame_number.map_or(1, FrameNumber::get);
                Ok(Wanted::Frame(FrameSelector::Number(uid.clone(), number)))
            }
            (None, None, Some(choice)) if self.frame_number.is_none() => Ok(Wanted::Slice(choice)),
            (None, None, None) => Err(Error::validation(format!("identify the frame: set {WAYS}"))),
            _ => Err(Error::validation(format!("identify the frame in one way: {WAYS}"))),
        }
    }

    /// Returns the options of a picture; `None` if the frame is returned as stored.
    fn options(&self, default: FrameFormat) -> Result<Option<RenderOptions>> {
        let default = match default {
            FrameFormat::Png => Format::Png,
            FrameFormat::Stored => Format::Stored,
        };
        let format = match self.format.unwrap_or(default) {
            Format::Png => PictureFormat::Png,
            Format::Jpeg => PictureFormat::Jpeg,
            Format::Stored => {
                let of_pictures = self.window_center.is_some()
                    || self.window_width.is_some()
                    || self.auto_window.is_some()
                    || self.max_size.is_some()
                    || self.annotation.is_some();
                if of_pictures {
                    return Err(Error::validation(
                        "windows, max_size and annotation apply to pictures: set format to png or jpeg",
                    ));
                }
                return Ok(None);
            }
        };
        let longest = self.max_size.map_or(picture::DEFAULT_SIZE, PictureSize::get);
        let auto = self.auto_window == Some(true);
        Ok(Some(RenderOptions {
            format,
            max_rows: longest,
            max_columns: longest,
            contrast: picture::contrast(self.window_center, self.window_width, auto)?,
            annotation: self.annotation != Some(false),
            ..RenderOptions::default()
        }))
    }
}

/// A frame, or a slice whose frame the positions show.
enum Wanted {
    Frame(FrameSelector),
    Slice(SliceChoice),
}

/// A frame that was found, or what it is to be found by.
enum Located {
    At(Box<FrameLocation>),
    By(FrameSelector),
}

/// Place of a frame in its series.
#[derive(Clone, Copy)]
struct Place {
    /// From 1.
    slice: usize,
    number_of_slices: usize,
    order: &'static str,
}

fn shown(location: FrameLocation, rendered: RenderedFrame, place: Option<Place>) -> Reply<Frame> {
    let RenderedFrame { file, format, window, notes, .. } = rendered;
    let picture = PictureFacts {
        rows: rendered.rows,
        columns: rendered.columns,
        original_rows: rendered.original_rows,
        original_columns: rendered.original_columns,
        sop_instance_uid: location.sop_instance_uid,
        frame_number: location.index + 1,
        number_of_frames: location.count,
        slice: place.map(|place| place.slice),
        number_of_slices: place.map(|place| place.number_of_slices),
        order: place.map(|place| place.order),
        window_center: window.map(|window| window.center),
        window_width: window.map(|window| window.width),
        voi_lut_function: window.map(|window| window.function.term()),
        notes,
    };
    let slice = place.map_or_else(String::new, |Place { slice, number_of_slices, .. }| {
        format!("Slice {slice} of {number_of_slices}. ")
    });
    let text = format!(
        "{slice}Frame {} of {}, {} x {} pixels, as a picture of {} x {}{}.{}",
        picture.frame_number,
        picture.number_of_frames,
        picture.original_columns,
        picture.original_rows,
        picture.columns,
        picture.rows,
        window.map_or_else(String::new, |window| format!(
            ", window {} / {}",
            window.center, window.width
        )),
        picture.notes.iter().fold(String::new(), |text, note| text + " Note: " + note + "."),
    );
    let output = Frame {
        image_frame_id: location.image_frame_id,
        image_frame_blob: None,
        resource_uri: None,
        content_type: format.media_type().to_owned(),
        size_bytes: file.len(),
        picture: Some(picture),
    };
    Reply::new(output, text)
        .with_image(Image { data: file, media_type: format.media_type().to_owned() })
}
