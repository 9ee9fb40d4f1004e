//! Attributes of many image sets as a table, and totals of them.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use dicom_core::VR;
use healthimaging::model::{GetImageSetMetadataRequest, SearchCriteria};
use healthimaging::{DatastoreId, Error, ErrorKind, HealthImaging, ImageSetId, Result};

use crate::document::{self, Attribute, DocumentText};
use crate::find::{Criteria, Selection, Text};
use statistics::Statistics;

mod statistics;
mod units;

/// Image sets whose metadata is read.
const MOST_READ: usize = 2_000;

/// Documents that are read at once.
const AT_ONCE: usize = 8;

/// Rows of a table.
const MOST_ROWS: usize = 100_000;

/// Values of a cell that are kept, of an attribute that differs among instances.
const VALUES: usize = 20;

/// Longest value, in characters.
const LONGEST: usize = 200;

/// Deepest content item of a report.
const DEEPEST: usize = 16;

/// What a table shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Columns {
    /// Attributes of any level.
    pub attributes: Vec<Attribute>,
    /// Content items of structured reports, by the code value or the meaning of their concept names (`PS3.3 §C.17.3`).
    pub content: Vec<Text>,
    /// Whether each instance is a row; otherwise each image set.
    pub per_instance: bool,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Names of the columns, with the unit of content items in parentheses. A content item that has several units has a column
    /// for each, since values of different units have no sum.
    pub columns: Vec<String>,
    /// Content items that no instance has.
    pub not_found: Vec<String>,
    /// Whether the values of each column are dates or times (VR DA, TM, DT).
    times: Vec<bool>,
    /// Rows, by creation time of their image sets.
    pub rows: Vec<Row>,
    /// Image sets that the search examined.
    pub examined: usize,
    /// Image sets that match.
    pub matching: usize,
    /// Image sets whose metadata was read.
    pub read: usize,
    /// Rows beyond the limit.
    pub rows_left_out: usize,
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The image set.
    pub image_set_id: ImageSetId,
    /// The values of each column; none where there is no value. Of an attribute of an image set, the distinct ones, numbers
    /// in their order; how many more there are than 20 is the last.
    pub cells: Vec<Vec<String>>,
    /// The unit of each value of each content item; empty if it has none.
    units: Vec<Vec<String>>,
    /// Of each attribute of an image set, the statistics of all instances.
    totals: Vec<Statistics>,
}

/// An instance, as far as a table needs it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Instance {
    #[serde(rename = "DICOM")]
    attributes: Map<String, Value>,
    /// VRs of private and unknown attributes.
    #[serde(rename = "DICOMVRs")]
    vrs: Map<String, Value>,
}

impl Instance {
    /// Returns whether an attribute is a date or time.
    fn has_time(&self, attribute: &Attribute) -> bool {
        let vr = || self.vrs.iter().find(|(name, _)| attribute.is_named(name))?.1.as_str();
        match attribute.vr() {
            Some(vr) => matches!(vr, VR::DA | VR::TM | VR::DT),
            None => vr().is_some_and(|vr| matches!(vr, "DA" | "TM" | "DT")),
        }
    }
}

