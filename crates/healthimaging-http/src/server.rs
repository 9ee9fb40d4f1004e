//! The server: routes, authentication and shutdown.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use futures::future::BoxFuture;
use healthimaging::{DicomWeb, HealthImaging, Restrictor, Result};
use healthimaging_pixels::Decoder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use tower_service::Service;

use crate::access::{Access, AccessFile, AccessKeys, METADATA, OAuth};
use crate::admission::{
    admit, admit_all, admit_signed, metadata, reject_hosts, require_host, require_local,
};
use crate::cors::CorsPolicy;
use crate::health::Probe;
use crate::observe::{self, Metrics, REQUEST_ID, RandomIds};
use crate::reset::{self, Reset};
use crate::tls::Tls;
use crate::token::Token;
use crate::viewer::{self, Viewer};
use crate::{gate, health, listen, page};

/// Largest request body of mounted services in bytes; the MCP service keeps its own, smaller limit.
const BODY_LIMIT: usize = 16 << 20;

/// Time for running requests after shutdown begins.
const GRACE: Duration = Duration::from_secs(10);

/// Body of the requests of mounted services.
pub type RequestBody = Body;

/// What is served of a back end.
pub(crate) struct BackEnd {
    pub(crate) service: Arc<dyn HealthImaging>,
    pub(crate) dicomweb: Arc<dyn DicomWeb>,
    /// Decodes the frames of rendered resources.
    pub(crate) decoder: Decoder,
    /// Whether the AWS API is served too.
    pub(crate) has_api: bool,
    /// Makes the back end of callers with limited rights; without it, this back end is restricted.
    pub(crate) restrictor: Option<Restrictor>,
}

/// Server of a back end, mounted services, `/healthz`, `/readyz` and `/metrics`.
///
/// `/healthz` answers 200 while the process runs. `/readyz` answers 200 while the probe succeeds, and 503 otherwise or after
/// shutdown begins; the probe runs at most every five seconds, as anyone can request it. Both are public, as is the page for browsers at `/` of a server of a back end. `/metrics` has counts of requests in the text format of Prometheus. Everything else requires what
/// [`require`](Self::require) and [`require_keys`](Self::require_keys) set. Without them every client is admitted, so the
/// server must be reachable from this machine only.
pub struct HttpServer {
    mounted: Router,
    reset: Option<Router>,
    back_end: Option<BackEnd>,
    probe: Probe,
    access: Access,
    hosts: Vec<String>,
    tls: Option<Tls>,
    viewer: Option<Viewer>,
    grace: Duration,
}

impl HttpServer {
    /// Creates a server without routes; `probe` checks whether the back end answers.
    pub fn new(probe: impl Fn() -> BoxFuture<'static, Result<()>> + Send + Sync + 'static) -> Self {
        Self {
            mounted: Router::new(),
            reset: None,
            back_end: None,
            probe: Arc::new(probe),
            access: Access::default(),
            hosts: Vec::new(),
            tls: None,
            viewer: None,
            grace: GRACE,
        }
    }

    /// Admits requests with this token, as `Authorization: Bearer …`.
    #[must_use]
    pub fn require(mut self, token: Token) -> Self {
        self.access.token = Some(token);
        self
    }

    /// Admits requests to the back end that are signed with one of these keys (Signature Version 4). Mounted services take no
    /// signatures: they require the token then.
    #[must_use]
    pub fn require_keys(mut self, keys: AccessKeys) -> Self {
        self.access.keys = Some(Arc::new(keys));
        self
    }

    /// Admits requests with the credentials of a file, each with its own rights.
    #[must_use]
    pub fn require_file(mut self, file: AccessFile) -> Self {
        self.access.file = Some(Arc::new(file));
        self
    }

    /// Admits requests to mounted services with access tokens of an authorization server too.
    #[must_use]
    pub fn require_oauth(mut self, oauth: OAuth) -> Self {
        self.access.oauth = Some(Arc::new(oauth));
        self
    }

