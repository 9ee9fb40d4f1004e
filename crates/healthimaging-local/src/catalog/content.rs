//! The content of a version: its metadata document, details beside it, and search columns.

use std::collections::HashMap;

use healthimaging::model::{ImageSetState, ImageSetWorkflowStatus};
use healthimaging_dicom::{IndexAttributes, InstanceIndex};

use super::attributes;
use super::blocks::{self, BlockContent, BlockRow, Blocks};
use super::db::{self, Reader, Tx};
use super::image_sets::{self, Force, ImageSetRow, NewImageSet, VersionRow};
use super::written_once::{self, Held, Shown};
use crate::clock::Millis;
use crate::error::{Result, StoreError};

/// The content of a version, ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    /// The metadata document as it is served: JSON, gzip. With blocks, the document without its instances.
    pub(crate) document: Vec<u8>,
    /// What the document cannot hold, by SOP Instance UID: JSON, gzip.
    pub(crate) details: Vec<u8>,
    pub(crate) attributes: IndexAttributes,
    pub(crate) series_count: u32,
    /// The instances, each with the number of its block; of a version that shares blocks with the one before,
    /// those that are new or in another block.
    pub(crate) instances: Vec<(InstanceIndex, Option<u32>)>,
    /// `None` of a document that is stored whole.
    pub(crate) blocks: Option<Blocks>,
}

impl Content {
    /// Whether it is what the version before holds, and more.
    fn adds(&self) -> bool {
        self.blocks.as_ref().is_some_and(|blocks| blocks.replaced.is_some())
    }

    /// What the row of the image set shows.
    fn shown(&self) -> Result<Shown<'_>> {
        let index = &self.attributes;
        Ok(Shown {
            summary: attributes::summary_column(index)?,
            study_instance_uid: index.study_instance_uid(),
            study_datetime: index.study_datetime(),
            series_number: index.series_number(),
            series_count: self.series_count,
            instance_count: index.instance_count,
            frame_count: index.frame_count,
        })
    }

    /// What the row of the version holds.
    fn held(&self) -> Held<'_> {
        Held {
            document: &self.document,
            details: &self.details,
            blocks: self.blocks.as_ref().map(|blocks| blocks.count),
        }
    }
}

/// The stored bytes of a version's content.
#[derive(Debug, Clone)]
pub(crate) struct StoredContent {
    /// The metadata document: JSON, gzip. With blocks, the document without its instances.
    pub(crate) document: Vec<u8>,
    /// What the document cannot hold: JSON, gzip.
    pub(crate) details: Vec<u8>,
    /// Whether both were compared with checksums; else, from a store of format 1, unpacking them has to
    /// show that they are sound.
    pub(crate) checked: bool,
    /// `None` of a document that is stored whole.
    pub(crate) blocks: Option<Vec<(BlockRow, BlockContent)>>,
}

/// Adds a new image set whose version 1 is `content`, and returns its row.
pub(crate) fn create(
    tx: &Tx<'_>,
    new: &NewImageSet<'_>,
    content: &Content,
    at: Millis,
) -> Result<i64> {
    let row = written_once::insert_set(tx, new, at, Some(&content.shown()?))?;
    let version = new.first_version(at, Some(1));
    written_once::insert_version(tx, row, &version, Some(&content.held()))?;
    blocks::write(tx, row, 1, content.blocks.as_ref())?;
    write_index(tx, row, content)?;
    Ok(row)
}

/// Adds a version with `content` to an image set, and returns its number.
///
/// `set` must have been read in the same transaction and must not be locked.
pub(crate) fn add_version(
    tx: &Tx<'_>,
    set: &ImageSetRow,
    workflow: ImageSetWorkflowStatus,
    content: &Content,
    at: Millis,
) -> Result<u32> {
    let version = set.next_version()?;
    let complete = active(version, workflow, Some(version), at);
    written_once::insert_version(tx, set.row, &complete, Some(&content.held()))?;
    blocks::write(tx, set.row, version, content.blocks.as_ref())?;
    // The state is left alone: the set is not locked, and nearly all of its indexes have it.
    written_once::show(tx, set.row, &content.shown()?, Some((version, workflow, at)))?;
    write_index(tx, set.row, content)?;
    Ok(version)
}

