//! Searching image sets.

use healthimaging::model::{
    ImageSetCount, ImageSetsMetadataSummary, Operator, SearchCriteria, SearchFilter,
    SearchImageSetsRequest, SearchImageSetsResponse, SearchValue, Sort, SortField, SortOrder,
    StudyDateAndTime,
};
use healthimaging::{DatastoreId, Error};
use rusqlite::types::Value;
use serde::{Deserialize, Serialize};

use super::image_sets::{last_accessed, storage_tier};
use super::paging::{self, Place};
use crate::error::Result;
use crate::index::content::study_datetime;
use crate::index::datastores;
use crate::index::search::{self, Column, Condition, Found, PageQuery};
use crate::shared::{Shared, SharedStore};

/// Filters of one search, at most.
const MOST_FILTERS: usize = 2;

/// The order when the caller names none: newest change first.
const USUAL_SORT: Sort = Sort { sort_order: SortOrder::Desc, sort_field: SortField::UpdatedAt };

/// What results are sorted by, in a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum SortKey {
    Moment(i64),
    Text(String),
}

/// How many image sets a data store holds.
pub(crate) async fn count(
    shared: &SharedStore,
    datastore_id: DatastoreId,
) -> Result<Option<ImageSetCount>> {
    let counted = shared.catalogue.read(move |connection| {
        let datastore = datastores::find(connection, &datastore_id)?;
        search::count(connection, datastore.row)
    });
    Ok(Some(counted.await?))
}

/// A page of image sets that match.
pub(crate) async fn search(
    shared: &SharedStore,
    request: SearchImageSetsRequest,
) -> Result<SearchImageSetsResponse> {
    let size = paging::page_size(request.max_results)?;
    let conditions = conditions(&request.search_criteria)?;
    let sort = request.search_criteria.sort.unwrap_or(USUAL_SORT);
    let query = ("SearchImageSets", request.datastore_id.clone(), request.search_criteria.clone());
    let after = place(paging::after(request.next_token.as_ref(), &query)?, sort)?;
    let datastore_id = request.datastore_id;
    let mut found = shared
        .catalogue
        .read(move |connection| {
            let datastore = datastores::find_active(connection, &datastore_id)?;
            let query = PageQuery {
                datastore: datastore.row,
                conditions: &conditions,
                sort: Column::sorting(sort.sort_field),
                order: sort.sort_order,
                after,
                limit: size + 1,
            };
            search::page(connection, &query)
        })
        .await?;
    let next_token = paging::cut(&mut found, size, &query, |found| Place {
        key: match &found.sort_key {
            Value::Text(text) => SortKey::Text(text.clone()),
            Value::Integer(moment) => SortKey::Moment(*moment),
            Value::Null | Value::Real(_) | Value::Blob(_) => SortKey::Moment(0),
        },
        row: found.set.row,
    })?;
    Ok(SearchImageSetsResponse {
        image_sets_metadata_summaries: found
            .into_iter()
            .map(|found| summary(shared, found))
            .collect(),
        sort: Some(sort),
        next_token,
    })
}

fn summary(shared: &Shared, found: Found) -> ImageSetsMetadataSummary {
    let set = found.set;
    ImageSetsMetadataSummary {
        version: Some(set.latest_version),
        created_at: Some(set.created_at.into()),
        updated_at: Some(set.updated_at.into()),
        last_accessed_at: Some(last_accessed(shared, &set).into()),
        storage_tier: Some(storage_tier(shared, &set)),
        is_primary: Some(set.is_primary),
        image_set_id: set.id,
        dicom_tags: Some(found.tags),
    }
}

/// The place that a token names, when it is of the kind that `sort` sorts by.
fn place(place: Option<Place<SortKey>>, sort: Sort) -> Result<Option<(Value, i64)>> {
    let Some(Place { key, row }) = place else {
        return Ok(None);
    };
    let key = match (key, sort.sort_field) {
        (SortKey::Text(text), SortField::StudyDateAndTime) => Value::Text(text),
        (SortKey::Moment(at), SortField::CreatedAt | SortField::UpdatedAt) => Value::Integer(at),
        (SortKey::Moment(_), SortField::StudyDateAndTime)
        | (SortKey::Text(_), SortField::CreatedAt | SortField::UpdatedAt) => {
            return Err(Error::validation("next_token does not belong to this listing").into());
        }
    };
    Ok(Some((key, row)))
}

