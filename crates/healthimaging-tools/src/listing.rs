//! Listings: pages of the service, joined to as many results as the caller asked for and an answer holds.

use std::future::Future;

use healthimaging::{Error, ErrorKind, Listing, NextToken, Page, Result};
use healthimaging_workflows::counted;
use serde::Serialize;

use crate::arguments::MaxResults;
use crate::size::{LONGEST_PART, fitting, size_of};

/// Results of a call without `max_results`.
const DEFAULT_RESULTS: u32 = 50;

/// Most pages of one call, which then returns what it has, and the token.
const MOST_PAGES: usize = 200;

/// Returns up to `wanted` results from `start` on; the token continues exactly where they end.
///
/// `fetch` is called with a token and a page size of at most `page_size`; only results that pass `keep` count.
pub(crate) async fn join<T, F, Fut>(
    wanted: Option<MaxResults>,
    start: Option<NextToken>,
    page_size: u32,
    keep: impl Fn(&T) -> bool,
    mut fetch: F,
) -> Result<Page<T>>
where
    T: Serialize,
    F: FnMut(Option<NextToken>, u32) -> Fut,
    Fut: Future<Output = Result<Page<T>>>,
{
    let wanted = wanted_of(wanted);
    let mut items: Vec<T> = Vec::new();
    let mut room = LONGEST_PART;
    let mut at = start;
    for _ in 0..MOST_PAGES {
        let missing = u32::try_from(wanted.saturating_sub(items.len())).unwrap_or(u32::MAX);
        let mut page = fetch(at.clone(), missing.min(page_size)).await?;
        if page.next_token.is_some() && page.next_token == at {
            let message = "the listing repeats a page endlessly";
            return Err(Error::new(ErrorKind::Service, message));
        }
        let fits = fitting_of_page(&page.items, &keep, &mut room)?;
        let is_full = fits < page.items.len();
        if is_full {
            if fits == 0 && !items.is_empty() {
                return Ok(Page { items, next_token: at });
            }
            // A token continues after the end of a page, so this page has to end here.
            let fits = u32::try_from(fits.max(1)).unwrap_or(u32::MAX);
            page = fetch(at.clone(), fits).await?;
        }
        items.extend(page.items.into_iter().filter(&keep));
        at = page.next_token;
        if is_full || at.is_none() || items.len() >= wanted {
            break;
        }
    }
    Ok(Page { items, next_token: at })
}

/// Returns how many results a call wants.
pub(crate) fn wanted_of(asked: Option<MaxResults>) -> usize {
    asked.map_or(DEFAULT_RESULTS, MaxResults::get) as usize
}

/// Counts the items of a page, kept or not, before the first kept one that does not fit.
fn fitting_of_page<T: Serialize>(
    items: &[T],
    keep: &impl Fn(&T) -> bool,
    room: &mut usize,
) -> Result<usize> {
    for (at, item) in items.iter().enumerate() {
        if !keep(item) {
            continue;
        }
        let length = size_of(item)? + 1;
        if length > *room {
            return Ok(at);
        }
        *room -= length;
    }
    Ok(items.len())
}

/// Returns up to `wanted` items from a token on, or as many as an answer holds, of a listing that this server makes itself.
pub(crate) fn page_of<T: Serialize>(
    listing: &Listing,
    mut items: Vec<T>,
    wanted: usize,
    token: Option<&NextToken>,
) -> Result<Page<T>> {
    let start = listing.after(token)?.unwrap_or(0);
    if start > 0 && start >= items.len() {
        return Err(Listing::foreign_token());
    }
    let mut rest = items.split_off(start);
    let fits = fitting(&rest, LONGEST_PART)?.clamp(1, wanted.max(1));
    let next_token = if fits < rest.len() { Some(listing.token(&(start + fits))?) } else { None };
    rest.truncate(fits);
    Ok(Page { items: rest, next_token })
}

/// Summarizes a listing: how many there are, and whether there are more.
pub(crate) fn summary(count: usize, noun: &str, next: Option<&NextToken>) -> String {
    let counted = counted(count, noun);
    match next {
        None => format!("{counted}."),
        Some(_) => format!("{counted}; there are more: pass next_token to continue."),
    }
}
