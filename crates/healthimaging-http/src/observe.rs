//! The access log and the metrics of requests. Routes are templates, so neither contains UIDs or query values.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
use parking_lot::Mutex;
use tower_http::request_id::{MakeRequestId, RequestId};

/// Header of the request id for the AWS SDKs.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Makes a random UUID for each request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RandomIds;

impl MakeRequestId for RandomIds {
    fn make_request_id<B>(&mut self, _: &http::Request<B>) -> Option<RequestId> {
        let bits = u128::from_str_radix(&random_hex().ok()?, 16).ok()?;
        let id = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
        HeaderValue::try_from(id.to_string()).ok().map(RequestId::new)
    }
}

/// Status of a request whose client disconnected before the response, as in nginx.
const CLOSED: u16 = 499;

/// Labels of a count: method, route template, status.
type Labels = (&'static str, String, u16);

/// A counter: its name, help text and value.
type Family = (&'static str, &'static str, fn(&Count) -> String);

/// Counts of completed requests.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    requests: u64,
    /// Bytes of response bodies.
    bytes: u64,
    time: Duration,
}

/// Metrics of requests.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    ended: Mutex<BTreeMap<Labels, Count>>,
    running: AtomicU64,
}

impl Metrics {
    fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self, labels: Labels, bytes: u64, time: Duration) {
        self.running.fetch_sub(1, Ordering::Relaxed);
        let mut ended = self.ended.lock();
        let count = ended.entry(labels).or_default();
        count.requests += 1;
        count.bytes += bytes;
        count.time += time;
    }

    /// Returns the text format of Prometheus, version 0.0.4.
    fn text(&self) -> String {
        let ended = self.ended.lock().clone();
        let running = self.running.load(Ordering::Relaxed);
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

/// Counts and logs a request when the body of its response ends.
pub(crate) async fn observe(
    State(metrics): State<Arc<Metrics>>,
    mut request: Request,
    next: Next,
) -> Response {
    // A client could write anything into the log with an id of its own.
    request.headers_mut().remove(REQUEST_ID);
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let mut observed = Observed {
        metrics,
        method: method_label(request.method()),
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

/// Label of a method: others than these could be any text.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// A request, which is counted on drop.
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
