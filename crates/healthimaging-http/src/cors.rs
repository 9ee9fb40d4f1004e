//! Web pages: which may ask, and what browsers want to hear.
//!
//! A site that asks for no key is on this machine alone; yet every web page that its user opens can
//! send requests to this machine. So an open site lets only pages of this machine in, and none that
//! come under a public name that was bent to this address (DNS rebinding).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use healthimaging::{Error, ErrorKind, Result};
use http::header::{self, HeaderValue};
use http::{Method, Request};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

/// How long a browser may keep the answer to a preflight request.
const PREFLIGHT_LIFE: Duration = Duration::from_hours(24);

/// Names that no public name server answers for (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`).
const PRIVATE: &[&str] = &["local", "localhost", "internal", "test", "home.arpa"];

/// Who may ask from a browser.
#[derive(Debug, Clone)]
pub(crate) struct Visitors {
    /// Whether the site asks for no key, so that pages are told apart.
    pub(crate) is_open: bool,
    /// Names of hosts that are let in beside those of this machine.
    pub(crate) hosts: Arc<[String]>,
}

impl Visitors {
    /// Refuses requests of web pages that have no business here.
    pub(crate) fn admit(&self, request: &Request<Body>) -> Result<()> {
        if !self.is_open {
            return Ok(());
        }
        let text = |name| request.headers().get(name).map(HeaderValue::to_str);
        let host_is_fine = match text(header::HOST) {
            None => true,
            Some(host) => host.is_ok_and(|host| self.is_private(name_of(host))),
        };
        let origin_is_fine = match text(header::ORIGIN) {
            None => true,
            Some(origin) => origin.is_ok_and(|origin| self.is_local_page(origin)),
        };
        if host_is_fine && origin_is_fine {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::AccessDenied,
            "this server asks for no key and so answers only to this machine; name the host of the \
             page with --http-host, or set access keys",
        ))
    }

    /// Whether a host is one that a public name server cannot have bent to this address.
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

    /// Whether a page comes from this machine, or from a host that was named.
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

    /// What browsers are told (CORS): a page that may ask can read every answer.
    pub(crate) fn cors(&self) -> CorsLayer {
        let visitors = self.clone();
        let origins = if self.is_open {
            AllowOrigin::predicate(move |origin, _| {
                origin.to_str().is_ok_and(|origin| visitors.is_local_page(origin))
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
        let visitors = Visitors { is_open: true, hosts: ["viewer.example.org".to_owned()].into() };
        let mut request = Request::get("/").header(header::HOST, host);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        visitors.admit(&request.body(Body::empty()).unwrap()).is_ok()
    }

    #[test]
    fn an_open_site_answers_under_every_name_but_public_ones() {
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
    fn an_open_site_lets_in_pages_of_this_machine_and_named_ones() {
        for origin in ["http://localhost:3000", "http://127.0.0.1", "https://viewer.example.org"] {
            assert!(admits("localhost", Some(origin)), "{origin}");
        }
        for origin in ["null", "https://evil.example", "http://localhost.evil.example"] {
            assert!(!admits("localhost", Some(origin)), "{origin}");
        }
    }
}
