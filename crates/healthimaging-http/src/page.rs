//! The page at `/`: the start page and the viewer, for browsers.
//!
//! It holds no data, so it needs no token; what it then requests does.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use healthimaging_viewer::{ETAG, HEADERS, PAGE, PAGE_GZIP, page_with_viewer};
use http::header::{self, HeaderName};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version};
use tower_http::compression::CompressionLayer;

use crate::entity_tag::{is_known, tag};
use crate::failure::Failure;
use crate::viewer::{self, Viewer};

/// What clients that are no browsers are sent.
const DIRECTIONS: &str = "healthimaging-mcp-server\n\
    \n\
    /                        the start page and the viewer, in a browser\n\
    /mcp                     MCP\n\
    /datastore/DATASTORE_ID  DICOMweb\n";

/// The page that a server has at `/`.
#[derive(Debug, Clone)]
enum Page {
    /// As it is built.
    Plain,
    /// With links to a viewer.
    WithViewer { html: Bytes, tag: Arc<str> },
}

impl Page {
    /// The page of a server with this viewer.
    fn new(viewer: Option<&Viewer>) -> Self {
        let Some(viewer) = viewer else { return Self::Plain };
        let html = page_with_viewer(viewer.kind());
        let tag = tag(&[html.as_bytes()]).into();
        Self::WithViewer { html: html.into(), tag }
    }

    fn tag(&self) -> &str {
        match self {
            Self::Plain => ETAG,
            Self::WithViewer { tag, .. } => tag,
        }
    }
}

/// Routes of the page, and of a viewer.
pub(crate) fn routes(viewer: Option<&Viewer>) -> Router {
    let mut routes = Router::new().route("/", get(page).with_state(Page::new(viewer)));
    if let Some(viewer) = viewer {
        let files = get(viewer::serve).with_state(viewer.clone());
        routes = routes
            .route(viewer::PLACE, files.clone())
            .route(viewer::FILES, files)
            .route(viewer::WITHOUT_SLASH, get(viewer::add_slash));
    }
    routes.layer(CompressionLayer::new().compress_when(is_page))
}

/// The page for a client that names HTML in `Accept`, as browsers do. Clients that accept any type, such as curl, are sent a
/// text; others get the answer of an unknown path.
async fn page(State(page): State<Page>, asked: HeaderMap) -> Response {
    if !accepts(&asked, &header::ACCEPT, "text/html") {
        let is_any = ["*/*", "text/*", "text/plain"];
        if asked.contains_key(header::ACCEPT)
            && !is_any.iter().any(|media| accepts(&asked, &header::ACCEPT, media))
        {
            return Failure::unknown_operation().into_response();
        }
        return ([(header::VARY, "accept")], DIRECTIONS).into_response();
    }
    let is_gzip = accepts(&asked, &header::ACCEPT_ENCODING, "gzip");
    let mut response = match &page {
        _ if is_known(&asked, page.tag()) => StatusCode::NOT_MODIFIED.into_response(),
        Page::Plain if is_gzip => {
            let gzip = HeaderValue::from_static("gzip");
            ([(header::CONTENT_ENCODING, gzip)], PAGE_GZIP).into_response()
        }
        Page::Plain => PAGE.into_response(),
        Page::WithViewer { html, .. } => html.clone().into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(page.tag()) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    response
}

/// Returns whether a response is compressed for clients that accept it: pages are.
fn is_page(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    media.is_some_and(|media| media.starts_with(b"text/html"))
}

/// Whether a header lists this value with a weight above 0.
pub(crate) fn accepts(asked: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let lists = asked.get_all(name).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|one| {
        let (value, weight) = one.split_once(';').unwrap_or((one, ""));
        let is_refused = weight
            .trim()
            .strip_prefix("q=")
            .is_some_and(|weight| weight.parse().is_ok_and(|weight: f32| weight == 0.0));
        !is_refused && value.trim().eq_ignore_ascii_case(wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn answered(asked: &[(HeaderName, &'static str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
        for (name, value) in asked {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let (head, body) = page(State(Page::Plain), headers).await.into_parts();
        (head.status, head.headers, to_bytes(body, 1 << 20).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn browsers_are_given_the_page_with_its_policy() {
        let (status, headers, body) = answered(&[]).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body == PAGE.as_bytes());
        assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!headers.contains_key(header::CONTENT_ENCODING));
    }

    #[tokio::test]
    async fn it_is_compressed_for_clients_that_accept_gzip() {
        let encodings =
            [("br, gzip", true), ("gzip;q=0.5", true), ("gzip;q=0", false), ("br", false)];
        for (encoding, is_compressed) in encodings {
            let (_, headers, body) = answered(&[(header::ACCEPT_ENCODING, encoding)]).await;
            assert_eq!(headers.contains_key(header::CONTENT_ENCODING), is_compressed, "{encoding}");
            assert_eq!(body == PAGE_GZIP, is_compressed, "{encoding}");
        }
    }

    #[tokio::test]
    async fn a_client_that_has_the_page_is_answered_304() {
        let (_, headers, _) = answered(&[]).await;
        assert_eq!(headers[header::ETAG], ETAG);
        let known = [(header::IF_NONE_MATCH, ETAG)];
        let (status, headers, body) = answered(&known).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY));
    }

    #[tokio::test]
    async fn clients_of_an_api_are_answered_as_before() {
        for accept in ["application/json", "text/html;q=0"] {
            let (status, headers, _) = answered(&[(header::ACCEPT, accept)]).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{accept}");
            assert!(!headers.contains_key(header::CONTENT_SECURITY_POLICY));
        }
        let (status, headers, body) = answered(&[(header::ACCEPT, "*/*")]).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert!(String::from_utf8(body).unwrap().contains("/mcp"));
        assert_eq!(page(State(Page::Plain), HeaderMap::new()).await.status(), StatusCode::OK);
    }
}
