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
use healthimaging_workflows::counted;
use healthimaging_workflows::find::{Criteria, Lacking, Selection, StudyDate, Text};
use healthimaging_workflows::hierarchy::{self, Study};

use super::hierarchy::uncancelled;
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
    /// With by_study; modalities, series and counts are of the matching image sets only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    studies: Vec<Study>,
    /// Number of image sets that were examined.
    image_sets_examined: usize,
    /// Image sets that do not match only because they lack an attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_sets_without_body_part: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_sets_without_modality: Option<usize>,
    /// Image sets whose series descriptions were not read for `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_sets_not_read: Option<usize>,
}

/// A search by the service, whose results this server filters.
#[derive(Debug)]
struct Search {
    datastore_id: Option<DatastoreId>,
    /// Filters of the service.
    criteria: SearchCriteria,
    /// Filters of this server.
    filters: Criteria,
    /// Conditions on whole studies and on texts.
    selection: Selection,
    /// Whether studies are listed.
    by_study: bool,
    max_results: Option<MaxResults>,
    next_token: Option<NextToken>,
}

impl Search {
    /// Returns as many results as the caller asked for, joined from pages of the service.
    async fn run(self, context: &Context) -> Result<Reply<FoundImageSets>> {
        self.filters.check()?;
        self.selection.check()?;
        check_days(&self.criteria)?;
        let datastore_id = context.datastore(self.datastore_id.clone()).await?;
        if self.by_study || !self.selection.is_empty() {
            return self.select(context, &datastore_id).await;
        }
        // The service's token continues whatever this server filters, so it is bound to those filters too.
        let listing = Listing::of(&(&datastore_id, &self.criteria, &self.filters))?;
        let start = listing.after(self.next_token.as_ref())?;
        let service = context.service();
        let sort = OnceLock::new();
        let examined = AtomicUsize::new(0);
        let lacks = Lacks::default();
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
            for set in &items {
                lacks.count(&self.filters, set);
            }
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
            studies: Vec::new(),
            image_sets_examined,
            image_sets_without_body_part: lacks.body_part(),
            image_sets_without_modality: lacks.modality(),
            image_sets_not_read: None,
        };
        let text = format!("{counted} Examined: {image_sets_examined}.{}", lacks.sentence());
        Ok(Reply::new(found, text))
    }

    /// Searches to the end, and returns a page of what was selected.
    async fn select(
        self,
        context: &Context,
        datastore_id: &DatastoreId,
    ) -> Result<Reply<FoundImageSets>> {
        let listing = Listing::of(&(
            datastore_id,
            &self.criteria,
            &self.filters,
            &self.selection,
            self.by_study,
        ))?;
        listing.after::<usize>(self.next_token.as_ref())?;
        let search =
            self.selection.search(context.service(), datastore_id, &self.criteria, &self.filters);
        let selected = uncancelled(context, search).await?;
        let lacks = Lacks::default();
        for lacking in &selected.lacking {
            lacks.add(*lacking);
        }
        let (wanted, token) = (listing::wanted_of(self.max_results), self.next_token.as_ref());
        let mut found = FoundImageSets {
            found: SearchImageSetsResponse {
                image_sets_metadata_summaries: Vec::new(),
                sort: None,
                next_token: None,
            },
            studies: Vec::new(),
            image_sets_examined: selected.examined,
            image_sets_without_body_part: lacks.body_part(),
            image_sets_without_modality: lacks.modality(),
            image_sets_not_read: Some(selected.not_read).filter(|count| *count > 0),
        };
        let sets = counted(selected.image_sets.len(), "image set");
        let what = if self.by_study {
            let studies = hierarchy::studies(&selected.image_sets);
            let what = format!("{} ({sets})", counted(studies.len(), "study"));
            let page = listing::page_of(&listing, studies, wanted, token)?;
            (found.studies, found.found.next_token) = (page.items, page.next_token);
            what
        } else {
            let page = listing::page_of(&listing, selected.image_sets, wanted, token)?;
            found.found.image_sets_metadata_summaries = page.items;
            found.found.next_token = page.next_token;
            sets
        };
        let more = match found.found.next_token {
            Some(_) => "; there are more than listed here: pass next_token to continue",
            None => "",
        };
        let not_read = match selected.not_read {
            0 => String::new(),
            count => format!(
                " The series descriptions of {} were not read; narrow the search.",
                counted(count, "image set")
            ),
        };
        let of_matching = match found.studies[..] {
            [] => "",
            _ => " Modalities, series and counts of a study are of its matching image sets only.",
        };
        let text = format!(
            "{what} in all{more}. Examined: {}.{}{not_read}{of_matching}",
            selected.examined,
            lacks.sentence()
        );
        Ok(Reply::new(found, text))
    }
}

