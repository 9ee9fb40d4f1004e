//! The studies of a patient, by DICOMweb.

use std::collections::HashSet;

use healthimaging::model::{DicomJson, SearchDicomRequest, SearchLevel};
use healthimaging::{DatastoreId, DicomWeb, Result, SearchBound, search_all};

use crate::find::Text;

/// Most records that are looked at.
const BOUND: SearchBound = SearchBound { most: 100_000, advice: "narrow the search" };

const PATIENT_ID: &str = "00100020";
const STUDY_INSTANCE_UID: &str = "0020000D";

/// All studies of a patient, as QIDO-RS gives them (`PS3.18 §10.6`): those of primary image sets.
pub async fn dicomweb_studies(
    dicomweb: &dyn DicomWeb,
    datastore_id: &DatastoreId,
    patient_id: &Text,
) -> Result<Vec<DicomJson>> {
    let request = SearchDicomRequest {
        filters: vec![(PATIENT_ID.to_owned(), pattern_of(patient_id.as_str()))],
        ..SearchDicomRequest::all(datastore_id.clone(), SearchLevel::Studies)
    };
    let mut seen = HashSet::new();
    search_all(dicomweb, request, BOUND, |study| {
        let is_theirs = value(&study, PATIENT_ID) == Some(patient_id.as_str());
        // A study that changes between two pages moves to the front, and would come twice.
        let uid = value(&study, STUDY_INSTANCE_UID).map(str::to_owned);
        Ok((is_theirs && seen.insert(uid)).then_some(study))
    })
    .await
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
