//! Makes `image_set_attributes` of the columns that formats 1 and 2 had (format 2 to 3).

use healthimaging::{Attribute, QueryLevel};
use healthimaging_dicom::{Document, IndexAttributes};
use rayon::prelude::*;
use serde_json::Value;

use crate::catalog::attributes;
use crate::catalog::content::{self, StoredContent};
use crate::catalog::db::{Reader, Row, Tx, ValueRef};
use crate::catalog::documents::unpack;
use crate::catalog::image_sets;
use crate::error::Result;

/// Image sets of one transaction: their documents are in memory at once.
const BATCH: i64 = 64;

/// Column of format 2 and keyword.
const COLUMNS: [(&str, &str); 22] = [
    ("patient_id", "PatientID"),
    ("issuer_of_patient_id", "IssuerOfPatientID"),
    ("patient_name", "PatientName"),
    ("patient_birth_date", "PatientBirthDate"),
    ("patient_birth_time", "PatientBirthTime"),
    ("patient_sex", "PatientSex"),
    ("study_instance_uid", "StudyInstanceUID"),
    ("study_date", "StudyDate"),
    ("study_time", "StudyTime"),
    ("accession_number", "AccessionNumber"),
    ("study_id", "StudyID"),
    ("study_description", "StudyDescription"),
    ("referring_physician_name", "ReferringPhysicianName"),
    ("series_instance_uid", "SeriesInstanceUID"),
    ("series_number", "SeriesNumber"),
    ("modality", "Modality"),
    ("body_part", "BodyPartExamined"),
    ("series_description", "SeriesDescription"),
    ("series_date", "SeriesDate"),
    ("series_time", "SeriesTime"),
    ("pps_start_date", "PerformedProcedureStepStartDate"),
    ("pps_start_time", "PerformedProcedureStepStartTime"),
];

/// An image set as format 2 has it.
struct Old {
    row: i64,
    /// Of its columns: for what has no document, or a damaged one.
    columns: IndexAttributes,
    stored: Option<StoredContent>,
}

/// Copies the first image sets behind row `after` into the new tables.
pub(super) fn batch(tx: &Tx<'_>, after: i64) -> Result<Option<i64>> {
    let old = read(tx, after)?;
    let unpacked = |old: &Old| old.stored.as_ref().and_then(|stored| unpack(stored).ok());
    let documents: Vec<Option<Document>> = old.par_iter().map(unpacked).collect();
    let mut insert = tx.prepare_cached(
        "INSERT INTO image_set_3 (row, id, datastore, latest_version, state, workflow, is_primary,
             created_at, updated_at, deleted_at, last_accessed_at, summary, study_instance_uid,
             study_datetime, series_number, series_count, instance_count, frame_count)
         SELECT row, id, datastore, latest_version, state, workflow, is_primary,
             created_at, updated_at, deleted_at, last_accessed_at, ?2, ?3, ?4, ?5,
             series_count, instance_count, frame_count
         FROM image_set WHERE row = ?1",
    )?;
    for (Old { row, columns, .. }, document) in old.iter().zip(documents) {
        let index = document.map_or_else(|| columns.clone(), |found| found.index_attributes());
        let summary = attributes::summary_column(&index)?;
        let summary = (!index.summary.is_empty()).then_some(summary);
        let study = index.study_instance_uid();
        insert.execute((row, summary, study, index.study_datetime(), index.series_number()))?;
        attributes::write(tx, *row, &index.values)?;
    }
    Ok(old.last().map(|old| old.row))
}

fn read(catalog: &Reader, after: i64) -> Result<Vec<Old>> {
    catalog
        .prepare_cached("SELECT * FROM image_set WHERE row > ?1 ORDER BY row LIMIT ?2")?
        .query_and_then((after, BATCH), |row| {
            let set = image_sets::image_set(row)?;
            let latest = image_sets::latest_version(catalog, &set)?;
            // Blocks came with a later format.
            let stored = latest
                .content_version
                .map(|holder| content::without_blocks(catalog, set.row, holder))
                .transpose();
            let stored = match stored {
                // `verify` reports it.
                Err(error) if error.damage().is_some() => None,
                stored => stored?,
            };
            Ok(Old { row: set.row, columns: columns(row)?, stored })
        })?
        .collect()
}

fn columns(row: &Row<'_>) -> Result<IndexAttributes> {
    let mut index = IndexAttributes::default();
    for (column, keyword) in COLUMNS {
        let value = match row.get_ref(column)? {
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Integer(number) => number.to_string(),
            _ => continue,
        };
        let Some(attribute) = Attribute::named(keyword) else { continue };
        if attribute.query_level != QueryLevel::Instance {
            index.add_value(attribute, &Value::from(value.as_str()));
        }
        if attribute.is_summarized() {
            index.summary.insert(keyword.to_owned(), value);
        }
    }
    Ok(index)
}
