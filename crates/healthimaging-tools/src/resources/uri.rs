//! URIs of resources.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};

use healthimaging::{
    DatastoreId, Error, ImageFrameId, ImageSetId, Result, Uid, VersionId, path_segment,
};
use healthimaging_render::{Contrast, PictureFormat, RenderOptions, Window};

use crate::arguments::{PictureSize, SheetCount, SheetSize};
use crate::picture;
use crate::sheet::{self, SheetOptions};
use crate::stack::Stack;

pub(super) const INDEX: &str = "healthimaging://datastores";
pub(crate) const DATASTORE: &str = "healthimaging://datastores/{datastore_id}";
pub(crate) const IMAGE_SET: &str =
    "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}";
pub(crate) const METADATA: &str =
    "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}/metadata{?version_id}";
pub(crate) const FRAME: &str =
    "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}/frames/{image_frame_id}";
pub(crate) const PICTURE: &str = "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}/frames/{image_frame_id}/picture{?format,max_size,window_center,window_width}";

pub(crate) const PIXELS: &str = "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}/frames/{image_frame_id}/pixels{?chunk,frame_number}";
pub(crate) const SHEET: &str = "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}/series/{series_instance_uid}/contact-sheet{?format,count,max_size,window_center,window_width}";
pub(super) const TABLE: &str = "healthimaging://tables/";

/// A resource by its URI.
#[derive(Debug, PartialEq)]
pub(super) enum ResourceUri {
    Index,
    Datastore(DatastoreId),
    ImageSet(DatastoreId, ImageSetId),
    Metadata(DatastoreId, ImageSetId, Option<VersionId>),
    Frame(DatastoreId, ImageSetId, ImageFrameId),
    Picture(DatastoreId, ImageSetId, ImageFrameId, RenderOptions),
    Sheet(DatastoreId, ImageSetId, Uid, SheetOptions),
    Pixels(DatastoreId, ImageSetId, ImageFrameId, PixelsQuery),
    /// The arguments of a table.
    Table(Map<String, Value>),
}

/// The query of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PixelsQuery {
    /// Piece of the pixels, from 0.
    pub(super) chunk: usize,
    /// Number of the frame, from 1, where all frames of an instance are stored as one.
    pub(super) frame_number: Option<u32>,
}

impl PixelsQuery {
    fn parse(query: Option<&str>) -> Option<Self> {
        let mut asked = Self::default();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=')? {
                ("chunk", number) => asked.chunk = number.parse().ok()?,
                ("frame_number", number) => {
                    asked.frame_number = Some(number.parse().ok().filter(|number| *number > 0)?);
                }
                _ => return None,
            }
        }
        Some(asked)
    }
}

/// The tool that shows what the index does.
pub(super) const LIST_DATASTORES: &str = "list_datastores";

impl ResourceUri {
    /// The tool that shows the same: a policy that forbids it forbids the resource.
    pub(super) fn shown_by(&self) -> &'static str {
        match self {
            Self::Index => LIST_DATASTORES,
            Self::Datastore(..) => "get_datastore",
            Self::ImageSet(..) => "get_image_set",
            Self::Metadata(..) => "get_image_set_metadata",
            Self::Frame(..) | Self::Picture(..) => "get_image_frame",
            // The viewer reads them.
            Self::Pixels(..) => "view_series",
            Self::Sheet(..) => "get_series_contact_sheet",
            Self::Table(..) => "tabulate_attributes",
        }
    }

    pub(super) fn parse(uri: &str) -> Option<Self> {
        if let Some(arguments) = uri.strip_prefix(TABLE) {
            let json = URL_SAFE_NO_PAD.decode(arguments).ok()?;
            return Some(Self::Table(serde_json::from_slice(&json).ok()?));
        }
        let rest = uri.strip_prefix(INDEX)?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let mut parts = path.split('/');
        if !parts.next()?.is_empty() {
            return None;
        }
        let parts: Vec<&str> = parts.collect();
        let datastore = |id: &str| DatastoreId::try_from(id).ok();
        let image_set = |id: &str| ImageSetId::try_from(id).ok();
        let frame = |id: &str| ImageFrameId::try_from(id).ok();
        match (&parts[..], query) {
            ([], None) => Some(Self::Index),
            ([id], None) => Some(Self::Datastore(datastore(id)?)),
            ([id, "image-sets", set], None) => {
                Some(Self::ImageSet(datastore(id)?, image_set(set)?))
            }
            ([id, "image-sets", set, "metadata"], query) => {
                let version = match query {
                    Some(query) => {
                        let version = query.strip_prefix("version_id=")?;
                        Some(VersionId::try_from(version).ok()?)
                    }
                    None => None,
                };
                let (datastore_id, image_set_id) = (datastore(id)?, image_set(set)?);
                Some(Self::Metadata(datastore_id, image_set_id, version))
            }
            ([id, "image-sets", set, "frames", one], None) => {
                Some(Self::Frame(datastore(id)?, image_set(set)?, frame(one)?))
            }
            ([id, "image-sets", set, "frames", one, "picture"], query) => {
                Some(Self::Picture(datastore(id)?, image_set(set)?, frame(one)?, options(query)?))
            }
            ([id, "image-sets", set, "frames", one, "pixels"], query) => {
                let query = PixelsQuery::parse(query)?;
                Some(Self::Pixels(datastore(id)?, image_set(set)?, frame(one)?, query))
            }
            ([id, "image-sets", set, "series", uid, "contact-sheet"], query) => {
                let uid = Uid::try_from(*uid).ok()?;
                Some(Self::Sheet(datastore(id)?, image_set(set)?, uid, sheet_options(query)?))
            }
            _ => None,
        }
    }
}

