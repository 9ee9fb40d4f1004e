//! Tables of measurements and of radiation dose.

use serde::Serialize;

use super::code::Code;
use super::content::ContentItem;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What its rows are: the concept name of their containers, or `Measurements`.
    pub name: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Values, one for each column; empty where a row has none.
    pub rows: Vec<Vec<String>>,
}

/// Containers of dose reports that are the rows of a table (PS3.16 TID 10002, 10003, 10012, 10013, 10022, 10040).
const DOSE_ROWS: &[(&str, &str)] = &[
    ("DCM", "113702"), // Accumulated X-Ray Dose Data
    ("DCM", "113706"), // Irradiation Event X-Ray Data
    ("DCM", "113811"), // CT Accumulated Dose Data
    ("DCM", "113819"), // CT Acquisition
    ("DCM", "113502"), // Radiopharmaceutical Administration
    ("DCM", "113505"), // Organ Dose Information
    ("DCM", "128502"), // Patient Radiation Dose
];

const TRACKING: &[(&str, &str)] = &[("DCM", "112039"), ("DCM", "112040")];
const FINDING: &[(&str, &str)] = &[("DCM", "121071")];
const SITE: &[(&str, &str)] = &[("SCT", "363698007"), ("SRT", "G-C0E3"), ("SNM3", "G-C0E3")];

const MEASUREMENT_COLUMNS: [&str; 9] = [
    "item",
    "name",
    "value",
    "unit",
    "qualifier",
    "tracking",
    "finding",
    "finding site",
    "modifiers",
];

/// Columns of a table of doses; real reports have some 40.
const MOST_COLUMNS: usize = 64;

/// Lists the measurements of a tree, and what the groups that hold them say of them all.
pub(super) fn measurements(tree: &[ContentItem]) -> Table {
    let about = [TRACKING, FINDING, SITE].map(|codes| inherited(tree, codes));
    let mut modifiers = vec![Vec::new(); tree.len()];
    for one in tree {
        let is_modifier = one.name.as_ref().is_some_and(|name| !name.is_any(SITE))
            && one.reference.is_none()
            && one.coordinates.is_empty();
        if let Some(of) = one.parent.and_then(|parent| modifiers.get_mut(parent))
            && is_modifier
        {
            of.push(one);
        }
    }
    let mut rows = Vec::new();
    for (index, item) in tree.iter().enumerate() {
        if item.value_type.as_deref() != Some("NUM") {
            continue;
        }
        let of = |about: &Vec<Option<usize>>| {
            let found = about.get(index).copied().flatten().and_then(|at| tree.get(at));
            found.map(ContentItem::plain).unwrap_or_default()
        };
        let [tracking, finding, site] = [&about[0], &about[1], &about[2]].map(of);
        let below = modifiers.get(index).into_iter().flatten();
        let below: Vec<String> =
            below.map(|one| format!("{}: {}", one.concept(), one.plain())).collect();
        rows.push(vec![
            item.position.clone(),
            item.concept().to_owned(),
            item.value.clone().unwrap_or_default(),
            item.unit.as_ref().map(Code::unit).unwrap_or_default().to_owned(),
            item.qualifier.as_ref().map(Code::name).unwrap_or_default().to_owned(),
            tracking,
            finding,
            site,
            below.join("; "),
        ]);
    }
    let columns = MEASUREMENT_COLUMNS.map(str::to_owned).into();
    Table { name: "Measurements".to_owned(), columns, rows }
}

/// For each item, the index of what is named by one of some codes directly below it, or else below the nearest item above.
fn inherited(tree: &[ContentItem], codes: &[(&str, &str)]) -> Vec<Option<usize>> {
    let mut found = vec![None; tree.len()];
    for (index, item) in tree.iter().enumerate() {
        if let Some(of) = item.parent.and_then(|parent| found.get_mut(parent))
            && of.is_none()
            && item.name.as_ref().is_some_and(|name| name.is_any(codes))
        {
            *of = Some(index);
        }
    }
    // An item comes behind the one above it.
    for (index, item) in tree.iter().enumerate() {
        let above = item.parent.and_then(|parent| found.get(parent).copied().flatten());
        if let Some(own) = found.get_mut(index) {
            *own = own.or(above);
        }
    }
    found
}

/// Lists the irradiation events and totals of a dose report, a table for each kind of container.
pub(super) fn dose(tree: &[ContentItem]) -> Vec<Table> {
    let mut kinds: Vec<Code> = Vec::new();
    let mut tables: Vec<Table> = Vec::new();
    // Table and row of each item.
    let mut places: Vec<Option<(usize, usize)>> = Vec::with_capacity(tree.len());
    for item in tree {
        let above = item.parent.and_then(|parent| places.get(parent).copied().flatten());
        let name = item.name.as_ref().filter(|name| name.is_any(DOSE_ROWS));
        let place = match name {
            Some(name) => Some(new_row(&mut kinds, &mut tables, name, &item.position)),
            None => above,
        };
        places.push(place);
        if let (None, Some((table, row))) = (name, above)
            && let Some(table) = tables.get_mut(table)
        {
            table.fill(row, item);
        }
    }
    for table in &mut tables {
        let width = table.columns.len();
        table.rows.iter_mut().for_each(|row| row.resize(width, String::new()));
    }
    tables
}

/// Adds a row to the table of a kind of container, of which there are as many as in [`DOSE_ROWS`].
fn new_row(
    kinds: &mut Vec<Code>,
    tables: &mut Vec<Table>,
    name: &Code,
    position: &str,
) -> (usize, usize) {
    let at = kinds.iter().position(|kind| kind.value == name.value);
    let at = at.unwrap_or_else(|| {
        kinds.push(name.clone());
        let columns = vec!["item".to_owned()];
        tables.push(Table { name: name.name().to_owned(), columns, rows: Vec::new() });
        tables.len() - 1
    });
    let row = tables.get_mut(at).map_or(0, |table| {
        table.rows.push(vec![position.to_owned()]);
        table.rows.len() - 1
    });
    (at, row)
}

impl Table {
    /// Writes the value of an item into the column of its name; several values are separated by `;`.
    fn fill(&mut self, row: usize, item: &ContentItem) {
        let value = item.plain();
        if value.is_empty() {
            return;
        }
        let unit = item.unit.as_ref().map(Code::unit).unwrap_or_default();
        let column = match unit {
            "" => item.concept().to_owned(),
            unit => format!("{} ({unit})", item.concept()),
        };
        let known = self.columns.iter().position(|one| *one == column);
        let Some(at) = known.or_else(|| {
            (self.columns.len() < MOST_COLUMNS).then(|| {
                self.columns.push(column);
                self.columns.len() - 1
            })
        }) else {
            return;
        };
        let Some(cells) = self.rows.get_mut(row) else { return };
        cells.resize(cells.len().max(at + 1), String::new());
        if let Some(cell) = cells.get_mut(at) {
            if !cell.is_empty() {
                cell.push_str("; ");
            }
            cell.push_str(&value);
        }
    }
}

impl ContentItem {
    /// The name of the concept, or the value type without one.
    fn concept(&self) -> &str {
        self.name.as_ref().map(Code::name).or(self.value_type.as_deref()).unwrap_or_default()
    }

    /// The value without the code and the unit; empty for containers and coordinates.
    fn plain(&self) -> String {
        match (&self.code, &self.value, &self.reference) {
            (Some(code), ..) => code.name().to_owned(),
            (None, Some(value), _) => value.clone(),
            (None, None, Some(reference)) => reference.to_string(),
            (None, None, None) => String::new(),
        }
    }
}