/// Image sets that lack an attribute that the search compares.
#[derive(Debug, Default)]
struct Lacks {
    body_part: AtomicUsize,
    modality: AtomicUsize,
}

impl Lacks {
    fn count(&self, filters: &Criteria, set: &ImageSetsMetadataSummary) {
        if let Some(lacking) = filters.lacking(set) {
            self.add(lacking);
        }
    }

    fn add(&self, lacking: Lacking) {
        let count = match lacking {
            Lacking::BodyPart => &self.body_part,
            Lacking::Modality => &self.modality,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn body_part(&self) -> Option<usize> {
        Some(self.body_part.load(Ordering::Relaxed)).filter(|count| *count > 0)
    }

    fn modality(&self) -> Option<usize> {
        Some(self.modality.load(Ordering::Relaxed)).filter(|count| *count > 0)
    }

    fn sentence(&self) -> String {
        let body_part = self.body_part().map(|count| {
            format!(
                " {} otherwise match and lack BodyPartExamined; use text in place of body_part to look into \
                 descriptions.",
                counted(count, "image set")
            )
        });
        let modality = self.modality().map(|count| {
            format!(" {} otherwise match and lack Modality.", counted(count, "image set"))
        });
        body_part.into_iter().chain(modality).collect()
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

/// Arguments that only some searches have.
#[derive(Default)]
struct More {
    text: Option<Text>,
    has_modality: Option<Text>,
    lacks_modality: Option<Text>,
    by_study: Option<bool>,
}

/// Declares a search by its main argument, and how that becomes filters of the service and of this server.
macro_rules! search_tool {
    (
        $(#[$about:meta])*
        $tool:ident($name:literal, $title:literal, $example:literal)
        $(#[$of_field:meta])* $field:ident: $type:ty => $criteria:expr
        $(, $(#[$of_more:meta])* $more:ident: $more_type:ty)*
    ) => {
        $(#[$about])*
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $tool {
            /// ID or name
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
            $($(#[$of_more])* $more: Option<$more_type>,)*
            /// 1 to 100; default 50
            max_results: Option<MaxResults>,
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
                #[allow(unused_mut, reason = "not every search has more arguments")]
                let mut more = More::default();
                $(more.$more = self.$more;)*
                let selection = Selection {
                    text: more.text,
                    has_modality: more.has_modality,
                    lacks_modality: more.lacks_modality,
                };
                let by_study = more.by_study == Some(true);
                // The service applies the filters that it has.
                let criteria = criteria.unwrap_or_else(|| SearchCriteria {
                    filters: filters.filters(),
                    sort: None,
                });
                let datastore_id = self.datastore_id;
                let search = Search {
                    datastore_id,
                    criteria,
                    filters,
                    selection,
                    by_study,
                    max_results,
                    next_token,
                };
                search.run(context).await
            }
        }
    };
}

search_tool! {
    /// Find image sets by patient, study, series, accession number, dates or primary flag; all of them
    /// without criteria. EQUAL takes one value, BETWEEN two. This server filters by the
    /// other arguments.
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
    },
    /// In StudyDescription or series level (not instances), any case
    text: Text,
    /// Study has it, such as SR
    has_modality: Text,
    /// Study lacks it
    lacks_modality: Text,
    /// One row a study, which counts its matching image sets only
    by_study: bool
}

search_tool! {
    /// Find the image sets of a patient, optionally of a modality, body part or range of study dates.
    SearchByPatientId(
        "search_by_patient_id",
        "Search by patient ID",
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "patient_id": "PATIENT123", "modality": "CT"}"#
    )
    /// Patient ID (0010,0020), exact
    patient_id: Text => |patient| (None, Criteria::patient(patient)),
    /// In StudyDescription or series level (not instances), any case
    text: Text,
    /// Study has it, such as SR
    has_modality: Text,
    /// Study lacks it
    lacks_modality: Text
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
