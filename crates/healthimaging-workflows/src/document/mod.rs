//! Fetches the metadata documents of image sets, and shows them whole, in part, or in outline.

mod attribute;
mod cache;
mod outline;
mod page;
mod part;

use std::io::{BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::GzDecoder;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use healthimaging::model::{GetImageSetMetadataRequest, GetImageSetMetadataResponse};
use healthimaging::{Error, ErrorKind, HealthImaging, MemoryBudget, Result};
use healthimaging_dicom::{Document, InstanceSummary};

use cache::Key;

pub use attribute::Attribute;
pub(crate) use attribute::{tag, tag_of, unknown};
pub use cache::forget;
pub use healthimaging_dicom::DocumentText;
pub use outline::Outline;
pub use page::{LEFT_OUT_LISTED, LeftOut, Page, page};
pub use part::{Level, Part};

/// Maximum length of a document that is read as text, in bytes of JSON. Parsed it takes several times as much memory.
const LONGEST: u64 = 64 << 20;

/// Maximum length of a document of which only UIDs are read, in bytes as sent and in bytes of JSON.
const LONGEST_STREAMED: u64 = 256 << 20;
const LONGEST_STREAMED_JSON: u64 = 16 << 30;

/// Documents that are fetched at once.
pub(crate) const FETCHED_AT_ONCE: usize = 48;

/// Work on more JSON than this, in bytes, is done on another thread; for less, waking one takes as long as the work.
const QUICK: usize = 1 << 20;

/// Minimum ratio of the length of a document to its length as sent, for most.
const COMPRESSION: usize = 8;

/// Ratio of the memory of parsed JSON to its length, for most.
const PARSED: u64 = 8;

/// A JSON object.
type Object = Map<String, Value>;

/// What an image set holds, with its instances in brief.
pub type Contents = Document<InstanceSummary>;

/// A part of a document.
#[derive(Debug)]
pub struct Cut {
    /// The part.
    pub object: Object,
    /// Its length, in bytes of JSON.
    pub size: usize,
}

/// Fetches a document, and unpacks it unless it is in the cache. If its content has a name and is in the cache, its body is not
/// read.
pub async fn fetch(
    service: &dyn HealthImaging,
    request: GetImageSetMetadataRequest,
) -> Result<Arc<DocumentText>> {
    let response = service.get_image_set_metadata(request).await?;
    let name = response.image_set_metadata.name().cloned().map(Key::Name);
    if let Some(known) = name.as_ref().and_then(cache::get) {
        return Ok(known);
    }
    let packed = Packed::read(response, LONGEST).await?;
    let size = packed.bytes.len() * COMPRESSION;
    let key = match name {
        Some(name) => name,
        None => Key::Packed(packed.bytes.clone()),
    };
    if let Some(known) = cache::get(&key) {
        return Ok(known);
    }
    let document = beside_others(size, move || DocumentText::read(packed.unpacked()?)).await?;
    Ok(cache::insert(key, document))
}

/// SHA-256 of the text of a document; lower-case hexadecimal.
pub fn digest(document: &DocumentText) -> String {
    hex::encode(Sha256::digest(document.text()))
}

/// Memory that a parsed document takes, in bytes.
pub fn parsed_size(document: &DocumentText) -> u64 {
    PARSED * document.text().len() as u64
}

/// Takes a part of a document.
pub async fn cut(document: &Arc<DocumentText>, part: Part) -> Result<Cut> {
    let document = Arc::clone(document);
    let size = part.text_length(&document);
    let lease = MemoryBudget::process().work(PARSED * size as u64).await;
    beside_others(size, move || {
        let _lease = lease;
        let object = part.cut(&document)?;
        let text = serde_json::to_string(&object)
            .map_err(|error| Error::internal("the metadata could not be written", error))?;
        Ok(Cut { object, size: text.len() })
    })
    .await
}

/// Makes the outline of a document.
pub async fn outline(document: &Arc<DocumentText>) -> Result<Outline> {
    let document = Arc::clone(document);
    beside_others(document.text().len(), move || Outline::of(&document)).await
}

/// Fetches a document and reads what the image set holds.
///
/// Many may be fetched at once, since fetching is mostly waiting; few of them are unpacked at once.
pub async fn contents(
    service: &dyn HealthImaging,
    request: GetImageSetMetadataRequest,
) -> Result<Contents> {
    static UNPACKED_AT_ONCE: Semaphore = Semaphore::const_new(8);
    let packed = Packed::fetch(service, request, LONGEST).await?;
    // It is never closed.
    let _permit = UNPACKED_AT_ONCE.acquire().await;
    on_another_thread(move || Document::parse(&packed.unpacked()?)).await
}

/// Fetches a document of any length and reads the UIDs of what the image set holds.
pub(crate) async fn uids(
    service: &dyn HealthImaging,
    request: GetImageSetMetadataRequest,
) -> Result<Document<IgnoredAny>> {
    streamed(service, request).await
}

/// Fetches a document of any length and reads the part of each instance that `I` has.
pub(crate) async fn streamed<I: DeserializeOwned + Send + 'static>(
    service: &dyn HealthImaging,
    request: GetImageSetMetadataRequest,
) -> Result<Document<I>> {
    let packed = Packed::fetch(service, request, LONGEST_STREAMED).await?;
    on_another_thread(move || {
        let text = packed.reader().take(LONGEST_STREAMED_JSON);
        Document::read(BufReader::new(text))
    })
    .await
}

/// A document as it is sent.
struct Packed {
    bytes: Bytes,
    is_gzip: bool,
}

impl Packed {
    async fn fetch(
        service: &dyn HealthImaging,
        request: GetImageSetMetadataRequest,
        longest: u64,
    ) -> Result<Self> {
        Self::read(service.get_image_set_metadata(request).await?, longest).await
    }

    async fn read(response: GetImageSetMetadataResponse, longest: u64) -> Result<Self> {
        let GetImageSetMetadataResponse { image_set_metadata, content_encoding, .. } = response;
        Ok(Self {
            bytes: image_set_metadata.collect(longest).await?,
            is_gzip: content_encoding == "gzip",
        })
    }

    fn reader(&self) -> Box<dyn Read + '_> {
        if self.is_gzip { Box::new(GzDecoder::new(&*self.bytes)) } else { Box::new(&*self.bytes) }
    }

    fn unpacked(self) -> Result<Bytes> {
        if !self.is_gzip {
            return Ok(self.bytes);
        }
        let mut text = Vec::new();
        self.reader().take(LONGEST + 1).read_to_end(&mut text).map_err(|error| {
            Error::new(ErrorKind::Service, "the metadata is not a whole gzip stream")
                .with_source(error)
        })?;
        if text.len() as u64 > LONGEST {
            return Err(Error::validation("the metadata is too large to be read by a tool"));
        }
        Ok(text.into())
    }
}

/// Does work on so many bytes of JSON, on another thread where it would delay other calls.
pub(crate) async fn beside_others<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes <= QUICK {
        return work();
    }
    on_another_thread(work).await
}

async fn on_another_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("reading the metadata failed", error))?
}
