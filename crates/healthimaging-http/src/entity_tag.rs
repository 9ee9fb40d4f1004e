//! Entity tags (RFC 9110 §8.8.3): a client that has a content already is sent 304.

use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures::stream::{self, StreamExt};
use healthimaging::{Body, Result};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::byte_range::ranged;
use crate::content::streamed;

/// Longest response with an entity tag in bytes: it is held in memory to compute the tag.
const LONGEST_TAGGED: usize = 1 << 20;

/// Returns a response of JSON to a request with these headers. A short one has an entity tag and supports ranges.
pub(crate) async fn tagged(
    request_headers: &HeaderMap,
    body: Body,
    content_type: &str,
) -> Result<Response> {
    let mut pieces = body.into_stream();
    let mut whole = BytesMut::new();
    while let Some(piece) = pieces.next().await.transpose()? {
        whole.extend_from_slice(&piece);
        if whole.len() > LONGEST_TAGGED {
            let begun = stream::iter([Ok(whole.freeze())]).chain(pieces);
            return streamed(Body::from_stream(begun.boxed(), None), content_type).await;
        }
    }
    let tag = tag(&[&whole]);
    validated(
        request_headers,
        Some(tag),
        ranged(request_headers, whole.freeze().into(), content_type),
    )
    .await
}

/// Returns a weak entity tag of these parts: responses may be compressed (RFC 9110 §8.8.1).
pub(crate) fn tag(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hex::encode(hash.finalize());
    format!("W/\"{}\"", hash.get(..32).unwrap_or(&hash))
}

/// Returns the response with an entity tag, if there is one; 304, without awaiting the response, if the client has it.
pub(crate) async fn validated(
    request_headers: &HeaderMap,
    tag: Option<String>,
    response: impl Future<Output = Result<Response>>,
) -> Result<Response> {
    let Some(tag) = tag else { return response.await };
    let mut response = if is_known(request_headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        response.await?
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    // Patient data: no shared cache may store it, and browsers revalidate it.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// Returns whether `If-None-Match` names this weak tag or any (RFC 9110 §13.1.2).
pub(crate) fn is_known(request_headers: &HeaderMap, tag: &str) -> bool {
    let given = request_headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    given
        .flat_map(|list| list.split(','))
        .any(|one| one.trim() == "*" || opaque(one) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn response(name: &str, value: &str, length: usize) -> Response {
        let name: http::HeaderName = name.parse().unwrap();
        let request_headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
        tagged(&request_headers, vec![b' '; length].into(), "application/json").await.unwrap()
    }

    /// RFC 9110 §13.1.2.
    #[tokio::test]
    async fn a_client_that_has_the_content_is_sent_304() {
        let first = response("accept", "*/*", 100).await;
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        let strong = tag.strip_prefix("W/").unwrap();
        for known in [&tag, strong, "*", &format!("\"a\", {tag}")] {
            let again = response("if-none-match", known, 100).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(again.headers()[header::ETAG], tag);
        }
        for other in ["\"a\"", "", strong.trim_matches('"')] {
            let again = response("if-none-match", other, 100).await;
            assert_eq!(again.status(), StatusCode::OK, "{other}");
        }
        assert_eq!(response("if-none-match", &tag, 101).await.status(), StatusCode::OK);
        assert_eq!(response("range", "bytes=0-9", 100).await.status(), StatusCode::PARTIAL_CONTENT);
        let long = response("if-none-match", "*", LONGEST_TAGGED + 1).await;
        assert_eq!(long.status(), StatusCode::OK);
        assert!(!long.headers().contains_key(header::ETAG));
    }
}
