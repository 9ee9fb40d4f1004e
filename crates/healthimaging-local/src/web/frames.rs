//! Frames and large values on their own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, Bytes};
use futures::StreamExt;
use futures::stream;
use healthimaging::model::{
    RetrieveBulkdataRequest, RetrieveBulkdataResponse, RetrieveFramesRequest,
    RetrieveFramesResponse,
};
use healthimaging::{Body, Error, ImageFrameId};
use healthimaging_dicom::{ImageFrame, Instance};
use healthimaging_image::PixelDescription;
use healthimaging_pixels::is_encapsulated;

use super::find::{SeriesRequest, no_instance};
use super::retrieve::{EXPLICIT_LITTLE_ENDIAN, Form, Pixels, Retrieval, choose};
use crate::catalog::packs;
use crate::error::Result;
use crate::shared::SharedStore;

/// Warnings of pixels that were kept as they came because they could not be made anything else: they are in the stored transfer
/// syntax, and one frame unless the frames are uncompressed and begin at bytes.
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
        let (retrieval, frames) = find(task, &request)?;
        let mut frames = frames.into_iter();
        // Mostly there is but one, and another thread would have to be woken for it.
        let first = frames.next();
        let lower = match (&first, request.enough) {
            (Some(StoredFrame { id, part: None }), Some(enough)) if frames.len() == 0 => {
                retrieval.lower(id, enough)?
            }
            _ => None,
        };
        let (transfer_syntax, lower_resolution, first) = if let Some((shape, pixels)) = lower {
            let resolution = Some((shape.rows, shape.columns));
            (EXPLICIT_LITTLE_ENDIAN.to_owned(), resolution, Some(pixels.into()))
        } else {
            let first = first.map(|frame| retrieval.frame(&frame)).transpose()?;
            (retrieval.syntax.clone(), None, first)
        };
        Result::<_>::Ok((retrieval, transfer_syntax, lower_resolution, first, frames))
    });
    let (retrieval, transfer_syntax_uid, lower_resolution, first, others) = found.await??;
    let content_name = Some(retrieval.found.name.clone());
    let retrieval = Arc::new(retrieval);
    let others = stream::iter(others)
        .map(move |frame| {
            let retrieval = Arc::clone(&retrieval);
            tokio::task::spawn_blocking(move || retrieval.frame(&frame))
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

/// A frame: a blob, or a part of one.
#[derive(Debug)]
struct StoredFrame {
    id: ImageFrameId,
    part: Option<Part>,
}

/// Bytes of a blob.
#[derive(Debug, Clone, Copy)]
struct Part {
    offset: u64,
    length: u64,
}

/// Where the frames of an instance are. They may be as many as the pixel data has bytes, so they are not listed.
enum Frames<'a> {
    /// Each is a blob.
    Each(&'a [ImageFrame]),
    /// The blob is one.
    Whole(&'a ImageFrameId),
    /// The blob has so many, each of so many bytes.
    Parts { blob: &'a ImageFrameId, count: u64, length: u64 },
}

impl Frames<'_> {
    fn count(&self) -> u64 {
        match self {
            Self::Each(frames) => frames.len() as u64,
            Self::Whole(_) => 1,
            Self::Parts { count, .. } => *count,
        }
    }

    /// A frame, by its number from 1.
    fn get(&self, number: u32) -> Option<StoredFrame> {
        let index = number.checked_sub(1)?;
        match *self {
            Self::Each(frames) => {
                let id = frames.get(index as usize)?.id.clone();
                Some(StoredFrame { id, part: None })
            }
            Self::Whole(blob) => (index == 0).then(|| StoredFrame { id: blob.clone(), part: None }),
            Self::Parts { blob, count, length } => (u64::from(index) < count).then(|| {
                let part = Part { offset: u64::from(index) * length, length };
                StoredFrame { id: blob.clone(), part: Some(part) }
            }),
        }
    }
}

/// The instance, and the requested frames. Blocks.
fn find(
    shared: SharedStore,
    request: &RetrieveFramesRequest,
) -> Result<(Retrieval, Vec<StoredFrame>)> {
    let distinct: BTreeSet<u32> = request.frames.iter().copied().collect();
    if distinct.len() != request.frames.len() || request.frames.is_empty() {
        return Err(Error::validation("name at least one frame, and each once").into());
    }
    let series = request.series_instance_uid.to_string();
    let sop = request.sop_instance_uid.to_string();
    let found = SeriesRequest::from(request).find_instance(&shared, &sop)?;
    let instance = found.document.instance(&series, &sop).ok_or_else(no_instance)?;
    let known = frames_of(instance, request.is_whole, |blob| {
        let at =
            shared.catalog.read_blocking(|reader| packs::referenced(reader, found.row, blob))?;
        Ok(at.length)
    })?;
    let (syntax, form) = choose(instance, &request.transfer_syntax)?;
    let frames = request.frames.iter().map(|number| {
        known.get(*number).ok_or_else(|| {
            let count = known.count();
            Error::not_found(format!("the instance has frames 1 to {count}, not {number}")).into()
        })
    });
    let frames = frames.collect::<Result<_>>()?;
    let retrieval =
        Retrieval { shared, found, series, sop, syntax, form, proved: Mutex::default() };
    Ok((retrieval, frames))
}

/// The frames of an instance; with `is_whole`, pixel data that was kept is one. `length_of` returns the length of
/// a blob.
fn frames_of(
    instance: &Instance,
    is_whole: bool,
    length_of: impl FnOnce(&ImageFrameId) -> Result<u64>,
) -> Result<Frames<'_>> {
    let details = &instance.details;
    match &details.pixel_blob {
        None if instance.frames.is_empty() => {
            Err(Error::not_found("the instance has no pixel data, so it has no frames").into())
        }
        None => Ok(Frames::Each(&instance.frames)),
        Some(blob)
            if details.warning_reason.is_some_and(|warning| KEPT_WHOLE.contains(&warning)) =>
        {
            if is_whole {
                return Ok(Frames::Whole(blob));
            }
            Ok(match parts(instance, length_of(blob)?) {
                Some((count, length)) => Frames::Parts { blob, count, length },
                None => Frames::Whole(blob),
            })
        }
        Some(_) => Err(Error::not_found(
            "the frames of this instance could not be separated when it was imported; retrieve the \
             whole instance with transfer syntax *",
        )
        .into()),
    }
}

/// How many frames uncompressed pixel data of this length has, and the length of each (`PS3.5 §8.1.1`), if there are several and
/// all begin at bytes.
fn parts(instance: &Instance, length: u64) -> Option<(u64, u64)> {
    let syntax = instance.stored_transfer_syntax.as_deref().unwrap_or(EXPLICIT_LITTLE_ENDIAN);
    let described = PixelDescription::of(&instance.attributes).ok()?;
    let (count, sides) =
        (u64::from(described.number_of_frames), [described.rows, described.columns]);
    let bits = [described.samples_per_pixel, described.bits_allocated].map(u64::from);
    let bits = sides.map(u64::from).into_iter().chain(bits).try_fold(1, u64::checked_mul)?;
    let is_split = !is_encapsulated(syntax) && count > 1 && bits > 0 && bits.is_multiple_of(8);
    let frame = bits / 8;
    let all = frame.checked_mul(count)?;
    // Pixel data has an even length.
    (is_split && (length == all || length == all + all % 2)).then_some((count, frame))
}

/// A part of a body. The rest is read too, since the checksum is that of the whole.
fn part_of(body: Body, Part { offset, length }: Part) -> Body {
    let (mut before, mut left) = (offset, length);
    let pieces = body.into_stream().filter_map(move |piece| {
        let piece = piece.map(|mut bytes| {
            let skipped = bytes.len().min(usize::try_from(before).unwrap_or(usize::MAX));
            bytes.advance(skipped);
            before -= skipped as u64;
            bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= bytes.len() as u64;
            bytes
        });
        let is_none = piece.as_ref().is_ok_and(Bytes::is_empty);
        std::future::ready((!is_none).then_some(piece))
    });
    Body::from_stream(pieces.boxed(), Some(length))
}

impl Retrieval {
    /// A frame in the form that was chosen. Blocks.
    fn frame(&self, frame: &StoredFrame) -> healthimaging::Result<Body> {
        let StoredFrame { id, part } = frame;
        if self.form == Form::Decoded {
            let (pixels, _) = self.decoded(&Pixels::of(self.instance()?)?, id)?;
            return Ok(pixels.into());
        }
        let whole = self.body(id)?;
        Ok(match part {
            Some(part) => part_of(whole, *part),
            None => whole,
        })
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
