//! Image sets by anything in their summaries.
//!
//! The service compares two attributes at most, and not every one. So the best two go to it, and the
//! rest is compared here, over all that it returns.

mod criteria;
mod selection;
mod value;

use std::collections::HashSet;

use futures::{Stream, TryStreamExt as _};

use healthimaging::model::{
    ImageSetsMetadataSummary, SearchCriteria, SearchImageSetsRequest, Sort, SortField, SortOrder,
};
use healthimaging::{DatastoreId, Error, HealthImaging, Page, Result, sweep};

pub use criteria::{Criteria, Lacking};
pub use selection::{Selected, Selection, mentions};
pub use value::{Moment, Span, StudyDate, StudyMoment, Text};

/// Most image sets that one search looks at.
pub const MOST_EXAMINED: usize = 200_000;

/// Oldest first: a set that changes during the search keeps its place, so none is missed or found twice.
const STEADY: Sort = Sort { sort_order: SortOrder::Asc, sort_field: SortField::CreatedAt };

/// What a search came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// All image sets that match, oldest first; locked ones and those outside of the primary
    /// hierarchy are among them.
    pub image_sets: Vec<ImageSetsMetadataSummary>,
    /// How many image sets were looked at.
    pub examined: usize,
}

/// All image sets that match, from all pages.
///
/// More than `ceiling` of them, or more than [`MOST_EXAMINED`] to look at, are a `Validation` error:
/// nothing is cut in silence.
pub async fn all(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    criteria: &Criteria,
    ceiling: usize,
) -> Result<Found> {
    criteria.check()?;
    let pages = candidates(service, datastore_id, criteria, MOST_EXAMINED);
    let mut pages = std::pin::pin!(pages);
    let mut seen = HashSet::new();
    let mut found = Found { image_sets: Vec::new(), examined: 0 };
    while let Some(summary) = pages.try_next().await? {
        found.examined += 1;
        if !criteria.matches(&summary) || !seen.insert(summary.image_set_id.clone()) {
            continue;
        }
        if found.image_sets.len() == ceiling {
            return Err(Error::validation(format!(
                "more than {ceiling} image sets match; narrow the search"
            )));
        }
        found.image_sets.push(summary);
    }
    Ok(found)
}

/// What the service finds, oldest first, as it is asked for: all that match, and perhaps more.
///
/// More than `ceiling` of them are a `Validation` error.
pub fn candidates<'a>(
    service: &'a dyn HealthImaging,
    datastore_id: &'a DatastoreId,
    criteria: &Criteria,
    ceiling: usize,
) -> impl Stream<Item = Result<ImageSetsMetadataSummary>> + Send + 'a {
    let wanted = SearchCriteria { filters: criteria.filters(), sort: Some(STEADY) };
    search_pages(service, datastore_id, wanted, ceiling)
}

/// The image sets that a search finds, page by page; an error above `ceiling`.
fn search_pages<'a>(
    service: &'a dyn HealthImaging,
    datastore_id: &'a DatastoreId,
    wanted: SearchCriteria,
    ceiling: usize,
) -> impl Stream<Item = Result<ImageSetsMetadataSummary>> + Send + 'a {
    let page_size = service.limits().page_size;
    sweep(ceiling, move |next_token| {
        let request = SearchImageSetsRequest {
            datastore_id: datastore_id.clone(),
            search_criteria: wanted.clone(),
            next_token,
            max_results: Some(page_size),
        };
        async move {
            let page = service.search_image_sets(request).await?;
            Ok(Page { items: page.image_sets_metadata_summaries, next_token: page.next_token })
        }
    })
}

/// Whether an image set belongs to the primary hierarchy. Its version says nothing about that.
pub fn is_primary(summary: &ImageSetsMetadataSummary) -> bool {
    summary.is_primary == Some(true)
}
