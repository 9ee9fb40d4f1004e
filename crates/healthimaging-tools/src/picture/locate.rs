//! Which frame is meant: the instance that it belongs to, and its place there.

use std::sync::Arc;

use serde_json::{Map, Value};

use healthimaging::model::GetImageSetMetadataRequest;
use healthimaging::{DatastoreId, Error, HealthImaging, ImageFrameId, ImageSetId, Result};
use healthimaging_pixels::{FrameShape, is_encapsulated};
use healthimaging_workflows::document;

use super::Which;
use super::attributes::Instance;

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// A frame that was found.
#[derive(Debug)]
pub(crate) struct Located {
    pub(super) instance: Instance,
    pub(crate) sop_instance_uid: String,
    pub(crate) image_frame_id: ImageFrameId,
    /// Which frame of the instance, from 0.
    pub(crate) index: usize,
    /// How many frames the instance has.
    pub(crate) count: usize,
    /// Its place among the stored frames; differs from `index` where all frames are stored as one.
    pub(super) entry: usize,
}

impl Located {
    /// The bytes of this frame: a part of them where all frames of the instance are stored as one.
    pub(super) fn part_of<'a>(&self, stored: &'a [u8], shape: &FrameShape) -> Result<&'a [u8]> {
        if self.count == self.instance.stored_frames() {
            return Ok(stored);
        }
        let apart = Error::validation(
            "the frames of this instance are stored as one and cannot be told apart; take them \
             with format stored",
        );
        if is_encapsulated(self.instance.stored_syntax()) || shape.bits_allocated == 1 {
            return Err(apart);
        }
        let length = usize::try_from(shape.byte_length()).unwrap_or(usize::MAX);
        let start = length.saturating_mul(self.index);
        let end = start.saturating_add(length);
        stored.get(start..end).ok_or(apart)
    }
}

/// Finds a frame in the latest metadata of an image set.
pub(crate) async fn locate(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
    which: &Which,
) -> Result<Located> {
    let mut instances = instances(service, datastore_id, image_set_id).await?;
    match which {
        Which::Id(id) => {
            let found = instances.find_map(|(uid, instance)| {
                let entry = instance.frame_ids().position(|one| one == id.as_str())?;
                Some((uid, instance, entry))
            });
            let (uid, instance, entry) = found.ok_or_else(|| {
                Error::not_found(
                    "the latest version of the image set has no frame of that id; \
                     get_image_set_metadata tells the ids in ImageFrames",
                )
            })?;
            Located::new(uid, instance, entry)
        }
        Which::Number(wanted, number) => {
            let found = instances.find(|(uid, _)| uid == wanted.as_str());
            let (uid, instance) = found.ok_or_else(|| {
                Error::not_found("the image set holds no instance of that sop_instance_uid")
            })?;
            Located::new(uid, instance, *number as usize - 1)
        }
    }
}

impl Located {
    fn new(sop_instance_uid: String, instance: Instance, index: usize) -> Result<Self> {
        let stored = instance.stored_frames();
        if stored == 0 {
            return Err(Error::validation(
                "the instance has no frames: it holds no pixels, or they are kept whole because \
                 they could not be told apart; DICOMweb and exports return the whole instance",
            ));
        }
        let count = if stored == 1 { instance.number_of_frames() } else { stored };
        if index >= count {
            let frames = if count == 1 { "frame" } else { "frames" };
            return Err(Error::validation(format!(
                "the instance has {count} {frames}; frame_number is from 1 to {count}"
            )));
        }
        let entry = index.min(stored - 1);
        let id = instance.frame_id(entry).unwrap_or_default();
        Ok(Self {
            image_frame_id: ImageFrameId::try_from(id)?,
            instance,
            sop_instance_uid,
            index,
            count,
            entry,
        })
    }
}

/// Ids of all frames in the latest metadata.
pub(crate) async fn frame_ids(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
) -> Result<Vec<String>> {
    let instances = instances(service, datastore_id, image_set_id).await?;
    let ids = |(_, instance): (String, Instance)| {
        let texts: Vec<String> = instance.frame_ids().map(str::to_owned).collect();
        texts
    };
    Ok(instances.flat_map(ids).collect())
}

/// The instances of the latest metadata, each with its UID.
async fn instances(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
) -> Result<impl Iterator<Item = (String, Instance)>> {
    let request = GetImageSetMetadataRequest {
        datastore_id: datastore_id.clone(),
        image_set_id: image_set_id.clone(),
        version_id: None,
    };
    let document = document::fetch(service, request).await?;
    let mut whole = document.object().await?;
    let series = taken(taken(whole.remove("Study")).remove("Series"));
    Ok(series.into_iter().flat_map(|(_, one)| {
        let mut one = taken(Some(one));
        let attributes = Arc::new(taken(one.remove("DICOM")));
        let instances = taken(one.remove("Instances"));
        instances.into_iter().map(move |(uid, instance)| {
            let instance = taken(Some(instance));
            (uid, Instance::new(instance, Arc::clone(&attributes)))
        })
    }))
}

/// A JSON object; nothing else has anything in it.
pub(super) fn taken(value: Option<Value>) -> Object {
    match value {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}
