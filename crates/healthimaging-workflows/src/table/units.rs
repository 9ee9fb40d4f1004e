//! Units of content items: one column for each.

use std::collections::BTreeSet;

use healthimaging::{Error, Result};

use super::Table;
use crate::find::Text;

/// Units of a content item.
const MOST_UNITS: usize = 10;

/// Names the columns of content items, the last ones of a table, and gives an item with several units a column for each.
///
/// # Errors
/// `Validation` if an item has more than ten units.
pub(super) fn spread(
    table: &mut Table,
    content: &[Text],
    units: &[BTreeSet<String>],
) -> Result<()> {
    let first = table.columns.len();
    let mut times = table.times.split_off(first.min(table.times.len())).into_iter();
    for (concept, units) in content.iter().zip(units) {
        if units.len() > MOST_UNITS {
            return Err(Error::validation(format!(
                "content: the values of an item have {} units; narrow the search to at most {MOST_UNITS}",
                units.len()
            )));
        }
        let concept = concept.as_str();
        if units.is_empty() {
            table.not_found.push(concept.to_owned());
            table.columns.push(concept.to_owned());
        }
        table.columns.extend(units.iter().map(|unit| match unit.as_str() {
            "" => concept.to_owned(),
            unit => format!("{concept} ({unit})"),
        }));
        let is_time = times.next().unwrap_or_default();
        table.times.resize(table.columns.len(), is_time);
    }
    for row in &mut table.rows {
        let cells = row.cells.split_off(first.min(row.cells.len()));
        let of_rows = std::mem::take(&mut row.units);
        for ((cell, of_cell), units) in cells.into_iter().zip(of_rows).zip(units) {
            if units.len() < 2 {
                row.cells.push(cell);
                continue;
            }
            let values: Vec<(String, String)> = cell.into_iter().zip(of_cell).collect();
            row.cells.extend(units.iter().map(|unit| {
                let of_unit = values.iter().filter(|(_, one)| one == unit);
                of_unit.map(|(value, _)| value.clone()).collect()
            }));
        }
    }
    Ok(())
}