fn conditions(criteria: &SearchCriteria) -> Result<Vec<Condition>> {
    if criteria.filters.len() > MOST_FILTERS {
        return Err(Error::validation(format!(
            "filters must have at most {MOST_FILTERS} entries, not {}",
            criteria.filters.len()
        ))
        .into());
    }
    let compared: Vec<(Column, Condition)> =
        criteria.filters.iter().map(condition).collect::<Result<_>>()?;
    if let [(first, _), (second, _)] = &compared[..]
        && first == second
    {
        return Err(Error::validation(
            "two filters compare the same attribute; use one, with BETWEEN for a range",
        )
        .into());
    }
    Ok(compared.into_iter().map(|(_, condition)| condition).collect())
}

fn condition(filter: &SearchFilter) -> Result<(Column, Condition)> {
    match (filter.operator, &filter.values[..]) {
        (Operator::Equal, [value]) => {
            let (column, value) = compared(value)?;
            if matches!(column, Column::CreatedAt | Column::UpdatedAt) {
                return Err(Error::validation(
                    "EQUAL does not work with createdAt and updatedAt; use BETWEEN",
                )
                .into());
            }
            Ok((column, Condition::Equal(column, value)))
        }
        (Operator::Equal, values) => {
            Err(Error::validation(format!("EQUAL takes one value, not {}", values.len())).into())
        }
        (Operator::Between, [low, high]) => {
            let ((column, low), (other, high)) = (compared(low)?, compared(high)?);
            if column != other {
                return Err(Error::validation("BETWEEN takes two values of one kind").into());
            }
            if !matches!(column, Column::CreatedAt | Column::UpdatedAt | Column::StudyDateTime) {
                return Err(Error::validation(
                    "BETWEEN works with createdAt, updatedAt and DICOMStudyDateAndTime; use EQUAL",
                )
                .into());
            }
            Ok((column, Condition::Between(column, low, high)))
        }
        (Operator::Between, values) => Err(Error::validation(format!(
            "BETWEEN takes two values, lower and upper, not {}",
            values.len()
        ))
        .into()),
    }
}

/// What a value is compared with. Text is trimmed as the index is.
fn compared(value: &SearchValue) -> Result<(Column, Value)> {
    let text = |text: &str| Value::Text(text.trim().to_owned());
    Ok(match value {
        SearchValue::PatientId(value) => (Column::PatientId, text(value)),
        SearchValue::AccessionNumber(value) => (Column::AccessionNumber, text(value)),
        SearchValue::StudyId(value) => (Column::StudyId, text(value)),
        SearchValue::StudyInstanceUid(value) => (Column::StudyInstanceUid, text(value)),
        SearchValue::SeriesInstanceUid(value) => (Column::SeriesInstanceUid, text(value)),
        SearchValue::CreatedAt(at) => (Column::CreatedAt, at.timestamp_millis().into()),
        SearchValue::UpdatedAt(at) => (Column::UpdatedAt, at.timestamp_millis().into()),
        SearchValue::StudyDateAndTime(value) => {
            (Column::StudyDateTime, Value::Text(date_and_time(value)?))
        }
        SearchValue::IsPrimary(value) => (Column::IsPrimary, (*value).into()),
    })
}

fn date_and_time(value: &StudyDateAndTime) -> Result<String> {
    let date = value.study_date.trim();
    if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::validation("DICOMStudyDate must be eight digits: YYYYMMDD").into());
    }
    let time = value.study_time.as_deref().unwrap_or_default().trim();
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let even = whole.len() <= 6 && whole.len() % 2 == 0;
    if !even || fraction.len() > 6 || !digits(whole) || !digits(fraction) {
        return Err(Error::validation("DICOMStudyTime must be HHmmss.FFFFFF").into());
    }
    Ok(study_datetime(Some(date), Some(time)))
}
