//! Rows of image sets and their versions.

use std::collections::HashMap;

use healthimaging::model::{ImageSetState, ImageSetWorkflowStatus};
use healthimaging::{DatastoreId, Error, ImageSetId, VersionId};
use healthimaging_dicom::StudyKey;

use super::columns::{checked, word};
use super::db::{OptionalExtension, Reader, Row, Tx};
use super::written_once::{insert_set, insert_version};
use super::{attributes, datastores};
use crate::clock::Millis;
use crate::error::{Result, StoreError};

/// An image set; its attributes are in its content.
#[derive(Debug, Clone)]
pub(crate) struct ImageSetRow {
    pub(crate) row: i64,
    pub(crate) id: ImageSetId,
    /// Row of its data store.
    pub(crate) datastore: i64,
    pub(crate) latest_version: u32,
    pub(crate) state: ImageSetState,
    pub(crate) workflow: ImageSetWorkflowStatus,
    pub(crate) is_primary: bool,
    pub(crate) created_at: Millis,
    pub(crate) updated_at: Millis,
    pub(crate) deleted_at: Option<Millis>,
    pub(crate) last_accessed_at: Option<Millis>,
}

/// A version of an image set.
#[derive(Debug, Clone)]
pub(crate) struct VersionRow {
    pub(crate) version: u32,
    pub(crate) state: ImageSetState,
    pub(crate) workflow: ImageSetWorkflowStatus,
    pub(crate) updated_at: Millis,
    pub(crate) message: Option<String>,
    pub(crate) forced: bool,
    /// The version that holds the content; none while a new set is being copied.
    pub(crate) content_version: Option<u32>,
}

/// Whether a write was made with `force`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    /// It was not.
    No,
    /// It was.
    Yes,
}

/// Whether an image set belongs to the primary hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// It does.
    Primary,
    /// It does not.
    NonPrimary,
}

/// A primary image set of a study, with what grouping compares.
#[derive(Debug, Clone)]
pub(crate) struct PrimarySet {
    pub(crate) set: ImageSetRow,
    pub(crate) study: StudyKey,
    pub(crate) series_instance_uid: String,
}

impl ImageSetRow {
    /// Fails with `Conflict` while a write is under way.
    pub(crate) fn check_unlocked(&self) -> Result<()> {
        if self.state == ImageSetState::Locked {
            return Err(Error::conflict(format!(
                "the image set is LOCKED ({}); wait until it is ACTIVE",
                self.workflow
            ))
            .into());
        }
        Ok(())
    }

    /// Fails with `Conflict` unless `known` is the latest version.
    pub(crate) fn check_latest(&self, known: &VersionId) -> Result<()> {
        if known.number() != u64::from(self.latest_version) {
            return Err(Error::conflict(format!(
                "the latest version of the image set is {}, not {known}; read it again",
                self.latest_version
            ))
            .into());
        }
        Ok(())
    }

    /// The number of the next version.
    pub(crate) fn next_version(&self) -> Result<u32> {
        self.latest_version
            .checked_add(1)
            .ok_or_else(|| Error::conflict("the image set has too many versions").into())
    }
}

/// The image set `id` of a data store, whatever its state.
pub(crate) fn find(reader: &Reader, datastore: i64, id: &ImageSetId) -> Result<ImageSetRow> {
    reader
        .prepare_cached("SELECT * FROM image_set WHERE id = ?1 AND datastore = ?2")?
        .query_and_then((id.as_str(), datastore), image_set)?
        .next()
        .unwrap_or_else(|| Err(not_there()))
}

/// The image set `id` of a data store, unless it is deleted.
pub(crate) fn find_live(reader: &Reader, datastore: i64, id: &ImageSetId) -> Result<ImageSetRow> {
    let set = find(reader, datastore, id)?;
    if set.state == ImageSetState::Deleted {
        return Err(not_there());
    }
    Ok(set)
}

/// The image set `id` of an active data store, unless it is deleted.
pub(crate) fn find_in(
    reader: &Reader,
    datastore: &DatastoreId,
    id: &ImageSetId,
) -> Result<ImageSetRow> {
    find_live(reader, datastores::find_active(reader, datastore)?.row, id)
}

fn not_there() -> StoreError {
    Error::not_found("there is no image set with this image_set_id in the data store").into()
}

