//! The metadata document of an image set: fetched whole, then shown whole, in part, or in outline.

mod attribute;
mod contents;
mod lately;
mod page;
mod part;

use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::read::GzDecoder;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use healthimaging::model::{GetImageSetMetadataRequest, GetImageSetMetadataResponse};
use healthimaging::{Error, ErrorKind, HealthImaging, MemoryBudget, Result};

pub use attribute::Attribute;
pub(crate) use attribute::tag;
pub use contents::{Contents, InstanceContents, Outline, SeriesContents};
pub use page::{LEFT_OUT_LISTED, LeftOut, Page, page};
pub use part::{Level, Part};

/// Longest document that is read, in bytes of JSON; a larger one is refused. In memory a document
/// is several times its length.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Documents that are fetched at once.
pub(crate) const FETCHED_AT_ONCE: usize = 48;

/// What is worth another thread, in bytes of JSON: with less, waking it takes as long as the work.
const QUICK: usize = 1 << 20;

/// How many times smaller a document is while it is packed, at least.
const PACKED: usize = 8;

/// How many times larger a document is when parsed, for most.
const PARSED: u64 = 8;

/// A JSON object.
type Object = Map<String, Value>;

/// Fetches a document, and unpacks it unless it is as it was when it was last read.
pub async fn fetch(
    service: &dyn HealthImaging,
    request: GetImageSetMetadataRequest,
) -> Result<Arc<Document>> {
    let packed = Packed::fetch(service, request).await?;
    if let Some(known) = lately::known(&packed.bytes) {
        return Ok(known);
    }
    let (bytes, size) = (packed.bytes.clone(), packed.bytes.len() * PACKED);
    let document = Document {
        packed: bytes,
        text: beside_others(size, move || packed.unpacked()).await?,
        contents: OnceLock::new(),
    };
    Ok(lately::keep(document))
}

/// A document that was fetched.
#[derive(Debug)]
pub struct Document {
    /// As it travelled.
    packed: Bytes,
    text: Bytes,
    contents: OnceLock<Arc<Contents>>,
}

/// A part of a document.
#[derive(Debug)]
pub struct Cut {
    /// What the whole document holds.
    pub contents: Arc<Contents>,
    /// The part.
    pub object: Object,
    /// Of the part, in bytes of JSON.
    pub size: usize,
}

impl Document {
    /// The whole of it: JSON text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// SHA-256 of its text; lower-case hexadecimal.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(&self.text))
    }

    /// What it holds.
    pub async fn contents(self: &Arc<Self>) -> Result<Arc<Contents>> {
        if let Some(known) = self.contents.get() {
            return Ok(Arc::clone(known));
        }
        let text = self.text.clone();
        let contents = beside_others(text.len(), move || Contents::read(&text)).await?;
        let contents = Arc::new(contents);
        Ok(Arc::clone(self.contents.get_or_init(|| contents)))
    }

    /// Bytes of memory that it takes when parsed, about.
    pub fn parsed_size(&self) -> u64 {
        parsed_size(&self.text)
    }

    /// The whole of it, parsed; who calls has a lease for [`Self::parsed_size`].
    pub async fn object(&self) -> Result<Object> {
        let text = self.text.clone();
        beside_others(text.len(), move || read(&text)).await
    }

    /// A part of it.
    pub async fn cut(self: &Arc<Self>, part: Part) -> Result<Cut> {
        let document = Arc::clone(self);
        let lease = MemoryBudget::process().work(self.parsed_size()).await;
        beside_others(self.text.len(), move || {
            let _lease = lease;
            let mut object = read(&document.text)?;
            let contents = match document.contents.get() {
                Some(known) => Arc::clone(known),
                None => Arc::new(Contents::of(&object)?),
            };
            part.cut(&mut object)?;
            let text = serde_json::to_string(&object)
                .map_err(|error| Error::internal("the metadata could not be written", error))?;
            Ok(Cut {
                contents: Arc::clone(document.contents.get_or_init(|| contents)),
                object,
                size: text.len(),
            })
        })
        .await
    }
}

/// A document as it travels.
struct Packed {
    bytes: Bytes,
    is_gzip: bool,
}

impl Packed {
    async fn fetch(
        service: &dyn HealthImaging,
        request: GetImageSetMetadataRequest,
    ) -> Result<Self> {
        let GetImageSetMetadataResponse { image_set_metadata, content_encoding, .. } =
            service.get_image_set_metadata(request).await?;
        Ok(Self {
            bytes: image_set_metadata.collect(LONGEST).await?,
            is_gzip: content_encoding == "gzip",
        })
    }

    fn unpacked(self) -> Result<Bytes> {
        if self.is_gzip { unpack(&self.bytes) } else { Ok(self.bytes) }
    }
}

/// Does work on so many bytes of JSON; much of it would hold up other calls, and is done beside them.
async fn beside_others<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes <= QUICK {
        return work();
    }
    apart(work).await
}

/// Does work on another thread.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("reading the metadata failed", error))?
}

fn unpack(packed: &[u8]) -> Result<Bytes> {
    let mut text = Vec::new();
    GzDecoder::new(packed).take(LONGEST + 1).read_to_end(&mut text).map_err(|error| {
        Error::new(ErrorKind::Service, "the metadata is not a whole gzip stream").with_source(error)
    })?;
    if text.len() as u64 > LONGEST {
        return Err(Error::validation("the metadata is too large to be read by a tool"));
    }
    Ok(text.into())
}

/// Fetches a document and reads what the image set holds.
///
/// Many may be fetched at once, since fetching is mostly waiting; few of them are unpacked at once.
pub async fn contents(
    service: &dyn HealthImaging,
    request: GetImageSetMetadataRequest,
) -> Result<Contents> {
    static ROOM: Semaphore = Semaphore::const_new(8);
    let packed = Packed::fetch(service, request).await?;
    // It is never closed.
    let _room = ROOM.acquire().await;
    apart(move || Contents::read(&packed.unpacked()?)).await
}

/// Bytes of memory that JSON text takes when parsed, about.
fn parsed_size(text: &[u8]) -> u64 {
    PARSED * text.len() as u64
}

fn read(text: &[u8]) -> Result<Object> {
    serde_json::from_slice(text).map_err(|error| {
        Error::new(ErrorKind::Service, "the metadata is not a JSON object").with_source(error)
    })
}
