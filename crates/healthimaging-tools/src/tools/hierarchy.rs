//! Patients, studies and series, put together from their image sets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use healthimaging::model::ImageSetsMetadataSummary;
use healthimaging::{DatastoreId, Error, Listing, NextToken, Page, Result, Uid};
use healthimaging_workflows::counted;
use healthimaging_workflows::find::{self, Criteria, Found, MOST_EXAMINED, Text, is_primary};
use healthimaging_workflows::hierarchy::{self, Series, Study};

use crate::answer::Reply;
use crate::context::Context;
use crate::listing::page_of;
use crate::tool::{Effect, Tool};

/// Reads until the end, unless the call is cancelled.
pub(super) async fn uncancelled<T>(
    context: &Context,
    read: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        found = read => found,
        () = context.cancelled().cancelled() => Err(Error::conflict("the call was cancelled")),
    }
}

/// Finds all that match; `missing` is the error if none does.
async fn found(
    context: &Context,
    datastore_id: &DatastoreId,
    criteria: &Criteria,
    missing: &str,
) -> Result<Found> {
    let search = find::all(context.service(), datastore_id, criteria, MOST_EXAMINED);
    let found = uncancelled(context, search).await?;
    if found.image_sets.is_empty() {
        return Err(Error::not_found(missing));
    }
    Ok(found)
}

/// Returns the part of a list that an answer holds, how many follow it, and a summary.
fn paged<T: Serialize>(
    items: Vec<T>,
    noun: &str,
    listing: &Value,
    token: Option<&NextToken>,
) -> Result<(Page<T>, usize, String)> {
    let total = items.len();
    let listing = Listing::of(listing)?;
    let start = listing.after(token)?.unwrap_or(0);
    let page = page_of(&listing, items, usize::MAX, token)?;
    let left_out = total - start - page.items.len();
    let text = if page.next_token.is_none() && start == 0 {
        format!("{}.", counted(total, noun))
    } else {
        let (first, last) = (start + 1, start + page.items.len());
        let more = if left_out > 0 { "; pass next_token to continue" } else { "" };
        format!("{}, here {first} to {last}{more}.", counted(total, noun))
    };
    Ok((page, left_out, text))
}

/// Returns a summary with a warning behind it.
fn warned(summary: String, warning: Option<String>) -> String {
    warning.into_iter().fold(summary, |summary, warning| format!("{summary} {warning}"))
}

const NO_PATIENT: &str = "the data store holds no image set of that patient; IDs are compared \
                          exactly, including case and leading zeros";

/// List the studies of a patient, newest first, with counts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetPatientStudies {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Patient ID (0010,0020), exact
    patient_id: Text,
    next_token: Option<NextToken>,
}

/// Result of the search.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PatientStudies {
    studies: Vec<Study>,
    studies_left_out: usize,
    image_sets_examined: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

impl Tool for GetPatientStudies {
    const NAME: &'static str = "get_patient_studies";
    const TITLE: &'static str = "Get patient's studies";
    const EXAMPLE: &'static str =
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "patient_id": "PATIENT123"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = PatientStudies;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let listing = json!([Self::NAME, datastore_id, self.patient_id]);
        let criteria = Criteria::patient(self.patient_id);
        let found = found(context, &datastore_id, &criteria, NO_PATIENT).await?;
        let studies = hierarchy::studies(&found.image_sets);
        let warning = hierarchy::warning(&found.image_sets);
        let token = self.next_token.as_ref();
        let (page, studies_left_out, text) = paged(studies, "study", &listing, token)?;
        let output = PatientStudies {
            studies: page.items,
            studies_left_out,
            image_sets_examined: found.examined,
            next_token: page.next_token,
        };
        Ok(Reply::new(output, warned(text, warning)))
    }
}

/// List the series of a patient with their descriptions, counts and image sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetPatientSeries {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Patient ID (0010,0020), exact
    patient_id: Text,
    next_token: Option<NextToken>,
}

/// Result of the search.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PatientSeries {
    series: Vec<Series>,
    series_left_out: usize,
    image_sets_examined: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

impl Tool for GetPatientSeries {
    const NAME: &'static str = "get_patient_series";
    const TITLE: &'static str = "Get patient's series";
    const EXAMPLE: &'static str =
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "patient_id": "PATIENT123"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = PatientSeries;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let listing = json!([Self::NAME, datastore_id, self.patient_id]);
        let criteria = Criteria::patient(self.patient_id);
        let found = found(context, &datastore_id, &criteria, NO_PATIENT).await?;
        let read = hierarchy::series(context.service(), &datastore_id, &found.image_sets, None);
        let series = uncancelled(context, read).await?;
        let warning = hierarchy::warning(&found.image_sets);
        let token = self.next_token.as_ref();
        let (page, series_left_out, text) = paged(series, "series", &listing, token)?;
        let output = PatientSeries {
            series: page.items,
            series_left_out,
            image_sets_examined: found.examined,
            next_token: page.next_token,
        };
        Ok(Reply::new(output, warned(text, warning)))
    }
}

/// List the series of a study with their descriptions, counts and image sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetStudySeries {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// (0020,000D)
    study_instance_uid: Uid,
    /// Only series with this in an attribute of the series level, any case
    text: Option<Text>,
    next_token: Option<NextToken>,
}

