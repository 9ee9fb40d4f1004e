//! Conditions on whole studies, and on texts that summaries do not have.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use serde_json::{Map, Value};

use healthimaging::model::{
    GetImageSetMetadataRequest, ImageSetsMetadataSummary, SearchCriteria, SearchValue,
};
use healthimaging::{DatastoreId, Error, ErrorKind, HealthImaging, Result};

use super::criteria::modalities_of;
use super::{Criteria, Lacking, MOST_EXAMINED, STEADY, Text, search_pages};
use crate::document::{self, FETCHED_AT_ONCE};

/// Documents that one search reads for their descriptions.
const MOST_READ: usize = 1_000;

/// Conditions beyond the summaries of image sets.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Selection {
    /// Text in the study description or in any attribute of the series level, in any case.
    pub text: Option<Text>,
    /// A modality that the study has, such as `CT`; any of several, as `CT,MR`.
    pub has_modality: Option<Text>,
    /// A modality that the study lacks; each of several.
    pub lacks_modality: Option<Text>,
}

/// Image sets that were selected.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selected {
    /// The image sets, in the order of the search.
    pub image_sets: Vec<ImageSetsMetadataSummary>,
    /// Number of image sets that were examined.
    pub examined: usize,
    /// Image sets whose series descriptions were not read: there are too many.
    pub not_read: usize,
    /// What image sets lack that otherwise match.
    pub lacking: Vec<Lacking>,
}

impl Selection {
    /// Whether there is no condition.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses an empty modality.
    pub fn check(&self) -> Result<()> {
        for (name, value) in
            [("has_modality", &self.has_modality), ("lacks_modality", &self.lacks_modality)]
        {
            if value.as_ref().is_some_and(|all| modalities_of(all).any(str::is_empty)) {
                return Err(Error::validation(format!(
                    "{name}: name one such as CT, or several with commas between them, such as CT,MR"
                )));
            }
        }
        Ok(())
    }

    /// Searches with the criteria of the service and the filters of this server, and selects by these conditions.
    ///
    /// # Errors
    /// `Validation` if more image sets match than are examined.
    pub async fn search(
        &self,
        service: &dyn HealthImaging,
        datastore_id: &DatastoreId,
        criteria: &SearchCriteria,
        filters: &Criteria,
    ) -> Result<Selected> {
        let mut found = all(service, datastore_id, criteria).await?;
        let mut selected = Selected { examined: found.len(), ..Selected::default() };
        if self.has_modality.is_some() || self.lacks_modality.is_some() {
            let of_studies = of_studies(criteria);
            let modalities = if of_studies.filters.len() == criteria.filters.len() {
                modalities(&found)
            } else {
                // Other image sets of the studies may not match.
                let whole = all(service, datastore_id, &of_studies).await?;
                selected.examined = whole.len();
                modalities(&whole)
            };
            found.retain(|set| self.matches_study(modalities.get(study_of(set))));
        }
        selected.lacking = found.iter().filter_map(|set| filters.lacking(set)).collect();
        found.retain(|set| filters.matches(set));
        if let Some(text) = &self.text {
            selected.not_read = with_text(service, datastore_id, text, &mut found).await?;
        }
        selected.image_sets = found;
        Ok(selected)
    }

    fn matches_study(&self, modalities: Option<&HashSet<String>>) -> bool {
        let has = |wanted: &str| {
            modalities.is_some_and(|all| all.iter().any(|one| one.eq_ignore_ascii_case(wanted)))
        };
        self.has_modality.as_ref().is_none_or(|wanted| modalities_of(wanted).any(has))
            && self.lacks_modality.as_ref().is_none_or(|wanted| !modalities_of(wanted).any(has))
    }
}

