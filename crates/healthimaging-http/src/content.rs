//! Bodies, on their way in and out.

use axum::body::Body as HttpBody;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use healthimaging::{Body, Error, ErrorKind, Result};
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

use crate::failure::Failure;

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

#[cfg(test)]
mod tests {
    use super::*;

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