    /// Makes the back end of callers with limited rights, for [`serve_back_end`](Self::serve_back_end) and
    /// [`serve_dicomweb`](Self::serve_dicomweb), which must be called first.
    #[must_use]
    pub fn restrict_with(mut self, restrictor: Restrictor) -> Self {
        if let Some(back_end) = &mut self.back_end {
            back_end.restrictor = Some(restrictor);
        }
        self
    }

    /// Accepts only connections with TLS.
    #[must_use]
    pub fn secure(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Allows web pages of these hosts, in addition to those of this machine.
    #[must_use]
    pub fn allow_hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.hosts.extend(hosts);
        self
    }

    /// Routes every method at exactly `path` to `service`.
    #[must_use]
    pub fn mount<S>(mut self, path: &str, service: S) -> Self
    where
        S: Service<Request<RequestBody>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        self.mounted = self.mounted.route_service(path, service);
        self
    }

    /// Routes POST at exactly `path` to `reset`, which empties the back end and returns what was deleted as JSON.
    #[must_use]
    pub fn serve_reset(
        mut self,
        path: &str,
        reset: impl Fn() -> BoxFuture<'static, Result<Value>> + Send + Sync + 'static,
    ) -> Self {
        let reset: Reset = Arc::new(reset);
        self.reset = Some(Router::new().route(path, post(reset::reset).with_state(reset)));
        self
    }

    /// Routes the AWS API, and DICOMweb under `/datastore/{id}`, to a back end. `decoder` decodes the frames of rendered
    /// resources.
    #[must_use]
    pub fn serve_back_end(
        mut self,
        service: Arc<dyn HealthImaging>,
        dicomweb: Arc<dyn DicomWeb>,
        decoder: Decoder,
    ) -> Self {
        self.back_end =
            Some(BackEnd { service, dicomweb, decoder, has_api: true, restrictor: None });
        self
    }

    /// Routes DICOMweb under `/datastore/{id}` to a back end, without the AWS API. `service` finds data stores by name.
    #[must_use]
    pub fn serve_dicomweb(
        mut self,
        service: Arc<dyn HealthImaging>,
        dicomweb: Arc<dyn DicomWeb>,
        decoder: Decoder,
    ) -> Self {
        self.back_end =
            Some(BackEnd { service, dicomweb, decoder, has_api: false, restrictor: None });
        self
    }

    /// Serves a viewer at `/view/`, for the back end. Its files are public; they hold no data.
    #[must_use]
    pub fn serve_viewer(mut self, viewer: Viewer) -> Self {
        self.viewer = Some(viewer);
        self
    }

    /// Serves until `stop` is cancelled; running requests have ten more seconds.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let (tls, grace) = (self.tls.clone(), self.grace);
        if let Some(file) = &self.access.file {
            tokio::spawn(watch(Arc::downgrade(file), stop.clone()));
        }
        listen::serve(listener, tls.as_ref(), self.router(stop.clone()), stop, grace).await;
    }

    fn router(self, stop: CancellationToken) -> Router {
        let metrics = Arc::new(Metrics::default());
        let counts = get(observe::metrics).with_state(Arc::clone(&metrics));
        let cors = CorsPolicy { is_open: self.access.is_open(), hosts: self.hosts.into() };
        let metrics_route = Router::new().route("/metrics", counts);
        // The service of MCP checks hosts and origins itself, since it allows fewer.
        let check_host = middleware::from_fn_with_state(cors.clone(), require_local);
        let mounted = self.mounted.merge(self.reset.unwrap_or_default().layer(check_host));
        let (mounted, metrics_route) = if self.access.is_open() {
            (
                mounted.layer(middleware::from_fn(admit_all)),
                metrics_route.layer(middleware::from_fn(admit_all)),
            )
        } else {
            let access = || self.access.clone();
            (
                mounted.layer(middleware::from_fn_with_state(access(), admit)),
                metrics_route.layer(middleware::from_fn_with_state(access(), admit_signed)),
            )
        };
        let mounted = mounted
            .merge(metrics_route)
            .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
            .layer(middleware::from_fn(require_host));
        let described = match &self.access.oauth {
            Some(oauth) => Router::new()
                .route(METADATA, get(metadata))
                .route(&format!("{METADATA}/mcp"), get(metadata))
                .with_state(Arc::clone(oauth)),
            None => Router::new(),
        };
        let mut server = described
            .merge(health::routes(self.probe, self.access.file.clone(), stop))
            .layer(middleware::from_fn(reject_hosts))
            .merge(mounted);
        if let Some(back_end) = self.back_end {
            let pages = page::routes(self.viewer.as_ref()).layer(middleware::from_fn(require_host));
            server = server.merge(pages).merge(gate::routes(back_end, self.access, cors));
        }
        if let Some(viewer) = self.viewer {
            server = server.layer(middleware::from_fn_with_state(viewer, viewer::at_root));
        }
        server
            .layer(PropagateRequestIdLayer::new(REQUEST_ID))
            .layer(SetRequestIdLayer::new(REQUEST_ID, RandomIds))
            .layer(middleware::from_fn_with_state(metrics, observe::observe))
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").field("access", &self.access).finish_non_exhaustive()
    }
}

