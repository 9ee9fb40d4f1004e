//! Searches for image sets, each page one walk along an index.
//!
//! The indexes lead with the data store, then the time that is sorted by, then the row; that of Patient IDs
//! has the value before the time. So with a filter on a patient and the usual order (`updatedAt`), or with any
//! order and no filter but `isPrimary`, a page costs the same whatever the number of sets. Of other pairs of
//! filter and order no index has both, so that a write does not change an index for each key. What few sets match
//! is fetched by the filter and sorted; what many match is walked in its order, and filtered.

use healthimaging::model::{DicomTags, ImageSetCount, SortField, SortOrder};
use healthimaging::{ATTRIBUTES, Attribute, Condition as Wanted, Matching};
use serde_json::{Map, Value as Json};

use super::attributes;
use super::db::{Reader, Row, Value, params_from_iter};
use super::image_sets::{ImageSetRow, image_set};
use super::predicate::Predicate;
use crate::error::{Result, StoreError};

/// One condition of a search.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// An attribute has a value that meets the condition.
    Attribute(&'static Attribute, Wanted),
    /// A column has this value.
    Equal(Column, Value),
    /// A column is within these bounds, both included.
    Between(Column, Value, Value),
}

/// The columns that a search can compare and sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    CreatedAt,
    UpdatedAt,
    StudyDateTime,
    IsPrimary,
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
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
    /// The order, together with those conditions on columns whose index has it.
    Order,
    /// The order, in the index of the attribute that the condition of this number compares.
    OrderOfAttribute(usize),
    /// The condition of this number.
    Condition(usize),
}

