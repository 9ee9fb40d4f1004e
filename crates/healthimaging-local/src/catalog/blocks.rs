//! Rows of blocks: the instances of a large document, some hundred in each.
//!
//! A block is of one series, and never changes. Versions share it: the one that brought it, and all later
//! ones until one that has another in its place.

use healthimaging_dicom::{FirstValues, InstanceOrder};

use super::content::damaged;
use super::db::{OptionalExtension, Reader, Row, Tx};
use crate::error::Result;

/// What is known of a block without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockFacts {
    /// Number in the document: that of the block that it replaces, or a new one.
    pub(crate) number: u32,
    pub(crate) series_instance_uid: String,
    /// The first instance.
    pub(crate) first: InstanceOrder,
    pub(crate) instance_count: u32,
    pub(crate) frame_count: u32,
    /// Length of the text in bytes, and its CRC-32.
    pub(crate) length: u64,
    pub(crate) crc32: u32,
    pub(crate) first_values: FirstValues,
}

/// A block of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockRow {
    pub(crate) row: i64,
    pub(crate) facts: BlockFacts,
}

/// What a block holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockContent {
    /// The instances as members of a JSON object, without its braces: a piece of a gzip member.
    pub(crate) document: Vec<u8>,
    /// What the document cannot hold of them: JSON, gzip.
    pub(crate) details: Vec<u8>,
}

/// A block, ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct NewBlock {
    pub(crate) facts: BlockFacts,
    pub(crate) content: BlockContent,
    /// SOP Instance UIDs.
    pub(crate) instances: Vec<String>,
}

/// The blocks of a version, ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    /// Rows of those of the version before that are replaced; `None` if all are.
    pub(crate) replaced: Option<Vec<i64>>,
    pub(crate) new: Vec<NewBlock>,
    /// Blocks of the version.
    pub(crate) count: u32,
}

/// Blocks that version `?2` of image set `?1` has: those that the latest content has too, and those that it
/// has replaced. Each half is a range of an index.
const OF_VERSION: &str = "
    SELECT * FROM document_block
    WHERE image_set = ?1 AND end_version IS NULL AND first_version <= ?2
    UNION ALL
    SELECT * FROM document_block
    WHERE image_set = ?1 AND end_version > ?2 AND first_version <= ?2";

/// Number of blocks of a version that holds content; `None` if its document is stored whole.
pub(crate) fn count(reader: &Reader, set: i64, holder: u32) -> Result<Option<u32>> {
    let count = "SELECT blocks FROM image_set_version WHERE image_set = ?1 AND version = ?2";
    Ok(reader.prepare_cached(count)?.query_row((set, holder), |row| row.get(0))?)
}

/// The blocks of a version that holds content, in the order of its document.
pub(crate) fn of_version(
    reader: &Reader,
    set: i64,
    holder: u32,
    count: u32,
) -> Result<Vec<BlockRow>> {
    let mut statement = reader.prepare_cached(OF_VERSION)?;
    let found = statement.query_and_then((set, holder), block)?;
    let mut found = found.collect::<Result<Vec<_>>>()?;
    if u32::try_from(found.len()) != Ok(count) {
        return Err(damaged());
    }
    let key = |row: &BlockRow| {
        let BlockFacts { series_instance_uid, first, .. } = &row.facts;
        (series_instance_uid.clone(), first.clone())
    };
    found.sort_by_cached_key(key);
    Ok(found)
}

/// The block of a version that holds an instance of a series.
pub(crate) fn of_instance(
    reader: &Reader,
    (set, holder): (i64, u32),
    (series, sop): (&str, &str),
) -> Result<InstanceBlock> {
    let number = reader
        .prepare_cached(
            "SELECT block FROM instance
             WHERE image_set = ?1 AND sop_instance_uid = ?2 AND series_instance_uid = ?3",
        )?
        .query_row((set, sop, series), |row| row.get::<_, Option<u32>>(0))
        .optional()?;
    let Some(number) = number else { return Ok(InstanceBlock::NoInstance) };
    let Some(number) = number else { return Ok(InstanceBlock::Unknown) };
    let numbered = format!("SELECT * FROM ({OF_VERSION}) WHERE number = ?3");
    let mut statement = reader.prepare_cached(&numbered)?;
    let mut found = statement.query_and_then((set, holder, number), block)?;
    found.next().map_or(Ok(InstanceBlock::Unknown), |found| found.map(InstanceBlock::Block))
}