/// Keywords of the attributes whose value has a text, in any case. UIDs are left out.
pub fn mentions(attributes: &Map<String, Value>, text: &Text) -> Vec<String> {
    let wanted = text.as_str().to_lowercase();
    let has = |value: &Value| match value {
        Value::String(text) => text.to_lowercase().contains(&wanted),
        Value::Array(values) => values
            .iter()
            .filter_map(Value::as_str)
            .any(|text| text.to_lowercase().contains(&wanted)),
        _ => false,
    };
    let mentioning = attributes.iter().filter(|(name, value)| !name.ends_with("UID") && has(value));
    mentioning.map(|(name, _)| name.clone()).collect()
}

async fn all(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    criteria: &SearchCriteria,
) -> Result<Vec<ImageSetsMetadataSummary>> {
    let mut wanted = criteria.clone();
    wanted.sort = wanted.sort.or(Some(STEADY));
    let pages = search_pages(service, datastore_id, wanted, MOST_EXAMINED);
    let mut seen = HashSet::new();
    let new = pages.try_filter(|set| {
        let is_new = seen.insert(set.image_set_id.clone());
        async move { is_new }
    });
    new.try_collect().await
}

/// The criteria that hold for whole studies.
fn of_studies(criteria: &SearchCriteria) -> SearchCriteria {
    let filters = criteria.filters.iter().filter(|filter| {
        filter.values.iter().all(|value| {
            matches!(
                value,
                SearchValue::PatientId(_)
                    | SearchValue::StudyInstanceUid(_)
                    | SearchValue::AccessionNumber(_)
                    | SearchValue::StudyId(_)
                    | SearchValue::StudyDateAndTime(_)
            )
        })
    });
    SearchCriteria { filters: filters.cloned().collect(), sort: None }
}

fn study_of(set: &ImageSetsMetadataSummary) -> &str {
    let tags = set.dicom_tags.as_ref();
    tags.and_then(|tags| tags.study_instance_uid.as_deref()).unwrap_or_default()
}

/// The modalities of each study.
fn modalities(sets: &[ImageSetsMetadataSummary]) -> HashMap<String, HashSet<String>> {
    let mut studies: HashMap<String, HashSet<String>> = HashMap::new();
    for set in sets {
        let modality = set.dicom_tags.as_ref().and_then(|tags| tags.series_modality.as_deref());
        let known = studies.entry(study_of(set).to_owned()).or_default();
        known.extend(modality.map(|one| one.trim().to_owned()));
    }
    studies
}

/// Keeps the image sets that mention a text, and returns how many were not read.
async fn with_text(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    text: &Text,
    found: &mut Vec<ImageSetsMetadataSummary>,
) -> Result<usize> {
    let wanted = text.as_str().to_lowercase();
    let in_summary = |set: &ImageSetsMetadataSummary| {
        let tags = set.dicom_tags.as_ref();
        let description = tags.and_then(|tags| tags.study_description.as_ref());
        description.is_some_and(|text| text.to_lowercase().contains(&wanted))
    };
    let unclear: Vec<_> =
        found.iter().filter(|set| !in_summary(set)).map(|set| set.image_set_id.clone()).collect();
    let not_read = unclear.len().saturating_sub(MOST_READ);
    let reads = unclear.into_iter().take(MOST_READ).map(|image_set_id| async move {
        let request = GetImageSetMetadataRequest {
            datastore_id: datastore_id.clone(),
            image_set_id: image_set_id.clone(),
            version_id: None,
        };
        match document::uids(service, request).await {
            Ok(document) => {
                let levels = document.series.values().map(|series| &series.attributes);
                let is_mentioned =
                    levels.chain([&document.study]).any(|all| !mentions(all, text).is_empty());
                Ok(is_mentioned.then_some(image_set_id))
            }
            // Deleted during the search.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    });
    let mentioning: Vec<_> =
        stream::iter(reads).buffer_unordered(FETCHED_AT_ONCE).try_collect::<Vec<_>>().await?;
    let mentioning: HashSet<_> = mentioning.into_iter().flatten().collect();
    found.retain(|set| in_summary(set) || mentioning.contains(&set.image_set_id));
    Ok(not_read)
}
