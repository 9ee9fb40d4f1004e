//! Tokens of the listings that this program pages itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::id::NextToken;

/// Hexadecimal digits of a fingerprint in a token.
const MARK: usize = 16;

/// A listing, whose tokens work with no other listing.
///
/// ```
/// use healthimaging::Listing;
///
/// let listing = Listing::of(&("GetThings", "a filter"))?;
/// let token = listing.token(&42)?;
/// assert_eq!(listing.after(Some(&token))?, Some(42));
/// assert!(Listing::of(&("GetThings", "another"))?.after::<i32>(Some(&token)).is_err());
/// # Ok::<(), healthimaging::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing(String);

#[derive(Serialize, Deserialize)]
struct Token<P> {
    listing: String,
    after: P,
}

impl Listing {
    /// Identifies a listing by what decides its items and their order: operation, filters, sort order.
    pub fn of(query: &impl Serialize) -> Result<Self> {
        let query = serde_json::to_value(query).map_err(unwritable)?;
        let mut mark = fingerprint(&query);
        mark.truncate(MARK);
        Ok(Self(mark))
    }

    /// Makes the token of the page behind a place, such as the sort key of the last item.
    pub fn token(&self, after: &impl Serialize) -> Result<NextToken> {
        let token = Token { listing: self.0.clone(), after };
        let json = serde_json::to_vec(&token).map_err(unwritable)?;
        NextToken::try_from(URL_SAFE_NO_PAD.encode(json))
    }

    /// Reads the place from a token of the listing; `None` without a token.
    ///
    /// # Errors
    ///
    /// `Validation` if it is not a token of this listing.
    pub fn after<P: DeserializeOwned>(&self, token: Option<&NextToken>) -> Result<Option<P>> {
        let Some(token) = token else { return Ok(None) };
        let json = URL_SAFE_NO_PAD.decode(token.as_str()).ok();
        let token: Option<Token<P>> = json.and_then(|json| serde_json::from_slice(&json).ok());
        let after = token.filter(|token| token.listing == self.0).map(|token| token.after);
        after.ok_or_else(Self::foreign_token).map(Some)
    }

    /// The error for a token of another listing.
    #[must_use]
    pub fn foreign_token() -> Error {
        Error::validation(
            "next_token does not belong to this listing; leave it out to start again, or repeat the other \
             arguments of the call that returned it",
        )
    }
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::internal("a page token could not be made", error)
}

/// Returns the SHA-256 of a value in lower-case hexadecimal; the order of keys does not matter.
#[must_use]
pub fn fingerprint(value: &Value) -> String {
    let mut digest = Sha256::new();
    write_sorted(value, &mut digest);
    hex::encode(digest.finalize())
}

fn write_sorted(value: &Value, digest: &mut Sha256) {
    match value {
        Value::Object(object) => {
            digest.update(b"{");
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (key, inner) in entries {
                digest.update(Value::from(key.as_str()).to_string());
                digest.update(b":");
                write_sorted(inner, digest);
                digest.update(b",");
            }
            digest.update(b"}");
        }
        Value::Array(items) => {
            digest.update(b"[");
            for inner in items {
                write_sorted(inner, digest);
                digest.update(b",");
            }
            digest.update(b"]");
        }
        scalar => digest.update(scalar.to_string()),
    }
}