/// Begins a write: adds a version that still shows the content of the one before, and locks the set.
pub(crate) fn begin_version(
    tx: &Tx<'_>,
    set: &ImageSetRow,
    workflow: ImageSetWorkflowStatus,
    force: Force,
    at: Millis,
) -> Result<u32> {
    let version = set.next_version()?;
    let before = image_sets::latest_version(tx, set)?;
    image_sets::push_version(
        tx,
        set.row,
        &VersionRow {
            version,
            state: ImageSetState::Locked,
            workflow,
            updated_at: at,
            message: None,
            forced: force == Force::Yes,
            content_version: before.content_version,
        },
    )?;
    Ok(version)
}

/// Completes a write: `version` gets its content, and the set is `ACTIVE`.
pub(crate) fn complete(
    tx: &Tx<'_>,
    set: i64,
    version: u32,
    workflow: ImageSetWorkflowStatus,
    content: &Content,
    at: Millis,
) -> Result<()> {
    tx.prepare_cached(
        "UPDATE image_set_version
             SET document = ?3, details = ?4, document_crc32 = ?5, details_crc32 = ?6, blocks = ?7
             WHERE image_set = ?1 AND version = ?2",
    )?
    .execute((
        set,
        version,
        &content.document,
        &content.details,
        crc32fast::hash(&content.document),
        crc32fast::hash(&content.details),
        content.blocks.as_ref().map(|blocks| blocks.count),
    ))?;
    blocks::write(tx, set, version, content.blocks.as_ref())?;
    end(tx, set, version, workflow, Some(version), at)?;
    written_once::show(tx, set, &content.shown()?, None)?;
    write_index(tx, set, content)
}

/// Completes a write whose content is that of an older version: nothing is stored twice.
pub(crate) fn complete_with_older(
    tx: &Tx<'_>,
    set: i64,
    version: u32,
    workflow: ImageSetWorkflowStatus,
    (older, content): (u32, &Content),
    at: Millis,
) -> Result<()> {
    end(tx, set, version, workflow, Some(older), at)?;
    written_once::show(tx, set, &content.shown()?, None)?;
    attributes::write(tx, set, &content.attributes.values)?;
    // The blocks of the older version may have other numbers than those of this content.
    write_instances(tx, set, content.instances.iter().map(|(one, _)| (one, None)))
}

fn end(
    tx: &Tx<'_>,
    set: i64,
    version: u32,
    workflow: ImageSetWorkflowStatus,
    content_version: Option<u32>,
    at: Millis,
) -> Result<()> {
    image_sets::end_version(tx, set, &active(version, workflow, content_version, at))
}

/// A version that is complete.
fn active(
    version: u32,
    workflow: ImageSetWorkflowStatus,
    content_version: Option<u32>,
    at: Millis,
) -> VersionRow {
    VersionRow {
        version,
        state: ImageSetState::Active,
        workflow,
        updated_at: at,
        message: None,
        forced: false,
        content_version,
    }
}

/// Ends a write as failed: `message` is the reason, and the content is that of the version before.
pub(crate) fn fail(
    tx: &Tx<'_>,
    set: i64,
    version: u32,
    workflow: ImageSetWorkflowStatus,
    message: &str,
    at: Millis,
) -> Result<()> {
    let mut ended = image_sets::version(tx, set, version.into())?;
    ended.state = ImageSetState::Active;
    ended.workflow = workflow;
    ended.updated_at = at;
    ended.message = Some(message.to_owned());
    image_sets::end_version(tx, set, &ended)
}

/// The content of a version, as stored, compared with its checksums; `None` when it has none.
pub(crate) fn stored(
    reader: &Reader,
    set: i64,
    version: &VersionRow,
) -> Result<Option<StoredContent>> {
    version.content_version.map(|holder| held(reader, set, holder)).transpose()
}

/// The content that a version holds, as stored, compared with its checksums.
pub(crate) fn held(reader: &Reader, set: i64, holder: u32) -> Result<StoredContent> {
    let mut stored = without_blocks(reader, set, holder)?;
    if let Some(count) = blocks::count(reader, set, holder)? {
        let found = blocks::of_version(reader, set, holder, count)?.into_iter();
        let found = found.map(|row| {
            let content = blocks::content(reader, row.row)?;
            Ok((row, content))
        });
        stored.blocks = Some(found.collect::<Result<_>>()?);
    }
    Ok(stored)
}

