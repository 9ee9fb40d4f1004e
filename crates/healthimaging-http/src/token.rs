//! The bearer token of a server.

use std::fmt;

use healthimaging::{Error, Result};
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};

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
        if text.len() < SHORTEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::validation(format!(
                "the HTTP token must have at least {SHORTEST} characters, all visible ASCII"
            )));
        }
        Ok(Self { digest: digest(text) })
    }

    /// Returns whether request headers contain this token.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let presented = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        // Digests are compared so that the duration depends on nothing secret.
        presented.is_some_and(|token| digest(token) == self.digest)
    }
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
