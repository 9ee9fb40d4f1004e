//! Sessions and streams of credentials: a session serves only the credential that opened it, and ends with it.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use healthimaging::Grant;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use tower_service::Service;

use crate::sessions::Sessions;
use crate::web::Answer;

/// Header of a session.
const SESSION: &str = "mcp-session-id";

/// Wraps a service of the protocol; the server of HTTP adds a [`Grant`] to each request that it admits.
#[derive(Debug, Clone)]
pub(crate) struct Owned<S> {
    service: S,
    sessions: Arc<Sessions>,
}

impl<S> Owned<S> {
    pub(crate) fn new(service: S, sessions: Arc<Sessions>) -> Self {
        Self { service, sessions }
    }
}

impl<S, B> Service<Request<B>> for Owned<S>
where
    S: Service<Request<B>, Response = Answer, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { mut service, sessions } = self.clone();
        Box::pin(async move {
            let grant = request.extensions().get::<Grant>().cloned().unwrap_or_default();
            let asked = session(request.headers());
            if asked.as_ref().is_some_and(|id| !sessions.is_owned(id, &grant)) {
                return Ok(missing());
            }
            let answer = service.call(request).await?;
            if let (None, Some(opened)) = (asked, session(answer.headers())) {
                sessions.own(&opened, &grant);
            }
            Ok(until_end_of(grant, answer))
        })
    }
}

fn session(headers: &HeaderMap) -> Option<String> {
    headers.get(SESSION).and_then(|id| id.to_str().ok()).map(str::to_owned)
}

/// The answer for a session that does not exist: the client initializes a new one.
fn missing() -> Answer {
    let body = Full::new(Bytes::from_static(b"Not Found: Session not found"));
    let mut answer = Response::new(body.boxed());
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

/// Ends a stream of events with the grant.
fn until_end_of(grant: Grant, answer: Answer) -> Answer {
    let media = answer.headers().get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let is_stream = media.is_some_and(|media| media.starts_with("text/event-stream"));
    if !is_stream || grant.holder().is_none() {
        return answer;
    }
    let ended = async move { grant.ended().await };
    answer.map(|body| {
        BodyExt::boxed(StreamBody::new(BodyStream::new(body).take_until(Box::pin(ended))))
    })
}
