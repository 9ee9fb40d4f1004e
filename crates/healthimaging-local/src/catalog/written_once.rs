//! Rows of image sets and versions, each written once with all it holds: a row that grows is moved to where there is room
//! for it, and a column that changes twice changes its indexes twice.

use healthimaging::model::ImageSetWorkflowStatus;

use super::db::Tx;
use super::image_sets::{Hierarchy, NewImageSet, VersionRow};
use crate::clock::Millis;
use crate::error::Result;

/// What the row of an image set shows of its latest content.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    /// JSON.
    pub(super) summary: String,
    pub(super) study_instance_uid: Option<&'a str>,
    pub(super) study_datetime: String,
    pub(super) series_number: Option<i32>,
    pub(super) series_count: u32,
    pub(super) instance_count: u32,
    pub(super) frame_count: u32,
}

/// The content of a version, as its row has it.
#[derive(Debug)]
pub(super) struct Held<'a> {
    pub(super) document: &'a [u8],
    pub(super) details: &'a [u8],
    /// Number of blocks, of a document in blocks.
    pub(super) blocks: Option<u32>,
}

/// Adds the row of an image set, and returns its number.
pub(super) fn insert_set(
    tx: &Tx<'_>,
    new: &NewImageSet<'_>,
    at: Millis,
    shown: Option<&Shown<'_>>,
) -> Result<i64> {
    tx.prepare_cached(
        "INSERT INTO image_set (id, datastore, latest_version, state, workflow, is_primary,
                 created_at, updated_at, last_accessed_at, summary, study_instance_uid,
                 study_datetime, series_number, series_count, instance_count, frame_count)
             VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute((
        new.id.as_str(),
        new.datastore,
        new.state.as_str(),
        new.workflow.as_str(),
        new.hierarchy == Hierarchy::Primary,
        at,
        shown.map(|shown| &shown.summary),
        shown.and_then(|shown| shown.study_instance_uid),
        shown.map_or("", |shown| &shown.study_datetime),
        shown.and_then(|shown| shown.series_number),
        shown.map(|shown| shown.series_count),
        shown.map(|shown| shown.instance_count),
        shown.map(|shown| shown.frame_count),
    ))?;
    Ok(tx.last_insert_rowid())
}

/// Shows content and a version that is complete: `latest` is its number, status and time; with `None` those stay.
pub(super) fn show(
    tx: &Tx<'_>,
    set: i64,
    shown: &Shown<'_>,
    latest: Option<(u32, ImageSetWorkflowStatus, Millis)>,
) -> Result<()> {
    tx.prepare_cached(
        "UPDATE image_set SET summary = ?2, study_instance_uid = ?3, series_number = ?4,
                 series_count = ?5, instance_count = ?6, frame_count = ?7,
                 latest_version = coalesce(?8, latest_version), workflow = coalesce(?9, workflow),
                 updated_at = coalesce(?10, updated_at)
             WHERE row = ?1",
    )?
    .execute((
        set,
        &shown.summary,
        shown.study_instance_uid,
        shown.series_number,
        shown.series_count,
        shown.instance_count,
        shown.frame_count,
        latest.map(|(version, ..)| version),
        latest.map(|(_, workflow, _)| workflow.as_str()),
        latest.map(|(.., at)| at),
    ))?;
    // By itself, and only where it changes: an UPDATE that names a column writes each index of it.
    tx.prepare_cached(
        "UPDATE image_set SET study_datetime = ?2 WHERE row = ?1 AND study_datetime <> ?2",
    )?
    .execute((set, &shown.study_datetime))?;
    Ok(())
}

/// Adds the row of a version.
pub(super) fn insert_version(
    tx: &Tx<'_>,
    set: i64,
    version: &VersionRow,
    held: Option<&Held<'_>>,
) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO image_set_version (image_set, version, state, workflow, updated_at,
                 message, forced, content_version, document, details, document_crc32,
                 details_crc32, blocks)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute((
        set,
        version.version,
        version.state.as_str(),
        version.workflow.as_str(),
        version.updated_at,
        &version.message,
        version.forced,
        version.content_version,
        held.map(|held| held.document),
        held.map(|held| held.details),
        held.map(|held| crc32fast::hash(held.document)),
        held.map(|held| crc32fast::hash(held.details)),
        held.and_then(|held| held.blocks),
    ))?;
    Ok(())
}
