//! The scheme and host of this server as the client sees them. Back ends write the URLs in metadata and search results as
//! paths; this module completes them.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body as HttpBody;
use bytes::{Bytes, BytesMut};
use futures::future;
use futures::stream::{self, StreamExt, TryStreamExt};
use healthimaging::Body;
use healthimaging::model::DicomJson;
use http::{Request, header};
use memchr::memmem::find;
use serde_json::Value;

/// Begins the path of bulk data in DICOM JSON. Inside a string, the quotes would be escaped.
const BULK_DATA: &[u8] = b"\"BulkDataURI\":\"/";
const RETRIEVE_URL: &str = "00081190";

/// How a connection was accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    /// The address of this server.
    pub(crate) at: SocketAddr,
    /// Whether it uses TLS.
    pub(crate) is_tls: bool,
}

/// `http://host:port`, `https://` with TLS, or nothing where the client sends no host.
#[derive(Debug, Clone, Default)]
pub(crate) struct BaseUrl(pub(crate) String);

impl BaseUrl {
    /// The extension of a request that passed the gate.
    pub(crate) fn of_request(request: &Request<HttpBody>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// From `X-Forwarded-Host` and `X-Forwarded-Proto` of a proxy before this server, else by the `Host` of the request.
    pub(crate) fn from_headers(request: &Request<HttpBody>) -> Self {
        let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        // Each proxy appends; the first value is what the client sent.
        let first = |name: &str| text(name)?.split(',').next().map(str::trim);
        let accepted = request.extensions().get::<Accepted>();
        let is_https = match first("x-forwarded-proto") {
            Some(protocol) => protocol.eq_ignore_ascii_case("https"),
            None => accepted.is_some_and(|accepted| accepted.is_tls),
        };
        let scheme = if is_https { "https" } else { "http" };
        if let Some(host) = first("x-forwarded-host").filter(|host| is_authority(host)) {
            return Self(format!("{scheme}://{host}"));
        }
        let Some(host) = text(header::HOST.as_str()).and_then(|host| host.rsplit('@').next())
        else {
            return Self::default();
        };
        // Some clients leave out the port; on this machine, the one they came by is known.
        match accepted {
            Some(Accepted { at, .. }) if at.ip().is_loopback() && is_loopback(host) => {
                Self(format!("{scheme}://{host}:{}", at.port()))
            }
            _ => Self(format!("{scheme}://{host}")),
        }
    }

    /// Makes the path in Retrieve URL (0008,1190) of a search result a URL.
    pub(crate) fn complete(&self, result: &mut DicomJson) {
        let attribute = result.get_mut(RETRIEVE_URL);
        if let Some(Value::String(url)) = attribute.and_then(|it| it.pointer_mut("/Value/0"))
            && url.starts_with('/')
        {
            url.insert_str(0, &self.0);
        }
    }

    /// Makes the paths in `BulkDataURI` URLs, in DICOM JSON without white space, while it is read.
    pub(crate) fn complete_bulk_data(self, json: Body) -> Body {
        let ends = stream::once(future::ok(None));
        let pieces = json.into_stream().map_ok(Some).chain(ends);
        let mut held = BytesMut::new();
        let pieces = pieces.map_ok(move |piece| {
            let is_end = piece.is_none();
            held.extend_from_slice(&piece.unwrap_or_default());
            let mut text = BytesMut::with_capacity(held.len());
            while let Some(at) = find(&held, BULK_DATA) {
                text.extend_from_slice(&held.split_to(at + BULK_DATA.len() - 1));
                text.extend_from_slice(self.0.as_bytes());
            }
            // The last bytes may be the beginning of a URI.
            let unfinished = if is_end { 0 } else { BULK_DATA.len() - 1 };
            text.extend_from_slice(&held.split_to(held.len().saturating_sub(unfinished)));
            Bytes::from(text)
        });
        let pieces = pieces.try_filter(|piece| future::ready(!piece.is_empty()));
        Body::from_stream(pieces.boxed(), None)
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
    fn urls_have_the_host_that_the_client_uses() {
        let base_url = |headers: &[(&str, &str)]| {
            let request = headers
                .iter()
                .fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
            BaseUrl::from_headers(&request.body(HttpBody::empty()).unwrap()).0
        };
        let host = ("host", "10.0.0.1:8730");
        assert_eq!(base_url(&[host]), "http://10.0.0.1:8730");
        assert_eq!(base_url(&[host, ("x-forwarded-proto", "https")]), "https://10.0.0.1:8730");
        let forwarded = ("x-forwarded-host", "pacs.example.org:8443, inner");
        let both = [host, forwarded, ("x-forwarded-proto", "https,http")];
        assert_eq!(base_url(&both), "https://pacs.example.org:8443");
        assert_eq!(base_url(&[host, ("x-forwarded-host", "a/b\"<")]), "http://10.0.0.1:8730");
        assert_eq!(base_url(&[]), "");
    }
    #[tokio::test]
    async fn paths_of_bulk_data_become_urls_however_the_text_is_cut() {
        let base_url = BaseUrl("http://pacs:80".to_owned());
        let text = r#"[{"a":{"BulkDataURI":"/x/1"},"b":{"BulkDataURI":"https://aws/2"},"c":"\"BulkDataURI\":\"/"},{"BulkDataURI":"/"}]"#;
        let expected = text.replace(r#""/"#, r#""http://pacs:80/"#);
        let expected = expected.replace(r#"\"http://pacs:80/"#, r#"\"/"#);
        for size in 1..=text.len() {
            let pieces: Vec<_> =
                text.as_bytes().chunks(size).map(Bytes::copy_from_slice).map(Ok).collect();
            let body = Body::from_stream(stream::iter(pieces).boxed(), None);
            let found = base_url.clone().complete_bulk_data(body).collect(1000).await.unwrap();
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn only_a_path_in_a_retrieve_url_is_completed() {
        let base_url = BaseUrl("http://pacs:80".to_owned());
        for (given, expected) in
            [("/datastore/1", "http://pacs:80/datastore/1"), ("https://aws/2", "https://aws/2")]
        {
            let value = serde_json::json!({ "vr": "UR", "Value": [given] });
            let mut result = DicomJson::from_iter([(RETRIEVE_URL.to_owned(), value)]);
            base_url.complete(&mut result);
            assert_eq!(result[RETRIEVE_URL]["Value"][0], expected);
        }
        base_url.complete(&mut DicomJson::new());
    }
}
