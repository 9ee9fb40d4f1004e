//! The access keys that may sign.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use healthimaging::{Error, Result};

use super::claim::Claim;
use crate::token::digest;

/// Access key ids with their secret keys. The secrets are never shown.
#[derive(Clone, Default)]
pub struct AccessKeys(BTreeMap<String, String>);

impl AccessKeys {
    /// Keys, each written as `ID:SECRET`; at least one.
    ///
    /// # Errors
    /// `Validation` for any other text, and for secrets of fewer than 16 characters.
    pub fn new<'a>(written: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let keys = written.into_iter().map(|text| {
            let (id, secret) = text.trim().split_once(':').unwrap_or_default();
            let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
            let well_formed = !id.is_empty() && secret.len() >= 16;
            (well_formed && visible(id) && visible(secret))
                .then(|| (id.to_owned(), secret.to_owned()))
                .ok_or_else(|| {
                    Error::validation(
                        "an access key is written ID:SECRET, and the secret has at least 16 \
                         characters, all visible ASCII",
                    )
                })
        });
        let keys: BTreeMap<_, _> = keys.collect::<Result<_>>()?;
        if keys.is_empty() {
            return Err(Error::validation("no access key is given"));
        }
        Ok(Self(keys))
    }

    /// The key of the day, region and service that a claim names; `None` for an unknown access key.
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

/// Signs on one day, in one region, for one service.
pub(super) struct SigningKey(Vec<u8>);

impl SigningKey {
    /// Whether `signature` is that of `text`. Digests are compared, so that the time taken tells nothing.
    pub(super) fn signed(&self, text: &str, signature: &str) -> bool {
        digest(&calculate_signature(&self.0, text.as_bytes())) == digest(signature)
    }
}
