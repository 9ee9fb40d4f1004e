//! Searches of DICOMweb (QIDO-RS) for studies, series and instances of primary image sets.

use std::collections::HashMap;

use healthimaging::{Attribute, Condition, QueryLevel};
use healthimaging_dicom::Summary;

use super::attributes;
use super::db::{self, Reader, Row, Value, params_from_iter};
use super::predicate::Predicate;
use crate::error::Result;

/// Key attributes, those first of whose values the fewest image sets have.
const BY_RARITY: [&str; 7] = [
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "AccessionNumber",
    "PatientID",
    "PatientName",
    "StudyID",
    "StudyDate",
];

/// Columns of the table `instance`, by keyword.
const COLUMNS: [(&str, &str); 8] = [
    ("SOPClassUID", "instance.sop_class_uid"),
    ("SOPInstanceUID", "instance.sop_instance_uid"),
    ("WarningReason", "instance.warning_reason"),
    ("InstanceNumber", "instance.instance_number"),
    ("NumberOfFrames", "instance.number_of_frames"),
    ("Rows", "instance.rows"),
    ("Columns", "instance.columns"),
    ("BitsAllocated", "instance.bits_allocated"),
];

/// One page of a search.
#[derive(Debug, Clone)]
pub(crate) struct DicomSearch {
    /// Row of the data store.
    pub(crate) datastore: i64,
    /// What the results are. Conditions below this level find what holds a series or an instance that
    /// meets them.
    pub(crate) level: QueryLevel,
    pub(crate) conditions: Vec<(&'static Attribute, Condition)>,
    /// Modalities of which the study has to have one, for each of these conditions.
    pub(crate) modalities: Vec<Condition>,
    /// Rows of the image sets to which the search is restricted, if any.
    pub(crate) sets: Option<Vec<i64>>,
    pub(crate) limit: u32,
    pub(crate) offset: u32,
}

/// Order of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstanceOrder {
    /// By instance number.
    Number,
    /// Image sets by their latest change, and the instances of each by instance number.
    LatestChange,
}

/// A primary image set that was found.
#[derive(Debug)]
pub(crate) struct FoundSet {
    pub(crate) row: i64,
    pub(crate) study_instance_uid: String,
    pub(crate) summary: Summary,
    pub(crate) series_count: i64,
    pub(crate) instance_count: i64,
}

/// An instance that was found.
#[derive(Debug)]
pub(crate) struct FoundInstance {
    pub(crate) set: FoundSet,
    pub(crate) series_instance_uid: String,
    pub(crate) sop_instance_uid: String,
    /// Values of attributes, by keyword.
    pub(crate) values: HashMap<&'static str, Value>,
}

impl FoundSet {
    fn of_row(row: &Row<'_>) -> Result<Self> {
        let count = |column| Ok::<_, db::Error>(row.get::<_, Option<i64>>(column)?.unwrap_or(0));
        Ok(Self {
            row: row.get("row")?,
            study_instance_uid: row.get::<_, Option<_>>("study_instance_uid")?.unwrap_or_default(),
            summary: attributes::summary(row)?,
            series_count: count("series_count")?,
            instance_count: count("instance_count")?,
        })
    }
}

impl FoundInstance {
    fn of_row(row: &Row<'_>) -> Result<Self> {
        let value = |(keyword, column): (&'static str, &str)| {
            Ok((keyword, row.get(column.trim_start_matches("instance."))?))
        };
        Ok(Self {
            set: FoundSet::of_row(row)?,
            series_instance_uid: row.get("own_series")?,
            sop_instance_uid: row.get("sop_instance_uid")?,
            values: COLUMNS.into_iter().map(value).collect::<db::Result<_>>()?,
        })
    }

    /// Whether the instance was stored with a warning.
    pub(crate) fn has_warning(&self) -> bool {
        !matches!(self.values.get("WarningReason"), None | Some(Value::Null))
    }
}

