//! Searching image sets.

use healthimaging::model::{
    ImageSetCount, ImageSetsMetadataSummary, Operator, SearchCriteria, SearchFilter,
    SearchImageSetsRequest, SearchImageSetsResponse, SearchValue, Sort, SortField, SortOrder,
    StudyDateAndTime,
};
use healthimaging::{Attribute, DatastoreId, Error, Listing};
use healthimaging_dicom::datetime;
use serde::{Deserialize, Serialize};

use super::image_sets::{last_accessed, storage_tier};
use super::paging::{self, Position};
use crate::catalog::SqlValue as Value;
use crate::catalog::datastores;
use crate::catalog::search::{self, Column, Condition, Found, PageQuery};
use crate::error::Result;
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
    let counted = shared.catalog.read(move |reader| {
        let datastore = datastores::find(reader, &datastore_id)?;
        search::count(reader, datastore.row)
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
        .catalog
        .read(move |reader| {
            let datastore = datastores::find_active(reader, &datastore_id)?;
            let query = PageQuery {
                datastore: datastore.row,
                conditions: &conditions,
                sort: Column::sorting(sort.sort_field),
                order: sort.sort_order,
                after,
                limit: size + 1,
            };
            search::page(reader, &query)
        })
        .await?;
    let next_token = paging::cut(&mut found, size, &query, |found| Position {
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
fn place(place: Option<Position<SortKey>>, sort: Sort) -> Result<Option<(Value, i64)>> {
    let Some(Position { key, row }) = place else {
        return Ok(None);
    };
    let key = match (key, sort.sort_field) {
        (SortKey::Text(text), SortField::StudyDateAndTime) => Value::Text(text),
        (SortKey::Moment(at), SortField::CreatedAt | SortField::UpdatedAt) => Value::Integer(at),
        (SortKey::Moment(_), SortField::StudyDateAndTime)
        | (SortKey::Text(_), SortField::CreatedAt | SortField::UpdatedAt) => {
            return Err(Listing::foreign_token().into());
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
    let compared: Vec<(Compared, Condition)> =
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

/// What a filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    Attribute(&'static Attribute),
    Column(Column),
}

fn condition(filter: &SearchFilter) -> Result<(Compared, Condition)> {
    match (filter.operator, &filter.values[..]) {
        (Operator::Equal, [value]) => match operand(value)? {
            Operand::Attribute(attribute, text) => {
                let wanted = attribute.matching.exactly(text);
                let condition = Condition::Attribute(attribute, wanted);
                Ok((Compared::Attribute(attribute), condition))
            }
            Operand::Column(Column::CreatedAt | Column::UpdatedAt, _) => Err(Error::validation(
                "EQUAL does not work with createdAt and updatedAt; use BETWEEN",
            )
            .into()),
            Operand::Column(Column::StudyDateTime, at) => {
                let condition = Condition::Between(Column::StudyDateTime, at.clone(), at);
                Ok((Compared::Column(Column::StudyDateTime), condition))
            }
            Operand::Column(column, value) => {
                Ok((Compared::Column(column), Condition::Equal(column, value)))
            }
        },
        (Operator::Equal, values) => {
            Err(Error::validation(format!("EQUAL takes one value, not {}", values.len())).into())
        }
        (Operator::Between, [low, high]) => {
            if std::mem::discriminant(low) != std::mem::discriminant(high) {
                return Err(Error::validation("BETWEEN takes two values of one kind").into());
            }
            match (operand(low)?, operand(high)?) {
                (
                    Operand::Column(
                        column @ (Column::CreatedAt | Column::UpdatedAt | Column::StudyDateTime),
                        low,
                    ),
                    Operand::Column(_, high),
                ) => Ok((Compared::Column(column), Condition::Between(column, low, high))),
                _ => Err(Error::validation(
                    "BETWEEN works with createdAt, updatedAt and DICOMStudyDateAndTime; use EQUAL",
                )
                .into()),
            }
        }
        (Operator::Between, values) => Err(Error::validation(format!(
            "BETWEEN takes two values, lower and upper, not {}",
            values.len()
        ))
        .into()),
    }
}

/// A value of a filter, and what it is compared with.
enum Operand<'a> {
    Attribute(&'static Attribute, &'a str),
    Column(Column, Value),
}

fn operand(value: &SearchValue) -> Result<Operand<'_>> {
    if let Some((attribute, text)) = value.attribute() {
        return Ok(Operand::Attribute(attribute, text));
    }
    let (column, value) = match value {
        SearchValue::CreatedAt(at) => (Column::CreatedAt, at.timestamp_millis().into()),
        SearchValue::UpdatedAt(at) => (Column::UpdatedAt, at.timestamp_millis().into()),
        SearchValue::StudyDateAndTime(value) => {
            (Column::StudyDateTime, Value::Text(date_and_time(value)?))
        }
        SearchValue::IsPrimary(value) => (Column::IsPrimary, (*value).into()),
        _ => {
            return Err(
                Error::not_supported("a filter compares what cannot be searched for").into()
            );
        }
    };
    Ok(Operand::Column(column, value))
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
    Ok(datetime(date, time))
}
