//! Frames and large values on their own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::stream;
use healthimaging::model::{
    RetrieveBulkdataRequest, RetrieveBulkdataResponse, RetrieveFramesRequest,
    RetrieveFramesResponse,
};
use healthimaging::{Body, Error, ImageFrameId};
use healthimaging_dicom::Instance;

use super::find::{SeriesRequest, no_instance};
use super::retrieve::{EXPLICIT_LITTLE_ENDIAN, Form, Pixels, Retrieval, choose};
use crate::catalog::packs;
use crate::error::Result;
use crate::shared::SharedStore;

/// Warnings of pixels that were kept as they came because they could not be made anything else:
/// they are one frame, in the stored transfer syntax.
const KEPT_WHOLE: [u16; 2] = [0xB100, 0xB120];

/// Frames that are read ahead of their reader.
const AHEAD: usize = 2;

/// Frames in the stored transfer syntax or in Explicit VR Little Endian.
pub(crate) async fn retrieve_frames(
    shared: &SharedStore,
    request: RetrieveFramesRequest,
) -> Result<RetrieveFramesResponse> {
    let task = Arc::clone(shared);
    let found = tokio::task::spawn_blocking(move || {
        let (retrieval, ids) = find(task, &request)?;
        let mut ids = ids.into_iter();
        // Mostly there is but one, and another thread would have to be woken for it.
        let first = ids.next();
        let lower = match (&first, request.enough) {
            (Some(id), Some(enough)) if ids.len() == 0 => retrieval.lower(id, enough)?,
            _ => None,
        };
        let (transfer_syntax, lower_resolution, first) = if let Some((shape, pixels)) = lower {
            let resolution = Some((shape.rows, shape.columns));
            (EXPLICIT_LITTLE_ENDIAN.to_owned(), resolution, Some(pixels.into()))
        } else {
            let first = first.map(|id| retrieval.frame(&id)).transpose()?;
            (retrieval.syntax.clone(), None, first)
        };
        Result::<_>::Ok((retrieval, transfer_syntax, lower_resolution, first, ids))
    });
    let (retrieval, transfer_syntax_uid, lower_resolution, first, ids) = found.await??;
    let content_name = Some(retrieval.found.name.clone());
    let retrieval = Arc::new(retrieval);
    let others = stream::iter(ids)
        .map(move |id| {
            let retrieval = Arc::clone(&retrieval);
            tokio::task::spawn_blocking(move || retrieval.frame(&id))
        })
        .buffered(AHEAD)
        .map(|read| match read {
            Ok(frame) => frame,
            Err(error) => Err(Error::internal("reading a frame ended unexpectedly", error)),
        });
    let first = stream::iter(first.map(Ok));
    let frames = first.chain(others).boxed();
    Ok(RetrieveFramesResponse { transfer_syntax_uid, lower_resolution, frames, content_name })
}

/// The instance, and the ids of the requested frames. Blocks.
fn find(
    shared: SharedStore,
    request: &RetrieveFramesRequest,
) -> Result<(Retrieval, Vec<ImageFrameId>)> {
    let distinct: BTreeSet<u32> = request.frames.iter().copied().collect();
    if distinct.len() != request.frames.len() || request.frames.is_empty() {
        return Err(Error::validation("name at least one frame, and each once").into());
    }
    let series = request.series_instance_uid.to_string();
    let sop = request.sop_instance_uid.to_string();
    let found = SeriesRequest::from(request).find_instance(&shared, &sop)?;
    let instance = found.document.instance(&series, &sop).ok_or_else(no_instance)?;
    let known = frames_of(instance)?;
    let (syntax, form) = choose(instance, &request.transfer_syntax)?;
    let ids = request.frames.iter().map(|number| {
        let index = (*number as usize).checked_sub(1);
        let id = index.and_then(|index| known.get(index)).cloned();
        id.ok_or_else(|| {
            let count = known.len();
            Error::not_found(format!("the instance has frames 1 to {count}, not {number}")).into()
        })
    });
    let ids = ids.collect::<Result<_>>()?;
    let retrieval =
        Retrieval { shared, found, series, sop, syntax, form, proved: Mutex::default() };
    Ok((retrieval, ids))
}

/// The frames of an instance, in their order.
fn frames_of(instance: &Instance) -> Result<Vec<ImageFrameId>> {
    let details = &instance.details;
    match &details.pixel_blob {
        None if instance.frames.is_empty() => {
            Err(Error::not_found("the instance has no pixel data, so it has no frames").into())
        }
        None => Ok(instance.frames.iter().map(|frame| frame.id.clone()).collect()),
        Some(blob)
            if details.warning_reason.is_some_and(|warning| KEPT_WHOLE.contains(&warning)) =>
        {
            Ok(vec![blob.clone()])
        }
        Some(_) => Err(Error::not_found(
            "the frames of this instance could not be separated when it was imported; retrieve the \
             whole instance with transfer syntax *",
        )
        .into()),
    }
}

impl Retrieval {
    /// A frame in the form that was chosen. Blocks.
    fn frame(&self, id: &ImageFrameId) -> healthimaging::Result<Body> {
        if self.form == Form::Decoded {
            let (pixels, _) = self.decoded(&Pixels::of(self.instance()?)?, id)?;
            return Ok(pixels.into());
        }
        Ok(self.body(id)?)
    }
}

/// Bulk data of an instance.
pub(crate) async fn retrieve_bulkdata(
    shared: &SharedStore,
    request: RetrieveBulkdataRequest,
) -> Result<RetrieveBulkdataResponse> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        let series = request.series_instance_uid.to_string();
        let sop = request.sop_instance_uid.to_string();
        let found = SeriesRequest::from(&request).find_instance(&shared, &sop)?;
        let instance = found.document.instance(&series, &sop).ok_or_else(no_instance)?;
        let mut ids = instance.details.bulk_data.values().map(|value| &value.blob_id);
        let id = ids.find(|id| id.as_str() == request.bulkdata_id);
        let id = id.ok_or_else(|| {
            Error::not_found(
                "the instance has no such bulk data; take the BulkDataURI of its metadata",
            )
        })?;
        let location =
            shared.catalog.read_blocking(|reader| packs::referenced(reader, found.row, id))?;
        let bulkdata = shared.blobs.body(&location, |_| Vec::new())?;
        Ok(RetrieveBulkdataResponse { bulkdata, content_name: Some(found.name.clone()) })
    })
    .await?
}
