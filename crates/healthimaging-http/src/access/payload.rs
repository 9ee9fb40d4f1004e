//! Signature of a body, and its verification.

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use healthimaging::{Error, Result};
use http::HeaderMap;
use http::request::Parts;
use sha2::{Digest, Sha256};

use super::canonical::Canonical;
use super::chunked::{self, Chain};
use super::claim::Claim;
use super::keys::SigningKey;
use super::refusal::mismatch;
use super::spool::verified;
use crate::content::read_failure;
use crate::token::digest;

const HASH: &str = "x-amz-content-sha256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const SIGNED_CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const UNSIGNED_CHUNKS: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// Value of the header for the body.
#[derive(Debug)]
pub(super) enum Payload {
    /// No header: only the signature depends on the hash of the body.
    Unspecified,
    /// Hash of the body.
    Hash(String),
    /// The body is not signed.
    Unsigned,
    /// Chunks of `aws-chunked`, signed or not, with the sum of their lengths.
    Chunks { signed: bool, length: Option<u64> },
}

impl Payload {
    /// Reads the headers for which `counts` is true: if a signature is verified, the signed ones.
    pub(super) fn of(headers: &HeaderMap, counts: impl Fn(&str) -> bool) -> Result<Self> {
        let text = |name: &str| {
            headers.get(name).filter(|_| counts(name)).and_then(|value| value.to_str().ok())
        };
        let length = || text("x-amz-decoded-content-length").and_then(|text| text.parse().ok());
        match text(HASH) {
            None => Ok(Self::Unspecified),
            Some(UNSIGNED) => Ok(Self::Unsigned),
            Some(SIGNED_CHUNKS) => Ok(Self::Chunks { signed: true, length: length() }),
            Some(UNSIGNED_CHUNKS) => Ok(Self::Chunks { signed: false, length: length() }),
            Some(hash) if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Ok(Self::Hash(hash.to_ascii_lowercase()))
            }
            Some(_) => Err(Error::validation(format!(
                "{HASH} must be the SHA-256 of the body in hexadecimal, {UNSIGNED}, {SIGNED_CHUNKS} or \
                 {UNSIGNED_CHUNKS}"
            ))),
        }
    }

    /// Returns the body without its framing, unverified.
    pub(super) fn unchecked(self, body: Body) -> Body {
        match self {
            Self::Chunks { length, .. } => chunked::joined(body, None, length),
            _ => body,
        }
    }

    /// Verifies the signature and returns the body without its framing. If the headers have the hash of the body, the body
    /// ends with an error on a mismatch; otherwise all of it is read first.
    pub(super) async fn checked(
        self,
        body: Body,
        claim: Claim,
        key: SigningKey,
        head: &Parts,
    ) -> Result<Body> {
        let canonical = Canonical::of(head, claim.signed_headers());
        let check = |payload_hash: &str| {
            let text = claim.string_to_sign(&canonical.with(payload_hash));
            if key.verifies(&text, &claim.signature) { Ok(()) } else { Err(mismatch()) }
        };
        match self {
            Self::Unsigned => check(UNSIGNED).map(|()| body),
            Self::Hash(expected) => {
                check(&expected)?;
                Ok(hashed(body, move |found| digest(found) == digest(&expected)))
            }
            Self::Chunks { signed: false, length } => {
                check(UNSIGNED_CHUNKS)?;
                Ok(chunked::joined(body, None, length))
            }
            Self::Chunks { signed: true, length } => {
                check(SIGNED_CHUNKS)?;
                Ok(chunked::joined(body, Some(Chain::new(claim, key)), length))
            }
            Self::Unspecified => {
                let is_signed = |found: &str| check(found).is_ok();
                verified(body, is_signed).await
            }
        }
    }
}

/// Returns the body, with an error at its end unless `is_right` is true for its hash.
fn hashed(body: Body, is_right: impl FnOnce(&str) -> bool + Send + 'static) -> Body {
    struct Hashing<F> {
        pieces: BodyDataStream,
        hash: Sha256,
        is_right: F,
    }
    let hashing = Hashing { pieces: body.into_data_stream(), hash: Sha256::new(), is_right };
    Body::from_stream(
        stream::try_unfold(Some(hashing), |state| async move {
            let Some(mut hashing) = state else {
                return Ok::<_, Error>(None);
            };
            if let Some(piece) = hashing.pieces.try_next().await.map_err(read_failure)? {
                hashing.hash.update(&piece);
                return Ok(Some((piece, Some(hashing))));
            }
            if (hashing.is_right)(&hex::encode(hashing.hash.finalize())) {
                Ok(Some((Bytes::new(), None)))
            } else {
                Err(mismatch())
            }
        })
        .fuse(),
    )
}