/// The image set in `row`.
pub(crate) fn at(reader: &Reader, row: i64) -> Result<ImageSetRow> {
    reader
        .prepare_cached("SELECT * FROM image_set WHERE row = ?1")?
        .query_and_then([row], image_set)?
        .next()
        .unwrap_or_else(|| Err(not_there()))
}

/// The study of an image set.
pub(crate) fn study_of(reader: &Reader, row: i64) -> Result<Option<String>> {
    Ok(reader
        .prepare_cached("SELECT study_instance_uid FROM image_set WHERE row = ?1")?
        .query_row([row], |row| row.get(0))?)
}

/// The primary image sets of a study.
pub(crate) fn primaries(
    reader: &Reader,
    datastore: i64,
    study_instance_uid: &str,
) -> Result<Vec<PrimarySet>> {
    let of_study = attributes::with_value("StudyInstanceUID");
    reader
        .prepare_cached(&format!(
            "SELECT image_set.* FROM {of_study} AND image_set.is_primary = 1 ORDER BY image_set.row"
        ))?
        .query_and_then((datastore, study_instance_uid), |row| {
            let mut summary = attributes::summary(row)?;
            let mut text = |keyword: &str| summary.remove(keyword).unwrap_or_default();
            Ok(PrimarySet {
                set: image_set(row)?,
                study: StudyKey {
                    study_instance_uid: text("StudyInstanceUID"),
                    patient_id: text("PatientID"),
                    accession_number: text("AccessionNumber"),
                    study_date: text("StudyDate"),
                    study_id: text("StudyID"),
                },
                series_instance_uid: text("SeriesInstanceUID"),
            })
        })?
        .collect()
}

/// Version `version` of an image set.
pub(crate) fn version(reader: &Reader, set: i64, version: u64) -> Result<VersionRow> {
    let number = i64::try_from(version).unwrap_or(i64::MAX);
    reader
        .prepare_cached("SELECT * FROM image_set_version WHERE image_set = ?1 AND version = ?2")?
        .query_and_then((set, number), version_row)?
        .next()
        .unwrap_or_else(|| {
            Err(Error::not_found("the image set has no version with this version_id").into())
        })
}

/// The latest version of an image set.
pub(crate) fn latest_version(reader: &Reader, set: &ImageSetRow) -> Result<VersionRow> {
    version(reader, set.row, set.latest_version.into())
}

/// One page of versions, newest first, older than `before`.
pub(crate) fn versions(
    reader: &Reader,
    set: i64,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<VersionRow>> {
    reader
        .prepare_cached(
            "SELECT * FROM image_set_version WHERE image_set = ?1 AND version < ?2
             ORDER BY version DESC LIMIT ?3",
        )?
        .query_and_then((set, before.unwrap_or(i64::MAX), limit), version_row)?
        .collect()
}

/// What a new image set begins with.
#[derive(Debug)]
pub(crate) struct NewImageSet<'a> {
    pub(crate) id: &'a ImageSetId,
    /// Row of its data store.
    pub(crate) datastore: i64,
    pub(crate) hierarchy: Hierarchy,
    pub(crate) state: ImageSetState,
    pub(crate) workflow: ImageSetWorkflowStatus,
    pub(crate) force: Force,
}

/// Adds an image set with an empty version 1, and returns its row.
pub(crate) fn insert(tx: &Tx<'_>, new: &NewImageSet<'_>, at: Millis) -> Result<i64> {
    let row = insert_set(tx, new, at, None)?;
    insert_version(tx, row, &new.first_version(at, None), None)?;
    Ok(row)
}

impl NewImageSet<'_> {
    /// Version 1.
    pub(super) fn first_version(&self, at: Millis, content_version: Option<u32>) -> VersionRow {
        VersionRow {
            version: 1,
            state: self.state,
            workflow: self.workflow,
            updated_at: at,
            message: None,
            forced: self.force == Force::Yes,
            content_version,
        }
    }
}

/// Adds a version, and makes it the latest.
pub(crate) fn push_version(tx: &Tx<'_>, set: i64, version: &VersionRow) -> Result<()> {
    insert_version(tx, set, version, None)?;
    tx.prepare_cached("UPDATE image_set SET latest_version = ?2 WHERE row = ?1")?
        .execute((set, version.version))?;
    set_state(tx, set, version.state, version.workflow, version.updated_at)
}

