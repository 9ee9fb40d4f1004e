//! Searches for image sets, each page one walk along an index.
//!
//! The indexes lead with the data store and the key that is compared, then the time that is sorted by,
//! then the row: with a filter on a key and the usual order (`updatedAt`), or with any order and no
//! filter but `isPrimary`, a page costs the same whatever the number of sets. Of other pairs of filter
//! and order no index has both. What few sets match is fetched by the filter and sorted; what many
//! match is walked in its order, and filtered.

use healthimaging::model::{DicomTags, ImageSetCount, SortField, SortOrder};
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

/// So many sets are sorted in memory rather than walked in their order.
const FEW: u32 = 2000;

/// What leads a page to its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// The order, together with those conditions whose index has it.
    Order,
    /// The condition of this number.
    Condition(usize),
}

/// One page of a search.
pub(crate) fn page(connection: &Connection, query: &PageQuery<'_>) -> Result<Vec<Found>> {
    let (sql, values) = statement(query, lead(connection, query)?);
    let sort = query.sort.name();
    connection
        .prepare_cached(&sql)?
        .query_and_then(params_from_iter(values), |row| {
            Ok(Found { set: image_set(row)?, tags: tags(row)?, sort_key: row.get(sort)? })
        })?
        .collect()
}

/// Names the index that has all it takes: SQLite prefers another one, and would fetch each row.
const COUNT: &str = "
    SELECT count(*), coalesce(sum(is_primary), 0)
    FROM image_set INDEXED BY image_set_counted
    WHERE state <> 'DELETED' AND datastore = ?
";

