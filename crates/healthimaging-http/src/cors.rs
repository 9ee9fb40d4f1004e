//! Requests of web pages: which are admitted, and the CORS headers of their responses.
//!
//! A server without authentication is reachable from this machine only, but so is every web page that its user opens. It
//! therefore admits pages of this machine only, and no requests for a public host name, which an attacker could resolve to
//! this address (DNS rebinding).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use healthimaging::{Error, ErrorKind, Result};
use http::header::{self, HeaderValue};
use http::{Method, Request};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

/// How long browsers cache the response to a preflight request.
const PREFLIGHT_LIFE: Duration = Duration::from_hours(24);

/// Domains that public name servers do not resolve (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`).
const PRIVATE: &[&str] = &["local", "localhost", "internal", "test", "home.arpa"];

/// Which web pages are admitted.
#[derive(Debug, Clone)]
pub(crate) struct CorsPolicy {
    /// Whether the server requires no authentication, so that pages must be checked.
    pub(crate) is_open: bool,
    /// Allowed hosts in addition to those of this machine.
    pub(crate) hosts: Arc<[String]>,
}

impl CorsPolicy {
    /// Rejects a request of a web page that is not allowed.
    pub(crate) fn admit(&self, request: &Request<Body>) -> Result<()> {
        if !self.is_open {
            return Ok(());
        }
        let text = |name| request.headers().get(name).map(HeaderValue::to_str);
        let is_host_allowed = match text(header::HOST) {
            None => true,
            Some(host) => host.is_ok_and(|host| self.is_private(name_of(host))),
        };
        let is_origin_allowed = match text(header::ORIGIN) {
            None => true,
            Some(origin) => origin.is_ok_and(|origin| self.is_local_page(origin)),
        };
        if is_host_allowed && is_origin_allowed {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::AccessDenied,
            "this server requires no authentication, so it admits requests of this machine only; allow the \
             host of the page with --http-host, or set access keys",
        ))
    }

    /// Returns whether public name servers cannot resolve this host.
    fn is_private(&self, host: &str) -> bool {
        let bare = host.trim_start_matches("runtime-").trim_matches(['[', ']']);
        let host = host.to_ascii_lowercase();
        !host.contains('.')
            || bare.parse::<IpAddr>().is_ok()
            || PRIVATE.iter().any(|domain| {
                let rest = host.strip_suffix(domain);
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
            || (host.contains("medical-imaging") && host.ends_with(".amazonaws.com"))
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(&host))
    }

    /// Returns whether an origin is this machine or an allowed host.
    fn is_local_page(&self, origin: &str) -> bool {
        let Some((_, rest)) = origin.split_once("://") else {
            return false;
        };
        let host = name_of(rest);
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost"
            || host.ends_with(".localhost")
            || address.is_ok_and(|address| address.is_loopback())
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// The CORS headers: an allowed page can read every response.
    pub(crate) fn layer(&self) -> CorsLayer {
        let policy = self.clone();
        let origins = if self.is_open {
            AllowOrigin::predicate(move |origin, _| {
                origin.to_str().is_ok_and(|origin| policy.is_local_page(origin))
            })
        } else {
            AllowOrigin::any()
        };
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::DELETE, Method::OPTIONS])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(ExposeHeaders::any())
            .max_age(PREFLIGHT_LIFE)
    }
}

/// The name or address in `user@host:port`.
fn name_of(authority: &str) -> &str {
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.rfind(']') {
        Some(end) => host.get(..=end).unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(host: &str, origin: Option<&str>) -> bool {
        let policy = CorsPolicy { is_open: true, hosts: ["viewer.example.org".to_owned()].into() };
        let mut request = Request::get("/").header(header::HOST, host);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        policy.admit(&request.body(Body::empty()).unwrap()).is_ok()
    }

    #[test]
    fn an_open_server_answers_for_every_host_but_public_ones() {
        for host in [
            "127.0.0.1:8730",
            "runtime-127.0.0.1:8730",
            "u@127.0.0.1:8730",
            "runtime-u@127.0.0.1",
            "[::1]:8730",
            "localhost:8730",
            "ahi.local",
            "runtime-ahi.local:9000",
            "healthimaging",
            "medical-imaging.us-east-1.amazonaws.com",
            "viewer.example.org",
        ] {
            assert!(admits(host, None), "{host}");
        }
        for host in ["evil.example:8730", "127.0.0.1.evil.example", "local.evil.example"] {
            assert!(!admits(host, None), "{host}");
        }
    }

    #[test]
    fn an_open_server_admits_pages_of_this_machine_and_allowed_ones() {
        for origin in ["http://localhost:3000", "http://127.0.0.1", "https://viewer.example.org"] {
            assert!(admits("localhost", Some(origin)), "{origin}");
        }
        for origin in ["null", "https://evil.example", "http://localhost.evil.example"] {
            assert!(!admits("localhost", Some(origin)), "{origin}");
        }
    }
}
