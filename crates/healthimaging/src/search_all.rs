//! All results of a DICOMweb search.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use futures::stream::TryStreamExt;

use crate::dicomweb::DicomWeb;
use crate::error::{Error, Result};
use crate::id::NextToken;
use crate::memory::{MemoryBudget, MemoryLease};
use crate::model::{DicomJson, SearchDicomRequest};
use crate::page::{Page, sweep};

/// Results of one page, as many as the service returns.
const PAGE: u32 = 1000;

/// Memory of a result, in bytes, about: some twenty attributes.
const RESULT: u64 = 8 << 10;

/// How many results a search may have.
#[derive(Debug, Clone, Copy)]
pub struct SearchBound {
    /// Maximum number of results.
    pub most: usize,
    /// What to do instead when there are more, as the end of the error.
    pub advice: &'static str,
}

/// Searches DICOMweb page by page, and returns what `read` makes of each result; it skips a result by `None`.
///
/// Only one page is in memory at a time, leased from the budget of the process, so `read` should return little. `limit` and
/// `offset` of the request are not used. A result may occur twice if the data store changes between two pages.
///
/// # Errors
/// `Validation` if there are more results than the bound; those of the search and of `read`.
pub async fn search_all<T>(
    web: &dyn DicomWeb,
    request: SearchDicomRequest,
    bound: SearchBound,
    mut read: impl FnMut(DicomJson) -> Result<Option<T>>,
) -> Result<Vec<T>> {
    // A search may wait for memory, so the lease of a page ends before the next one is requested.
    let lease: Mutex<Option<MemoryLease>> = Mutex::default();
    let hold = |new| *lease.lock().unwrap_or_else(PoisonError::into_inner) = new;
    let mut offset = 0;
    let pages = sweep(usize::MAX, |_| {
        let request = SearchDicomRequest { limit: Some(PAGE), offset, ..request.clone() };
        offset += PAGE;
        let next = NextToken::try_from(offset.to_string());
        hold(None);
        async move {
            let items = web.search(request).await?;
            hold(Some(MemoryBudget::process().document_at_once(items.len() as u64 * RESULT)));
            let is_full = items.len() >= PAGE as usize;
            Ok(Page { items, next_token: is_full.then_some(next).transpose()? })
        }
    });
    let mut pages = pin!(pages);
    let mut found = Vec::new();
    let mut count = 0;
    while let Some(result) = pages.try_next().await? {
        count += 1;
        if count > bound.most {
            let SearchBound { most, advice } = bound;
            return Err(Error::validation(format!("more than {most} results match; {advice}")));
        }
        found.extend(read(result)?);
    }
    Ok(found)
}
