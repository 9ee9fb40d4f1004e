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

    /// By `X-Forwarded-Host` and `X-Forwarded-Proto` of a proxy before this server, else by the `Host` of the request.
    pub(crate) fn of(request: &Request<Body>) -> Self {
        let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        // Each proxy appends; the first value is what the client sent.
        let first = |name: &str| text(name)?.split(',').next().map(str::trim);
        let is_https =
            first("x-forwarded-proto").is_some_and(|it| it.eq_ignore_ascii_case("https"));
        let scheme = if is_https { "https" } else { "http" };
        if let Some(host) = first("x-forwarded-host").filter(|host| is_authority(host)) {
            return Self(format!("{scheme}://{host}"));
        }
        let Some(host) = text(header::HOST.as_str()).and_then(|host| host.rsplit('@').next())
        else {
            return Self::default();
        };
        // Some clients leave out the port; on this machine, the one they came by is known.
        match request.extensions().get::<Accepted>() {
            Some(Accepted(at)) if at.ip().is_loopback() && is_loopback(host) => {
                Self(format!("{scheme}://{host}:{}", at.port()))
            }
            _ => Self(format!("{scheme}://{host}")),
        }
    }
}

/// Whether this is a host, with a port or without.
fn is_authority(text: &str) -> bool {
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(is_of_host)
}

/// Whether this is a name of this machine without a port.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_name_the_host_that_the_client_knows() {
        let here = |headers: &[(&str, &str)]| {
            let request = headers
                .iter()
                .fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
            Here::of(&request.body(Body::empty()).unwrap()).0
        };
        let host = ("host", "10.0.0.1:8730");
        assert_eq!(here(&[host]), "http://10.0.0.1:8730");
        assert_eq!(here(&[host, ("x-forwarded-proto", "https")]), "https://10.0.0.1:8730");
        let forwarded = ("x-forwarded-host", "pacs.example.org:8443, inner");
        let both = [host, forwarded, ("x-forwarded-proto", "https,http")];
        assert_eq!(here(&both), "https://pacs.example.org:8443");
        assert_eq!(here(&[host, ("x-forwarded-host", "a/b\"<")]), "http://10.0.0.1:8730");
        assert_eq!(here(&[]), "");
    }
}
