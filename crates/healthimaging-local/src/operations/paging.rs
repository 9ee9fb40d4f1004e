//! Page sizes and tokens of all listings.

use healthimaging::{Error, Listing, NextToken};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Items of a page, at most and when the caller names no number, as in AWS.
pub(crate) const PAGE_SIZE: u32 = 50;

/// The place in a listing after which the next page starts: the key it is sorted by, and the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position<K> {
    pub(crate) key: K,
    pub(crate) row: i64,
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

/// Where `token` continues; 400 when it is not a token of `query`.
pub(crate) fn after<K: for<'de> Deserialize<'de>>(
    token: Option<&NextToken>,
    query: &impl Serialize,
) -> Result<Option<Position<K>>> {
    Ok(Listing::of(query)?.after(token)?)
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
    let last = rows.last().map(|last| Listing::of(query)?.token(&place(last)));
    Ok(last.transpose()?)
}