/// What a version that holds content has beside its blocks, compared with its checksums.
pub(crate) fn without_blocks(reader: &Reader, set: i64, holder: u32) -> Result<StoredContent> {
    let content = reader
        .prepare_cached(
            "SELECT document, details, document_crc32, details_crc32
             FROM image_set_version WHERE image_set = ?1 AND version = ?2",
        )?
        .query_row((set, holder), |row| {
            let content = row.get::<_, Option<Vec<u8>>>(0)?.zip(row.get::<_, Option<Vec<u8>>>(1)?);
            let checksums: (Option<u32>, Option<u32>) = (row.get(2)?, row.get(3)?);
            Ok(content.map(|(document, details)| (document, details, checksums)))
        })?;
    let (document, details, checksums) = content
        .ok_or_else(|| StoreError::Damaged("the metadata of a version is missing".to_owned()))?;
    let agrees = |bytes: &[u8], checksum: Option<u32>| {
        checksum.is_none_or(|checksum| checksum == crc32fast::hash(bytes))
    };
    if !agrees(&document, checksums.0) || !agrees(&details, checksums.1) {
        return Err(damaged());
    }
    Ok(StoredContent {
        document,
        details,
        checked: checksums.0.is_some() && checksums.1.is_some(),
        blocks: None,
    })
}

/// The content of the latest version of an image set, as stored; `None` when it has none.
pub(crate) fn latest(reader: &Reader, set: &ImageSetRow) -> Result<Option<StoredContent>> {
    stored(reader, set.row, &image_sets::latest_version(reader, set)?)
}

/// For metadata that is not as it was written.
pub(crate) fn damaged() -> StoreError {
    StoreError::Damaged("the metadata of a version is damaged".to_owned())
}

/// Writes what the image set and its instances are found by, where it has changed.
fn write_index(tx: &Tx<'_>, set: i64, content: &Content) -> Result<()> {
    let values = &content.attributes.values;
    let instances = content.instances.iter().map(|(one, block)| (one, *block));
    if content.adds() {
        attributes::add(tx, set, values)?;
        return replace_instances(tx, set, instances);
    }
    attributes::write(tx, set, values)?;
    write_instances(tx, set, instances)
}

/// Writes the rows that have changed.
fn write_instances<'a>(
    tx: &Tx<'_>,
    set: i64,
    instances: impl Iterator<Item = (&'a InstanceIndex, Option<u32>)>,
) -> Result<()> {
    let mut written = rows(tx, set)?;
    let changed = instances.filter(|(instance, block)| {
        let known = written.remove(&instance.sop_instance_uid);
        known.is_none_or(|(known, in_block)| known != **instance || in_block != *block)
    });
    replace_instances(tx, set, changed)?;
    let mut delete =
        tx.prepare_cached("DELETE FROM instance WHERE image_set = ?1 AND sop_instance_uid = ?2")?;
    for gone in written.keys() {
        delete.execute((set, gone))?;
    }
    Ok(())
}

/// Writes rows, whether they are there or not.
fn replace_instances<'a>(
    tx: &Tx<'_>,
    set: i64,
    instances: impl Iterator<Item = (&'a InstanceIndex, Option<u32>)>,
) -> Result<()> {
    let mut replace = tx.prepare_cached(
        "INSERT OR REPLACE INTO instance (image_set, series_instance_uid, sop_instance_uid,
             sop_class_uid, instance_number, rows, columns, bits_allocated, number_of_frames,
             warning_reason, block)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for (instance, block) in instances {
        replace.execute((
            set,
            &instance.series_instance_uid,
            &instance.sop_instance_uid,
            &instance.sop_class_uid,
            instance.instance_number,
            instance.rows,
            instance.columns,
            instance.bits_allocated,
            instance.number_of_frames,
            instance.warning_reason,
            block,
        ))?;
    }
    Ok(())
}

/// The rows of instances of an image set, each with the number of its block, by SOP Instance UID.
pub(super) fn rows(
    reader: &Reader,
    set: i64,
) -> Result<HashMap<String, (InstanceIndex, Option<u32>)>> {
    let mut statement = reader.prepare_cached("SELECT * FROM instance WHERE image_set = ?1")?;
    let found = statement.query_map([set], |row| {
        let instance = InstanceIndex {
            series_instance_uid: row.get("series_instance_uid")?,
            sop_instance_uid: row.get("sop_instance_uid")?,
            sop_class_uid: row.get("sop_class_uid")?,
            instance_number: row.get("instance_number")?,
            rows: row.get("rows")?,
            columns: row.get("columns")?,
            bits_allocated: row.get("bits_allocated")?,
            number_of_frames: row.get("number_of_frames")?,
            warning_reason: row.get("warning_reason")?,
        };
        Ok((instance.sop_instance_uid.clone(), (instance, row.get("block")?)))
    })?;
    Ok(found.collect::<db::Result<_>>()?)
}
