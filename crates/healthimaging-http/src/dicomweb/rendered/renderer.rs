//! Pictures of frames: fetched from the back end by DICOMweb, and rendered on threads that may block.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use axum::extract::Request;
use bytes::Bytes;
use futures::StreamExt;
use healthimaging::model::{
    InstanceMetadataRequest, RetrieveFramesRequest, RetrieveFramesResponse, TransferSyntaxChoice,
};
use healthimaging::{
    Cache, DatastoreId, DicomWeb, Error, ErrorKind, ImageSetId, MemoryBudget, MemoryLease, Result,
    Uid,
};
use healthimaging_pixels::Decoder;
use healthimaging_render::{
    InstanceAttributes, RenderError, RenderOptions, RetrievedFrame, Viewport, render_instance_frame,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::call::ForCaller;
use crate::dicomweb::part::Urls;
use crate::entity_tag::tag;

/// Longest DICOM JSON of an instance in bytes.
const LONGEST_METADATA: u64 = 64 << 20;

/// DICOM JSON up to so many bytes is parsed sooner than another thread is woken for it.
const SHORT_METADATA: usize = 16 << 10;

/// Longest frame in bytes, as the back end returns it.
const LONGEST_FRAME: u64 = 128 << 20;

/// Memory for pictures that were rendered recently, in bytes.
const PICTURES: usize = 16 << 20;

/// Pictures that are made at once, for each core: some wait for the back end.
const AT_ONCE: usize = 4;

/// Explicit VR Little Endian.
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

type Pictures = Cache<String, (Bytes, Arc<MemoryLease>)>;

/// Renders frames of a back end.
#[derive(Clone)]
pub(crate) struct Renderer {
    pub(super) web: Arc<dyn DicomWeb>,
    decoder: Decoder,
    turns: Arc<Semaphore>,
    pictures: Arc<Pictures>,
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").field("decoder", &self.decoder).finish_non_exhaustive()
    }
}

/// Location of an instance.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) datastore_id: DatastoreId,
    pub(super) study: Uid,
    pub(super) series: Uid,
    pub(super) sop: Uid,
    pub(super) image_set_id: Option<ImageSetId>,
}

impl Place {
    /// Returns the request for frames as they are stored.
    fn frames(&self, frames: Vec<u32>) -> RetrieveFramesRequest {
        RetrieveFramesRequest {
            datastore_id: self.datastore_id.clone(),
            study_instance_uid: self.study.clone(),
            series_instance_uid: self.series.clone(),
            sop_instance_uid: self.sop.clone(),
            image_set_id: self.image_set_id.clone(),
            frames,
            transfer_syntax: TransferSyntaxChoice::Stored,
            enough: None,
            is_whole: false,
        }
    }
}

/// An instance with an image.
#[derive(Debug)]
pub(super) struct Image {
    place: Place,
    pub(super) attributes: InstanceAttributes,
    /// Whether the back end lacked one of its frames.
    ended: AtomicBool,
}

impl Image {
    /// Returns the URL of the picture of a frame.
    pub(super) fn location(&self, urls: &Urls, number: u32) -> String {
        let Place { study, series, sop, .. } = &self.place;
        urls.of_instance(study, series, sop, &format!("/frames/{number}/rendered"))
    }

    /// Whether a frame was missing, so that none is expected after it, whatever Number of Frames (0028,0008) says.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// A frame that is not rendered yet.
pub(super) struct Frame {
    image: Arc<Image>,
    index: usize,
    options: RenderOptions,
    found: RetrieveFramesResponse,
    /// Entity tag of its picture; `None` if the back end has no name of the content.
    pub(super) tag: Option<String>,
    _turn: OwnedSemaphorePermit,
}

impl ForCaller for Renderer {
    fn for_caller(own: Arc<Self>, request: &Request) -> Arc<Self> {
        let web = <dyn DicomWeb>::for_caller(Arc::clone(&own.web), request);
        if Arc::ptr_eq(&web, &own.web) { own } else { Arc::new(Self { web, ..(*own).clone() }) }
    }
}

impl Renderer {
    pub(crate) fn new(web: Arc<dyn DicomWeb>, decoder: Decoder) -> Self {
        let pictures: Arc<Pictures> = Arc::new(Cache::new(PICTURES));
        let cache: Weak<Pictures> = Arc::downgrade(&pictures);
        MemoryBudget::process().add_cache(cache);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { web, decoder, turns: Arc::new(Semaphore::new(AT_ONCE * cores)), pictures }
    }

    /// Fetches the attributes of an instance; `NotAcceptable` if it holds no image.
    pub(super) async fn image(&self, place: Place) -> Result<Arc<Image>> {
        let request = InstanceMetadataRequest {
            datastore_id: place.datastore_id.clone(),
            study_instance_uid: place.study.clone(),
            series_instance_uid: place.series.clone(),
            sop_instance_uid: place.sop.clone(),
            image_set_id: place.image_set_id.clone(),
        };
        let found = self.web.instance_metadata(request).await?;
        let text = found.collect(LONGEST_METADATA).await?;
        let is_short = text.len() <= SHORT_METADATA;
        let lease = MemoryBudget::process().document_at_once(text.len() as u64);
        let parse = move || {
            let _lease = lease;
            InstanceAttributes::from_dicom_json(&text)
        };
        let attributes = if is_short { parse() } else { blocking(parse).await }?;
        if !attributes.has_pixels() {
            return Err(Error::new(
                ErrorKind::NotAcceptable,
                "the instance holds no image, so there is no picture of it; retrieve the instance or \
                 its metadata",
            ));
        }
        Ok(Arc::new(Image { place, attributes, ended: AtomicBool::new(false) }))
    }

