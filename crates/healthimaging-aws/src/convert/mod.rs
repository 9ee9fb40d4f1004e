//! Conversions between the types of the SDK and of the contract, one file for each kind of resource.

use aws_sdk_medicalimaging::primitives::{ByteStream, DateTime};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use healthimaging::{Body, Error, ErrorKind, Result, Source, Timestamp};
use http_body_util::BodyDataStream;

use crate::error;

pub(crate) mod datastores;
pub(crate) mod image_sets;
pub(crate) mod imports;
pub(crate) mod search;

/// Parses an id, name or ARN.
pub(crate) fn parse<T: TryFrom<String, Error = Error>>(text: impl Into<String>) -> Result<T> {
    T::try_from(text.into()).map_err(|cause| unexpected(cause.message()))
}

/// Parses an optional id, name or ARN.
pub(crate) fn parse_optional<T: TryFrom<String, Error = Error>>(
    text: Option<String>,
) -> Result<Option<T>> {
    text.map(parse).transpose()
}

/// Parses a state or another enumerated value, which must be known to this version.
pub(crate) fn parse_value<T: std::str::FromStr<Err = Error>>(text: &str) -> Result<T> {
    text.parse().map_err(|_| unexpected("an unknown enumerated value"))
}

/// Parses an optional enumerated value; an unknown one is omitted, so that the rest can be read.
pub(crate) fn known_value<T: std::str::FromStr<Err = Error>>(
    found: Option<impl AsRef<str>>,
) -> Option<T> {
    let found = found?;
    let known = found.as_ref().parse().ok();
    if known.is_none() {
        tracing::warn!(
            value = found.as_ref(),
            "unknown enumerated value in a response of the service"
        );
    }
    known
}

/// A member that every response of its kind has.
pub(crate) fn required<T>(found: Option<T>, name: &str) -> Result<T> {
    found.ok_or_else(|| unexpected(&format!("{name} is missing")))
}

/// Error of a request that the SDK rejects.
pub(crate) fn unbuilt(cause: aws_smithy_types::error::operation::BuildError) -> Error {
    Error::internal("the request could not be converted for the SDK", cause)
}

fn unexpected(what: &str) -> Error {
    Error::new(
        ErrorKind::Service,
        format!("this version cannot read the response of AWS HealthImaging: {what}"),
    )
}

/// Converts a time of the SDK, with milliseconds.
pub(crate) fn timestamp(at: DateTime) -> Result<Timestamp> {
    // Rounded: the decimals of the response have no exact binary form.
    let nanos = i128::from(at.secs()) * 1_000_000_000 + i128::from(at.subsec_nanos());
    i64::try_from((nanos + 500_000).div_euclid(1_000_000))
        .ok()
        .and_then(Timestamp::from_timestamp_millis)
        .ok_or_else(|| unexpected("a time out of range"))
}

/// Converts an optional time of the SDK.
pub(crate) fn optional_timestamp(at: Option<DateTime>) -> Result<Option<Timestamp>> {
    at.map(timestamp).transpose()
}

/// Converts a time for the SDK.
pub(crate) fn date_time(at: &Timestamp) -> DateTime {
    DateTime::from_millis(at.timestamp_millis())
}

/// Page size as the signed number of the SDK.
pub(crate) fn page_size(asked: Option<u32>) -> Option<i32> {
    asked.map(|size| i32::try_from(size).unwrap_or(i32::MAX))
}

/// Returns the body of a response of the SDK.
pub(crate) fn body(stream: ByteStream) -> Body {
    let body = stream.into_inner();
    let length = body.content_length();
    response_body(body, length)
}

/// Returns the body of a response of this length.
pub(crate) fn response_body<B>(body: B, length: Option<u64>) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Into<Source>> + Send + 'static,
{
    let pieces = BodyDataStream::new(body).map_err(error::of_body);
    // Fused: a reader of the first bytes may have reached the end.
    Body::from_stream(pieces.fuse().boxed(), length)
}