/// Reads the table of the image sets that match: of the newest 2,000, and at most 100,000 rows.
///
/// # Errors
/// `Validation` if more image sets match than are examined.
pub async fn table(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    criteria: &Criteria,
    selection: &Selection,
    columns: &Columns,
) -> Result<Table> {
    criteria.check()?;
    selection.check()?;
    let search = SearchCriteria { filters: criteria.filters(), sort: None };
    let found = selection.search(service, datastore_id, &search, criteria).await?;
    let matching = found.image_sets.len();
    // They are in the order of creation.
    let newest = found.image_sets.into_iter().skip(matching.saturating_sub(MOST_READ));
    let reads = newest.map(|set| rows(service, datastore_id, set.image_set_id, columns));
    let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffered(AT_ONCE);
    let mut table = Table { examined: found.examined, matching, ..Table::default() };
    let mut units: Vec<BTreeSet<String>> = vec![BTreeSet::new(); columns.content.len()];
    table.times = vec![false; columns.width()];
    while let Some(read) = reads.try_next().await? {
        let Some(read) = read else { continue };
        table.read += 1;
        for (all, new) in units.iter_mut().zip(read.units) {
            all.extend(new);
        }
        for (is_time, one) in table.times.iter_mut().zip(read.times) {
            *is_time |= one;
        }
        let room = MOST_ROWS - table.rows.len();
        table.rows_left_out += read.rows.len().saturating_sub(room);
        table.rows.extend(read.rows.into_iter().take(room));
    }
    table.columns = columns.attributes.iter().map(|one| String::from(one.clone())).collect();
    units::spread(&mut table, &columns.content, &units)?;
    Ok(table)
}

impl Columns {
    fn width(&self) -> usize {
        self.attributes.len() + self.content.len()
    }
}

/// The rows of one image set.
#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    /// Units of each content item.
    units: Vec<Vec<String>>,
    /// Whether each column is a date or time.
    times: Vec<bool>,
}

/// Values of a content item, each with its unit.
type Measured = Vec<(String, String)>;

