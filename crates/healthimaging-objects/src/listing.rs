//! Items of a listing.

use std::path::PathBuf;

use bytes::Bytes;
use healthimaging::{Error, Result};

/// An object in a listing.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The object key; for a file its absolute path, bytes that are not UTF-8 shown as `\xNN`.
    pub key: String,
    /// Size in bytes at the time of the listing.
    pub size: u64,
    /// Path of a file: a key does not always lead back to it.
    pub(crate) path: Option<PathBuf>,
}

/// A range of bytes of an object.
#[derive(Debug, Clone)]
pub struct ObjectPart {
    /// The bytes.
    pub bytes: Bytes,
    /// `ETag` of the object: another content has another one.
    pub version: Option<String>,
}

/// An item of a listing.
#[derive(Debug, Clone)]
pub enum Listed {
    /// An object.
    Object(Entry),
    /// Something that exists and cannot be read.
    Unreadable {
        /// Its key.
        key: String,
        /// The reason, without its name.
        message: String,
    },
}

impl Listed {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Object(entry) => &entry.key,
            Self::Unreadable { key, .. } => key,
        }
    }
}

/// Runs file I/O on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("the file operation was interrupted", error))?
}
