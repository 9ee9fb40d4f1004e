//! Attributes of many image sets as a table, and totals of them.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::model::{GetImageSetMetadataRequest, SearchCriteria};
use healthimaging::{DatastoreId, Error, ErrorKind, HealthImaging, ImageSetId, Result};

use crate::document::{self, Attribute, DocumentText};
use crate::find::{Criteria, Selection, Text};

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
    /// Names of the columns, with the unit of content items in parentheses if they have one unit.
    pub columns: Vec<String>,
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
    /// The values of each column; none where there is no value.
    pub cells: Vec<Vec<String>>,
}

/// An instance, as far as a table needs it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Instance {
    #[serde(rename = "DICOM")]
    attributes: Map<String, Value>,
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
    while let Some(read) = reads.try_next().await? {
        let Some(read) = read else { continue };
        table.read += 1;
        for (all, new) in units.iter_mut().zip(read.units) {
            all.extend(new);
        }
        let room = MOST_ROWS - table.rows.len();
        table.rows_left_out += read.rows.len().saturating_sub(room);
        table.rows.extend(read.rows.into_iter().take(room));
    }
    let attributes = columns.attributes.iter().map(|one| String::from(one.clone()));
    let content = columns.content.iter().zip(&units).map(|(concept, units)| {
        match units.iter().collect::<Vec<_>>()[..] {
            [unit] => format!("{} ({unit})", concept.as_str()),
            _ => concept.as_str().to_owned(),
        }
    });
    table.columns = attributes.chain(content).collect();
    Ok(table)
}

/// The rows of one image set.
#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    /// Units of each content item.
    units: Vec<Vec<String>>,
}

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
    let mut found = Rows { rows: Vec::new(), units: vec![Vec::new(); columns.content.len()] };
    let width = columns.attributes.len() + columns.content.len();
    let mut of_set = vec![Vec::new(); width];
    for series in levels.series.values() {
        let upper = [&levels.patient, &levels.study, &series.attributes];
        let at_level = |attribute: &Attribute| {
            let mut all = upper.iter().flat_map(|level| level.iter());
            all.find(|(name, _)| attribute.is_named(name)).map(|(_, value)| value)
        };
        let of_level: Vec<Option<&Value>> = columns.attributes.iter().map(at_level).collect();
        for instance in series.instances.values() {
            let instance: Instance = instance.parse()?;
            let mut cells = Vec::with_capacity(width);
            for (attribute, of_level) in columns.attributes.iter().zip(&of_level) {
                // An instance that differs has a value of its own.
                let mut own = instance.attributes.iter();
                let own = own.find(|(name, _)| attribute.is_named(name)).map(|(_, value)| value);
                cells.push(own.or(*of_level).and_then(shown).into_iter().collect());
            }
            let mut content = vec![Vec::new(); columns.content.len()];
            collect_content(&instance.attributes, columns, &mut content, &mut found.units, 0);
            cells.extend(content);
            if columns.per_instance {
                found.rows.push(Row { image_set_id: id.clone(), cells });
                continue;
            }
            for (at, (all, new)) in of_set.iter_mut().zip(cells).enumerate() {
                // Content items count each; values of attributes count once.
                let is_content = at >= columns.attributes.len();
                let new = new.into_iter().filter(|one| is_content || !all.contains(one));
                let new: Vec<String> = new.collect();
                if is_content || all.len() < VALUES {
                    all.extend(new);
                }
            }
        }
    }
    if !columns.per_instance {
        found.rows.push(Row { image_set_id: id.clone(), cells: of_set });
    }
    Ok(found)
}

/// Collects the values of content items, through all levels of the content.
fn collect_content(
    item: &Map<String, Value>,
    columns: &Columns,
    found: &mut [Vec<String>],
    units: &mut [Vec<String>],
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
        let (Some(values), Some(units)) = (found.get_mut(at), units.get_mut(at)) else { continue };
        values.extend(content_value(item));
        let measured = first(item, "MeasuredValueSequence");
        let unit = measured.and_then(|one| first(one, "MeasurementUnitsCodeSequence"));
        let unit = unit.and_then(|unit| unit.get("CodeValue")).and_then(Value::as_str);
        units.extend(unit.map(str::to_owned).filter(|unit| !units.contains(unit)));
    }
    let items = item.get("ContentSequence").and_then(Value::as_array).into_iter().flatten();
    for inner in items.filter_map(Value::as_object) {
        collect_content(inner, columns, found, units, depth + 1);
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
    /// Replaces the rows by one for each group of equal values of the first `by` columns: their count and, of each other
    /// column with numbers, count, sum, minimum, maximum and mean.
    ///
    /// # Errors
    /// `Validation` if there are fewer columns.
    pub fn grouped(&self, by: &[usize]) -> Result<Grouped> {
        if by.iter().any(|at| *at >= self.columns.len()) {
            return Err(Error::validation("group_by names attributes of the table"));
        }
        let name = |at: &usize| self.columns.get(*at).cloned().unwrap_or_default();
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
                cell(at)
                    .iter()
                    .filter_map(|value| value.parse().ok())
                    .for_each(|one| statistics.add(one));
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
            columns.extend(
                ["count", "sum", "min", "max", "mean"].map(|what| format!("{what} of {name}")),
            );
        }
        let rows = groups.into_iter().map(|(key, (count, all))| {
            let mut row: Vec<Value> = key.into_iter().map(Value::from).collect();
            row.push(count.into());
            for (statistics, _) in all.iter().zip(&has_numbers).filter(|(_, kept)| **kept) {
                row.extend(statistics.cells());
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

/// Numbers of a column.
#[derive(Debug, Clone, Copy, Default)]
struct Statistics {
    count: u32,
    sum: f64,
    low: f64,
    high: f64,
}

impl Statistics {
    fn add(&mut self, number: f64) {
        if !number.is_finite() {
            return;
        }
        (self.low, self.high) = match self.count {
            0 => (number, number),
            _ => (self.low.min(number), self.high.max(number)),
        };
        self.count = self.count.saturating_add(1);
        self.sum += number;
    }

    /// Count, sum, minimum, maximum, mean; to six decimals, which sums of decimal fractions have.
    fn cells(&self) -> [Value; 5] {
        let rounded = |number: f64| {
            let rounded = (number * 1e6).round() / 1e6;
            Value::from(if rounded.is_finite() { rounded } else { number })
        };
        let of_some = |number: f64| if self.count == 0 { Value::Null } else { rounded(number) };
        [
            self.count.into(),
            of_some(self.sum),
            of_some(self.low),
            of_some(self.high),
            of_some(self.sum / f64::from(self.count.max(1))),
        ]
    }
}
