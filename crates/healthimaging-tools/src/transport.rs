//! The two transports of the server: a pair of streams, such as stdin and stdout, and Streamable HTTP.

use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::BoxBody;
use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use healthimaging::{Error, Result};

use crate::lines::Lines;
use crate::ownership::Owned;
use crate::protocol::Handler;
use crate::server::Server;
use crate::sessions::{MOST_SESSIONS, Sessions};
use crate::web::{LARGEST_BODY, Web};

/// Serves one client on a pair of streams, until it closes them.
pub async fn serve<R, W>(server: Server, input: R, output: W) -> Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    match Handler::new(server).serve(Lines::new(input, output)).await {
        Ok(running) => {
            let ended = running.waiting().await;
            ended.map_err(|error| Error::internal("the connection to the client broke", error))?;
            Ok(())
        }
        // The client closed the streams before `initialize`.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(Error::internal("the client did not initialize the session", error)),
    }
}

/// Access to the server over HTTP, and its shutdown.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Allowed `Host` headers, with or without a port; loopback by default.
    pub allowed_hosts: Vec<String>,
    /// Allowed `Origin` headers with a scheme, `:*` for any port; loopback by default. A request
    /// without an origin does not come from a browser and is allowed.
    pub allowed_origins: Vec<String>,
    /// Ends all sessions.
    pub shutdown: CancellationToken,
}

impl Default for HttpOptions {
    fn default() -> Self {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        Self {
            allowed_hosts: list(&["localhost", "127.0.0.1", "::1"]),
            // An empty list would disable the check, which prevents DNS rebinding.
            allowed_origins: list(&["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"]),
            shutdown: CancellationToken::new(),
        }
    }
}

/// Returns the server as an HTTP service, to be mounted at `/mcp`.
///
/// It checks `Host` and `Origin`; it does not authenticate the caller.
pub fn http_service<B>(
    server: Server,
    options: HttpOptions,
) -> impl Service<
    Request<B>,
    Response = Response<BoxBody<Bytes, Infallible>>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static
where
    B: Body + Send + 'static,
    B::Error: Display,
    B::Data: Send + 'static,
{
    streamable(Handler::new(server), options)
}

/// Returns [`http_service`] with the fixtures of the protocol's conformance suite.
#[cfg(feature = "conformance-fixtures")]
pub fn conformance_service<B>(
    server: Server,
    options: HttpOptions,
) -> Result<
    impl Service<
        Request<B>,
        Response = Response<BoxBody<Bytes, Infallible>>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static,
>
where
    B: Body + Send + 'static,
    B::Error: Display,
    B::Data: Send + 'static,
{
    Ok(streamable(crate::fixtures::Fixtures::around(server)?, options))
}

/// Returns a handler behind the HTTP stack of this server.
fn streamable<H: rmcp::ServerHandler + Clone + Send + Sync + 'static>(
    handler: H,
    options: HttpOptions,
) -> Owned<Web<StreamableHttpService<H, Sessions>>> {
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(options.allowed_hosts)
        .with_allowed_origins(options.allowed_origins)
        .enforce_origin_validation()
        .with_max_request_body_bytes(LARGEST_BODY)
        .with_cancellation_token(options.shutdown);
    let sessions = Arc::new(Sessions::at_most(MOST_SESSIONS));
    let service =
        StreamableHttpService::new(move || Ok(handler.clone()), Arc::clone(&sessions), config);
    Owned::new(Web(service), sessions)
}
