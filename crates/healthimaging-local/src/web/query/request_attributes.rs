//! Match keys of the items of Request Attributes Sequence (0040,0275) (`PS3.18 §8.3.4.1`). The catalog does not hold them, so
//! they are compared with the documents of the series that match all other keys.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use healthimaging::model::SearchDicomRequest;
use healthimaging::{Condition, Error, Matching, QueryLevel};

use super::{Page, keys};
use crate::catalog::dicom_search::{self, DicomSearch};
use crate::error::Result;

const SEQUENCE: (Tag, &str) = (tags::REQUEST_ATTRIBUTES_SEQUENCE, "RequestAttributesSequence");
/// Attributes of an item that can be match keys: tag and keyword.
const OF_ITEM: [(Tag, &str); 2] = [
    (tags::SCHEDULED_PROCEDURE_STEP_ID, "ScheduledProcedureStepID"),
    (tags::REQUESTED_PROCEDURE_ID, "RequestedProcedureID"),
];
/// Series whose documents one search reads.
const MAX_SERIES: u32 = 1000;

/// Returns the keyword of the attribute of an item that a match key such as
/// `RequestAttributesSequence.ScheduledProcedureStepID` names.
pub(super) fn keyword(key: &str) -> Option<&'static str> {
    let (sequence, attribute) = key.split_once('.')?;
    let found = OF_ITEM.into_iter().find(|known| keys::is(attribute, *known));
    found.filter(|_| keys::is(sequence, SEQUENCE)).map(|(_, keyword)| keyword)
}

/// Returns the match keys, as an error lists them.
pub(super) fn known() -> impl Iterator<Item = String> {
    OF_ITEM.into_iter().map(|(_, keyword)| format!("{}.{keyword}", SEQUENCE.1))
}

/// Adds the sequence to the attributes of the results if it is searched for (`PS3.18 §10.6.3.3`).
pub(super) fn include(request: &mut SearchDicomRequest) {
    if request.filters.iter().any(|(key, _)| keyword(key).is_some()) {
        request.include_fields.push(SEQUENCE.1.to_owned());
    }
}

/// Restricts a search to the image sets with an item that meets every condition.
pub(super) fn restrict(page: &Page<'_>, search: &mut DicomSearch) -> Result<()> {
    let mut conditions = Vec::new();
    for (key, value) in &page.request.filters {
        if let Some(keyword) = keyword(key) {
            conditions.push((keyword, Matching::Text.condition(value, false)?));
        }
    }
    conditions.retain(|(_, condition)| *condition != Condition::Any);
    if conditions.is_empty() {
        return Ok(());
    }
    let of_series = DicomSearch {
        level: QueryLevel::Series,
        limit: MAX_SERIES + 1,
        offset: 0,
        ..search.clone()
    };
    let candidates = dicom_search::sets(page.reader, &of_series)?;
    if candidates.len() > MAX_SERIES as usize {
        return Err(Error::validation(format!(
            "{} is compared with up to {MAX_SERIES} series, and the other match keys select more; add one, such as StudyDate \
             or PatientID",
            SEQUENCE.1
        ))
        .into());
    }
    let mut sets = Vec::new();
    for set in candidates {
        let Some(document) = page.document(set)? else {
            continue;
        };
        for series in document.series.values() {
            if let Some(items) = series.attributes.get(SEQUENCE.1)
                && dicom_search::has_item(page.reader, &items.to_string(), &conditions)?
            {
                sets.push(set);
                break;
            }
        }
    }
    search.sets = Some(sets);
    Ok(())
}
