//! Searches for image sets, each page one walk along an index.
//!
//! The indexes lead with the data store and the key that is compared, then the time that is sorted by,
//! then the row: with a filter on a key and the usual order (`updatedAt`), or with any order and no
//! filter but `isPrimary`, a page costs the same whatever the number of sets.

use healthimaging::model::{DicomTags, SortField, SortOrder};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::image_sets::{ImageSetRow, image_set};
use crate::error::Result;

/// One condition of a search.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// A column has this value.
    Equal(Column, Value),
    /// A column is within these bounds, both included.
    Between(Column, Value, Value),
}

/// What a search can compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    PatientId,
    AccessionNumber,
    StudyId,
    StudyInstanceUid,
    SeriesInstanceUid,
    CreatedAt,
    UpdatedAt,
    StudyDateTime,
    IsPrimary,
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::PatientId => "patient_id",
            Self::AccessionNumber => "accession_number",
            Self::StudyId => "study_id",
            Self::StudyInstanceUid => "study_instance_uid",
            Self::SeriesInstanceUid => "series_instance_uid",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::StudyDateTime => "study_datetime",
            Self::IsPrimary => "is_primary",
        }
    }

    /// The column that a field of the API sorts by.
    pub(crate) const fn sorting(field: SortField) -> Self {
        match field {
            SortField::UpdatedAt => Self::UpdatedAt,
            SortField::CreatedAt => Self::CreatedAt,
            SortField::StudyDateAndTime => Self::StudyDateTime,
        }
    }
}

/// A page to fetch.
#[derive(Debug)]
pub(crate) struct PageQuery<'a> {
    /// Row of the data store.
    pub(crate) datastore: i64,
    pub(crate) conditions: &'a [Condition],
    pub(crate) sort: Column,
    pub(crate) order: SortOrder,
    /// Sort key and row of the last set of the page before.
    pub(crate) after: Option<(Value, i64)>,
    pub(crate) limit: u32,
}

/// A set that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) set: ImageSetRow,
    pub(crate) tags: DicomTags,
    /// What it is sorted by, for the next page's start.
    pub(crate) sort_key: Value,
}

/// One page of a search.
pub(crate) fn page(connection: &Connection, query: &PageQuery<'_>) -> Result<Vec<Found>> {
    let (sql, values) = statement(query);
    let sort = query.sort.name();
    connection
        .prepare_cached(&sql)?
        .query_and_then(params_from_iter(values), |row| {
            Ok(Found {
                set: image_set(row)?,
                tags: tags(row)?,
                sort_key: row.get(sort)?,
            })
        })?
        .collect()
}

fn statement(query: &PageQuery<'_>) -> (String, Vec<Value>) {
    let mut sql = "SELECT * FROM image_set WHERE state <> 'DELETED' AND datastore = ?".to_owned();
    let mut values = vec![Value::Integer(query.datastore)];
    for condition in query.conditions {
        match condition {
            Condition::Equal(column, value) => {
                sql.extend([" AND ", column.name(), " = ?"]);
                values.push(value.clone());
            }
            Condition::Between(column, low, high) => {
                sql.extend([" AND ", column.name(), " BETWEEN ? AND ?"]);
                values.extend([low.clone(), high.clone()]);
            }
        }
    }
    let sort = query.sort.name();
    let (beyond, direction) = match query.order {
        SortOrder::Asc => (">", "ASC"),
        SortOrder::Desc => ("<", "DESC"),
    };
    if let Some((key, row)) = &query.after {
        sql.extend([" AND (", sort, ", row) ", beyond, " (?, ?)"]);
        values.extend([key.clone(), Value::Integer(*row)]);
    }
    sql.extend([
        " ORDER BY ",
        sort,
        " ",
        direction,
        ", row ",
        direction,
        " LIMIT ?",
    ]);
    values.push(Value::Integer(query.limit.into()));
    (sql, values)
}

fn tags(row: &Row<'_>) -> Result<DicomTags> {
    Ok(DicomTags {
        patient_id: row.get("patient_id")?,
        patient_name: row.get("patient_name")?,
        patient_birth_date: row.get("patient_birth_date")?,
        patient_sex: row.get("patient_sex")?,
        study_instance_uid: row.get("study_instance_uid")?,
        study_id: row.get("study_id")?,
        study_description: row.get("study_description")?,
        number_of_study_related_series: row.get("series_count")?,
        number_of_study_related_instances: row.get("instance_count")?,
        accession_number: row.get("accession_number")?,
        series_instance_uid: row.get("series_instance_uid")?,
        series_modality: row.get("modality")?,
        series_body_part: row.get("body_part")?,
        series_number: row.get("series_number")?,
        study_date: row.get("study_date")?,
        study_time: row.get("study_time")?,
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::schema;
    use super::*;

    /// How SQLite would do the page.
    fn plan(conditions: &[Condition], sort: Column, order: SortOrder) -> String {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema::CREATE).unwrap();
        let query = PageQuery {
            datastore: 1,
            conditions,
            sort,
            order,
            after: Some((Value::Integer(7), 7)),
            limit: 51,
        };
        let (sql, values) = statement(&query);
        let mut explained = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let steps = explained
            .query_map(params_from_iter(values), |row| row.get("detail"))
            .unwrap();
        steps
            .collect::<Result<Vec<String>, _>>()
            .unwrap()
            .join("; ")
    }

    #[test]
    fn a_page_in_the_usual_order_walks_one_index_whatever_is_compared() {
        let text = || Value::Text("x".to_owned());
        for column in [
            Column::PatientId,
            Column::AccessionNumber,
            Column::StudyId,
            Column::StudyInstanceUid,
            Column::SeriesInstanceUid,
            Column::IsPrimary,
        ] {
            for order in [SortOrder::Asc, SortOrder::Desc] {
                let plan = plan(
                    &[Condition::Equal(column, text())],
                    Column::UpdatedAt,
                    order,
                );
                assert!(plan.starts_with("SEARCH image_set USING INDEX"), "{plan}");
                assert!(plan.contains(&format!("{}=?", column.name())), "{plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
    }

    #[test]
    fn a_page_in_any_order_walks_one_index_when_no_key_is_compared() {
        for sort in [Column::UpdatedAt, Column::CreatedAt, Column::StudyDateTime] {
            for conditions in [
                vec![],
                vec![Condition::Equal(Column::IsPrimary, Value::Integer(1))],
                vec![Condition::Between(
                    sort,
                    Value::Integer(1),
                    Value::Integer(9),
                )],
            ] {
                let plan = plan(&conditions, sort, SortOrder::Desc);
                assert!(plan.starts_with("SEARCH image_set USING INDEX"), "{plan}");
                assert!(plan.contains(sort.name()), "{plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
    }
}
