//! Checks of the catalog: its structure, and whether search columns agree with documents.

use std::collections::HashMap;

use healthimaging_dicom::{Document, IndexAttributes};

use super::content::{self, StoredContent};
use super::db::{self, Reader};
use super::image_sets::{self, ImageSetRow};
use super::{attributes, cut};
use crate::error::{DAMAGED_CATALOG, Result};

/// Whether the columns, attributes and instances of an image set are those of its latest document, and what is
/// known of its blocks is what they hold.
pub(crate) fn agrees(
    reader: &Reader,
    set: i64,
    stored: &StoredContent,
    document: &Document,
) -> Result<bool> {
    let expected = document.index_attributes();
    let instances = document.instance_index();
    let instances: HashMap<_, _> =
        instances.map(|instance| (instance.sop_instance_uid.clone(), instance)).collect();
    let rows = content::rows(reader, set)?;
    for (block, content) in stored.blocks.iter().flatten() {
        let Some(uids) = cut::agreeing(&block.facts, content)? else { return Ok(false) };
        let number = |uid| rows.get(uid).and_then(|(_, number)| *number);
        if !uids.iter().all(|uid| number(uid).is_none_or(|found| found == block.facts.number)) {
            return Ok(false);
        }
    }
    Ok(columns_agree(reader, set, &expected)?
        && attributes::read(reader, set)? == expected.values
        && rows.into_iter().map(|(uid, (row, _))| (uid, row)).collect::<HashMap<_, _>>()
            == instances)
}

fn columns_agree(reader: &Reader, set: i64, expected: &IndexAttributes) -> Result<bool> {
    reader
        .prepare_cached("SELECT * FROM image_set WHERE row = ?1")?
        .query_and_then([set], |row| {
            Ok(attributes::summary(row).ok().as_ref() == Some(&expected.summary)
                && row.get::<_, Option<String>>("study_instance_uid")?.as_deref()
                    == expected.study_instance_uid()
                && row.get::<_, String>("study_datetime")? == expected.study_datetime()
                && row.get::<_, Option<i32>>("series_number")? == expected.series_number()
                && row.get::<_, Option<u32>>("instance_count")? == Some(expected.instance_count)
                && row.get::<_, Option<u32>>("frame_count")? == Some(expected.frame_count))
        })?
        .next()
        .unwrap_or(Ok(false))
}

/// The number of image sets, and the faults that SQLite finds in the catalog.
pub(crate) fn check(reader: &Reader) -> Result<(u64, Vec<String>)> {
    let count = "SELECT count(*) FROM image_set WHERE state <> 'DELETED'";
    let total: i64 = reader.query_row(count, [], |row| row.get(0))?;
    let mut statement = reader.prepare("PRAGMA integrity_check(10)")?;
    let found: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<db::Result<_>>()?;
    let faults = found.into_iter().filter(|line| line != "ok");
    let faults = faults.map(|_| DAMAGED_CATALOG.to_owned());
    Ok((total.try_into().unwrap_or_default(), faults.collect()))
}

/// Some image sets that are not deleted, behind the row `after`.
pub(crate) fn page(reader: &Reader, after: i64, limit: u32) -> Result<Vec<ImageSetRow>> {
    reader
        .prepare_cached(
            "SELECT * FROM image_set WHERE row > ?1 AND state <> 'DELETED' ORDER BY row LIMIT ?2",
        )?
        .query_and_then((after, limit), image_sets::image_set)?
        .collect()
}
