//! `image_set_attributes`: search values of image sets, a row for each distinct value.

use std::collections::BTreeSet;

use healthimaging::Attribute;
use healthimaging_dicom::{IndexAttributes, IndexValues, Summary};

use super::db::{self, Reader, Row, Tx};
use crate::error::{Result, StoreError};

/// The key attribute of which many image sets may have one value: its rows have the time of the image set.
pub(crate) const ORDERED: &str = "PatientID";

/// Image sets that have a value of a key attribute: what comes behind `FROM`, with the data store as `?1` and
/// the value as `?2`.
pub(crate) fn with_value(keyword: &str) -> String {
    let tag = Attribute::named(keyword).map_or(0, |attribute| attribute.tag);
    format!(
        "image_set_attributes AS found CROSS JOIN image_set ON image_set.row = found.image_set
         WHERE found.datastore = ?1 AND found.attribute = {tag} AND found.value = ?2
             AND image_set.state <> 'DELETED'"
    )
}

/// Writes the rows that have changed.
pub(crate) fn write(tx: &Tx<'_>, set: i64, wanted: &IndexValues) -> Result<()> {
    let written = read(tx, set)?;
    insert(tx, set, wanted.difference(&written))?;
    let mut delete = tx.prepare_cached(
        "DELETE FROM image_set_attributes WHERE image_set = ?1 AND attribute = ?2 AND value = ?3",
    )?;
    for (tag, value) in written.difference(wanted) {
        delete.execute((set, tag, value))?;
    }
    Ok(())
}

/// Writes the rows that are not there.
pub(crate) fn add(tx: &Tx<'_>, set: i64, values: &IndexValues) -> Result<()> {
    insert(tx, set, values.difference(&read(tx, set)?))
}

fn insert<'a>(
    tx: &Tx<'_>,
    set: i64,
    values: impl Iterator<Item = &'a (u32, String)>,
) -> Result<()> {
    // Those that image sets are looked up by are in an index with the data store.
    let mut insert = tx.prepare_cached(
        "INSERT INTO image_set_attributes (image_set, attribute, value, datastore, updated_at)
         SELECT row, ?2, ?3, iif(?4, datastore, NULL), iif(?5, updated_at, NULL)
         FROM image_set WHERE row = ?1",
    )?;
    let ordered = Attribute::named(ORDERED).map(|attribute| attribute.tag);
    for (tag, value) in values {
        insert.execute((set, tag, value, is_key(*tag), Some(*tag) == ordered))?;
    }
    Ok(())
}

fn is_key(tag: u32) -> bool {
    healthimaging::ATTRIBUTES.iter().any(|attribute| attribute.tag == tag && attribute.is_key)
}

/// The rows of an image set.
pub(crate) fn read(reader: &Reader, set: i64) -> Result<IndexValues> {
    let rows = "SELECT attribute, value FROM image_set_attributes WHERE image_set = ?1";
    let mut statement = reader.prepare_cached(rows)?;
    let found = statement.query_map([set], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<db::Result<BTreeSet<_>>>()?)
}

/// What results show of an image set, from its row.
pub(crate) fn summary(row: &Row<'_>) -> Result<Summary> {
    let text: Option<String> = row.get("summary")?;
    let summary = text.map(|text| serde_json::from_str(&text)).transpose();
    let summary = summary
        .map_err(|_| StoreError::Damaged("the catalog holds a malformed summary".to_owned()))?;
    Ok(summary.unwrap_or_default())
}

/// A summary as its column holds it.
pub(crate) fn summary_column(index: &IndexAttributes) -> Result<String> {
    serde_json::to_string(&index.summary)
        .map_err(|_| StoreError::Damaged("a summary could not be written".to_owned()))
}
