//! What operators see of requests: a line of log for each, and counts for Prometheus. Routes are templates, so neither
//! has a UID or a value of a query.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use healthimaging::random_hex;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tower_http::request_id::{MakeRequestId, RequestId};

/// Names the request for the SDKs of AWS.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Makes a random UUID for each request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RandomIds;

impl MakeRequestId for RandomIds {
    fn make_request_id<B>(&mut self, _: &http::Request<B>) -> Option<RequestId> {
        let mut text = random_hex().ok()?;
        // Version and variant (RFC 9562 §5.4).
        text.replace_range(12..13, "4");
        text.replace_range(16..17, "8");
        for place in [20, 16, 12, 8] {
            text.insert(place, '-');
        }
        HeaderValue::try_from(text).ok().map(RequestId::new)
    }
}

/// Status of a request whose client went away before it had a response, as nginx counts it.
const CLOSED: u16 = 499;

/// What is counted apart: method, route template, status.
type Kind = (&'static str, String, u16);

/// A counter: its name, what it means, its value.
type Family = (&'static str, &'static str, fn(&Count) -> String);

/// Requests that ended.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    requests: u64,
    /// Of the bodies of responses.
    bytes: u64,
    time: Duration,
}

/// Counts of requests.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    ended: Mutex<BTreeMap<Kind, Count>>,
    running: Mutex<u64>,
}

impl Metrics {
    fn begin(&self) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn end(&self, kind: Kind, bytes: u64, time: Duration) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = running.saturating_sub(1);
        drop(running);
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let count = ended.entry(kind).or_default();
        count.requests += 1;
        count.bytes += bytes;
        count.time += time;
    }

    /// The text format of Prometheus, version 0.0.4.
    fn text(&self) -> String {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let running = *self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = format!(
            "# HELP healthimaging_http_requests_running Requests whose response has not ended.\n\
             # TYPE healthimaging_http_requests_running gauge\n\
             healthimaging_http_requests_running {running}\n"
        );
        let families: [Family; 3] = [
            ("requests_total", "Requests that ended.", |count| count.requests.to_string()),
            ("response_bytes_total", "Bytes of response bodies.", |count| count.bytes.to_string()),
            (
                "request_seconds_total",
                "Seconds from requests to the ends of their responses.",
                |count| count.time.as_secs_f64().to_string(),
            ),
        ];
        for (name, help, value) in families {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP healthimaging_http_{name} {help}");
            let _ = writeln!(text, "# TYPE healthimaging_http_{name} counter");
            for ((method, route, status), count) in &ended {
                let value = value(count);
                let _ = writeln!(
                    text,
                    "healthimaging_http_{name}{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {value}"
                );
            }
        }
        text
    }
}

/// `/metrics`.
pub(crate) async fn metrics(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.text())
}

/// Counts a request and logs its end, which is that of the response's body.
pub(crate) async fn observe(
    State(metrics): State<Arc<Metrics>>,
    mut request: Request,
    next: Next,
) -> Response {
    // The id is this server's own: a client could write anything into the log.
    request.headers_mut().remove(REQUEST_ID);
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let mut observed = Observed {
        metrics,
        method: name_of(request.method()),
        route: route.unwrap_or_else(|| "none".to_owned()),
        began: Instant::now(),
        status: CLOSED,
        id: String::new(),
        bytes: 0,
    };
    observed.metrics.begin();
    let response = next.run(request).await;
    observed.status = response.status().as_u16();
    let id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    id.unwrap_or_default().clone_into(&mut observed.id);
    response.map(|body| Body::new(ObservedBody { body, observed }))
}

/// A method as it is counted: others than these could be any text.
fn name_of(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// A request, counted when this is dropped.
struct Observed {
    metrics: Arc<Metrics>,
    method: &'static str,
    route: String,
    began: Instant,
    status: u16,
    id: String,
    bytes: u64,
}

impl Drop for Observed {
    fn drop(&mut self) {
        let time = self.began.elapsed();
        let (method, status, bytes) = (self.method, self.status, self.bytes);
        let ms = time.as_millis();
        let (route, request_id) = (&self.route, &self.id);
        tracing::info!(method, route, status, bytes, ms, request_id, "request");
        self.metrics.end((method, std::mem::take(&mut self.route), status), bytes, time);
    }
}

struct ObservedBody {
    body: Body,
    observed: Observed,
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.observed.bytes += data.len() as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
