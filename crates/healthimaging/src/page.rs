//! Walking the pages of a listing.

use std::future::Future;

use futures::stream::{self, Stream, TryStreamExt};

use crate::error::{Error, ErrorKind, Result};
use crate::id::NextToken;

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items, in the listing's order.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next_token: Option<NextToken>,
}

/// Returns all pages of a listing as one stream of items.
///
/// `fetch` is called with no token first, then with each page's token. More than `ceiling` items are
/// an error: nothing is cut silently. A token that is returned twice in a row is an error too.
pub fn sweep<'a, T, F, Fut>(ceiling: usize, fetch: F) -> impl Stream<Item = Result<T>> + 'a
where
    T: 'a,
    F: FnMut(Option<NextToken>) -> Fut + 'a,
    Fut: Future<Output = Result<Page<T>>> + 'a,
{
    struct Walk<F> {
        fetch: F,
        at: Option<NextToken>,
        seen: usize,
        done: bool,
    }

    let start = Walk { fetch, at: None, seen: 0, done: false };
    stream::try_unfold(start, move |mut walk| async move {
        if walk.done {
            return Ok::<_, Error>(None);
        }
        let page = (walk.fetch)(walk.at.clone()).await?;
        walk.seen += page.items.len();
        if walk.seen > ceiling {
            return Err(Error::validation(format!(
                "more than {ceiling} results match; narrow the search"
            )));
        }
        if page.next_token.is_some() && page.next_token == walk.at {
            return Err(Error::new(
                ErrorKind::Service,
                "the listing returns one page again and again",
            ));
        }
        walk.done = page.next_token.is_none();
        walk.at = page.next_token;
        Ok(Some((stream::iter(page.items.into_iter().map(Ok)), walk)))
    })
    .try_flatten()
}
