//! The metadata document of an image set: fetched whole, then shown whole, in part, or in outline.

mod attribute;
mod contents;
mod part;

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::GzDecoder;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use healthimaging::model::{GetImageSetMetadataRequest, GetImageSetMetadataResponse};
use healthimaging::{Error, ErrorKind, HealthImaging, Result};

pub use attribute::Attribute;
pub use contents::{Contents, InstanceContents, Outline, SeriesContents};
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

/// A JSON object.
type Object = Map<String, Value>;

/// Fetches and unpacks a document: JSON text.
pub async fn fetch(
    service: &dyn HealthImaging,
    request: GetImageSetMetadataRequest,
) -> Result<Vec<u8>> {
    Packed::fetch(service, request).await?.unpacked().await
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
        let GetImageSetMetadataResponse {
            image_set_metadata,
            content_encoding,
            ..
        } = service.get_image_set_metadata(request).await?;
        Ok(Self {
            bytes: image_set_metadata.collect(LONGEST).await?,
            is_gzip: content_encoding == "gzip",
        })
    }

    async fn unpacked(self) -> Result<Vec<u8>> {
        if !self.is_gzip {
            return Ok(self.bytes.to_vec());
        }
        beside_others(self.bytes.len() * PACKED, move || unpack(&self.bytes)).await
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
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("reading the metadata failed", error))?
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    GzDecoder::new(packed)
        .take(LONGEST + 1)
        .read_to_end(&mut text)
        .map_err(|error| {
            Error::new(
                ErrorKind::Service,
                "the metadata is not a whole gzip stream",
            )
            .with_source(error)
        })?;
    if text.len() as u64 > LONGEST {
        return Err(Error::validation(
            "the metadata is too large to be read by a tool",
        ));
    }
    Ok(text)
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
    Contents::read(packed.unpacked().await?).await
}

/// Reads a document.
pub async fn parse(text: Vec<u8>) -> Result<Object> {
    beside_others(text.len(), move || read(&text)).await
}

fn read(text: &[u8]) -> Result<Object> {
    serde_json::from_slice(text).map_err(|error| {
        Error::new(ErrorKind::Service, "the metadata is not a JSON object").with_source(error)
    })
}
