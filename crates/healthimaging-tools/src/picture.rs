//! Fetches frames and their metadata, and renders pictures.

use std::collections::BTreeMap;

use bytes::Bytes;
use healthimaging::ErrorKind::{AccessDenied, NotFound, NotSupported};
use healthimaging::model::{GetImageFrameRequest, InstanceMetadataRequest};
use healthimaging::{
    DatastoreId, DicomWeb, Error, HealthImaging, ImageFrameId, ImageSetId, MemoryBudget, Result,
    Uid, VersionId,
};
use healthimaging_pixels::{Decoder, content_type, is_video};
use healthimaging_render::{
    Contrast, FrameLocation, FrameSelector, RenderError, RenderOptions, RenderedFrame, find_frame,
    render,
};
use healthimaging_workflows::document;
use serde_json::value::RawValue;

use crate::versions::Documents;

/// Longest frame that is returned, in bytes as stored.
const LONGEST_FRAME: u64 = 64 * 1024 * 1024;

/// Longest DICOM JSON of an instance, in bytes.
const LONGEST_METADATA: u64 = 64 * 1024 * 1024;

/// Longest side of a picture when none is asked for, in pixels.
pub(crate) const DEFAULT_SIZE: u32 = 512;

/// Returns the contrast that three arguments select together.
pub(crate) fn contrast(center: Option<f64>, width: Option<f64>, auto: bool) -> Result<Contrast> {
    let (center, width) = match (center, width, auto) {
        (None, None, true) => return Ok(Contrast::Auto),
        (None, None, false) => return Ok(Contrast::File),
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
    let contrast = Contrast::Named { center, width };
    if !contrast.is_usable() {
        return Err(Error::validation(
            "window_center and window_width must be finite, and window_width more than 0",
        ));
    }
    Ok(contrast)
}

/// The 18 operations and DICOMweb of a back end.
pub(crate) type BackEnd<'a> = (&'a dyn HealthImaging, &'a dyn DicomWeb);

/// A stored frame.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: String,
}

/// Fetches a stored frame.
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

/// Finds a frame in the metadata of a version of an image set, by default the latest.
pub(crate) async fn locate(
    documents: Documents<'_>,
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
    version_id: Option<&VersionId>,
    selector: &FrameSelector,
) -> Result<FrameLocation> {
    let document = documents.fetch(datastore_id, image_set_id, version_id).await?;
    let _lease = MemoryBudget::process().work(document::parsed_size(&document)).await;
    Ok(find_frame(&document, selector)?)
}

/// Lists the IDs of all frames in the latest metadata.
pub(crate) async fn frame_ids(
    documents: Documents<'_>,
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
) -> Result<Vec<String>> {
    let document = documents.fetch(datastore_id, image_set_id, None).await?;
    let mut ids = Vec::new();
    for instance in document.levels().instances() {
        ids.extend(instance.frame_ids()?.into_iter().flatten());
    }
    Ok(ids)
}

/// Fetches a frame and renders it.
pub(crate) async fn picture(
    back_end: BackEnd<'_>,
    decoder: &Decoder,
    place: (&DatastoreId, &ImageSetId),
    mut location: FrameLocation,
    options: RenderOptions,
) -> Result<(FrameLocation, RenderedFrame)> {
    settle_padding(back_end.1, place.0, place.1, &mut location).await?;
    decoded(back_end.0, decoder, place, location, move |decoder, location, stored| {
        render(decoder, location, stored, &options)
    })
    .await
}

/// Fetches a stored frame, and decodes it with `work` on another thread: that takes long, and would block
/// other calls.
pub(crate) async fn decoded<T: Send + 'static>(
    service: &dyn HealthImaging,
    decoder: &Decoder,
    (datastore_id, image_set_id): (&DatastoreId, &ImageSetId),
    location: FrameLocation,
    work: impl FnOnce(&Decoder, &FrameLocation, &[u8]) -> Result<T, RenderError> + Send + 'static,
) -> Result<(FrameLocation, T)> {
    if is_video(location.stored_transfer_syntax()) {
        return Err(refusal(RenderError::Unsupported("video".to_owned()), &location));
    }
    let lease = MemoryBudget::process().work(location.memory()).await;
    let id = &location.image_frame_id;
    let stored = fetch(service, datastore_id, image_set_id, id).await?;
    let decoder = decoder.clone();
    tokio::task::spawn_blocking(move || {
        let _lease = lease;
        match work(&decoder, &location, &stored.bytes) {
            Ok(made) => Ok((location, made)),
            Err(error) => Err(refusal(error, &location)),
        }
    })
    .await
    .map_err(|error| Error::internal("decoding the frame failed", error))?
}

/// Ignores a Pixel Padding Value of the series that the file of the instance does not have.
pub(crate) async fn settle_padding(
    dicomweb: &dyn DicomWeb,
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
    location: &mut FrameLocation,
) -> Result<()> {
    if !is_video(location.stored_transfer_syntax())
        && location.inherits_padding()
        && !has_padding(dicomweb, datastore_id, image_set_id, location).await?
    {
        location.ignore_inherited_padding();
    }
    Ok(())
}

/// Whether the file of the instance has a Pixel Padding Value, which the document shows for its series.
async fn has_padding(
    dicomweb: &dyn DicomWeb,
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
    location: &FrameLocation,
) -> Result<bool> {
    let Some((study_instance_uid, series_instance_uid)) = location.hierarchy() else {
        return Ok(true);
    };
    let request = InstanceMetadataRequest {
        datastore_id: datastore_id.clone(),
        study_instance_uid,
        series_instance_uid,
        sop_instance_uid: Uid::try_from(location.sop_instance_uid.as_str())?,
        image_set_id: Some(image_set_id.clone()),
    };
    let metadata = match dicomweb.instance_metadata(request).await {
        Ok(body) => body.collect(LONGEST_METADATA).await?,
        // Without DICOMweb the value of the series is the best one.
        Err(error) if matches!(error.kind(), NotSupported | NotFound | AccessDenied) => {
            return Ok(true);
        }
        Err(error) => return Err(error),
    };
    let instances: Vec<BTreeMap<&str, &RawValue>> = serde_json::from_slice(&metadata)
        .map_err(|error| Error::internal("the DICOM JSON of an instance is invalid", error))?;
    Ok(instances.iter().any(|instance| instance.contains_key("00280120")))
}

/// Returns why there is no picture, and what is available instead.
fn refusal(error: RenderError, location: &FrameLocation) -> Error {
    match &error {
        RenderError::Unsupported(_) => {
            let stored = content_type(Some(location.stored_transfer_syntax()));
            Error::new(
                NotSupported,
                format!("{error}; format stored returns it as it is stored, as {stored}"),
            )
        }
        _ => error.into(),
    }
}
