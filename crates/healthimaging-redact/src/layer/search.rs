//! Searches: filters with tokens, and dates that are compared with those that are shown.

use dicom_dictionary_std::tags;
use healthimaging::model::{
    DicomTags, Operator, SearchCriteria, SearchFilter, SearchImageSetsRequest, SearchValue,
    SortField, StudyDateAndTime,
};
use healthimaging::{Error, Result};

use crate::Redactor;
use crate::patient::class;
use crate::resolve::{dates_need_patient, not_a_token};

/// Filters by date, which are compared with what is shown.
pub(super) struct Dates(Vec<SearchFilter>);

impl Redactor {
    /// Returns a search with values in place of tokens, and its filters by date.
    pub(super) fn search(
        &self,
        mut request: SearchImageSetsRequest,
    ) -> Result<(SearchImageSetsRequest, Dates)> {
        let SearchCriteria { filters, sort } = request.search_criteria;
        let is_date = |filter: &SearchFilter| {
            filter.values.iter().any(|value| matches!(value, SearchValue::StudyDateAndTime(_)))
        };
        let (dates, others): (Vec<_>, Vec<_>) = filters.into_iter().partition(is_date);
        let mut filters = Vec::new();
        for filter in others {
            let values = filter.values.into_iter().map(|value| self.search_value(value));
            let values = values.collect::<Result<_>>()?;
            filters.push(SearchFilter { values, operator: filter.operator });
        }
        // All matches are of one patient then, whose dates move by the same number of days.
        let is_of_one = |filter: &SearchFilter| {
            filter.operator == Operator::Equal
                && filter.values.iter().any(|value| {
                    matches!(
                        value,
                        SearchValue::PatientId(_)
                            | SearchValue::StudyInstanceUid(_)
                            | SearchValue::SeriesInstanceUid(_)
                            | SearchValue::AccessionNumber(_)
                    )
                })
        };
        let is_of_one = filters.iter().any(is_of_one);
        if !is_of_one && !dates.is_empty() {
            return Err(dates_need_patient("DICOMStudyDateAndTime"));
        }
        let is_by_date = sort.is_some_and(|sort| sort.sort_field == SortField::StudyDateAndTime);
        if is_by_date && !is_of_one {
            return Err(Error::validation(
                "sort: with --redact-phi the studies of different patients are not sorted by date; sort by updatedAt or \
                 createdAt, or search for one patient",
            ));
        }
        for filter in &dates {
            check_dates(filter)?;
        }
        request.search_criteria = SearchCriteria { filters, sort };
        Ok((request, Dates(dates)))
    }

    fn search_value(&self, value: SearchValue) -> Result<SearchValue> {
        let open = |tag, name: &str, token: String| {
            self.tokens.open(&class(tag), &token).ok_or_else(|| not_a_token(name, &token))
        };
        Ok(match value {
            SearchValue::PatientId(token) => {
                SearchValue::PatientId(open(tags::PATIENT_ID, "DICOMPatientId", token)?)
            }
            SearchValue::AccessionNumber(token) => {
                let value = open(tags::ACCESSION_NUMBER, "DICOMAccessionNumber", token)?;
                SearchValue::AccessionNumber(value)
            }
            SearchValue::StudyId(token) => {
                SearchValue::StudyId(open(tags::STUDY_ID, "DICOMStudyId", token)?)
            }
            SearchValue::StudyInstanceUid(token) => {
                SearchValue::StudyInstanceUid(self.real_uid_text("DICOMStudyInstanceUID", &token)?)
            }
            SearchValue::SeriesInstanceUid(token) => SearchValue::SeriesInstanceUid(
                self.real_uid_text("DICOMSeriesInstanceUID", &token)?,
            ),
            other @ (SearchValue::CreatedAt(_)
            | SearchValue::UpdatedAt(_)
            | SearchValue::StudyDateAndTime(_)
            | SearchValue::IsPrimary(_)) => other,
        })
    }
}

impl Dates {
    /// Whether the dates of a result, as they are shown, meet the filters.
    pub(super) fn are_those_of(&self, shown: Option<&DicomTags>) -> bool {
        self.0.iter().all(|filter| {
            let Some(moment) = shown.and_then(moment_of) else { return false };
            let mut bounds = filter.values.iter().filter_map(bound);
            match (filter.operator, bounds.next(), bounds.next()) {
                (Operator::Equal, Some(equal), _) => moment == equal,
                (Operator::Between, Some(low), Some(high)) => low <= moment && moment <= high,
                _ => false,
            }
        })
    }
}

fn check_dates(filter: &SearchFilter) -> Result<()> {
    let wanted = if filter.operator == Operator::Equal { 1 } else { 2 };
    let bounds = filter.values.iter().filter_map(bound);
    if filter.values.len() == wanted && bounds.count() == wanted {
        return Ok(());
    }
    Err(Error::validation(
        "search_criteria: EQUAL takes one DICOMStudyDateAndTime, and BETWEEN two",
    ))
}

/// Date and time in digits that can be compared.
type DateAndTime = (String, String);

fn bound(value: &SearchValue) -> Option<DateAndTime> {
    match value {
        SearchValue::StudyDateAndTime(StudyDateAndTime { study_date, study_time }) => {
            Some((study_date.trim().to_owned(), time(study_time.as_deref())))
        }
        _ => None,
    }
}

fn moment_of(shown: &DicomTags) -> Option<DateAndTime> {
    let date = shown.study_date.as_deref()?.trim().to_owned();
    Some((date, time(shown.study_time.as_deref())))
}

/// A time with all its digits; midnight if there is none.
fn time(text: Option<&str>) -> String {
    let digits: String = text.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    format!("{digits:0<12}")
}
