//! Where this host is, as the client sees it.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use http::{Request, header};

/// The address on which a connection was accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted(pub(crate) SocketAddr);

/// `http://host:port` for links, or nothing where the client does not say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Here(pub(crate) String);

impl Here {
    /// What was found for this request.
    pub(crate) fn remembered(request: &Request<Body>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// By the `Host` of a request and the `X-Forwarded-Proto` of a proxy before this server.
    pub(crate) fn of(request: &Request<Body>) -> Self {
        let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let Some(host) = text(header::HOST.as_str()).and_then(|host| host.rsplit('@').next())
        else {
            return Self::default();
        };
        let is_https = text("x-forwarded-proto") == Some("https");
        let scheme = if is_https { "https" } else { "http" };
        // Some clients leave out the port; on this machine, the one they came by is known.
        match request.extensions().get::<Accepted>() {
            Some(Accepted(at)) if at.ip().is_loopback() && is_loopback(host) => {
                Self(format!("{scheme}://{host}:{}", at.port()))
            }
            _ => Self(format!("{scheme}://{host}")),
        }
    }
}

/// Whether this is a name of this machine without a port.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
