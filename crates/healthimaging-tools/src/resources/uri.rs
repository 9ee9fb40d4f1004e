//! URIs of resources.

use healthimaging::{DatastoreId, ImageFrameId, ImageSetId, VersionId};
use healthimaging_render::{PictureFormat, RenderOptions};

use crate::arguments::PictureSize;
use crate::picture;

pub(super) const INDEX: &str = "healthimaging://datastores";
pub(super) const DATASTORE: &str = "healthimaging://datastores/{datastore_id}";
pub(super) const IMAGE_SET: &str =
    "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}";
pub(super) const METADATA: &str =
    "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}/metadata{?version_id}";
pub(super) const FRAME: &str =
    "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}/frames/{image_frame_id}";
pub(super) const PICTURE: &str = "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}/frames/{image_frame_id}/picture{?format,max_size,window_center,window_width}";

/// A resource by its URI.
#[derive(Debug, PartialEq)]
pub(super) enum ResourceUri {
    Index,
    Datastore(DatastoreId),
    ImageSet(DatastoreId, ImageSetId),
    Metadata(DatastoreId, ImageSetId, Option<VersionId>),
    Frame(DatastoreId, ImageSetId, ImageFrameId),
    Picture(DatastoreId, ImageSetId, ImageFrameId, RenderOptions),
}

impl ResourceUri {
    pub(super) fn parse(uri: &str) -> Option<Self> {
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
            _ => None,
        }
    }
}

/// Parses the query of a picture.
fn options(query: Option<&str>) -> Option<RenderOptions> {
    let (mut format, mut max_size) = (PictureFormat::Png, picture::DEFAULT_SIZE);
    let (mut center, mut width) = (None, None);
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=')? {
            ("format", "png") => format = PictureFormat::Png,
            ("format", "jpeg") => format = PictureFormat::Jpeg,
            ("max_size", number) => {
                max_size = PictureSize::try_from(number.parse::<i64>().ok()?).ok()?.get();
            }
            ("window_center", number) => center = Some(number.parse().ok()?),
            ("window_width", number) => width = Some(number.parse().ok()?),
            _ => return None,
        }
    }
    let contrast = picture::contrast(center, width, false).ok()?;
    let (max_rows, max_columns) = (max_size, max_size);
    Some(RenderOptions { format, max_rows, max_columns, contrast, ..RenderOptions::default() })
}

/// Returns the URI of a stored frame.
pub(crate) fn frame_uri(
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
    image_frame_id: &ImageFrameId,
) -> String {
    format!("{INDEX}/{datastore_id}/image-sets/{image_set_id}/frames/{image_frame_id}")
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
