//! Bodies of requests and responses.

use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use healthimaging::{Body, Error, ErrorKind, Result};
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use tower_http::timeout::TimeoutError;

use crate::failure::Failure;

/// Timeout of each piece of the body of a request.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Returns a response of `content_type` that streams `body`. The first piece is awaited, so that an immediate failure is an
/// error and not a broken connection.
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
                tracing::error!(?error, "a response was cut off");
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

/// Value of a `Warning` header with a text (RFC 7234 §5.5, `PS3.18 §8.3.4.4`).
pub(crate) fn warning(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("299 healthimaging-mcp-server \"{text}\"")).ok()
}

/// Rejects a content coding other than none and the chunks of Signature Version 4.
pub(crate) fn check_encoding(headers: &HeaderMap) -> std::result::Result<(), Failure> {
    let named = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = named.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    let is_read = |coding: &str| {
        ["", "identity", "aws-chunked"].iter().any(|known| coding.eq_ignore_ascii_case(known))
    };
    if codings.all(|coding| is_read(coding.trim())) {
        return Ok(());
    }
    Err(Failure::unsupported_media_type("unsupported Content-Encoding; send the body without one"))
}

/// Returns a response of this content and type.
pub(crate) fn typed(content: HttpBody, content_type: &str) -> Response {
    let mut response = content.into_response();
    let content_type = HeaderValue::from_str(content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Returns a response of a value as JSON.
pub(crate) fn written(value: &impl Serialize, content_type: &str) -> Result<Response> {
    let text = serde_json::to_vec(value)
        .map_err(|error| Error::internal("the response could not be written as JSON", error))?;
    Ok(typed(text.into(), content_type))
}

/// Converts an error of reading a body: one of ours as it is, others as a fault of the connection.
pub(crate) fn read_failure(error: axum::Error) -> Error {
    let mut cause = error.into_inner();
    loop {
        // Each body around another one wraps its errors again.
        cause = match cause.downcast::<axum::Error>() {
            Ok(wrapper) => wrapper.into_inner(),
            Err(other) => match other.downcast::<Error>() {
                Ok(ours) => return *ours,
                Err(foreign) if foreign.is::<TimeoutError>() => {
                    let seconds = READ_TIMEOUT.as_secs();
                    let message =
                        format!("no more of the body arrived for {seconds} seconds; send it again");
                    return Error::new(ErrorKind::BadRequest, message)
                        .with_code("RequestTimeoutException");
                }
                Err(foreign) => {
                    let message =
                        "the body of the request could not be read to its end; send it again";
                    return Error::new(ErrorKind::BadRequest, message).with_source(foreign);
                }
            },
        };
    }
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn collected(body: HttpBody, limit: usize) -> Result<Bytes> {
    let mut pieces = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(read_failure)?;
        if whole.len() + piece.len() > limit {
            return Err(Error::validation(format!(
                "the body is longer than the limit of {limit} bytes of this operation"
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
