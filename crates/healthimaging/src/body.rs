//! Bodies that can be large: a stream of bytes for metadata documents, frames and Part 10 files.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use crate::error::{Error, Result};

/// Bytes in one piece of a body that is written.
const PIECE: usize = 256 << 10;
/// Pieces that wait for the reader at most.
const WAITING: usize = 4;

/// A stream of bytes, and its length if that is known.
pub struct Body {
    stream: BoxStream<'static, Result<Bytes>>,
    length: Option<u64>,
    name: Option<Arc<str>>,
}

impl Body {
    /// Makes a body from a stream; `length` in bytes, if it is known.
    pub fn from_stream(stream: BoxStream<'static, Result<Bytes>>, length: Option<u64>) -> Self {
        Self { stream, length, name: None }
    }

    /// Runs `write` in a blocking thread, at the pace of the reader: what it writes becomes the body, its error the
    /// body's end. `length` is in bytes, if it is known. Needs a runtime of tokio.
    pub fn from_writer<F>(length: Option<u64>, write: F) -> Self
    where
        F: FnOnce(&mut dyn Write) -> Result<()> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::channel::<Result<Bytes>>(WAITING);
        tokio::task::spawn_blocking(move || {
            let mut out = BufWriter::with_capacity(PIECE, Pieces(sender.clone()));
            let written = write(&mut out).and_then(|()| {
                let flushed = out.flush();
                flushed.map_err(|error| Error::internal("the reader closed the connection", error))
            });
            if let Err(error) = written {
                // A reader that closed the connection needs no error.
                let _ = sender.blocking_send(Err(error));
            }
        });
        let pieces = stream::poll_fn(move |context| receiver.poll_recv(context));
        Self::from_stream(pieces.boxed(), length)
    }

    /// Names the bytes: bodies of one back end with the same name hold the same bytes.
    #[must_use]
    pub fn named(self, name: impl Into<Arc<str>>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Returns the name of the bytes, if they have one: a caller that has read them need not read them again.
    #[must_use]
    pub fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
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

/// The writing end of a body.
struct Pieces(mpsc::Sender<Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(bytes)))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let length = Some(bytes.len() as u64);
        Self::from_stream(stream::once(async move { Ok(bytes) }).boxed(), length)
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
