//! How long the other side may be silent in the middle of something.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use futures::stream::{self, StreamExt};
use healthimaging::{Error, ErrorKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::content::read_failure;

/// How long a body may bring nothing, and a reader may take nothing.
const PATIENCE: Duration = Duration::from_mins(1);

/// A body that ends with an error when its sender is silent for too long.
pub(crate) fn patient(body: Body) -> Body {
    let pieces = body.into_data_stream();
    let waited = stream::unfold(Some(pieces), |pieces| async {
        let mut pieces = pieces?;
        if let Ok(piece) = tokio::time::timeout(PATIENCE, pieces.next()).await {
            return Some((piece?.map_err(read_failure), Some(pieces)));
        }
        let seconds = PATIENCE.as_secs();
        let told = format!("the body did not go on for {seconds} seconds");
        let late = Error::new(ErrorKind::BadRequest, told);
        Some((Err(late.with_code("RequestTimeoutException")), None))
    });
    Body::from_stream(waited)
}

/// A connection that breaks when its reader takes nothing for too long.
pub(crate) struct Patient<S> {
    stream: S,
    until: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, until: Box::pin(tokio::time::sleep(PATIENCE)), is_waiting: false }
    }

    /// Passes on what a write came to; one that waits is given until the time is over.
    fn watched<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_waiting = false;
            return written;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.until.as_mut().reset(Instant::now() + PATIENCE);
        }
        ready!(self.until.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watched(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
