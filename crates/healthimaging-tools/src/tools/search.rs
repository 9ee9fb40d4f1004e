//! Searching image sets.

use schemars::JsonSchema;
use serde::Deserialize;

use healthimaging::model::{SearchCriteria, SearchImageSetsRequest, SearchImageSetsResponse};
use healthimaging::{DatastoreId, NextToken, Page, Result};

use crate::arguments::MaxResults;
use crate::context::Context;
use crate::listing;
use crate::tool::{Effect, Reply, Tool};

/// Find image sets by patient, study, series, accession number, dates or primary flag; all image
/// sets without criteria. EQUAL takes one value, BETWEEN two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchImageSets {
    datastore_id: Option<DatastoreId>,
    /// Up to two filters, all of which must hold; moments in ISO 8601, study dates as YYYYMMDD.
    search_criteria: Option<SearchCriteria>,
    max_results: Option<MaxResults>,
    next_token: Option<NextToken>,
}

impl Tool for SearchImageSets {
    const NAME: &'static str = "search_image_sets";
    const TITLE: &'static str = "Search image sets";
    const EFFECT: Effect = Effect::Reads;
    type Output = SearchImageSetsResponse;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let criteria = self.search_criteria.unwrap_or_default();
        let found = search(
            context,
            datastore_id,
            criteria,
            self.max_results,
            self.next_token,
        )
        .await?;
        let count = found.image_sets_metadata_summaries.len();
        let text = listing::counted(count, "image set", "image sets", found.next_token.as_ref());
        Ok(Reply::new(found, text))
    }
}

/// One page of what was asked for, joined from the service's pages.
pub(crate) async fn search(
    context: &Context,
    datastore_id: DatastoreId,
    search_criteria: SearchCriteria,
    max_results: Option<MaxResults>,
    start: Option<NextToken>,
) -> Result<SearchImageSetsResponse> {
    let service = context.service();
    let sort = std::sync::OnceLock::new();
    let fetch = async |next_token, page_size| {
        let request = SearchImageSetsRequest {
            datastore_id: datastore_id.clone(),
            search_criteria: search_criteria.clone(),
            next_token,
            max_results: Some(page_size),
        };
        let page = service.search_image_sets(request).await?;
        // Every page is in the same order.
        let _ = sort.set(page.sort);
        Ok(Page {
            items: page.image_sets_metadata_summaries,
            next_token: page.next_token,
        })
    };
    let page = listing::join(max_results, start, service.limits().page_size, fetch).await?;
    Ok(SearchImageSetsResponse {
        image_sets_metadata_summaries: page.items,
        sort: sort.into_inner().flatten(),
        next_token: page.next_token,
    })
}