/// How often an access file is looked at without a request, so that what is open ends with its credential.
const LOOK: Duration = Duration::from_secs(1);

/// Notices changes of an access file until the server stops.
async fn watch(file: Weak<AccessFile>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some()
        && let Some(file) = file.upgrade()
    {
        file.current();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use futures::FutureExt;
    use http::{StatusCode, header};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpStream;

    const SECRET: &str = "0123456789abcdef";

    fn server(answer: fn() -> Result<()>) -> HttpServer {
        // The mounted service reads the whole body and answers with its length.
        let length = post(|body: Body| async {
            match to_bytes(body, usize::MAX).await {
                Ok(bytes) => bytes.len().to_string().into_response(),
                Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            }
        });
        HttpServer::new(move || async move { answer() }.boxed()).mount("/mcp", length)
    }

    async fn ask(server: HttpServer, request: Request) -> (StatusCode, http::HeaderMap, String) {
        let response = server.router(CancellationToken::new()).call(request).await.unwrap();
        let (head, body) = response.into_parts();
        let text = to_bytes(body, 1 << 16).await.unwrap();
        (head.status, head.headers, String::from_utf8(text.to_vec()).unwrap())
    }

    fn posted(authorization: Option<&str>, body: Body) -> Request {
        let mut request = http::Request::post("/mcp").header(header::HOST, "localhost");
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        request.body(body).unwrap()
    }

    #[tokio::test]
    async fn a_required_token_is_asked_for() {
        let guarded = || server(|| Ok(())).require(Token::new(SECRET).unwrap());
        for wrong in [None, Some("Bearer wrong"), Some("Basic 0123456789abcdef"), Some(SECRET)] {
            let (status, headers, _) = ask(guarded(), posted(wrong, Body::from("abc"))).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{wrong:?}");
            assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer");
        }
        for right in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef"] {
            let (status, _, body) = ask(guarded(), posted(Some(right), Body::from("abc"))).await;
            assert_eq!((status, body.as_str()), (StatusCode::OK, "3"));
        }
        let (status, ..) = ask(server(|| Ok(())), posted(None, Body::from("abc"))).await;
        assert_eq!(status, StatusCode::OK, "none is required unless asked for");
    }

    #[tokio::test]
    async fn bodies_over_the_limit_are_refused_declared_or_not() {
        let large = vec![0; BODY_LIMIT + 1];
        let mut declared = posted(None, Body::empty());
        declared.headers_mut().insert(header::CONTENT_LENGTH, large.len().into());
        let (status, ..) = ask(server(|| Ok(())), declared).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        let (status, ..) = ask(server(|| Ok(())), posted(None, Body::from(large))).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn other_paths_are_not_found() {
        let mut request = posted(None, Body::empty());
        *request.uri_mut() = "/mcp/other".parse().unwrap();
        assert_eq!(ask(server(|| Ok(())), request).await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn no_token_is_asked_for_where_only_keys_are_accepted() {
        let keys = AccessKeys::new(["AKIDEXAMPLE:a-secret-of-the-test"]).unwrap();
        let keyed = server(|| Ok(())).require_keys(keys);
        let (status, headers, body) = ask(keyed, posted(None, Body::empty())).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(!headers.contains_key(header::WWW_AUTHENTICATE));
        assert!(body.contains("--http-token"), "{body}");
    }

    #[tokio::test]
    async fn a_request_has_one_host() {
        for hosts in [&[][..], &["localhost", "other"]] {
            let mut request = http::Request::post("/mcp").body(Body::empty()).unwrap();
            for host in hosts {
                request.headers_mut().append(header::HOST, host.parse().unwrap());
            }
            assert_eq!(ask(server(|| Ok(())), request).await.0, StatusCode::BAD_REQUEST);
        }
    }

    #[tokio::test]
    async fn requests_are_counted_by_their_route() {
        let router = server(|| Ok(())).router(CancellationToken::new());
        let get = |path: &str| {
            let request = http::Request::get(path).header(header::HOST, "localhost");
            request.header("x-amzn-requestid", "of the client").body(Body::empty()).unwrap()
        };
        for path in ["/healthz", "/healthz", "/1.2.840.99"] {
            let response = router.clone().call(get(path)).await.unwrap();
            let id = response.headers()["x-amzn-requestid"].to_str().unwrap().to_owned();
            assert_eq!(id.len(), 36, "a UUID of our own: {id}");
            to_bytes(response.into_body(), 1000).await.unwrap();
        }
        let response = router.clone().call(get("/metrics")).await.unwrap();
        let text = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
        let healthy = "{method=\"GET\",route=\"/healthz\",status=\"200\"} ";
        assert_eq!(line(&format!("healthimaging_http_requests_total{healthy}")), Some("2"));
        // Twice `{"status":"ok"}`.
        assert_eq!(line(&format!("healthimaging_http_response_bytes_total{healthy}")), Some("30"));
        assert!(text.contains("route=\"none\",status=\"404\"} 1"), "{text}");
        assert!(!text.contains("840"), "{text}");
        assert_eq!(line("healthimaging_http_requests_running "), Some("1"));
    }

    #[tokio::test]
    async fn it_stops_when_it_is_cancelled() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server(|| Ok(())).serve(listener, stop.clone()));
        stop.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_can_send_a_refused_body_to_its_end() {
        const LENGTH: usize = BODY_LIMIT;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let guarded = server(|| Ok(())).require(Token::new(SECRET).unwrap());
        let serving = tokio::spawn(guarded.serve(listener, stop.clone()));
        let head = |token: &str, length: usize| {
            format!(
                "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
            )
        };
        let mut client = BufReader::new(TcpStream::connect(address).await.unwrap());
        client.write_all(head("wrong", LENGTH).as_bytes()).await.unwrap();
        let mut line = String::new();
        client.read_line(&mut line).await.unwrap();
        assert!(line.starts_with("HTTP/1.1 401"), "{line}");
        for _ in 0..LENGTH >> 12 {
            client.write_all(&[0; 1 << 12]).await.unwrap();
        }
        // The connection serves the next request; the first body has no line break.
        client.write_all(head(SECRET, 3).as_bytes()).await.unwrap();
        client.write_all(b"abc").await.unwrap();
        while !line.contains("HTTP/1.1 200") {
            line.clear();
            assert!(client.read_line(&mut line).await.unwrap() > 0, "the connection was closed");
        }
        drop(client);
        stop.cancel();
        serving.await.unwrap();
    }

    #[test]
    fn tokens_are_long_visible_and_hidden() {
        for bad in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcdeé"] {
            assert!(Token::new(bad).is_err(), "{bad}");
        }
        assert!(!format!("{:?}", Token::new(SECRET).unwrap()).contains(SECRET));
    }
}
