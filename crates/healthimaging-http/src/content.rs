//! Bodies, on their way in and out.

use std::fmt::Write;

use axum::body::Body as HttpBody;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use healthimaging::{Body, Error, ErrorKind, Result};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::byte_range::ranged;
use crate::failure::Failure;

/// Longest answer that gets an entity tag, in bytes: it is in memory until its end is known.
const LONGEST_TAGGED: usize = 1 << 20;

/// A response of `content_type` that streams `body`. Its first piece is awaited, so that what fails
/// at once is an error and not a connection that breaks.
pub(crate) async fn streamed(body: Body, content_type: &str) -> Result<Response> {
    let length = body.length();
    let mut pieces = body.into_stream();
    let first = pieces.next().await.transpose()?.unwrap_or_default();
    let whole = length == Some(first.len() as u64);
    let content = if whole {
        HttpBody::from(first)
    } else {
        let rest = pieces.inspect(|piece| {
            if let Err(error) = piece {
                tracing::error!(?error, "a response breaks off");
            }
        });
        HttpBody::from_stream(stream::once(async move { Ok(first) }).chain(rest))
    };
    let mut response = typed(content, content_type);
    if let Some(length) = length {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

/// A response of JSON to a request with these headers. A short one has an entity tag and serves ranges; 304 says that
/// the client has it already.
pub(crate) async fn tagged(asked: &HeaderMap, body: Body, content_type: &str) -> Result<Response> {
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
    validated(asked, Some(tag), ranged(asked, whole.freeze().into(), content_type)).await
}

/// A weak entity tag of these parts, as an answer may be compressed on its way (RFC 9110 §8.8.1).
pub(crate) fn tag(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hex(&hash.finalize());
    format!("W/\"{}\"", hash.get(..32).unwrap_or(&hash))
}

/// The response with its entity tag, where there is one; 304, and no work, if the client has that content already.
pub(crate) async fn validated(
    asked: &HeaderMap,
    tag: Option<String>,
    response: impl Future<Output = Result<Response>>,
) -> Result<Response> {
    let Some(tag) = tag else { return response.await };
    let mut response = if is_known(asked, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        response.await?
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    // Patient data: no shared cache keeps it, and what a browser keeps is asked for again.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// Whether `If-None-Match` names this weak tag or any (RFC 9110 §13.1.2).
fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let given = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    given
        .flat_map(|list| list.split(','))
        .any(|one| one.trim() == "*" || opaque(one) == opaque(tag))
}

/// The value of a `Warning` header for people (RFC 7234 §5.5, `PS3.18 §8.3.4.4`).
pub(crate) fn warning(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("299 healthimaging-mcp-server \"{text}\"")).ok()
}

/// Refuses a body in an encoding other than those that are read: none, and the chunks of Signature Version 4.
pub(crate) fn check_encoding(headers: &HeaderMap) -> std::result::Result<(), Failure> {
    let named = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = named.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    let is_read = |coding: &str| {
        ["", "identity", "aws-chunked"].iter().any(|known| coding.eq_ignore_ascii_case(known))
    };
    if codings.all(|coding| is_read(coding.trim())) {
        return Ok(());
    }
    Err(Failure::unsupported_media_type(
        "this Content-Encoding is not supported; send the body without one",
    ))
}

/// A response of this content and type.
pub(crate) fn typed(content: HttpBody, content_type: &str) -> Response {
    let mut response = content.into_response();
    let content_type = HeaderValue::from_str(content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// A response of this value as JSON.
pub(crate) fn written(value: &impl Serialize, content_type: &str) -> Result<Response> {
    let text = serde_json::to_vec(value)
        .map_err(|error| Error::internal("the answer cannot be written as JSON", error))?;
    Ok(typed(text.into(), content_type))
}

/// What went wrong while a body was read: a cause of ours as it is, or the connection.
pub(crate) fn read_failure(error: axum::Error) -> Error {
    let mut cause = error.into_inner();
    loop {
        // Each body around another wraps its errors once more.
        cause = match cause.downcast::<axum::Error>() {
            Ok(wrapper) => wrapper.into_inner(),
            Err(other) => match other.downcast::<Error>() {
                Ok(ours) => return *ours,
                Err(foreign) => {
                    let told = "the body of the request could not be read to its end";
                    return Error::new(ErrorKind::BadRequest, told).with_source(foreign);
                }
            },
        };
    }
}

/// The whole of a body, at most `limit` bytes.
pub(crate) async fn collected(body: HttpBody, limit: usize) -> Result<Bytes> {
    let mut pieces = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(read_failure)?;
        if whole.len() + piece.len() > limit {
            return Err(Error::validation(format!(
                "the body is longer than the {limit} bytes that this operation takes"
            )));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// 16 random bytes in hexadecimal.
pub(crate) fn random_hex() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal("the machine gives no random numbers", error))?;
    Ok(hex(&bytes))
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(name: &str, value: &str, length: usize) -> Response {
        let name: http::HeaderName = name.parse().unwrap();
        let asked = HeaderMap::from_iter([(name, value.parse().unwrap())]);
        tagged(&asked, vec![b' '; length].into(), "application/json").await.unwrap()
    }

    /// RFC 9110 §13.1.2.
    #[tokio::test]
    async fn a_client_that_has_the_answer_is_told_so() {
        let first = answered("accept", "*/*", 100).await;
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        let strong = tag.strip_prefix("W/").unwrap();
        for known in [&tag, strong, "*", &format!("\"a\", {tag}")] {
            let again = answered("if-none-match", known, 100).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(again.headers()[header::ETAG], tag);
        }
        for other in ["\"a\"", "", strong.trim_matches('"')] {
            let again = answered("if-none-match", other, 100).await;
            assert_eq!(again.status(), StatusCode::OK, "{other}");
        }
        assert_eq!(answered("if-none-match", &tag, 101).await.status(), StatusCode::OK);
        assert_eq!(answered("range", "bytes=0-9", 100).await.status(), StatusCode::PARTIAL_CONTENT);
        let long = answered("if-none-match", "*", LONGEST_TAGGED + 1).await;
        assert_eq!(long.status(), StatusCode::OK);
        assert!(!long.headers().contains_key(header::ETAG));
    }

    #[test]
    fn a_body_in_an_unknown_encoding_is_refused() {
        let check = |text: &str| {
            check_encoding(&HeaderMap::from_iter([(
                header::CONTENT_ENCODING,
                text.parse().unwrap(),
            )]))
        };
        for known in ["aws-chunked", "identity", "AWS-Chunked, identity", ""] {
            assert!(check(known).is_ok(), "{known}");
        }
        for unknown in ["gzip", "aws-chunked,gzip", "br"] {
            assert!(check(unknown).is_err(), "{unknown}");
        }
        assert!(check_encoding(&HeaderMap::new()).is_ok());
    }
}
