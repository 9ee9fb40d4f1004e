//! Searching image sets.

use std::borrow::Cow;
use std::sync::OnceLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use healthimaging::model::{
    DicomTags, ImageSetsMetadataSummary, SearchCriteria, SearchImageSetsRequest,
    SearchImageSetsResponse,
};
use healthimaging::{DatastoreId, Error, NextToken, Page, Result};

use crate::arguments::MaxResults;
use crate::context::Context;
use crate::listing;
use crate::tool::{Effect, Reply, Tool};

/// Find image sets by patient, study, series, accession number, dates or primary flag; all image
/// sets without criteria. EQUAL takes one value, BETWEEN two. The service cannot filter by modality,
/// body part or a span of study dates: this server does, over the service's results.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchImageSets {
    datastore_id: Option<DatastoreId>,
    /// Up to two filters, all of which must hold; moments in ISO 8601, study dates as YYYYMMDD.
    search_criteria: Option<SearchCriteria>,
    /// Such as CT.
    modality: Option<String>,
    /// Such as CHEST.
    body_part: Option<String>,
    study_date_from: Option<StudyDate>,
    study_date_to: Option<StudyDate>,
    max_results: Option<MaxResults>,
    next_token: Option<NextToken>,
}

impl Tool for SearchImageSets {
    const NAME: &'static str = "search_image_sets";
    const TITLE: &'static str = "Search image sets";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "search_criteria": {"filters": [{"values": [{"DICOMPatientId": "MRN-0042"}], "operator": "EQUAL"}]}, "modality": "CT"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = SearchImageSetsResponse;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let search = Search {
            datastore_id: context.datastore(self.datastore_id).await?,
            criteria: self.search_criteria.unwrap_or_default(),
            sieve: Sieve {
                modality: self.modality,
                body_part: self.body_part,
                study_date_from: self.study_date_from,
                study_date_to: self.study_date_to,
            },
        };
        let found = search
            .page(context, self.max_results, self.next_token)
            .await?;
        let count = found.image_sets_metadata_summaries.len();
        let text = listing::counted(count, "image set", "image sets", found.next_token.as_ref());
        Ok(Reply::new(found, text))
    }
}

/// A day as DICOM writes it: `YYYYMMDD` (DA, `PS3.5 §6.2`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct StudyDate(String);

impl TryFrom<String> for StudyDate {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text))
        } else {
            Err(Error::validation("must be a day as YYYYMMDD"))
        }
    }
}

impl JsonSchema for StudyDate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "StudyDate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]{8}$" })
    }
}

/// What the service cannot filter by; lets everything through when it is empty.
#[derive(Debug, Default)]
pub(crate) struct Sieve {
    pub(crate) modality: Option<String>,
    pub(crate) body_part: Option<String>,
    pub(crate) study_date_from: Option<StudyDate>,
    pub(crate) study_date_to: Option<StudyDate>,
}

impl Sieve {
    fn lets_through(&self, summary: &ImageSetsMetadataSummary) -> bool {
        let nothing = DicomTags::default();
        let tags = summary.dicom_tags.as_ref().unwrap_or(&nothing);
        let same = |wanted: &Option<String>, found: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| {
                found
                    .as_ref()
                    .is_some_and(|found| found.trim().eq_ignore_ascii_case(wanted.trim()))
            })
        };
        let date = tags.study_date.as_deref();
        same(&self.modality, &tags.series_modality)
            && same(&self.body_part, &tags.series_body_part)
            && self
                .study_date_from
                .as_ref()
                .is_none_or(|from| date >= Some(from.0.as_str()))
            && self
                .study_date_to
                .as_ref()
                .is_none_or(|to| date.is_some_and(|date| date <= to.0.as_str()))
    }
}

/// A search by the service, and what this server sieves out of its results.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) datastore_id: DatastoreId,
    pub(crate) criteria: SearchCriteria,
    pub(crate) sieve: Sieve,
}

impl Search {
    /// As many results as are wanted, joined from the service's pages.
    pub(crate) async fn page(
        &self,
        context: &Context,
        max_results: Option<MaxResults>,
        start: Option<NextToken>,
    ) -> Result<SearchImageSetsResponse> {
        let service = context.service();
        let sort = OnceLock::new();
        let fetch = async |next_token, page_size| {
            let request = SearchImageSetsRequest {
                datastore_id: self.datastore_id.clone(),
                search_criteria: self.criteria.clone(),
                next_token,
                max_results: Some(page_size),
            };
            let page = service.search_image_sets(request).await?;
            // Every page is in the same order.
            let _ = sort.set(page.sort);
            let mut items = page.image_sets_metadata_summaries;
            items.retain(|summary| self.sieve.lets_through(summary));
            Ok(Page {
                items,
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
}
