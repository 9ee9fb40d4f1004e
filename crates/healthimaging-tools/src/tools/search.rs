//! Searches for image sets.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::model::{
    ImageSetsMetadataSummary, SearchCriteria, SearchImageSetsRequest, SearchImageSetsResponse,
    SearchValue, StudyDateAndTime,
};
use healthimaging::{DatastoreId, Error, Listing, NextToken, Page, Result, Uid};
use healthimaging_workflows::find::{Criteria, StudyDate, Text};

use crate::answer::Reply;
use crate::arguments::MaxResults;
use crate::context::Context;
use crate::listing;
use crate::tool::{Effect, Tool};

/// Image sets that match.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FoundImageSets {
    #[serde(flatten)]
    found: SearchImageSetsResponse,
    /// Number of image sets that were examined.
    image_sets_examined: usize,
}

/// A search by the service, whose results this server filters.
#[derive(Debug)]
struct Search {
    datastore_id: Option<DatastoreId>,
    /// Filters of the service.
    criteria: SearchCriteria,
    /// Filters of this server.
    filters: Criteria,
    max_results: Option<MaxResults>,
    next_token: Option<NextToken>,
}

impl Search {
    /// Returns as many results as the caller asked for, joined from pages of the service.
    async fn run(self, context: &Context) -> Result<Reply<FoundImageSets>> {
        self.filters.check()?;
        check_days(&self.criteria)?;
        let datastore_id = context.datastore(self.datastore_id).await?;
        // The service's token continues whatever this server filters, so it is bound to those filters too.
        let listing = Listing::of(&(&datastore_id, &self.criteria, &self.filters))?;
        let start = listing.after(self.next_token.as_ref())?;
        let service = context.service();
        let sort = OnceLock::new();
        let examined = AtomicUsize::new(0);
        let fetch = async |next_token, page_size| {
            let request = SearchImageSetsRequest {
                datastore_id: datastore_id.clone(),
                search_criteria: self.criteria.clone(),
                next_token,
                max_results: Some(page_size),
            };
            let page = service.search_image_sets(request).await?;
            // Every page has the same order.
            let _ = sort.set(page.sort);
            let items = page.image_sets_metadata_summaries;
            examined.fetch_add(items.len(), Ordering::Relaxed);
            Ok(Page { items, next_token: page.next_token })
        };
        let page_size = service.limits().page_size;
        let keep = |summary: &ImageSetsMetadataSummary| self.filters.matches(summary);
        let page = listing::join(self.max_results, start, page_size, keep, fetch).await?;
        let image_sets_examined = examined.into_inner();
        let next_token = page.next_token.map(|token| listing.token(&token)).transpose()?;
        let counted = listing::summary(page.items.len(), "image set", next_token.as_ref());
        let found = FoundImageSets {
            found: SearchImageSetsResponse {
                image_sets_metadata_summaries: page.items,
                sort: sort.into_inner().flatten(),
                next_token,
            },
            image_sets_examined,
        };
        let text = format!("{counted} Examined: {image_sets_examined}.");
        Ok(Reply::new(found, text))
    }
}

/// Refuses days that do not exist, which would match nothing.
fn check_days(criteria: &SearchCriteria) -> Result<()> {
    let values = criteria.filters.iter().flat_map(|filter| &filter.values);
    for value in values {
        if let SearchValue::StudyDateAndTime(StudyDateAndTime { study_date, .. }) = value {
            StudyDate::try_from(study_date.trim()).map_err(|error| {
                Error::validation(format!("DICOMStudyDate {}", error.message()))
            })?;
        }
    }
    Ok(())
}

/// Declares a search by its main argument, and how that becomes filters of the service and of this server.
macro_rules! search_tool {
    (
        $(#[$about:meta])*
        $tool:ident($name:literal, $title:literal, $example:literal)
        $(#[$of_field:meta])* $field:ident: $type:ty => $criteria:expr
    ) => {
        $(#[$about])*
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $tool {
            /// ID, name or ARN
            datastore_id: Option<DatastoreId>,
            $(#[$of_field])*
            $field: $type,
            /// Such as CT, or CT,MR
            modality: Option<Text>,
            /// Such as CHEST
            body_part: Option<Text>,
            /// First day, YYYYMMDD
            study_date_from: Option<StudyDate>,
            /// Last day, YYYYMMDD
            study_date_to: Option<StudyDate>,
            /// Primary image sets only
            primary_only: Option<bool>,
            /// 1 to 100; default 50
            max_results: Option<MaxResults>,
            /// From the previous answer
            next_token: Option<NextToken>,
        }

        impl Tool for $tool {
            const NAME: &'static str = $name;
            const TITLE: &'static str = $title;
            const EXAMPLE: &'static str = $example;
            const EFFECT: Effect = Effect::Reads;
            type Output = FoundImageSets;

            async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
                let (criteria, selected) = $criteria(self.$field);
                let filters = Criteria {
                    modality: self.modality,
                    body_part: self.body_part,
                    study_date_from: self.study_date_from,
                    study_date_to: self.study_date_to,
                    is_primary: (self.primary_only == Some(true)).then_some(true),
                    ..selected
                };
                let (max_results, next_token) = (self.max_results, self.next_token);
                // The service applies the filters that it has.
                let criteria = criteria.unwrap_or_else(|| SearchCriteria {
                    filters: filters.filters(),
                    sort: None,
                });
                let datastore_id = self.datastore_id;
                let search = Search { datastore_id, criteria, filters, max_results, next_token };
                search.run(context).await
            }
        }
    };
}

search_tool! {
    /// Find image sets by patient, study, series, accession number, dates or primary flag; all of them
    /// without criteria. EQUAL takes one value, BETWEEN two. This server filters by modality, body part,
    /// study dates and primary_only.
    SearchImageSets(
        "search_image_sets",
        "Search image sets",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "search_criteria": {"filters": [{"values": [{"DICOMPatientId": "MRN-0042"}], "operator": "EQUAL"}]}, "modality": "CT"}"#
    )
    /// Values are objects of one key: DICOMPatientId, DICOMAccessionNumber, DICOMStudyId,
    /// DICOMStudyInstanceUID, DICOMSeriesInstanceUID, createdAt, updatedAt (ISO 8601), isPrimary,
    /// DICOMStudyDateAndTime {DICOMStudyDate, DICOMStudyTime}.
    search_criteria: Option<SearchCriteria> => |criteria: Option<SearchCriteria>| {
        (Some(criteria.unwrap_or_default()), Criteria::default())
    }
}

search_tool! {
    /// Find the image sets of a patient, optionally of a modality, body part or range of study dates.
    SearchByPatientId(
        "search_by_patient_id",
        "Search by patient ID",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "patient_id": "PATIENT123", "modality": "CT"}"#
    )
    /// Patient ID (0010,0020), exact
    patient_id: Text => |patient| (None, Criteria::patient(patient))
}

search_tool! {
    /// Find the image sets of a study.
    SearchByStudyUid(
        "search_by_study_uid",
        "Search by study UID",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "study_instance_uid": "1.2.826.0.1.3680043.8.498.1"}"#
    )
    /// (0020,000D)
    study_instance_uid: Uid => |study| (None, Criteria::study(study))
}

search_tool! {
    /// Find the image sets of a series.
    SearchBySeriesUid(
        "search_by_series_uid",
        "Search by series UID",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1"}"#
    )
    /// (0020,000E)
    series_instance_uid: Uid => |series| (None, Criteria::series(series))
}
