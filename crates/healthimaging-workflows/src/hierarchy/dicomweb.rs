//! The studies of a patient, by DICOMweb.

use std::collections::HashSet;

use futures::TryStreamExt as _;

use healthimaging::model::{DicomJson, SearchDicomRequest, SearchLevel};
use healthimaging::{DatastoreId, DicomWeb, NextToken, Page, Result, sweep};

use crate::find::Text;

/// Most results of one search, as the service allows.
const PAGE: u32 = 1000;

/// Most records that are looked at.
const MOST_RECORDS: usize = 100_000;

const PATIENT_ID: &str = "00100020";
const STUDY_INSTANCE_UID: &str = "0020000D";

/// All studies of a patient, as QIDO-RS gives them (`PS3.18 §10.6`): those of primary image sets.
pub async fn dicomweb_studies(
    dicomweb: &dyn DicomWeb,
    datastore_id: &DatastoreId,
    patient_id: &Text,
) -> Result<Vec<DicomJson>> {
    let pattern = pattern_of(patient_id.as_str());
    let mut offset = 0;
    let pages = sweep(MOST_RECORDS, |_| {
        let request = SearchDicomRequest {
            datastore_id: datastore_id.clone(),
            level: SearchLevel::Studies,
            filters: vec![(PATIENT_ID.to_owned(), pattern.clone())],
            include_fields: Vec::new(),
            fuzzy_matching: false,
            limit: Some(PAGE),
            offset,
        };
        offset += PAGE;
        let next = NextToken::try_from(offset.to_string());
        async move {
            let items = dicomweb.search(request).await?;
            let is_full = items.len() == PAGE as usize;
            Ok(Page { items, next_token: is_full.then_some(next).transpose()? })
        }
    });
    let mut pages = std::pin::pin!(pages);
    let mut studies = Vec::new();
    let mut seen = HashSet::new();
    while let Some(study) = pages.try_next().await? {
        let is_theirs = value(&study, PATIENT_ID) == Some(patient_id.as_str());
        // A study that changes between two pages moves to the front, and would come twice.
        let uid = value(&study, STUDY_INSTANCE_UID).map(str::to_owned);
        if is_theirs && seen.insert(uid) {
            studies.push(study);
        }
    }
    Ok(studies)
}

/// A match key that finds this text, and little else.
///
/// DICOM has no way to mean `*` or `?` themselves (`PS3.4 §C.2.2.2.4`), so each is matched by `?`, one
/// character of any kind, and what else is found is left out afterwards.
fn pattern_of(text: &str) -> String {
    text.replace('*', "?")
}

fn value<'a>(record: &'a DicomJson, tag: &str) -> Option<&'a str> {
    let value = record.get(tag)?.get("Value")?.get(0)?.as_str()?;
    Some(value.trim())
}