/// The series of a study.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StudySeries {
    series: Vec<Series>,
    series_left_out: usize,
    /// Series of the study, with or without the text.
    series_examined: usize,
    image_sets_examined: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

impl Tool for GetStudySeries {
    const NAME: &'static str = "get_study_series";
    const TITLE: &'static str = "Get series of a study";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "study_instance_uid": "1.2.826.0.1.3680043.8.498.1", "text": "motion"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = StudySeries;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let listing = json!([Self::NAME, datastore_id, self.study_instance_uid, self.text]);
        let criteria = Criteria::study(self.study_instance_uid);
        let missing = "the data store holds no image set of that study";
        let found = found(context, &datastore_id, &criteria, missing).await?;
        let text = self.text.as_ref();
        let read = hierarchy::series(context.service(), &datastore_id, &found.image_sets, text);
        let mut series = uncancelled(context, read).await?;
        let series_examined = series.len();
        if text.is_some() {
            series.retain(|one| !one.mentioned_in.is_empty());
        }
        let token = self.next_token.as_ref();
        let (page, series_left_out, text) = paged(series, "series", &listing, token)?;
        let output = StudySeries {
            series: page.items,
            series_left_out,
            series_examined,
            image_sets_examined: found.examined,
            next_token: page.next_token,
        };
        Ok(Reply::new(output, format!("{text} Series of the study: {series_examined}.")))
    }
}

/// List the primary image sets of a study.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetStudyPrimaryImageSets {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// (0020,000D)
    study_instance_uid: Uid,
    next_token: Option<NextToken>,
}

/// Result of the search.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PrimaryImageSets {
    image_sets: Vec<ImageSetsMetadataSummary>,
    image_sets_left_out: usize,
    /// Image sets of the study that are not primary.
    other_image_sets: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

impl Tool for GetStudyPrimaryImageSets {
    const NAME: &'static str = "get_study_primary_image_sets";
    const TITLE: &'static str = "Get primary image sets of a study";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "study_instance_uid": "1.2.826.0.1.3680043.8.498.1"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = PrimaryImageSets;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let listing = json!([Self::NAME, datastore_id, self.study_instance_uid]);
        let criteria = Criteria::study(self.study_instance_uid);
        let missing = "the data store holds no image set of that study";
        let mut image_sets = found(context, &datastore_id, &criteria, missing).await?.image_sets;
        let all = image_sets.len();
        image_sets.retain(is_primary);
        let other_image_sets = all - image_sets.len();
        let token = self.next_token.as_ref();
        let (page, image_sets_left_out, text) =
            paged(image_sets, "primary image set", &listing, token)?;
        let output = PrimaryImageSets {
            image_sets: page.items,
            image_sets_left_out,
            other_image_sets,
            next_token: page.next_token,
        };
        Ok(Reply::new(output, text))
    }
}

/// Get the primary image set of a series.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetSeriesPrimaryImageSet {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// (0020,000E)
    series_instance_uid: Uid,
}

/// Result of the search.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PrimaryImageSet {
    image_set: ImageSetsMetadataSummary,
    /// Image sets of the series that are not primary.
    other_image_sets: usize,
}

impl Tool for GetSeriesPrimaryImageSet {
    const NAME: &'static str = "get_series_primary_image_set";
    const TITLE: &'static str = "Get primary image set of a series";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = PrimaryImageSet;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let criteria = Criteria::series(self.series_instance_uid);
        let missing = "the data store holds no image set of that series";
        let image_sets = found(context, &datastore_id, &criteria, missing).await?.image_sets;
        let others = image_sets.iter().filter(|set| !is_primary(set)).count();
        let Some(image_set) = image_sets.into_iter().find(is_primary) else {
            return Err(Error::not_found(format!(
                "the series has no primary image set; search_by_series_uid lists its {others} other \
                 image sets"
            )));
        };
        let text = format!("Image set {} is primary.", image_set.image_set_id);
        let output = PrimaryImageSet { image_set, other_image_sets: others };
        Ok(Reply::new(output, text))
    }
}

/// List the studies of a patient as QIDO-RS returns them: DICOM JSON, primary image sets only.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetPatientDicomwebStudies {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Patient ID (0010,0020), exact
    patient_id: Text,
    next_token: Option<NextToken>,
}

/// Result of the search.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DicomwebStudies {
    studies: Vec<Map<String, Value>>,
    studies_left_out: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

impl Tool for GetPatientDicomwebStudies {
    const NAME: &'static str = "get_patient_dicomweb_studies";
    const TITLE: &'static str = "Get patient's DICOMweb studies";
    const EXAMPLE: &'static str =
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "patient_id": "PATIENT123"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = DicomwebStudies;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let web = context.dicomweb();
        let studies = hierarchy::dicomweb_studies(web, &datastore_id, &self.patient_id).await?;
        if studies.is_empty() {
            return Err(Error::not_found(
                "DICOMweb returns no study of that patient; get_patient_studies also finds \
                 non-primary image sets",
            ));
        }
        let listing = json!([Self::NAME, datastore_id, self.patient_id]);
        let token = self.next_token.as_ref();
        let (page, studies_left_out, text) = paged(studies, "study", &listing, token)?;
        let output =
            DicomwebStudies { studies: page.items, studies_left_out, next_token: page.next_token };
        Ok(Reply::new(output, text))
    }
}