/// Ends the latest version's write: its state, and why it failed.
pub(crate) fn end_version(tx: &Tx<'_>, set: i64, ended: &VersionRow) -> Result<()> {
    tx.prepare_cached(
        "UPDATE image_set_version
             SET state = ?3, workflow = ?4, updated_at = ?5, message = ?6, content_version = ?7
             WHERE image_set = ?1 AND version = ?2",
    )?
    .execute((
        set,
        ended.version,
        ended.state.as_str(),
        ended.workflow.as_str(),
        ended.updated_at,
        &ended.message,
        ended.content_version,
    ))?;
    set_state(tx, set, ended.state, ended.workflow, ended.updated_at)
}

/// Changes the state of an image set.
pub(crate) fn set_state(
    tx: &Tx<'_>,
    set: i64,
    state: ImageSetState,
    workflow: ImageSetWorkflowStatus,
    at: Millis,
) -> Result<()> {
    tx.prepare_cached("UPDATE image_set SET workflow = ?2, updated_at = ?3 WHERE row = ?1")?
        .execute((set, workflow.as_str(), at))?;
    // By itself, and only if it changes: nearly all indexes have the state in their condition.
    tx.prepare_cached("UPDATE image_set SET state = ?2 WHERE row = ?1 AND state <> ?2")?
        .execute((set, state.as_str()))?;
    Ok(())
}

/// Moves an image set into the primary hierarchy or out of it.
pub(crate) fn set_hierarchy(tx: &Tx<'_>, set: i64, hierarchy: Hierarchy) -> Result<()> {
    tx.execute(
        "UPDATE image_set SET is_primary = ?2 WHERE row = ?1",
        (set, hierarchy == Hierarchy::Primary),
    )?;
    Ok(())
}

pub(super) fn image_set(row: &Row<'_>) -> Result<ImageSetRow> {
    Ok(ImageSetRow {
        row: row.get("row")?,
        id: checked(row, "id")?,
        datastore: row.get("datastore")?,
        latest_version: row.get("latest_version")?,
        state: word(row, "state")?,
        workflow: word(row, "workflow")?,
        is_primary: row.get("is_primary")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        deleted_at: row.get("deleted_at")?,
        last_accessed_at: row.get("last_accessed_at")?,
    })
}

fn version_row(row: &Row<'_>) -> Result<VersionRow> {
    Ok(VersionRow {
        version: row.get("version")?,
        state: word(row, "state")?,
        workflow: word(row, "workflow")?,
        updated_at: row.get("updated_at")?,
        message: row.get("message")?,
        forced: row.get("forced")?,
        content_version: row.get("content_version")?,
    })
}

/// Writes times of reads, by row; deleted sets are left alone.
pub(crate) fn write_accesses(tx: &Tx<'_>, accesses: &HashMap<i64, Millis>) -> Result<()> {
    let mut statement = tx.prepare_cached(
        "UPDATE image_set SET last_accessed_at = max(coalesce(last_accessed_at, 0), ?2)
         WHERE row = ?1 AND state <> 'DELETED'",
    )?;
    for (row, at) in accesses {
        statement.execute((row, at))?;
    }
    Ok(())
}

/// Row of the primary image set of a series of a study, the one with the latest change.
pub(crate) fn primary_of_series(
    reader: &Reader,
    datastore: i64,
    study: &str,
    series: &str,
) -> Result<Option<i64>> {
    let of_series = attributes::with_value("SeriesInstanceUID");
    Ok(reader
        .prepare_cached(&format!(
            "SELECT image_set.row FROM {of_series} AND image_set.is_primary = 1
                 AND image_set.study_instance_uid = ?3
             ORDER BY image_set.updated_at DESC LIMIT 1"
        ))?
        .query_row((datastore, series, study), |row| row.get(0))
        .optional()?)
}

/// Whether a series has a primary image set in another study than this one.
pub(crate) fn has_primary_in_another_study(
    reader: &Reader,
    datastore: i64,
    study: &str,
    series: &str,
) -> Result<bool> {
    let of_series = attributes::with_value("SeriesInstanceUID");
    Ok(reader
        .prepare_cached(&format!(
            "SELECT 1 FROM {of_series} AND image_set.is_primary = 1
                 AND image_set.study_instance_uid IS NOT ?3
             LIMIT 1"
        ))?
        .exists((datastore, series, study))?)
}
