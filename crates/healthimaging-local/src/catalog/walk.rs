//! Everything that the catalog holds, value by value and with documents unpacked, for those who look for what should be
//! gone. Tables and columns are those of the file, so that one that is added later is not left out.

use std::io::Read as _;
use std::ops::ControlFlow;

use flate2::read::MultiGzDecoder;
use healthimaging::{ATTRIBUTES, MemoryBudget};
use healthimaging_jobs_sqlite::tables;

use super::db::{Reader, Row, ValueRef};
use super::deflate;
use crate::error::Result;

/// First bytes of a gzip member.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Longest document that is unpacked; a longer one is given as it is stored.
const LONGEST: u64 = 1 << 30;

/// Columns that hold one attribute.
const COLUMNS: [(&str, &str); 3] = [
    ("study_instance_uid", "StudyInstanceUID"),
    ("series_instance_uid", "SeriesInstanceUID"),
    ("sop_instance_uid", "SOPInstanceUID"),
];

/// Blocks with what unpacking them takes.
const BLOCKS: &str = "
    SELECT content.document, content.details, block.length, block.crc32, block.image_set
    FROM document_block_content AS content LEFT JOIN document_block AS block ON block.row = content.block";

/// Something that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A text: a value, or JSON.
    Text(&'a str),
    /// A value of an attribute.
    Attribute {
        /// Its keyword.
        keyword: &'a str,
        /// The value.
        value: &'a str,
    },
    /// Bytes of no known form.
    Bytes(&'a [u8]),
    /// A frame or another large value.
    Frame {
        /// Length of its stored bytes.
        length: u64,
        /// Their CRC-32.
        crc32: u32,
    },
}

/// Where a piece is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) table: &'a str,
    pub(crate) column: &'a str,
    /// Row of the image set that it belongs to.
    pub(crate) image_set: Option<i64>,
}

pub(crate) type Visit<'v> = dyn FnMut(Piece<'_>, Origin<'_>) -> ControlFlow<()> + 'v;

/// Visits everything, or what belongs to the image set `only`.
pub(crate) fn walk(reader: &Reader, only: Option<i64>, visit: &mut Visit<'_>) -> Result<()> {
    for table in tables(reader)? {
        let flow = match (&*table, only) {
            ("document_block_content", _) => blocks(reader, only, visit)?,
            ("image_set", Some(set)) => rows(reader, &table, &format!("WHERE row = {set}"), visit)?,
            (_, Some(set)) if has_column(reader, &table, "image_set")? => {
                rows(reader, &table, &format!("WHERE image_set = {set}"), visit)?
            }
            (_, Some(_)) => ControlFlow::Continue(()),
            (_, None) => rows(reader, &table, "", visit)?,
        };
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

fn has_column(reader: &Reader, table: &str, column: &str) -> Result<bool> {
    let mut found = reader.prepare_cached("SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2")?;
    Ok(found.exists((table, column))?)
}

fn rows(reader: &Reader, table: &str, of: &str, visit: &mut Visit<'_>) -> Result<ControlFlow<()>> {
    let mut statement = reader.prepare(&format!("SELECT * FROM \"{table}\" {of}"))?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let at = |name: &str| columns.iter().position(|column| column == name);
    let owner = if table == "image_set" { at("row") } else { at("image_set") };
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let image_set = owner.map(|at| row.get::<_, Option<i64>>(at)).transpose()?.flatten();
        let origin = |column| Origin { table, column, image_set };
        for (number, column) in columns.iter().enumerate() {
            let value = row.get_ref(number)?;
            if value_of(row, (table, column), value, |piece| visit(piece, origin(column)))?
                .is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        if table == "blob" {
            let (length, crc32): (i64, u32) = (row.get("length")?, row.get("crc32")?);
            let frame = Piece::Frame { length: length.cast_unsigned(), crc32 };
            if visit(frame, origin("crc32")).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn value_of(
    row: &Row<'_>,
    (table, column): (&str, &str),
    value: ValueRef<'_>,
    visit: impl FnMut(Piece<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let mut visit = visit;
    Ok(match value {
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            let of_column = COLUMNS.iter().find(|(name, _)| *name == column);
            let keyword = match of_column {
                Some((_, keyword)) => Some(*keyword),
                None if (table, column) == ("image_set_attributes", "value") => {
                    let tag: u32 = row.get("attribute")?;
                    ATTRIBUTES.iter().find(|known| known.tag == tag).map(|known| known.keyword)
                }
                None => None,
            };
            match keyword {
                Some(keyword) => visit(Piece::Attribute { keyword, value: &text }),
                None => visit(Piece::Text(&text)),
            }
        }
        ValueRef::Blob(bytes) => unpacked(bytes, visit),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => ControlFlow::Continue(()),
    })
}

/// Visits the text in bytes in gzip, or other bytes as they are.
fn unpacked(bytes: &[u8], mut visit: impl FnMut(Piece<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
    if !bytes.starts_with(&GZIP) {
        return visit(Piece::Bytes(bytes));
    }
    // The last four bytes are the length of the text (RFC 1952 §2.3.1).
    let length = bytes.last_chunk().map_or(0, |last| u32::from_le_bytes(*last));
    let lease = MemoryBudget::process().document_blocking(u64::from(length));
    let mut text = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(LONGEST).read_to_end(&mut text);
    let flow = match (read, String::from_utf8(text)) {
        (Ok(_), Ok(text)) => visit(Piece::Text(&text)),
        _ => visit(Piece::Bytes(bytes)),
    };
    drop(lease);
    flow
}

fn blocks(reader: &Reader, only: Option<i64>, visit: &mut Visit<'_>) -> Result<ControlFlow<()>> {
    let of = only.map(|set| format!(" WHERE block.image_set = {set}")).unwrap_or_default();
    let mut statement = reader.prepare(&format!("{BLOCKS}{of}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let image_set = row.get(4)?;
        let origin = |column| Origin { table: "document_block_content", column, image_set };
        let document = row.get_ref(0)?.as_blob().unwrap_or_default();
        let length: Option<i64> = row.get(2)?;
        let crc32: Option<u32> = row.get(3)?;
        let mut text = Vec::new();
        let whole = length.zip(crc32).and_then(|(length, crc32)| {
            deflate::expand(document, length.cast_unsigned(), crc32, &mut text)?;
            std::str::from_utf8(&text).ok()
        });
        let piece = whole.map_or(Piece::Bytes(document), Piece::Text);
        if visit(piece, origin("document")).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let details = row.get_ref(1)?.as_blob().unwrap_or_default();
        if unpacked(details, |piece| visit(piece, origin("details"))).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