/// One page of a search.
pub(crate) fn page(reader: &Reader, query: &PageQuery<'_>) -> Result<Vec<Found>> {
    let (sql, values) = statement(query, lead(reader, query)?);
    let sort = query.sort.name();
    reader
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
pub(crate) fn count(reader: &Reader, datastore: i64) -> Result<ImageSetCount> {
    let mut statement = reader.prepare_cached(COUNT)?;
    let counted = statement
        .query_row([datastore], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let number = |count: i64| u64::try_from(count).unwrap_or_default();
    Ok(ImageSetCount { image_sets: number(counted.0), primary_image_sets: number(counted.1) })
}

impl Condition {
    /// Whether an index has what is compared and then the order.
    fn is_in_order(&self, sort: Column) -> bool {
        match self {
            Self::Attribute(attribute, Wanted::Equal(_)) => {
                attribute.keyword == attributes::ORDERED && sort == Column::UpdatedAt
            }
            Self::Attribute(..) => false,
            Self::Equal(Column::IsPrimary, _) => true,
            Self::Equal(column, _) | Self::Between(column, ..) => *column == sort,
        }
    }

    /// Writes the condition; `+` before a column keeps SQLite from using its index.
    fn write(&self, to: &mut Predicate, plus: &str) {
        let predicate = match self {
            Self::Attribute(attribute, wanted) => {
                Predicate::of_set("image_set.row", attribute, wanted)
            }
            Self::Equal(column, value) => Predicate {
                sql: format!("{plus}image_set.{} = ?", column.name()),
                values: vec![value.clone()],
            },
            Self::Between(Column::StudyDateTime, Value::Text(low), Value::Text(high)) => {
                study_moment(plus, low, high)
            }
            Self::Between(column, low, high) => Predicate {
                sql: format!("{plus}image_set.{} BETWEEN ? AND ?", column.name()),
                values: vec![low.clone(), high.clone()],
            },
        };
        to.and(predicate);
    }

    /// What [`all`] has to say where this condition leads to the rows: an attribute does by another table.
    const fn plus_of_all(&self) -> &'static str {
        if let Self::Attribute(..) = self { "+" } else { "" }
    }

    /// The condition as what leads to the rows; `None` where no index does.
    fn leading(&self, datastore: i64) -> Option<Predicate> {
        if let Self::Attribute(attribute, wanted) = self {
            return Predicate::looked_up("image_set.row", datastore, attribute, wanted);
        }
        let mut leading = Predicate::default();
        self.write(&mut leading, "");
        Some(leading)
    }
}

/// Date and time of the study within bounds, both included: at the study level, or with the Study Time
/// (0008,0030) of an instance that has its own. All instances share the date, so the index leads to the days.
fn study_moment(plus: &str, low: &str, high: &str) -> Predicate {
    let day = |moment: &str| moment.get(..8).unwrap_or(moment).to_owned();
    let bounds = [low.to_owned(), high.to_owned()];
    let days = [day(low), format!("{}:", day(high))];
    Predicate {
        sql: format!(
            "{plus}image_set.study_datetime BETWEEN ? AND ?
             AND (+image_set.study_datetime BETWEEN ? AND ? OR EXISTS (
                 SELECT 1 FROM image_set_attributes AS own
                 WHERE own.image_set = image_set.row AND own.attribute = 0x00080030
                     AND own.value GLOB '[0-9]*'
                     AND substr(image_set.study_datetime, 1, 8) || substr(own.value, 1, 6) || '.'
                         || substr(substr(own.value, 8) || '000000', 1, 6) BETWEEN ? AND ?))"
        ),
        values: [days, bounds.clone(), bounds].into_iter().flatten().map(Value::Text).collect(),
    }
}

/// Every set of the data store that is not deleted, as a condition to begin with; `+` before the data store keeps SQLite from
/// walking all of them by an index that begins with it.
fn all(datastore: i64, plus: &str) -> Predicate {
    Predicate {
        sql: format!("image_set.state <> 'DELETED' AND {plus}image_set.datastore = ?"),
        values: vec![Value::Integer(datastore)],
    }
}

fn lead(reader: &Reader, query: &PageQuery<'_>) -> Result<Lead> {
    let compares = |condition: &Condition| matches!(condition, Condition::Attribute(..));
    let in_order = |condition: &Condition| condition.is_in_order(query.sort);
    let of_attribute = |condition: &Condition| compares(condition) && in_order(condition);
    let walked = match query.conditions.iter().position(of_attribute) {
        Some(number) => Lead::OrderOfAttribute(number),
        None => Lead::Order,
    };
    if query.conditions.iter().all(in_order)
        && query.conditions.iter().filter(|one| compares(one)).count() < 2
    {
        return Ok(walked);
    }
    for (number, condition) in query.conditions.iter().enumerate() {
        let Some(leading) = condition.leading(query.datastore) else { continue };
        let mut counted = all(query.datastore, condition.plus_of_all());
        counted.and(leading);
        let sql = format!("SELECT 1 FROM image_set WHERE {} LIMIT ?", counted.sql);
        counted.values.push(Value::Integer(i64::from(FEW) + 1));
        let mut statement = reader.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(counted.values))?;
        let mut found = 0_u32;
        while rows.next()?.is_some() {
            found += 1;
        }
        if found <= FEW {
            return Ok(Lead::Condition(number));
        }
    }
    Ok(walked)
}

fn statement(query: &PageQuery<'_>, lead: Lead) -> (String, Vec<Value>) {
    let (from, mut matching) = match lead {
        Lead::OrderOfAttribute(leader) => match query.conditions.get(leader) {
            Some(Condition::Attribute(attribute, wanted)) => {
                of_attribute(query.datastore, attribute, wanted)
            }
            _ => ("image_set", all(query.datastore, "")),
        },
        Lead::Order => ("image_set", all(query.datastore, "")),
        Lead::Condition(leader) => {
            let plus = query.conditions.get(leader).map_or("", Condition::plus_of_all);
            ("image_set", all(query.datastore, plus))
        }
    };
    for (number, condition) in query.conditions.iter().enumerate() {
        match lead {
            Lead::OrderOfAttribute(leader) if number == leader => {}
            Lead::Condition(leader) if number == leader => {
                if let Some(leading) = condition.leading(query.datastore) {
                    matching.and(leading);
                }
            }
            Lead::Order if condition.is_in_order(query.sort) => condition.write(&mut matching, ""),
            _ => condition.write(&mut matching, "+"),
        }
    }
    let name = query.sort.name();
    let (sort, row) = match lead {
        Lead::Order => (format!("image_set.{name}"), "image_set.row"),
        Lead::OrderOfAttribute(_) => (format!("found.{name}"), "found.image_set"),
        Lead::Condition(_) => (format!("+image_set.{name}"), "image_set.row"),
    };
    let (beyond, direction) = match query.order {
        SortOrder::Asc => (">", "ASC"),
        SortOrder::Desc => ("<", "DESC"),
    };
    if let Some((key, at)) = &query.after {
        matching.and(Predicate {
            sql: format!("({sort}, {row}) {beyond} (?, ?)"),
            values: vec![key.clone(), Value::Integer(*at)],
        });
    }
    let Predicate { sql, mut values } = matching;
    values.push(Value::Integer(query.limit.into()));
    let order = format!("ORDER BY {sort} {direction}, {row} {direction}");
    (format!("SELECT image_set.* FROM {from} WHERE {sql} {order} LIMIT ?"), values)
}

