//! Range requests (RFC 9110 §14) for a single range of bytes.

use std::ops::Range;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{StreamExt, TryStreamExt};
use healthimaging::{Body, Result};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::content::streamed;
use crate::failure::Failure;

/// The requested bytes of a body of known length.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requested {
    Whole,
    Part(Range<u64>),
    /// A range after the end.
    Unsatisfiable,
}

/// Returns a response of `content_type` that streams `body`, or the requested range of it. The response has the whole body if
/// its length is unknown, and for several ranges.
///
/// RFC 9110 defines ranges for GET; `GetImageFrame`, which is a POST, supports them too.
pub(crate) async fn ranged(asked: &HeaderMap, body: Body, content_type: &str) -> Result<Response> {
    let Some(length) = body.length() else {
        return streamed(body, content_type).await;
    };
    let (mut response, content_range) = match Requested::of(asked, length) {
        Requested::Whole => (streamed(body, content_type).await?, None),
        Requested::Part(range) => {
            let content_range = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            let mut response = streamed(part(body, range), content_type).await?;
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            (response, Some(content_range))
        }
        Requested::Unsatisfiable => {
            let failure = Failure::unsatisfiable_range(length);
            (failure.into_response(), Some(format!("bytes */{length}")))
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(value) = content_range.and_then(|value| HeaderValue::from_str(&value).ok()) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

impl Requested {
    fn of(headers: &HeaderMap, length: u64) -> Self {
        // Responses have weak validators only, so none can match (RFC 9110 §13.1.5).
        if headers.contains_key(header::IF_RANGE) {
            return Self::Whole;
        }
        let mut given = headers.get_all(header::RANGE).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return Self::Whole;
        };
        // A malformed range, or one of another unit, is ignored (RFC 9110 §14.2).
        value.to_str().ok().and_then(|text| Self::parse(text, length)).unwrap_or(Self::Whole)
    }

    /// Parses `bytes=first-last`, `bytes=first-` or `bytes=-count`.
    fn parse(text: &str, length: u64) -> Option<Self> {
        let (unit, range) = text.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim().split_once('-')?;
        let range = match (first, last) {
            ("", count) => length.saturating_sub(number(count)?)..length,
            (first, "") => number(first)?..length,
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                first..last.saturating_add(1).min(length)
            }
        };
        Some(if range.start < range.end { Self::Part(range) } else { Self::Unsatisfiable })
    }
}

/// Parses digits; a number that is too large is after every end.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Returns a range of a body, and reads nothing after it.
fn part(body: Body, range: Range<u64>) -> Body {
    let length = range.end - range.start;
    let pieces = body.into_stream().scan(0_u64, move |at, piece| {
        let start = *at;
        let more = start < range.end;
        let piece = piece.map(|piece| {
            *at += piece.len() as u64;
            clipped(&piece, start, &range)
        });
        futures::future::ready(more.then_some(piece))
    });
    let pieces = pieces.try_filter(|piece| futures::future::ready(!piece.is_empty()));
    Body::from_stream(pieces.boxed(), Some(length))
}

/// Returns the bytes of a piece at `start` that are in the range.
fn clipped(piece: &Bytes, start: u64, range: &Range<u64>) -> Bytes {
    let length = piece.len() as u64;
    let within = |place: u64| {
        usize::try_from(place.saturating_sub(start).min(length)).unwrap_or(piece.len())
    };
    piece.slice(within(range.start)..within(range.end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    fn asked(value: &str, length: u64) -> Requested {
        let headers = HeaderMap::from_iter([(header::RANGE, value.parse().unwrap())]);
        Requested::of(&headers, length)
    }

    /// The examples of RFC 9110 §14.1.2, on 10,000 bytes.
    #[test]
    fn ranges_are_parsed_as_in_the_standard() {
        for (value, range) in [
            ("bytes=0-499", 0..500),
            ("bytes=500-999", 500..1000),
            ("bytes=-500", 9500..10_000),
            ("bytes=9500-", 9500..10_000),
            ("bytes=0-0", 0..1),
            ("bytes=-1", 9999..10_000),
            ("bytes=0-99999999999999999999999", 0..10_000),
            ("bytes=-20000", 0..10_000),
            ("Bytes = 1-2", 1..3),
        ] {
            assert_eq!(asked(value, 10_000), Requested::Part(range), "{value}");
        }
        for value in
            ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=99999999999999999999-"]
        {
            assert_eq!(asked(value, 10_000), Requested::Unsatisfiable, "{value}");
        }
        for value in [
            "bytes=0-0,-1",
            "lines=1-2",
            "bytes=5-4",
            "bytes=-",
            "bytes=",
            "bytes=a-b",
            "bytes=+1-2",
            "0-1",
        ] {
            assert_eq!(asked(value, 10_000), Requested::Whole, "{value}");
        }
        assert_eq!(asked("bytes=0-", 0), Requested::Unsatisfiable, "there is no first byte");
    }

    async fn answered(range: &str) -> (StatusCode, HeaderMap, Bytes) {
        let asked = HeaderMap::from_iter([(header::RANGE, range.parse().unwrap())]);
        let body = Body::from(Bytes::from_static(b"0123456789"));
        let (head, body) = ranged(&asked, body, "image/jph").await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, 1000).await.unwrap();
        (head.status, head.headers, body)
    }

    /// RFC 9110 §15.3.7 and §15.5.17.
    #[tokio::test]
    async fn responses_have_the_requested_range() {
        let (status, headers, body) = answered("bytes=2-4").await;
        assert_eq!((status, &body[..]), (StatusCode::PARTIAL_CONTENT, &b"234"[..]));
        assert_eq!(headers[header::CONTENT_RANGE], "bytes 2-4/10");
        assert_eq!(headers[header::CONTENT_LENGTH], "3");
        assert_eq!(headers[header::CONTENT_TYPE], "image/jph");
        let (status, headers, body) = answered("bytes=2-4,6-7").await;
        assert_eq!((status, &body[..]), (StatusCode::OK, &b"0123456789"[..]));
        assert_eq!(headers[header::ACCEPT_RANGES], "bytes");
        assert!(!headers.contains_key(header::CONTENT_RANGE));
        let (status, headers, body) = answered("bytes=10-").await;
        assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(headers[header::CONTENT_RANGE], "bytes */10");
        assert!(body.starts_with(b"{\"message\":"), "{body:?}");
    }

    #[test]
    fn a_condition_without_a_validator_is_not_met() {
        let range = (header::RANGE, HeaderValue::from_static("bytes=0-1"));
        let condition = (header::IF_RANGE, HeaderValue::from_static("\"tag\""));
        assert_eq!(Requested::of(&HeaderMap::from_iter([range, condition]), 9), Requested::Whole);
    }

    #[tokio::test]
    async fn a_part_does_not_depend_on_the_pieces_of_the_body() {
        let whole = Bytes::from_static(b"0123456789");
        for size in 1..=10 {
            for first in 0..10_usize {
                for end in first + 1..=10 {
                    let pieces: Vec<_> =
                        whole.chunks(size).map(|it| Ok(Bytes::copy_from_slice(it))).collect();
                    let body = Body::from_stream(stream::iter(pieces).boxed(), Some(10));
                    let wanted = part(body, first as u64..end as u64);
                    assert_eq!(wanted.length(), Some((end - first) as u64));
                    let found = wanted.collect(10).await.unwrap();
                    assert_eq!(found, whole.slice(first..end), "{first}..{end} in {size}");
                }
            }
        }
    }
}
