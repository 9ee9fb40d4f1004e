//! The access keys of the server.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use healthimaging::{Error, Result};

use super::claim::Claim;
use crate::token::digest;

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
            let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
            let well_formed = !id.is_empty() && secret.len() >= 16;
            (well_formed && visible(id) && visible(secret))
                .then(|| (id.to_owned(), secret.to_owned()))
                .ok_or_else(|| {
                    Error::validation(
                        "an access key must have the form ID:SECRET, with a secret of at least 16 \
                         characters, all visible ASCII",
                    )
                })
        });
        let keys: BTreeMap<_, _> = keys.collect::<Result<_>>()?;
        if keys.is_empty() {
            return Err(Error::validation("at least one access key is required"));
        }
        Ok(Self(keys))
    }

    /// Returns the signing key of the scope of a claim; `None` for an unknown access key.
    pub(super) fn signing_key(&self, claim: &Claim) -> Option<SigningKey> {
        let secret = self.0.get(&claim.access_key)?;
        let time = SystemTime::from(claim.time);
        let key = generate_signing_key(secret, time, &claim.region, &claim.service);
        Some(SigningKey(key.as_ref().to_vec()))
    }
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Signing key of one day, region and service.
pub(super) struct SigningKey(Vec<u8>);

impl SigningKey {
    /// Returns whether `signature` is that of `text`. Digests are compared so that the duration depends on nothing secret.
    pub(super) fn verifies(&self, text: &str, signature: &str) -> bool {
        digest(&calculate_signature(&self.0, text.as_bytes())) == digest(signature)
    }
}
