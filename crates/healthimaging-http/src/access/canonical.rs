//! The canonical request, which client and server sign.

use std::fmt::Write;

use http::header::HeaderMap;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// Parameter of the signature of a presigned request, which is not signed itself.
const SIGNATURE: &str = "X-Amz-Signature";

/// Canonical request without the hash of its payload.
pub(super) struct Canonical(String);

impl Canonical {
    /// Creates it before the body is read.
    pub(super) fn of(head: &Parts, signed_headers: &[String]) -> Self {
        let mut text = format!(
            "{}\n{}\n{}\n",
            head.method,
            // The path is encoded once more, as for every service but S3.
            utf8_percent_encode(head.uri.path(), RESERVED_IN_PATH),
            query(head.uri.query().unwrap_or_default()),
        );
        for name in signed_headers {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name}:{}", header(&head.headers, name));
        }
        let _ = write!(text, "\n{}\n", signed_headers.join(";"));
        Self(text)
    }

    /// Returns the whole text.
    pub(super) fn with(&self, payload_hash: &str) -> String {
        format!("{}{payload_hash}", self.0)
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

fn query(written: &str) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let mut pairs: Vec<(String, String)> = parameters(written)
        .filter(|(name, _)| name != SIGNATURE)
        .map(|(name, value)| (encoded(&name), encoded(&value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Decodes the parameters of a query. A plus is not a space: signers write `%20`.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    query.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// Returns the SHA-256 in lower-case hexadecimal.
pub(super) fn hex_digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