    /// Finds a frame, counted from 1.
    pub(super) async fn frame(
        &self,
        image: Arc<Image>,
        number: u32,
        options: RenderOptions,
    ) -> Result<Frame> {
        let closed = |error| Error::internal("the renderer is closed", error);
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(closed)?;
        let index = (number as usize).saturating_sub(1);
        let enough = image.attributes.enough(index, &options);
        let found = self.find(&image, number, enough).await.inspect_err(|error| {
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotAcceptable) {
                image.ended.store(true, Ordering::Relaxed);
            }
        })?;
        let tag = found.content_name.as_ref().map(|name| {
            let which = format!("{}/{number}/{options:?}", image.place.sop);
            tag(&[name.as_bytes(), which.as_bytes()])
        });
        Ok(Frame { image, index, options, found, tag, _turn: turn })
    }

    /// Fails with `NotFound` if the instance lacks one of these frames, counted from 1.
    pub(super) async fn require_frames(&self, image: &Image, numbers: &[u32]) -> Result<()> {
        if image.attributes.is_kept_whole() {
            let count = image.attributes.number_of_frames();
            let absent = numbers.iter().find(|number| !(1..=count).contains(&(**number as usize)));
            return absent.map_or(Ok(()), |number| Err(no_frame(count, *number)));
        }
        let request = image.place.frames(numbers.to_vec());
        match self.web.retrieve_frames(request).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Retrieves the bytes of a frame: decoded by the back end if that makes no difference, else as they are stored. If a
    /// lower resolution is enough, the back end may decode that; else it is decoded here from the stored bytes.
    async fn find(
        &self,
        image: &Image,
        number: u32,
        enough: Option<(u32, u32)>,
    ) -> Result<RetrieveFramesResponse> {
        let attributes = &image.attributes;
        let count = attributes.number_of_frames();
        let is_kept_whole = attributes.is_kept_whole();
        if is_kept_whole && !(1..=count).contains(&(number as usize)) {
            return Err(no_frame(count, number));
        }
        let numbers = vec![if is_kept_whole { 1 } else { number }];
        let is_whole = is_kept_whole;
        let request = RetrieveFramesRequest { is_whole, ..image.place.frames(numbers) };
        let is_decoded_there = attributes.is_decoded_alike() && !is_kept_whole;
        if is_decoded_there && enough.is_some() {
            return self.web.retrieve_frames(RetrieveFramesRequest { enough, ..request }).await;
        }
        if is_decoded_there {
            let transfer_syntax = TransferSyntaxChoice::Uid(Uid::try_from(EXPLICIT_LITTLE_ENDIAN)?);
            let request = RetrieveFramesRequest { transfer_syntax, ..request.clone() };
            match self.web.retrieve_frames(request).await {
                Err(error) if error.kind() == ErrorKind::NotAcceptable => {}
                found => return found,
            }
        }
        self.web.retrieve_frames(request).await
    }

    /// Renders a frame.
    pub(super) async fn picture(&self, frame: Frame) -> Result<Bytes> {
        if let Some((picture, _)) = frame.tag.as_ref().and_then(|tag| self.pictures.get(tag)) {
            return Ok(picture);
        }
        let Frame { image, index, options, mut found, tag, _turn } = frame;
        let missing = || Error::internal("the back end returned no frame", "empty");
        let body = found.frames.next().await.ok_or_else(missing)??;
        let bytes = body.collect(LONGEST_FRAME).await?;
        let memory = image.attributes.memory() + options.viewport.as_ref().map_or(0, size);
        // Not awaited: the bytes of the frame may have a lease already.
        let lease = MemoryBudget::process().document_at_once(memory);
        let decoder = self.decoder.clone();
        let picture = blocking(move || {
            let _lease = lease;
            let frame = RetrievedFrame {
                transfer_syntax: &found.transfer_syntax_uid,
                lower_resolution: found.lower_resolution,
                bytes: &bytes,
            };
            let rendered =
                render_instance_frame(&decoder, &image.attributes, index, frame, &options);
            rendered.map(|rendered| Bytes::from(rendered.file)).map_err(refusal)
        })
        .await?;
        if let Some(tag) = tag
            && let Some(lease) = MemoryBudget::process().spare(picture.len() as u64)
        {
            let size = picture.len();
            self.pictures.insert(tag, (picture.clone(), Arc::new(lease)), size);
            MemoryBudget::process().shed();
        }
        Ok(picture)
    }
}

/// For a frame that an instance of so many frames does not have.
fn no_frame(count: usize, number: u32) -> Error {
    Error::not_found(format!("the instance has frames 1 to {count}, not {number}"))
}

/// Memory of a picture that fills a viewport, in bytes.
fn size(viewport: &Viewport) -> u64 {
    u64::from(viewport.columns) * u64::from(viewport.rows) * 3
}

/// Runs what takes long or blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let failed = |error| Error::internal("rendering the picture failed", error);
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

/// Returns why there is no picture: of pixels that cannot be shown, none is available.
fn refusal(error: RenderError) -> Error {
    let is_unavailable = match &error {
        RenderError::Unsupported(_) | RenderError::Attribute(_) => true,
        // Damaged pixel data is no fault of the request.
        RenderError::Frame(codec) => Error::from(codec.clone()).kind() == ErrorKind::Validation,
        _ => false,
    };
    if is_unavailable {
        let message = format!("{error}; retrieve the frame with transfer-syntax=*");
        return Error::new(ErrorKind::NotAcceptable, message).with_source(error);
    }
    error.into()
}