async fn rows(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    image_set_id: ImageSetId,
    columns: &Columns,
) -> Result<Option<Rows>> {
    let request = GetImageSetMetadataRequest {
        datastore_id: datastore_id.clone(),
        image_set_id: image_set_id.clone(),
        version_id: None,
    };
    let document = match document::fetch(service, request).await {
        Ok(document) => document,
        // Deleted during the call.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let columns = columns.clone();
    let bytes = document.text().len();
    let rows = move || rows_of(&document, &image_set_id, &columns);
    document::beside_others(bytes, rows).await.map(Some)
}

fn rows_of(document: &DocumentText, id: &ImageSetId, columns: &Columns) -> Result<Rows> {
    let levels = document.levels();
    let mut found = Rows {
        rows: Vec::new(),
        units: vec![Vec::new(); columns.content.len()],
        times: vec![false; columns.width()],
    };
    let mut distinct = vec![BTreeSet::new(); columns.attributes.len()];
    let mut totals = vec![Statistics::default(); columns.attributes.len()];
    let mut of_set: Vec<Measured> = vec![Vec::new(); columns.content.len()];
    for series in levels.series.values() {
        let upper = [&levels.patient, &levels.study, &series.attributes];
        let at_level = |attribute: &Attribute| {
            let mut all = upper.iter().flat_map(|level| level.iter());
            all.find(|(name, _)| attribute.is_named(name)).map(|(_, value)| value)
        };
        let of_level: Vec<Option<&Value>> = columns.attributes.iter().map(at_level).collect();
        for instance in series.instances.values() {
            let instance: Instance = instance.parse()?;
            let times: Vec<bool> =
                columns.attributes.iter().map(|one| instance.has_time(one)).collect();
            for (all, one) in found.times.iter_mut().zip(&times) {
                *all |= one;
            }
            let values = columns.attributes.iter().zip(&of_level).map(|(attribute, of_level)| {
                // An instance that differs has a value of its own.
                let mut own = instance.attributes.iter();
                let own = own.find(|(name, _)| attribute.is_named(name)).map(|(_, value)| value);
                own.or(*of_level).and_then(shown)
            });
            let values: Vec<Option<String>> = values.collect();
            let mut content = vec![Vec::new(); columns.content.len()];
            collect_content(&instance.attributes, columns, &mut content, &mut found, 0);
            if columns.per_instance {
                let cells = values.into_iter().map(|value| value.into_iter().collect());
                found.rows.push(row(id, cells.collect(), content, Vec::new()));
                continue;
            }
            for (at, value) in values.into_iter().enumerate() {
                let (Some(value), Some(is_time)) = (value, times.get(at)) else { continue };
                if let Some(totals) = totals.get_mut(at) {
                    totals.add(&value, *is_time);
                }
                if let Some(distinct) = distinct.get_mut(at) {
                    distinct.insert(value);
                }
            }
            // Content items count each.
            for (all, new) in of_set.iter_mut().zip(content) {
                all.extend(new);
            }
        }
    }
    if !columns.per_instance {
        let cells = distinct.into_iter().map(listed).collect();
        found.rows.push(row(id, cells, of_set, totals));
    }
    Ok(found)
}

/// Returns a row of the cells of attributes and of content items.
fn row(
    id: &ImageSetId,
    mut cells: Vec<Vec<String>>,
    content: Vec<Measured>,
    totals: Vec<Statistics>,
) -> Row {
    let mut units = Vec::with_capacity(content.len());
    for measured in content {
        let (values, of_values): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
        cells.push(values);
        units.push(of_values);
    }
    Row { image_set_id: id.clone(), cells, units, totals }
}

/// The first of distinct values, and how many more there are.
fn listed(distinct: BTreeSet<String>) -> Vec<String> {
    let mut values: Vec<String> = distinct.into_iter().collect();
    let numbers: Option<Vec<f64>> = values.iter().map(|value| value.parse().ok()).collect();
    if let Some(numbers) = numbers {
        let mut numbered: Vec<_> = numbers.into_iter().zip(values).collect();
        numbered.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        values = numbered.into_iter().map(|(_, value)| value).collect();
    }
    let more = values.len().saturating_sub(VALUES);
    values.truncate(VALUES);
    if more > 0 {
        values.push(format!("… and {more} more"));
    }
    values
}

/// Collects the values of content items, through all levels of the content.
fn collect_content(
    item: &Map<String, Value>,
    columns: &Columns,
    values: &mut [Measured],
    found: &mut Rows,
    depth: usize,
) {
    if columns.content.is_empty() || depth > DEEPEST {
        return;
    }
    let name = first(item, "ConceptNameCodeSequence");
    for (at, concept) in columns.content.iter().enumerate() {
        let is_named = |key: &str| {
            let text = name.and_then(|name| name.get(key)).and_then(Value::as_str);
            text.is_some_and(|text| text.trim().eq_ignore_ascii_case(concept.as_str()))
        };
        if !is_named("CodeValue") && !is_named("CodeMeaning") {
            continue;
        }
        let time = columns.attributes.len() + at;
        let (Some(values), Some(units), Some(is_time)) =
            (values.get_mut(at), found.units.get_mut(at), found.times.get_mut(time))
        else {
            continue;
        };
        // The value types DATETIME, DATE and TIME.
        *is_time |= ["DateTime", "Date", "Time"].iter().any(|name| item.contains_key(*name));
        let measured = first(item, "MeasuredValueSequence");
        let unit = measured.and_then(|one| first(one, "MeasurementUnitsCodeSequence"));
        let unit = unit.and_then(|unit| unit.get("CodeValue")).and_then(Value::as_str);
        let unit = unit.unwrap_or_default().trim();
        if let Some(value) = content_value(item) {
            values.push((value, unit.to_owned()));
            if !units.iter().any(|known| known == unit) {
                units.push(unit.to_owned());
            }
        }
    }
    let items = item.get("ContentSequence").and_then(Value::as_array).into_iter().flatten();
    for inner in items.filter_map(Value::as_object) {
        collect_content(inner, columns, values, found, depth + 1);
    }
}

/// The value of a content item (`PS3.3` Table C.17-5).
fn content_value(item: &Map<String, Value>) -> Option<String> {
    let number = first(item, "MeasuredValueSequence").and_then(|one| one.get("NumericValue"));
    let code = first(item, "ConceptCodeSequence").and_then(|code| code.get("CodeMeaning"));
    let direct = ["TextValue", "DateTime", "Date", "Time", "PersonName", "UID"];
    let direct = direct.into_iter().find_map(|name| item.get(name));
    number.or(code).or(direct).and_then(shown)
}

/// The first item of a sequence.
fn first<'a>(item: &'a Map<String, Value>, sequence: &str) -> Option<&'a Map<String, Value>> {
    item.get(sequence)?.as_array()?.first()?.as_object()
}