/// How many sets a data store holds that are not deleted: a walk along an index.
pub(crate) fn count(connection: &Connection, datastore: i64) -> Result<ImageSetCount> {
    let mut statement = connection.prepare_cached(COUNT)?;
    let counted = statement
        .query_row([datastore], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let number = |count: i64| u64::try_from(count).unwrap_or_default();
    Ok(ImageSetCount { image_sets: number(counted.0), primary_image_sets: number(counted.1) })
}

impl Condition {
    const fn column(&self) -> Column {
        match self {
            Self::Equal(column, _) | Self::Between(column, ..) => *column,
        }
    }

    /// Whether an index has the compared column and then the order.
    fn is_in_order(&self, sort: Column) -> bool {
        match self {
            Self::Equal(Column::IsPrimary, _) => true,
            Self::Equal(
                Column::PatientId
                | Column::AccessionNumber
                | Column::StudyId
                | Column::StudyInstanceUid
                | Column::SeriesInstanceUid,
                _,
            ) => sort == Column::UpdatedAt,
            Self::Equal(column, _) | Self::Between(column, ..) => *column == sort,
        }
    }

    /// Writes the condition; `+` before a column keeps SQLite from using its index.
    fn write(&self, sql: &mut String, values: &mut Vec<Value>, plus: &str) {
        sql.extend([" AND ", plus, self.column().name()]);
        match self {
            Self::Equal(_, value) => {
                *sql += " = ?";
                values.push(value.clone());
            }
            Self::Between(_, low, high) => {
                *sql += " BETWEEN ? AND ?";
                values.extend([low.clone(), high.clone()]);
            }
        }
    }
}

/// Every set of the data store that is not deleted, as a condition to begin with.
fn select(what: &str, datastore: i64) -> (String, Vec<Value>) {
    let sql = format!("SELECT {what} FROM image_set WHERE state <> 'DELETED' AND datastore = ?");
    (sql, vec![Value::Integer(datastore)])
}

fn lead(connection: &Connection, query: &PageQuery<'_>) -> Result<Lead> {
    let in_order = |condition: &Condition| condition.is_in_order(query.sort);
    if query.conditions.iter().all(in_order) {
        return Ok(Lead::Order);
    }
    for (number, condition) in query.conditions.iter().enumerate() {
        let (mut sql, mut values) = select("1", query.datastore);
        condition.write(&mut sql, &mut values, "");
        sql += " LIMIT ?";
        values.push(Value::Integer(i64::from(FEW) + 1));
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut found = 0_u32;
        while rows.next()?.is_some() {
            found += 1;
        }
        if found <= FEW {
            return Ok(Lead::Condition(number));
        }
    }
    Ok(Lead::Order)
}

fn statement(query: &PageQuery<'_>, lead: Lead) -> (String, Vec<Value>) {
    let (mut sql, mut values) = select("*", query.datastore);
    for (number, condition) in query.conditions.iter().enumerate() {
        let leads = match lead {
            Lead::Order => condition.is_in_order(query.sort),
            Lead::Condition(leader) => number == leader,
        };
        condition.write(&mut sql, &mut values, if leads { "" } else { "+" });
    }
    let sort = query.sort.name();
    let plus = if lead == Lead::Order { "" } else { "+" };
    let (beyond, direction) = match query.order {
        SortOrder::Asc => (">", "ASC"),
        SortOrder::Desc => ("<", "DESC"),
    };
    if let Some((key, row)) = &query.after {
        sql.extend([" AND (", plus, sort, ", row) ", beyond, " (?, ?)"]);
        values.extend([key.clone(), Value::Integer(*row)]);
    }
    sql.extend([" ORDER BY ", plus, sort, " ", direction]);
    sql.extend([", row ", direction, " LIMIT ?"]);
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
    use super::super::schema;
    use super::*;

    /// A catalogue with three sets of patient `few`, and more than [`FEW`] of patient `many`.
    fn catalogue() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema::CREATE).unwrap();
        let fill = "
            INSERT INTO datastore VALUES (1, 'd', 'd', 'ACTIVE', NULL, NULL, 'HTJ2K', 0, 0);
            WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500)
            INSERT INTO image_set (id, datastore, latest_version, state, workflow, is_primary,
                created_at, updated_at, patient_id, study_datetime)
            SELECT n, 1, 1, 'ACTIVE', 'CREATED', 1, n, 5000 - n,
                iif(n % 1000 = 1, 'few', 'many'), 'd' || n FROM n;
        ";
        connection.execute_batch(fill).unwrap();
        connection
    }

    fn query(conditions: &[Condition], sort: Column, order: SortOrder) -> PageQuery<'_> {
        PageQuery {
            datastore: 1,
            conditions,
            sort,
            order,
            after: Some((Value::Integer(7000), 7000)),
            limit: 51,
        }
    }

    /// How SQLite would do the page.
    fn plan(connection: &Connection, query: &PageQuery<'_>) -> String {
        let (sql, values) = statement(query, lead(connection, query).unwrap());
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let mut explained = connection.prepare(&sql).unwrap();
        let steps = explained.query_map(params_from_iter(values), |row| row.get("detail"));
        let steps: Result<Vec<String>, _> = steps.unwrap().collect();
        steps.unwrap().join("; ")
    }

    fn patient(id: &str) -> Condition {
        Condition::Equal(Column::PatientId, Value::Text(id.to_owned()))
    }

    #[test]
    fn a_page_in_the_usual_order_walks_one_index_whatever_is_compared() {
        let connection = catalogue();
        for column in [
            Column::PatientId,
            Column::AccessionNumber,
            Column::StudyId,
            Column::StudyInstanceUid,
            Column::SeriesInstanceUid,
            Column::IsPrimary,
        ] {
            for order in [SortOrder::Asc, SortOrder::Desc] {
                let conditions = [Condition::Equal(column, Value::Text("x".to_owned()))];
                let plan = plan(&connection, &query(&conditions, Column::UpdatedAt, order));
                assert!(plan.starts_with("SEARCH image_set USING INDEX"), "{plan}");
                assert!(plan.contains(&format!("{}=?", column.name())), "{plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
    }

    #[test]
    fn a_page_in_any_order_walks_one_index_when_no_key_is_compared() {
        let connection = catalogue();
        for sort in [Column::UpdatedAt, Column::CreatedAt, Column::StudyDateTime] {
            for conditions in [
                vec![],
                vec![Condition::Equal(Column::IsPrimary, Value::Integer(1))],
                vec![Condition::Between(sort, Value::Integer(1), Value::Integer(9))],
            ] {
                let plan = plan(&connection, &query(&conditions, sort, SortOrder::Desc));
                assert!(plan.starts_with("SEARCH image_set USING INDEX"), "{plan}");
                assert!(plan.contains(sort.name()), "{plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
    }

    #[test]
    fn sets_are_counted_along_an_index_alone() {
        let connection = catalogue();
        let counted = count(&connection, 1).unwrap();
        assert_eq!((counted.image_sets, counted.primary_image_sets), (2500, 2500));
        let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {COUNT}")).unwrap();
        let step = explained.query_row([1], |row| row.get("detail"));
        let step: String = step.unwrap();
        assert!(step.contains("COVERING INDEX"), "{step}");
    }

    #[test]
    fn few_sets_are_sorted_and_many_are_walked() {
        let connection = catalogue();
        let (few, many) = ([patient("few")], [patient("many")]);
        let few = query(&few, Column::CreatedAt, SortOrder::Desc);
        let few = plan(&connection, &few);
        assert!(few.contains("image_set_patient"), "{few}");
        let many = query(&many, Column::CreatedAt, SortOrder::Desc);
        let many = plan(&connection, &many);
        assert!(many.contains("image_set_created"), "{many}");
        assert!(!many.contains("TEMP B-TREE"), "{many}");
    }

    #[test]
    fn both_ways_find_the_same_in_the_same_order() {
        let connection = catalogue();
        let range =
            Condition::Between(Column::UpdatedAt, Value::Integer(2600), Value::Integer(4000));
        let mut expected: Vec<i64> = (1001..=2400).filter(|n| n % 1000 != 1).collect();
        expected.reverse();
        expected.truncate(51);
        for lead in [Lead::Order, Lead::Condition(0), Lead::Condition(1)] {
            let conditions = [patient("many"), range.clone()];
            let query = query(&conditions, Column::CreatedAt, SortOrder::Desc);
            let (sql, values) = statement(&query, lead);
            let mut found = connection.prepare(&sql).unwrap();
            let found = found.query_map(params_from_iter(values), |row| row.get("row"));
            let found: Vec<i64> = found.unwrap().map(Result::unwrap).collect();
            assert_eq!(found, expected, "{lead:?}");
        }
    }
}
