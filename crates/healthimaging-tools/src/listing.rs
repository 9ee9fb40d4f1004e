//! Listings: the service's pages joined to as many results as the caller asked for.

use std::future::Future;

use healthimaging::{Error, ErrorKind, NextToken, Page, Result};

use crate::arguments::MaxResults;

/// Pages of one call; a call that finds too little in them returns what it has, and the token.
const MOST_PAGES: usize = 200;

/// Up to `wanted` results from `start` on; the token goes on exactly where they end.
///
/// `fetch` is called with a token and a page size of at most `page_size`.
pub(crate) async fn join<T, F, Fut>(
    wanted: Option<MaxResults>,
    start: Option<NextToken>,
    page_size: u32,
    mut fetch: F,
) -> Result<Page<T>>
where
    F: FnMut(Option<NextToken>, u32) -> Fut,
    Fut: Future<Output = Result<Page<T>>>,
{
    let wanted = wanted.unwrap_or_default().get() as usize;
    let mut items = Vec::new();
    let mut at = start;
    for _ in 0..MOST_PAGES {
        let missing = u32::try_from(wanted.saturating_sub(items.len())).unwrap_or(u32::MAX);
        let page = fetch(at.clone(), missing.min(page_size)).await?;
        items.extend(page.items);
        if page.next_token.is_some() && page.next_token == at {
            let message = "the listing repeats one page for ever";
            return Err(Error::new(ErrorKind::Service, message));
        }
        at = page.next_token;
        if at.is_none() || items.len() >= wanted {
            break;
        }
    }
    Ok(Page { items, next_token: at })
}

/// How many there are, and whether there are more, for the brief text.
pub(crate) fn counted(count: usize, one: &str, many: &str, next: Option<&NextToken>) -> String {
    let noun = if count == 1 { one } else { many };
    match next {
        None => format!("{count} {noun}."),
        Some(_) => format!("{count} {noun}; there are more: pass next_token to go on."),
    }
}