/// UIDs of studies, latest change first.
pub(crate) fn studies(reader: &Reader, search: &DicomSearch) -> Result<Vec<String>> {
    let (sql, values) = search.page(grouped);
    let mut statement = reader.prepare_cached(&sql)?;
    let studies = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    Ok(studies.collect::<db::Result<_>>()?)
}

/// Series, by series number.
pub(crate) fn series(reader: &Reader, search: &DicomSearch) -> Result<Vec<FoundSet>> {
    let (sql, values) = search.page(|matching| {
        format!(
            "SELECT image_set.* FROM image_set WHERE {matching}
             ORDER BY image_set.series_number NULLS LAST, image_set.row"
        )
    });
    let mut statement = reader.prepare_cached(&sql)?;
    statement.query_and_then(params_from_iter(values), FoundSet::of_row)?.collect()
}

/// Rows of image sets, in any order.
pub(crate) fn sets(reader: &Reader, search: &DicomSearch) -> Result<Vec<i64>> {
    let (sql, values) =
        search.page(|matching| format!("SELECT image_set.row FROM image_set WHERE {matching}"));
    let mut statement = reader.prepare_cached(&sql)?;
    let sets = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    Ok(sets.collect::<db::Result<_>>()?)
}

/// Whether a sequence in JSON has an item whose attributes, by keyword, meet all conditions.
pub(crate) fn has_item(
    reader: &Reader,
    sequence: &str,
    conditions: &[(&'static str, Condition)],
) -> Result<bool> {
    let mut of_item = Predicate::default();
    for (keyword, condition) in conditions {
        let column = format!("trim(item.value ->> '{keyword}')");
        of_item.and(Predicate::of_column(&column, condition));
    }
    let sql = format!("SELECT EXISTS (SELECT 1 FROM json_each(?) AS item WHERE {})", of_item.sql);
    let values = std::iter::once(Value::from(sequence.to_owned())).chain(of_item.values);
    let mut statement = reader.prepare_cached(&sql)?;
    Ok(statement.query_row(params_from_iter(values), |row| row.get(0))?)
}

/// Instances.
pub(crate) fn instances(
    reader: &Reader,
    search: &DicomSearch,
    order: InstanceOrder,
) -> Result<Vec<FoundInstance>> {
    let (sql, values) = search.page(|matching| joined(matching, order));
    let mut statement = reader.prepare_cached(&sql)?;
    statement.query_and_then(params_from_iter(values), FoundInstance::of_row)?.collect()
}

/// The primary image sets of a study, latest change first.
pub(crate) fn sets_of_study(reader: &Reader, datastore: i64, study: &str) -> Result<Vec<FoundSet>> {
    let of_study = attributes::with_value("StudyInstanceUID");
    let mut statement = reader.prepare_cached(&format!(
        "SELECT image_set.* FROM {of_study} AND image_set.is_primary = 1
         ORDER BY image_set.updated_at DESC, image_set.row"
    ))?;
    statement.query_and_then((datastore, study), FoundSet::of_row)?.collect()
}

/// Modalities of the primary image sets of a study.
pub(crate) fn modalities(reader: &Reader, datastore: i64, study: &str) -> Result<Vec<String>> {
    let of_study = attributes::with_value("StudyInstanceUID");
    let mut statement = reader.prepare_cached(&format!(
        "SELECT DISTINCT image_set.summary ->> 'Modality' AS modality FROM {of_study}
             AND image_set.is_primary = 1 AND modality IS NOT NULL ORDER BY modality"
    ))?;
    let modalities = statement.query_map((datastore, study), |row| row.get(0))?;
    Ok(modalities.collect::<db::Result<_>>()?)
}

/// The studies of matching image sets. The `+` keeps the index of studies, which would save the sorting
/// and read all of the data store, from being used instead of that of the match key.
fn grouped(matching: &str) -> String {
    format!(
        "SELECT image_set.study_instance_uid, max(image_set.updated_at) AS newest
         FROM image_set WHERE {matching} AND +image_set.study_instance_uid IS NOT NULL
         GROUP BY +image_set.study_instance_uid
         ORDER BY newest DESC, image_set.study_instance_uid"
    )
}

/// The instances of matching image sets.
fn joined(matching: &str, order: InstanceOrder) -> String {
    let order = match order {
        InstanceOrder::LatestChange => {
            "image_set.updated_at DESC, image_set.row, instance.instance_number NULLS LAST"
        }
        InstanceOrder::Number => "instance.instance_number NULLS LAST, instance.sop_instance_uid",
    };
    format!(
        "SELECT image_set.*, instance.series_instance_uid AS own_series, instance.*
         FROM image_set JOIN instance ON instance.image_set = image_set.row
         WHERE {matching} ORDER BY {order}"
    )
}

impl DicomSearch {
    /// The statement of the page, with its values.
    fn page(&self, statement: impl FnOnce(&str) -> String) -> (String, Vec<Value>) {
        let Predicate { sql, mut values } = self.matching();
        values.extend([self.limit, self.offset].map(Value::from));
        (statement(&sql) + " LIMIT ? OFFSET ?", values)
    }

    /// The primary image sets, and their instances, that meet the conditions.
    fn matching(&self) -> Predicate {
        let conditions = &self.conditions;
        let is_of_instances = conditions.iter().any(|(attribute, condition)| {
            attribute.keyword == "SOPInstanceUID" && is_exact(condition)
        });
        let leader = if is_of_instances { None } else { self.leader() };
        // An index of the data store would be used instead of that of what leads.
        let plus = if is_of_instances || leader.is_some() { "+" } else { "" };
        // Nearly all sets are primary: the `+` keeps indexes of that out of the choice.
        let mut matching = Predicate {
            sql: format!(
                "image_set.state <> 'DELETED' AND +image_set.is_primary = 1 AND {plus}image_set.datastore = ?"
            ),
            values: vec![self.datastore.into()],
        };
        let leads = leader.as_ref().map(|(number, _)| *number);
        let mut of_instances = Predicate::default();
        for (number, (attribute, condition)) in conditions.iter().enumerate() {
            if leads != Some(number) {
                match column(attribute) {
                    Some(column) => of_instances.and(of_instance(column, condition)),
                    None => matching.and(Predicate::of_set("image_set.row", attribute, condition)),
                }
            }
        }
        if !of_instances.sql.is_empty() {
            let Predicate { sql, values } = of_instances;
            let sql = match self.level {
                QueryLevel::Instance => sql,
                _ if is_of_instances => {
                    format!(
                        "image_set.row IN (SELECT instance.image_set FROM instance WHERE {sql})"
                    )
                }
                _ => format!(
                    "EXISTS (SELECT 1 FROM instance WHERE instance.image_set = image_set.row AND {sql})"
                ),
            };
            matching.and(Predicate { sql, values });
        }
        if let Some((_, leading)) = leader {
            matching.and(leading);
        }
        for condition in &self.modalities {
            matching.and(in_study(condition));
        }
        if let Some(sets) = &self.sets {
            let rows: Vec<String> = sets.iter().map(ToString::to_string).collect();
            let sql = format!("image_set.row IN ({})", rows.join(", "));
            matching.and(Predicate { sql, values: Vec::new() });
        }
        matching
    }

    /// The condition whose index leads to the fewest image sets.
    fn leader(&self) -> Option<(usize, Predicate)> {
        BY_RARITY.iter().find_map(|keyword| {
            let is_of_keyword = |(attribute, _): &(&Attribute, _)| attribute.keyword == *keyword;
            let number = self.conditions.iter().position(is_of_keyword)?;
            let (attribute, condition) = self.conditions.get(number)?;
            let set = "image_set.row";
            let leading = Predicate::looked_up(set, self.datastore, attribute, condition)?;
            Some((number, leading))
        })
    }
}

/// The column of an attribute of instances, with its table; `None` for attributes of image sets.
fn column(attribute: &Attribute) -> Option<&'static str> {
    COLUMNS.iter().find(|(keyword, _)| *keyword == attribute.keyword).map(|(_, column)| *column)
}

fn is_exact(condition: &Condition) -> bool {
    match condition {
        Condition::Equal(_) => true,
        Condition::AnyOf(conditions) => conditions.iter().all(is_exact),
        _ => false,
    }
}

/// As [`Predicate::of_column`], of a column of instances.
fn of_instance(column: &str, condition: &Condition) -> Predicate {
    match condition {
        Condition::Pattern(all) if all == "*" => {
            Predicate { sql: format!("{column} IS NOT NULL"), values: Vec::new() }
        }
        condition => Predicate::of_column(column, condition),
    }
}

/// Whether any primary image set of the same study has such a modality.
fn in_study(condition: &Condition) -> Predicate {
    let [study, modality] = ["StudyInstanceUID", "Modality"].map(Attribute::named);
    let Some((study, modality)) = study.zip(modality) else {
        return Predicate::of_column("", &Condition::Any);
    };
    let Predicate { sql, values } = Predicate::of_set("other.row", modality, condition);
    let tag = study.tag;
    let sql = format!(
        "EXISTS (SELECT 1 FROM image_set_attributes AS same
             CROSS JOIN image_set AS other ON other.row = same.image_set
             WHERE same.datastore = image_set.datastore AND same.attribute = {tag}
                 AND same.value = image_set.study_instance_uid
                 AND other.is_primary = 1 AND other.state <> 'DELETED' AND {sql})"
    );
    Predicate { sql, values }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    fn search(level: QueryLevel, keyword: &str) -> DicomSearch {
        let attribute = Attribute::named(keyword).unwrap();
        let conditions = vec![(attribute, attribute.matching.condition("1", false).unwrap())];
        DicomSearch {
            datastore: 1,
            level,
            conditions,
            modalities: Vec::new(),
            sets: None,
            limit: 10,
            offset: 0,
        }
    }

    /// The plan for a query.
    fn plan((sql, values): (String, Vec<Value>)) -> String {
        let catalog = Reader::open_in_memory().unwrap();
        catalog.execute_batch(schema::CREATE).unwrap();
        let mut explained = catalog.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = explained.query_map(params_from_iter(values), |row| row.get("detail"));
        steps.unwrap().collect::<db::Result<Vec<String>>>().unwrap().join("; ")
    }

    #[test]
    fn instances_are_looked_up_by_their_uid() {
        let search = search(QueryLevel::Instance, "SOPInstanceUID");
        let plan = plan(search.page(|matching| joined(matching, InstanceOrder::Number)));
        assert!(plan.contains("INDEX instance_sop (sop_instance_uid=?)"), "{plan}");
    }

    #[test]
    fn studies_of_an_instance_are_looked_up_by_its_uid() {
        let plan = plan(search(QueryLevel::Study, "SOPInstanceUID").page(grouped));
        assert!(plan.contains("INDEX instance_sop (sop_instance_uid=?)"), "{plan}");
        assert!(plan.contains("SEARCH image_set USING INTEGER PRIMARY KEY"), "{plan}");
    }

    #[test]
    fn a_match_key_is_looked_up_in_its_index() {
        let index = "SEARCH found USING COVERING INDEX image_set_attributes_value \
                     (datastore=? AND attribute=? AND value";
        for key in ["PatientID", "PatientName", "StudyInstanceUID", "AccessionNumber", "StudyID"] {
            let plan = plan(search(QueryLevel::Study, key).page(grouped));
            assert!(plan.contains("SEARCH image_set USING INTEGER PRIMARY KEY"), "{plan}");
            assert!(plan.contains(index), "{plan}");
        }
    }
}
