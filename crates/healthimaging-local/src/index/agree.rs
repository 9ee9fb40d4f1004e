//! Whether the columns that searches look at are those that the documents say.

use healthimaging_dicom::{Document, IndexAttributes, InstanceIndex};
use rusqlite::Connection;

use super::content::study_datetime;
use crate::error::Result;

/// Whether the columns and instances of an image set are those of its latest document.
pub(crate) fn agrees(connection: &Connection, set: i64, document: &Document) -> Result<bool> {
    let expected = document.index_attributes();
    let datetime = study_datetime(expected.study_date.as_deref(), expected.study_time.as_deref());
    let (found, found_datetime) = attributes(connection, set)?;
    let mut instances: Vec<_> = document.instance_index().collect();
    instances.sort_by(|a, b| a.sop_instance_uid.cmp(&b.sop_instance_uid));
    Ok(found == expected
        && found_datetime == datetime
        && self::instances(connection, set)? == instances)
}

fn attributes(connection: &Connection, set: i64) -> Result<(IndexAttributes, String)> {
    let mut statement = connection.prepare_cached("SELECT * FROM image_set WHERE row = ?1")?;
    Ok(statement.query_row([set], |row| {
        let attributes = IndexAttributes {
            patient_id: row.get("patient_id")?,
            issuer_of_patient_id: row.get("issuer_of_patient_id")?,
            patient_name: row.get("patient_name")?,
            patient_birth_date: row.get("patient_birth_date")?,
            patient_birth_time: row.get("patient_birth_time")?,
            patient_sex: row.get("patient_sex")?,
            study_instance_uid: row.get("study_instance_uid")?,
            study_date: row.get("study_date")?,
            study_time: row.get("study_time")?,
            accession_number: row.get("accession_number")?,
            study_id: row.get("study_id")?,
            study_description: row.get("study_description")?,
            referring_physician_name: row.get("referring_physician_name")?,
            series_instance_uid: row.get("series_instance_uid")?,
            series_number: row.get("series_number")?,
            modality: row.get("modality")?,
            body_part: row.get("body_part")?,
            series_description: row.get("series_description")?,
            series_date: row.get("series_date")?,
            series_time: row.get("series_time")?,
            pps_start_date: row.get("pps_start_date")?,
            pps_start_time: row.get("pps_start_time")?,
            instance_count: row.get("instance_count")?,
            frame_count: row.get("frame_count")?,
        };
        Ok((attributes, row.get("study_datetime")?))
    })?)
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
