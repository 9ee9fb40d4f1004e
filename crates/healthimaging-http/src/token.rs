//! The bearer token of a server.

use std::fmt;

use healthimaging::{Error, Result};
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

/// Fewest characters of a token: shorter ones could be guessed over a network.
const SHORTEST: usize = 16;

/// Bearer token (RFC 6750). Only its digest is stored, and it is never displayed.
#[derive(Clone)]
pub struct Token {
    digest: [u8; 32],
}

impl Token {
    /// Creates a token of at least 16 visible ASCII characters.
    ///
    /// # Errors
    /// `Validation` for any other text.
    pub fn new(text: &str) -> Result<Self> {
        check_token(text)?;
        Ok(Self { digest: digest(text) })
    }

    /// Returns whether this is the token with a digest.
    pub(crate) fn is(&self, presented: &[u8; 32]) -> bool {
        is_same(&self.digest, presented)
    }
}

/// Rejects a token that is too short, or has other characters than visible ASCII.
pub(crate) fn check_token(text: &str) -> Result<()> {
    if text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::validation(format!(
        "the HTTP token must have at least {SHORTEST} characters, all visible ASCII"
    )))
}

/// Returns the bearer token of request headers.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// Digest by which secrets are compared.
pub(crate) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Compares digests in a time that does not depend on them.
pub(crate) fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.ct_eq(other).into()
}
