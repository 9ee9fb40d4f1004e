//! `/healthz` and `/readyz`: whether the process runs, and whether its back end answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::future::BoxFuture;
use healthimaging::Result;
use http::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::access::AccessFile;

/// How long a result of the probe is reported.
const PROBE_LIFE: Duration = Duration::from_secs(5);

/// Checks whether the back end answers.
pub(crate) type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Returns the routes `/healthz` and `/readyz`.
pub(crate) fn routes(
    probe: Probe,
    file: Option<Arc<AccessFile>>,
    stop: CancellationToken,
) -> Router {
    let readiness = Arc::new(Readiness { probe, file, stop, last: Mutex::new(None) });
    Router::new().route("/healthz", get(health)).route("/readyz", get(ready).with_state(readiness))
}

/// Whether the back end answers, as the probe found recently.
struct Readiness {
    probe: Probe,
    file: Option<Arc<AccessFile>>,
    stop: CancellationToken,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    /// Returns the last result, or a new one; concurrent requests wait for the same.
    async fn is_ready(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((time, is_ready)) = *last
            && time.elapsed() < PROBE_LIFE
        {
            return is_ready;
        }
        let result = (self.probe)().await;
        if let Err(error) = &result {
            tracing::error!(kind = ?error.kind(), "the back end does not answer");
        }
        *last = Some((Instant::now(), result.is_ok()));
        result.is_ok()
    }
}

/// Reports that the back end answers and the server is not shutting down.
async fn ready(State(readiness): State<Arc<Readiness>>) -> Response {
    let status = if readiness.stop.is_cancelled() {
        "stopping"
    } else if readiness.is_ready().await {
        "ok"
    } else {
        "unavailable"
    };
    let code = if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = json!({ "status": status });
    // It still serves, with the credentials of the file before: to restart it would end that.
    if readiness.file.as_ref().is_some_and(|file| file.is_rejected()) {
        body["access_file"] = "rejected".into();
    }
    (code, Json(body)).into_response()
}

/// Reports that the process runs.
async fn health() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::body::{Body, to_bytes};
    use futures::FutureExt;
    use healthimaging::Error;
    use tower_service::Service;

    fn router(answer: fn() -> Result<()>, stop: CancellationToken) -> Router {
        routes(Arc::new(move || async move { answer() }.boxed()), None, stop)
    }

    async fn ask(mut router: Router, path: &str) -> (u16, String) {
        let asked = http::Request::get(path).body(Body::empty()).unwrap();
        let (head, body) = router.call(asked).await.unwrap().into_parts();
        let text = to_bytes(body, 1 << 16).await.unwrap();
        (head.status.as_u16(), String::from_utf8(text.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn health_needs_no_back_end_and_readiness_does() {
        let failing = || router(|| Err(Error::conflict("no")), CancellationToken::new());
        let working = || router(|| Ok(()), CancellationToken::new());
        for (path, router, expected) in [
            ("/healthz", failing(), (200, r#"{"status":"ok"}"#)),
            ("/readyz", failing(), (503, r#"{"status":"unavailable"}"#)),
            ("/readyz", working(), (200, r#"{"status":"ok"}"#)),
        ] {
            let (status, body) = ask(router, path).await;
            assert_eq!((status, body.as_str()), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn anonymous_requests_cannot_load_the_back_end() {
        let probes = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&probes);
        let probe = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }.boxed()
        };
        let router = routes(Arc::new(probe), None, CancellationToken::new());
        for path in ["/healthz", "/readyz", "/healthz", "/readyz", "/readyz"] {
            assert_eq!(ask(router.clone(), path).await.0, 200);
        }
        assert_eq!(probes.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_server_that_shuts_down_is_healthy_and_not_ready() {
        let stop = CancellationToken::new();
        stop.cancel();
        for (path, status) in [("/healthz", 200), ("/readyz", 503)] {
            assert_eq!(ask(router(|| Ok(()), stop.clone()), path).await.0, status, "{path}");
        }
    }
}
