//! The SDK's words to the contract's and back; one file a subject.

use aws_sdk_medicalimaging::primitives::{ByteStream, DateTime};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures::StreamExt;
use healthimaging::{Body, Error, ErrorKind, Result, Timestamp};
use http_body_util::BodyDataStream;

pub(crate) mod datastores;
pub(crate) mod image_sets;
pub(crate) mod imports;
pub(crate) mod search;

/// An id, name or ARN that the service told.
pub(crate) fn told<T: TryFrom<String, Error = Error>>(text: impl Into<String>) -> Result<T> {
    T::try_from(text.into()).map_err(|cause| unexpected(cause.message()))
}

/// The same, where it may be missing.
pub(crate) fn told_maybe<T: TryFrom<String, Error = Error>>(
    text: Option<String>,
) -> Result<Option<T>> {
    text.map(told).transpose()
}

/// A state or the like, which has to be one that this program knows.
pub(crate) fn word<T: std::str::FromStr<Err = Error>>(word: &str) -> Result<T> {
    word.parse().map_err(|_| unexpected("a word that is not known"))
}

/// The same where it is an extra: one that is not known is left out, so that reading goes on.
pub(crate) fn word_maybe<T: std::str::FromStr<Err = Error>>(
    found: Option<impl AsRef<str>>,
) -> Option<T> {
    let found = found?;
    let known = found.as_ref().parse().ok();
    if known.is_none() {
        tracing::warn!(
            word = found.as_ref(),
            "the service uses a word that this program does not know"
        );
    }
    known
}

/// A part that every answer of its kind has.
pub(crate) fn part<T>(found: Option<T>, name: &str) -> Result<T> {
    found.ok_or_else(|| unexpected(&format!("no {name}")))
}

/// A request that the SDK would not take.
pub(crate) fn unbuilt(cause: aws_smithy_types::error::operation::BuildError) -> Error {
    Error::internal("the request could not be put into the SDK's form", cause)
}

fn unexpected(what: &str) -> Error {
    Error::new(
        ErrorKind::Service,
        format!("AWS HealthImaging answered in a form that this version cannot read: {what}"),
    )
}

/// A moment of the SDK, to the millisecond.
pub(crate) fn moment(at: DateTime) -> Result<Timestamp> {
    // Rounded, since the wire has decimals that binary numbers miss by a hair.
    let nanos = i128::from(at.secs()) * 1_000_000_000 + i128::from(at.subsec_nanos());
    i64::try_from((nanos + 500_000).div_euclid(1_000_000))
        .ok()
        .and_then(Timestamp::from_timestamp_millis)
        .ok_or_else(|| unexpected("a moment out of range"))
}

/// The same, where it may be missing.
pub(crate) fn moment_maybe(at: Option<DateTime>) -> Result<Option<Timestamp>> {
    at.map(moment).transpose()
}

/// A moment for the SDK.
pub(crate) fn date_time(at: &Timestamp) -> DateTime {
    DateTime::from_millis(at.timestamp_millis())
}

/// The SDK counts pages in signed numbers.
pub(crate) fn page_size(asked: Option<u32>) -> Option<i32> {
    asked.map(|size| i32::try_from(size).unwrap_or(i32::MAX))
}

/// A body that is still on its way.
pub(crate) fn body(stream: ByteStream) -> Body {
    sdk_body(stream.into_inner())
}

/// The same, beneath the SDK.
pub(crate) fn sdk_body(body: SdkBody) -> Body {
    let length = body.content_length();
    let pieces = BodyDataStream::new(body).map(|piece: Result<Bytes, _>| {
        piece.map_err(|cause| {
            Error::new(
                ErrorKind::Service,
                "the connection to AWS HealthImaging broke before the answer was complete; try again",
            )
            .with_source(cause)
        })
    });
    Body::from_stream(pieces.boxed(), length)
}
