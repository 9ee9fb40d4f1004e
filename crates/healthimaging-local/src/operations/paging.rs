//! Page sizes and tokens of all listings.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use healthimaging::{Error, NextToken};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Result;

/// Items of a page, at most and when the caller names no number, as in AWS.
pub(crate) const PAGE_SIZE: u32 = 50;

/// The place in a listing after which the next page starts: the key it is sorted by, and the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position<K> {
    pub(crate) key: K,
    pub(crate) row: i64,
}

#[derive(Serialize, Deserialize)]
struct Token<K> {
    /// Of the query, so that a token works with the listing it came from and no other.
    query: String,
    after: Position<K>,
}

/// The wanted page size; 400 unless it is 1 to 50.
pub(crate) fn page_size(wanted: Option<u32>) -> Result<u32> {
    match wanted {
        None => Ok(PAGE_SIZE),
        Some(size) if (1..=PAGE_SIZE).contains(&size) => Ok(size),
        Some(size) => {
            Err(Error::validation(format!("max_results must be 1 to {PAGE_SIZE}, not {size}"))
                .into())
        }
    }
}

/// Where `token` says to go on; 400 when it is not a token of `query`.
pub(crate) fn after<K: for<'de> Deserialize<'de>>(
    token: Option<&NextToken>,
    query: &impl Serialize,
) -> Result<Option<Position<K>>> {
    let Some(token) = token else {
        return Ok(None);
    };
    let bad = || {
        Error::validation(
            "next_token does not belong to this listing; take it from the page before, with the \
             same arguments",
        )
    };
    let bytes = URL_SAFE_NO_PAD.decode(token.as_str()).map_err(|_| bad())?;
    let found: Token<K> = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    if found.query != fingerprint(query)? {
        return Err(bad().into());
    }
    Ok(Some(found.after))
}

/// Cuts `rows`, of which one more than a page was fetched, to a page, and makes the next token.
pub(crate) fn cut<R, K: Serialize>(
    rows: &mut Vec<R>,
    size: u32,
    query: &impl Serialize,
    place: impl FnOnce(&R) -> Position<K>,
) -> Result<Option<NextToken>> {
    let size = size as usize;
    if rows.len() <= size {
        return Ok(None);
    }
    rows.truncate(size);
    let Some(last) = rows.last() else {
        return Ok(None);
    };
    let token = Token { query: fingerprint(query)?, after: place(last) };
    let json = serde_json::to_vec(&token).map_err(internal)?;
    Ok(Some(NextToken::try_from(URL_SAFE_NO_PAD.encode(json))?))
}

/// A short name of `query`, whatever it is made of.
fn fingerprint(query: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(query).map_err(internal)?;
    let digest = Sha256::digest(&json);
    Ok(URL_SAFE_NO_PAD.encode(digest.get(..12).unwrap_or(&digest)))
}

fn internal(error: serde_json::Error) -> Error {
    Error::internal("a page token could not be made", error)
}
