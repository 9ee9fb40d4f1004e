//! Tags of data stores and image sets.

use std::collections::BTreeMap;

use healthimaging::{DatastoreId, Error, ImageSetId, TagKey, TagValue};

use super::db::{Reader, Tx};
use crate::error::Result;

/// Tags of one resource, at most, as in AWS.
const MOST_TAGS: i64 = 50;

/// The name of a data store in the table of tags.
pub(crate) fn datastore_key(id: &DatastoreId) -> String {
    format!("datastore/{id}")
}

/// The name of an image set in the table of tags.
pub(crate) fn image_set_key(id: &ImageSetId) -> String {
    format!("imageset/{id}")
}

/// The tags of a resource.
pub(crate) fn read(reader: &Reader, resource: &str) -> Result<BTreeMap<TagKey, TagValue>> {
    reader
        .prepare_cached("SELECT key, value FROM tag WHERE resource = ?1")?
        .query_and_then([resource], |row| {
            let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((TagKey::try_from(key)?, TagValue::try_from(value)?))
        })?
        .collect()
}

/// Sets tags; more than 50 of one resource are refused.
pub(crate) fn write(tx: &Tx<'_>, resource: &str, tags: &BTreeMap<TagKey, TagValue>) -> Result<()> {
    for (key, value) in tags {
        tx.prepare_cached(
            "INSERT INTO tag (resource, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET value = excluded.value",
        )?
        .execute((resource, key.as_str(), value.as_str()))?;
    }
    let count: i64 = tx
        .prepare_cached("SELECT count(*) FROM tag WHERE resource = ?1")?
        .query_row([resource], |row| row.get(0))?;
    if count > MOST_TAGS {
        // Dropping the transaction takes the tags back.
        return Err(Error::validation(format!(
            "a resource can have at most {MOST_TAGS} tags; this would make {count}"
        ))
        .into());
    }
    Ok(())
}

/// Removes tags of a resource.
pub(crate) fn remove(tx: &Tx<'_>, resource: &str, keys: &[TagKey]) -> Result<()> {
    let mut delete = tx.prepare_cached("DELETE FROM tag WHERE resource = ?1 AND key = ?2")?;
    for key in keys {
        delete.execute((resource, key.as_str()))?;
    }
    Ok(())
}

/// Removes all tags of a resource.
pub(crate) fn clear(tx: &Tx<'_>, resource: &str) -> Result<()> {
    tx.execute("DELETE FROM tag WHERE resource = ?1", [resource])?;
    Ok(())
}
