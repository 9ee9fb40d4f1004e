//! Whether the columns that searches look at are those that the documents say.

use healthimaging_dicom::{Document, IndexAttributes, InstanceIndex};
use rusqlite::Connection;

use super::attributes;
use crate::error::Result;

/// Whether the columns, attributes and instances of an image set are those of its latest document.
pub(crate) fn agrees(connection: &Connection, set: i64, document: &Document) -> Result<bool> {
    let expected = document.index_attributes();
    let mut instances: Vec<_> = document.instance_index().collect();
    instances.sort_by(|a, b| a.sop_instance_uid.cmp(&b.sop_instance_uid));
    Ok(columns_agree(connection, set, &expected)?
        && attributes::read(connection, set)? == expected.values
        && self::instances(connection, set)? == instances)
}

fn columns_agree(connection: &Connection, set: i64, expected: &IndexAttributes) -> Result<bool> {
    connection
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

/// In the order of their UIDs.
fn instances(connection: &Connection, set: i64) -> Result<Vec<InstanceIndex>> {
    let mut statement = connection
        .prepare_cached("SELECT * FROM instance WHERE image_set = ?1 ORDER BY sop_instance_uid")?;
    let found = statement.query_map([set], |row| {
        Ok(InstanceIndex {
            series_instance_uid: row.get("series_instance_uid")?,
            sop_instance_uid: row.get("sop_instance_uid")?,
            sop_class_uid: row.get("sop_class_uid")?,
            instance_number: row.get("instance_number")?,
            rows: row.get("rows")?,
            columns: row.get("columns")?,
            bits_allocated: row.get("bits_allocated")?,
            number_of_frames: row.get("number_of_frames")?,
            warning_reason: row.get("warning_reason")?,
        })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}