/// Where an instance is.
#[derive(Debug)]
pub(crate) enum InstanceBlock {
    /// The series has no such instance.
    NoInstance,
    /// The catalog does not say, as after a revert.
    Unknown,
    Block(BlockRow),
}

/// Whether the blocks of a version are those of the latest content, so that another version can share them.
pub(crate) fn are_latest(reader: &Reader, set: i64, holder: u32) -> Result<bool> {
    let others = "
        SELECT 1 FROM document_block WHERE image_set = ?1 AND end_version > ?2
        UNION ALL
        SELECT 1 FROM document_block
        WHERE image_set = ?1 AND end_version IS NULL AND first_version > ?2";
    Ok(!reader.prepare_cached(others)?.exists((set, holder))?)
}

/// Reads a block, and compares it with its checksums.
pub(crate) fn content(reader: &Reader, row: i64) -> Result<BlockContent> {
    let found = reader
        .prepare_cached(
            "SELECT document, details, document_crc32, details_crc32
             FROM document_block_content WHERE block = ?1",
        )?
        .query_row([row], |row| {
            let content = BlockContent { document: row.get(0)?, details: row.get(1)? };
            Ok((content, (row.get(2)?, row.get(3)?)))
        })
        .optional()?;
    let (content, checksums) = found.ok_or_else(damaged)?;
    let found = (crc32fast::hash(&content.document), crc32fast::hash(&content.details));
    if found == checksums { Ok(content) } else { Err(damaged()) }
}

/// Writes the blocks of a version. Those of the version before that it does not have end with it.
pub(crate) fn write(tx: &Tx<'_>, set: i64, version: u32, blocks: Option<&Blocks>) -> Result<()> {
    match blocks.map(|blocks| (&blocks.replaced, blocks)) {
        Some((Some(replaced), _)) => {
            let end = "UPDATE document_block SET end_version = ?2 WHERE row = ?1";
            let mut end = tx.prepare_cached(end)?;
            for row in replaced {
                end.execute((row, version))?;
            }
        }
        _ => {
            tx.prepare_cached(
                "UPDATE document_block SET end_version = ?2
                 WHERE image_set = ?1 AND end_version IS NULL",
            )?
            .execute((set, version))?;
        }
    }
    for block in blocks.into_iter().flat_map(|blocks| &blocks.new) {
        insert(tx, set, version, block)?;
    }
    Ok(())
}

fn insert(tx: &Tx<'_>, set: i64, version: u32, block: &NewBlock) -> Result<()> {
    let NewBlock { facts, content, .. } = block;
    let first_values = serde_json::to_string(&facts.first_values).map_err(|_| damaged())?;
    tx.prepare_cached(
        "INSERT INTO document_block (image_set, number, first_version, series_instance_uid,
             first_number, first_sop, instance_count, frame_count, length, crc32, first_values)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute((
        set,
        facts.number,
        version,
        &facts.series_instance_uid,
        facts.first.number,
        &facts.first.sop_uid,
        facts.instance_count,
        facts.frame_count,
        i64::try_from(facts.length).unwrap_or(i64::MAX),
        facts.crc32,
        first_values,
    ))?;
    tx.prepare_cached("INSERT INTO document_block_content VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(
        (
            tx.last_insert_rowid(),
            &content.document,
            &content.details,
            crc32fast::hash(&content.document),
            crc32fast::hash(&content.details),
        ),
    )?;
    Ok(())
}

fn block(row: &Row<'_>) -> Result<BlockRow> {
    let first_values: String = row.get("first_values")?;
    let first = InstanceOrder { number: row.get("first_number")?, sop_uid: row.get("first_sop")? };
    let facts = BlockFacts {
        number: row.get("number")?,
        series_instance_uid: row.get("series_instance_uid")?,
        first,
        instance_count: row.get("instance_count")?,
        frame_count: row.get("frame_count")?,
        length: row.get::<_, i64>("length")?.try_into().map_err(|_| damaged())?,
        crc32: row.get("crc32")?,
        first_values: serde_json::from_str(&first_values).map_err(|_| damaged())?,
    };
    Ok(BlockRow { row: row.get("row")?, facts })
}
