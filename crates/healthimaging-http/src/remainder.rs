//! The part of a request's body that no handler read.
//!
//! A request can be refused before its body was read. Closing the connection at once makes the client's next write fail,
//! and many clients then report a broken pipe instead of the response (RFC 9112 §9.6). So the rest is read and discarded,
//! within limits, while the response is on its way.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http::{Request, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// Longest time to discard one body; a client that still sends then loses its connection.
const DISCARD_TIME: Duration = Duration::from_secs(30);

/// Most bytes of one body that are discarded.
const DISCARD_LIMIT: usize = 64 << 20;

/// Longest pause of a client whose body is discarded.
const DISCARD_PAUSE: Duration = Duration::from_secs(5);

/// A request body whose unread rest is discarded after it was dropped.
#[derive(Debug)]
pub(crate) struct WithRemainder {
    body: Option<Incoming>,
    /// Whether the client sends its body: it does not before the first read if it waits for `100 Continue`.
    is_sent: bool,
}

/// Returns the request with such a body.
pub(crate) fn with_remainder(request: Request<Incoming>) -> Request<WithRemainder> {
    let is_sent = !request.headers().contains_key(header::EXPECT);
    request.map(|body| WithRemainder { body: Some(body), is_sent })
}

impl Body for WithRemainder {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        self.is_sent = true;
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        Pin::new(body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for WithRemainder {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        if !self.is_sent || body.is_end_stream() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(DISCARD_TIME, discard(body)));
        }
    }
}

/// Reads a body to its end, or until its sender fails, pauses for too long or has sent too much.
async fn discard(mut body: Incoming) {
    let mut discarded = 0;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(DISCARD_PAUSE, body.frame()).await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > DISCARD_LIMIT {
            return;
        }
    }
}
