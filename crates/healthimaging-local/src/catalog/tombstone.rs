//! Tombstones of erased image sets, which keep nothing of the content.

use healthimaging::ImageSetId;

use super::db::Tx;
use super::image_sets;
use crate::clock::Millis;
use crate::error::Result;

/// Erases an image set but for a tombstone.
///
/// The row is deleted, and with it the rows of all tables that belong to it; then a row is inserted with what a
/// tombstone may hold. So no column keeps erased data, whatever columns there are.
pub(crate) fn erase(tx: &Tx<'_>, set: i64, at: Millis) -> Result<ImageSetId> {
    let was = image_sets::at(tx, set)?;
    let mut versions = Vec::new();
    let mut before = None;
    loop {
        let page = image_sets::versions(tx, set, before, 1000)?;
        let Some(last) = page.last() else { break };
        before = Some(last.version.into());
        versions.extend(page);
    }
    tx.execute("DELETE FROM image_set WHERE row = ?1", [set])?;
    tx.execute(
        "INSERT INTO image_set (row, id, datastore, latest_version, state, workflow, is_primary,
             created_at, updated_at, deleted_at, last_accessed_at)
         VALUES (?1, ?2, ?3, ?4, 'DELETED', 'DELETED', ?5, ?6, ?7, ?7, ?8)",
        (
            set,
            was.id.as_str(),
            was.datastore,
            was.latest_version,
            was.is_primary,
            was.created_at,
            at,
            was.last_accessed_at,
        ),
    )?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO image_set_version (image_set, version, state, workflow, updated_at, forced)
         VALUES (?1, ?2, 'DELETED', 'DELETED', ?3, ?4)",
    )?;
    for version in versions {
        insert.execute((set, version.version, version.updated_at, version.forced))?;
    }
    Ok(was.id)
}