/// The sets of the data store that have a value, along the index of the attribute.
fn of_attribute(
    datastore: i64,
    attribute: &Attribute,
    wanted: &Wanted,
) -> (&'static str, Predicate) {
    let tag = attribute.tag;
    let mut matching = Predicate {
        sql: format!(
            "found.datastore = ? AND found.attribute = {tag} AND image_set.state <> 'DELETED'"
        ),
        values: vec![Value::Integer(datastore)],
    };
    matching.and(Predicate::of_column("found.value", wanted));
    let from =
        "image_set_attributes AS found CROSS JOIN image_set ON image_set.row = found.image_set";
    (from, matching)
}

fn tags(row: &Row<'_>) -> Result<DicomTags> {
    let mut summary = attributes::summary(row)?;
    let mut members = Map::new();
    for attribute in &ATTRIBUTES {
        let Some((name, text)) = attribute.wire_name.zip(summary.remove(attribute.keyword)) else {
            continue;
        };
        let value = match attribute.matching {
            Matching::Number => row.get::<_, Option<i32>>("series_number")?.map(Json::from),
            _ => Some(Json::from(text)),
        };
        members.extend(value.map(|value| (name.to_owned(), value)));
    }
    let tags: DicomTags = serde_json::from_value(members.into())
        .map_err(|_| StoreError::Damaged("the catalog holds a malformed summary".to_owned()))?;
    Ok(DicomTags {
        number_of_study_related_series: row.get("series_count")?,
        number_of_study_related_instances: row.get("instance_count")?,
        ..tags
    })
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    /// A catalog with three sets of patient `few`, and more than [`FEW`] of patient `many`.
    fn catalog() -> Reader {
        let reader = Reader::open_in_memory().unwrap();
        reader.execute_batch(schema::CREATE).unwrap();
        let fill = "
            INSERT INTO datastore VALUES (1, 'd', 'd', 'ACTIVE', NULL, NULL, 'HTJ2K', 0, 0);
            WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500)
            INSERT INTO image_set (id, datastore, latest_version, state, workflow, is_primary,
                created_at, updated_at, study_datetime)
            SELECT n, 1, 1, 'ACTIVE', 'CREATED', 1, n, 5000 - n, 'd' || n FROM n;
            INSERT INTO image_set_attributes
            SELECT row, 0x00100020, iif(row % 1000 = 1, 'few', 'many'), datastore, updated_at
            FROM image_set;
        ";
        reader.execute_batch(fill).unwrap();
        reader
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
    fn plan(reader: &Reader, query: &PageQuery<'_>) -> String {
        let (sql, values) = statement(query, lead(reader, query).unwrap());
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let mut explained = reader.prepare(&sql).unwrap();
        let steps = explained.query_map(params_from_iter(values), |row| row.get("detail"));
        let steps: Result<Vec<String>, _> = steps.unwrap().collect();
        steps.unwrap().join("; ")
    }

    fn compared(keyword: &str, value: &str) -> Condition {
        let attribute = Attribute::named(keyword).unwrap();
        Condition::Attribute(attribute, Wanted::Equal(value.to_owned()))
    }

    fn patient(id: &str) -> Condition {
        compared("PatientID", id)
    }

    #[test]
    fn a_page_of_a_patient_in_the_usual_order_walks_one_index() {
        let reader = catalog();
        for order in [SortOrder::Asc, SortOrder::Desc] {
            let plan = plan(&reader, &query(&[patient("many")], Column::UpdatedAt, order));
            let begins = "SEARCH found USING COVERING INDEX image_set_attributes_updated \
                          (datastore=? AND value=? AND ";
            assert!(plan.starts_with(begins), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    #[test]
    fn image_sets_are_looked_up_by_other_keys() {
        let reader = catalog();
        for keyword in ["AccessionNumber", "StudyID", "StudyInstanceUID", "SeriesInstanceUID"] {
            let conditions = [compared(keyword, "x")];
            let plan = plan(&reader, &query(&conditions, Column::UpdatedAt, SortOrder::Desc));
            let looked_up = "SEARCH image_set USING INTEGER PRIMARY KEY (rowid=?); LIST SUBQUERY 1; \
                             SEARCH found USING COVERING INDEX image_set_attributes_value \
                             (datastore=? AND attribute=? AND value=?)";
            assert!(plan.starts_with(looked_up), "{plan}");
        }
    }

    #[test]
    fn a_page_in_any_order_walks_one_index_when_no_key_is_compared() {
        let reader = catalog();
        for sort in [Column::UpdatedAt, Column::CreatedAt, Column::StudyDateTime] {
            for conditions in [
                vec![],
                vec![Condition::Equal(Column::IsPrimary, Value::Integer(1))],
                vec![Condition::Between(sort, Value::Integer(1), Value::Integer(9))],
            ] {
                let plan = plan(&reader, &query(&conditions, sort, SortOrder::Desc));
                assert!(plan.starts_with("SEARCH image_set USING INDEX"), "{plan}");
                assert!(plan.contains(sort.name()), "{plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
    }

    #[test]
    fn sets_are_counted_along_an_index_alone() {
        let reader = catalog();
        let counted = count(&reader, 1).unwrap();
        assert_eq!((counted.image_sets, counted.primary_image_sets), (2500, 2500));
        let mut explained = reader.prepare(&format!("EXPLAIN QUERY PLAN {COUNT}")).unwrap();
        let step = explained.query_row([1], |row| row.get("detail"));
        let step: String = step.unwrap();
        assert!(step.contains("COVERING INDEX"), "{step}");
    }

    #[test]
    fn few_sets_are_sorted_and_many_are_walked() {
        let reader = catalog();
        let (few, many) = ([patient("few")], [patient("many")]);
        let few = query(&few, Column::CreatedAt, SortOrder::Desc);
        let few = plan(&reader, &few);
        assert!(few.contains("image_set_attributes_value"), "{few}");
        let many = query(&many, Column::CreatedAt, SortOrder::Desc);
        let many = plan(&reader, &many);
        assert!(many.contains("image_set_created"), "{many}");
        assert!(!many.contains("TEMP B-TREE"), "{many}");
    }

    #[test]
    fn both_ways_find_the_same_in_the_same_order() {
        let reader = catalog();
        let range =
            Condition::Between(Column::UpdatedAt, Value::Integer(2600), Value::Integer(4000));
        let mut expected: Vec<i64> = (1001..=2400).filter(|n| n % 1000 != 1).collect();
        expected.reverse();
        expected.truncate(51);
        for lead in [Lead::Order, Lead::Condition(0), Lead::Condition(1)] {
            let conditions = [patient("many"), range.clone()];
            let query = query(&conditions, Column::CreatedAt, SortOrder::Desc);
            let (sql, values) = statement(&query, lead);
            let mut found = reader.prepare(&sql).unwrap();
            let found = found.query_map(params_from_iter(values), |row| row.get("row"));
            let found: Vec<i64> = found.unwrap().map(Result::unwrap).collect();
            assert_eq!(found, expected, "{lead:?}");
        }
    }
}
