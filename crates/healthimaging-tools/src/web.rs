//! The protocol over HTTP for clients that support less of it than the library requires: any `Accept`,
//! answers in JSON only, and errors of JSON-RPC.

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use healthimaging::{Effect, Grant, InsufficientScope};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sse_stream::SseStream;
use tower_service::Service;

use crate::message::{self, Refusal};
use crate::tools::TOOLS;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// Largest body of a request, in bytes.
pub(crate) const LARGEST_BODY: usize = 4 << 20;

/// Response to a request.
pub(crate) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Wraps a service of the protocol for these clients.
#[derive(Debug, Clone)]
pub(crate) struct Web<S>(pub(crate) S);

impl<S, B> Service<Request<B>> for Web<S>
where
    S: Service<Request<Full<Bytes>>, Response = Answer, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Error: Display,
    B::Data: Send,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(answered(service, request))
    }
}

async fn answered<S, B>(mut service: S, request: Request<B>) -> Result<Answer, Infallible>
where
    S: Service<Request<Full<Bytes>>, Response = Answer, Error = Infallible>,
    B: Body + Send + 'static,
    B::Error: Display,
    B::Data: Send,
{
    let (mut head, body) = request.into_parts();
    if head.method != Method::POST {
        return service.call(Request::from_parts(head, Full::default())).await;
    }
    let body = body.map_err(|error| io::Error::other(error.to_string()));
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(text(status, "the body is longer than 4 MiB, or incomplete"));
    };
    let body = body.to_bytes();
    let form = Form::of(&head.headers);
    if form != Form::Other {
        head.headers
            .insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    }
    let is_json = is_of_type(&head.headers, JSON);
    let read = message::parse(&body);
    let grant = head.extensions.get::<Grant>();
    if let (Ok(message), Some(grant)) = (&read, grant)
        && let Some(needed) = exceeding(message, grant)
    {
        return Ok(insufficient(needed));
    }
    let body = match &read {
        Ok(message) => message.to_string().into(),
        Err(_) => body,
    };
    head.headers.remove(CONTENT_LENGTH);
    let answer = service.call(Request::from_parts(head, Full::new(body))).await?;
    // The library has checked host, origin and `Accept` before it refuses the body.
    let is_let_in = !matches!(answer.status(), StatusCode::FORBIDDEN | StatusCode::NOT_ACCEPTABLE);
    let is_unread = answer.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE;
    match (&read, form) {
        (Err(refusal), _) if is_json && is_let_in => Ok(refused(refusal)),
        (Ok(message), _) if is_json && is_unread => Ok(refused(&Refusal::invalid_request(message))),
        (Ok(message), Form::Json) if is_of_type(answer.headers(), EVENTS) => {
            Ok(response_only(answer, message.get("id")).await)
        }
        _ => Ok(answer),
    }
}

/// Returns the effect of the tool that a message calls, if an access token has a smaller scope.
fn exceeding(message: &Value, grant: &Grant) -> Option<Effect> {
    let is_call = message.get("method").is_some_and(|method| method == "tools/call");
    if !is_call || !grant.can_widen() {
        return None;
    }
    let name = message.pointer("/params/name")?.as_str()?;
    let tool = TOOLS.iter().find(|tool| tool.name == name)?;
    (tool.effect > grant.rights().most()).then_some(tool.effect)
}

/// Asks the client for a wider scope; the server of HTTP adds the challenge.
fn insufficient(needed: Effect) -> Answer {
    let mut answer = text(StatusCode::FORBIDDEN, "the access token has a smaller scope");
    answer.extensions_mut().insert(InsufficientScope(needed));
    answer
}

/// Response types that a client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// JSON only, or anything.
    Json,
    /// JSON and events.
    Both,
    /// Neither.
    Other,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let named = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let types: Vec<&str> = named
            .flat_map(|value| value.split(','))
            .filter(|range| !has_zero_weight(range))
            .map(|range| range.split(';').next().unwrap_or_default().trim())
            .collect();
        let has = |wanted: &str| types.iter().any(|one| one.eq_ignore_ascii_case(wanted));
        if has(EVENTS) && (has(JSON) || has("*/*") || has("application/*")) {
            Self::Both
        } else if !headers.contains_key(ACCEPT) || has(JSON) || has("*/*") || has("application/*") {
            Self::Json
        } else {
            Self::Other
        }
    }
}

/// `q=0` (RFC 9110 section 12.4.2).
fn has_zero_weight(range: &str) -> bool {
    let parameters = range.split(';').skip(1);
    parameters.filter_map(|parameter| parameter.split_once('=')).any(|(name, weight)| {
        name.trim().eq_ignore_ascii_case("q") && weight.trim().parse::<f32>() == Ok(0.0)
    })
}

fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

/// Members of a message by which a response is found. Its result is not parsed: it may be nested deeply.
#[derive(Deserialize)]
struct Envelope<'a> {
    id: Option<Value>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Extracts the response to a request from a stream of events, without progress.
async fn response_only(answer: Answer, id: Option<&Value>) -> Answer {
    let (mut head, body) = answer.into_parts();
    let mut events = SseStream::new(body);
    while let Some(Ok(event)) = events.next().await {
        let Some(data) = event.data else { continue };
        let Ok(message) = serde_json::from_str::<Envelope<'_>>(&data) else { continue };
        let is_response = message.result.is_some() || message.error.is_some();
        if is_response && message.id.as_ref() == id {
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
            head.headers.remove(CACHE_CONTROL);
            head.headers.remove("x-accel-buffering");
            return Response::from_parts(head, Full::new(data.into()).boxed());
        }
    }
    text(StatusCode::INTERNAL_SERVER_ERROR, "the stream ended before the response")
}

fn refused(refusal: &Refusal) -> Answer {
    let mut answer = text(StatusCode::BAD_REQUEST, &refusal.document().to_string());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    answer
}

fn text(status: StatusCode, words: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(words.as_bytes())).boxed());
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_deeply_nested_result_is_extracted() {
        let result = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        let message =
            format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"structuredContent":{result}}}}}"#);
        let progress = r#"data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
        let events = format!("{progress}\n\ndata: {message}\n\n");
        let answer = Response::new(Full::new(Bytes::from(events)).boxed());
        let only = response_only(answer, Some(&json!(7))).await;
        assert_eq!(only.status(), StatusCode::OK);
        assert_eq!(only.into_body().collect().await.unwrap().to_bytes(), message.as_bytes());
    }
}
