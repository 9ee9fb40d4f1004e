//! Bodies that can be large: a stream of bytes for metadata documents, frames and Part 10 files.

use std::fmt;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::error::{Error, Result};

/// A stream of bytes, and its length if that is known.
pub struct Body {
    stream: BoxStream<'static, Result<Bytes>>,
    length: Option<u64>,
}

impl Body {
    /// Makes a body from a stream; `length` in bytes, if it is known.
    pub fn from_stream(stream: BoxStream<'static, Result<Bytes>>, length: Option<u64>) -> Self {
        Self { stream, length }
    }

    /// Returns the length in bytes, if it is known before reading.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Returns the stream.
    #[must_use]
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        self.stream
    }

    /// Reads the whole body; `Validation` if it is longer than `limit` bytes.
    pub async fn collect(mut self, limit: u64) -> Result<Bytes> {
        let too_long =
            || Error::validation(format!("the content is longer than the limit of {limit} bytes"));
        if self.length.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        let first = self.stream.try_next().await?.unwrap_or_default();
        let Some(second) = self.stream.try_next().await? else {
            return if first.len() as u64 > limit { Err(too_long()) } else { Ok(first) };
        };
        // The length is within the limit, and is only a promise: what comes counts.
        let promised = self.length.and_then(|length| usize::try_from(length).ok());
        let mut whole = BytesMut::with_capacity(promised.unwrap_or(2 * first.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.stream.try_next().await? {
            whole.extend_from_slice(&piece);
            if whole.len() as u64 > limit {
                return Err(too_long());
            }
        }
        Ok(whole.freeze())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let length = Some(bytes.len() as u64);
        Self { stream: stream::once(async move { Ok(bytes) }).boxed(), length }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length).finish_non_exhaustive()
    }
}
