//! The access keys of the server.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use healthimaging::{Error, Result};

use super::claim::Claim;
use crate::token::{digest, is_same};

/// Access key ids with their secret keys, which are never displayed.
#[derive(Clone, Default)]
pub struct AccessKeys(BTreeMap<String, String>);

impl AccessKeys {
    /// Parses at least one key of the form `ID:SECRET`.
    ///
    /// # Errors
    /// `Validation` for another form, and for secrets of fewer than 16 characters.
    pub fn new<'a>(written: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let keys = written.into_iter().map(|text| {
            let (id, secret) = text.trim().split_once(':').unwrap_or_default();
            parse_key(id, secret)
        });
        let keys: BTreeMap<_, _> = keys.collect::<Result<_>>()?;
        if keys.is_empty() {
            return Err(Error::validation("at least one access key is required"));
        }
        Ok(Self(keys))
    }

    /// Returns the IDs.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the secret of an access key.
    pub(super) fn secret(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

/// Checks the ID and the secret of an access key.
pub(super) fn parse_key(id: &str, secret: &str) -> Result<(String, String)> {
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let well_formed = !id.is_empty() && !id.contains(':') && secret.len() >= 16;
    if well_formed && visible(id) && visible(secret) {
        return Ok((id.to_owned(), secret.to_owned()));
    }
    Err(Error::validation(
        "an access key must have the form ID:SECRET, with a secret of at least 16 characters, all visible ASCII",
    ))
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Signing key of one day, region and service.
pub(super) struct SigningKey(Vec<u8>);

impl SigningKey {
    /// Derives the signing key of the scope of a claim.
    pub(super) fn of(secret: &str, claim: &Claim) -> Self {
        let time = SystemTime::from(claim.time);
        let key = generate_signing_key(secret, time, &claim.region, &claim.service);
        Self(key.as_ref().to_vec())
    }

    /// Returns whether `signature` is that of `text`. Digests are compared so that the duration depends on nothing secret.
    pub(super) fn verifies(&self, text: &str, signature: &str) -> bool {
        is_same(&digest(&calculate_signature(&self.0, text.as_bytes())), &digest(signature))
    }
}