/// Parses the query of a picture.
fn options(query: Option<&str>) -> Option<RenderOptions> {
    let asked = PictureQuery::parse(query)?;
    let max_size = match asked.max_size {
        Some(number) => PictureSize::try_from(number).ok()?.get(),
        None => picture::DEFAULT_SIZE,
    };
    let (format, contrast) = (asked.format.unwrap_or(PictureFormat::Png), asked.contrast()?);
    let (max_rows, max_columns) = (max_size, max_size);
    let is_picture = asked.count.is_none();
    is_picture.then(|| RenderOptions {
        format,
        max_rows,
        max_columns,
        contrast,
        ..RenderOptions::default()
    })
}

/// Parses the query of a contact sheet.
fn sheet_options(query: Option<&str>) -> Option<SheetOptions> {
    let asked = PictureQuery::parse(query)?;
    let number = |asked: Option<i64>, absent, within: fn(i64) -> Option<u32>| match asked {
        Some(number) => within(number),
        None => Some(absent),
    };
    Some(SheetOptions {
        count: number(asked.count, sheet::DEFAULT_COUNT, |number| {
            SheetCount::try_from(number).ok().map(SheetCount::get)
        })?,
        max_size: number(asked.max_size, sheet::DEFAULT_SIZE, |number| {
            SheetSize::try_from(number).ok().map(SheetSize::get)
        })?,
        contrast: asked.contrast()?,
        format: asked.format.unwrap_or(PictureFormat::Jpeg),
    })
}

/// The query of a picture or contact sheet.
#[derive(Debug, Default)]
struct PictureQuery {
    format: Option<PictureFormat>,
    max_size: Option<i64>,
    count: Option<i64>,
    center: Option<f64>,
    width: Option<f64>,
}

impl PictureQuery {
    fn parse(query: Option<&str>) -> Option<Self> {
        let mut asked = Self::default();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=')? {
                ("format", "png") => asked.format = Some(PictureFormat::Png),
                ("format", "jpeg") => asked.format = Some(PictureFormat::Jpeg),
                ("max_size", number) => asked.max_size = Some(number.parse().ok()?),
                ("count", number) => asked.count = Some(number.parse().ok()?),
                ("window_center", number) => asked.center = Some(number.parse().ok()?),
                ("window_width", number) => asked.width = Some(number.parse().ok()?),
                _ => return None,
            }
        }
        Some(asked)
    }

    fn contrast(&self) -> Option<Contrast> {
        picture::contrast(self.center, self.width, false).ok()
    }
}

/// Returns the URI of a contact sheet.
pub(crate) fn sheet_uri(stack: &Stack, options: SheetOptions) -> String {
    let Stack { datastore_id, image_set_id, series_instance_uid, .. } = stack;
    let SheetOptions { count, max_size, contrast, format } = options;
    let format = match format {
        PictureFormat::Png => "png",
        PictureFormat::Jpeg => "jpeg",
    };
    let window = match contrast {
        Contrast::Window(Window { center, width, .. }) | Contrast::Named { center, width } => {
            format!("&window_center={center}&window_width={width}")
        }
        Contrast::File | Contrast::Auto => String::new(),
    };
    // A malformed UID stays one segment; its resource cannot be read.
    let uid = path_segment(series_instance_uid);
    format!(
        "{INDEX}/{datastore_id}/image-sets/{image_set_id}/series/{uid}/contact-sheet?format={format}\
         &count={count}&max_size={max_size}{window}"
    )
}

/// Returns the URI of a stored frame.
pub(crate) fn frame_uri(
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
    image_frame_id: &ImageFrameId,
) -> String {
    format!("{INDEX}/{datastore_id}/image-sets/{image_set_id}/frames/{image_frame_id}")
}

/// Returns the URI of a table: it has the arguments that make it.
pub(crate) fn table_uri(arguments: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(arguments)
        .map_err(|error| Error::internal("the URI of the table could not be made", error))?;
    Ok(format!("{TABLE}{}", URL_SAFE_NO_PAD.encode(json)))
}

/// Returns the URI of the metadata of an image set.
pub(crate) fn metadata_uri(
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
    version_id: Option<&VersionId>,
) -> String {
    let uri = format!("{INDEX}/{datastore_id}/image-sets/{image_set_id}/metadata");
    match version_id {
        Some(version) => format!("{uri}?version_id={version}"),
        None => uri,
    }
}