/// A value as text; several values have backslashes between them, as in DICOM.
fn shown(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.trim().to_owned(),
        Value::Array(values) if values.iter().any(Value::is_object) => {
            format!("sequence of {}", crate::plan::counted(values.len(), "item"))
        }
        Value::Array(values) => {
            let values = values.iter().map(|one| shown(one).unwrap_or_default());
            values.collect::<Vec<_>>().join("\\")
        }
        other => other.to_string(),
    };
    let text = match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    };
    (!text.is_empty()).then_some(text)
}

impl Table {
    /// Replaces the rows by one for each group of equal values of the columns `by`: their count and, of the values that
    /// all instances have in each other column with numbers, count, sum, minimum, maximum and mean; of dates and times
    /// count, minimum and maximum.
    ///
    /// # Errors
    /// `Validation` if there are fewer columns.
    pub fn grouped(&self, by: &[usize]) -> Result<Grouped> {
        if by.iter().any(|at| *at >= self.columns.len()) {
            return Err(Error::validation("group_by names attributes of the table"));
        }
        let name = |at: &usize| self.columns.get(*at).cloned().unwrap_or_default();
        let is_time = |at: &usize| self.times.get(*at).copied().unwrap_or_default();
        let measured: Vec<usize> = (0..self.columns.len()).filter(|at| !by.contains(at)).collect();
        let mut groups: BTreeMap<Vec<String>, (usize, Vec<Statistics>)> = BTreeMap::new();
        for row in &self.rows {
            let cell = |at: &usize| row.cells.get(*at).map(Vec::as_slice).unwrap_or_default();
            let key = by.iter().map(|at| cell(at).join("; ")).collect();
            let (count, all) = groups
                .entry(key)
                .or_insert_with(|| (0, vec![Statistics::default(); measured.len()]));
            *count += 1;
            for (statistics, at) in all.iter_mut().zip(&measured) {
                match row.totals.get(*at) {
                    Some(totals) => statistics.merge(totals),
                    None => cell(at).iter().for_each(|one| statistics.add(one, is_time(at))),
                }
            }
        }
        // A column without a number has no statistics.
        let has_numbers: Vec<bool> = (0..measured.len())
            .map(|at| groups.values().any(|(_, all)| all.get(at).is_some_and(|one| one.count > 0)))
            .collect();
        let kept = || measured.iter().zip(&has_numbers).filter(|(_, kept)| **kept);
        let mut columns: Vec<String> = by.iter().map(name).collect();
        columns.push("rows".to_owned());
        for (at, _) in kept() {
            let name = name(at);
            let what: &[&str] = if is_time(at) {
                &["count", "min", "max"]
            } else {
                &["count", "sum", "min", "max", "mean"]
            };
            columns.extend(what.iter().map(|what| format!("{what} of {name}")));
        }
        let rows = groups.into_iter().map(|(key, (count, all))| {
            let mut row: Vec<Value> = key.into_iter().map(Value::from).collect();
            row.push(count.into());
            for (statistics, (at, kept)) in all.iter().zip(measured.iter().zip(&has_numbers)) {
                match (kept, is_time(at)) {
                    (false, _) => (),
                    (true, true) => row.extend(statistics.span()),
                    (true, false) => row.extend(statistics.cells()),
                }
            }
            row
        });
        Ok(Grouped { columns, rows: rows.collect() })
    }
}

/// Groups of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouped {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// One row a group.
    pub rows: Vec<Vec<Value>>,
}
