//! Rows of packs and of the blobs in them.

use healthimaging::ImageFrameId;
use healthimaging_packs::{BlobKind, BlobLocation, PackId};

use super::db::{Reader, Row, Tx};
use crate::clock::Millis;
use crate::error::{Result, StoreError};

/// Adds a finished pack and its blobs, with an image set as their owner.
pub(crate) fn adopt(
    tx: &Tx<'_>,
    id: &PackId,
    image_set: i64,
    blobs: &[BlobLocation],
    at: Millis,
) -> Result<()> {
    tx.prepare_cached("INSERT INTO pack (id, image_set, created_at) VALUES (?1, ?2, ?3)")?
        .execute((&id.0, image_set, at))?;
    let pack = tx.last_insert_rowid();
    let mut insert = tx.prepare_cached(
        "INSERT INTO blob (image_set, id, pack, offset, length, crc32, kind, transfer_syntax)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for blob in blobs {
        insert.execute((
            image_set,
            blob.id.as_str(),
            pack,
            blob.offset.cast_signed(),
            blob.length.cast_signed(),
            blob.crc32,
            blob.kind.as_str(),
            &blob.transfer_syntax,
        ))?;
    }
    Ok(())
}

const SELECT_BLOB: &str = "
    SELECT blob.id, pack.id, blob.offset, blob.length, blob.crc32, blob.kind, blob.transfer_syntax
    FROM blob JOIN pack ON pack.row = blob.pack";

/// Where a blob of an image set is.
pub(crate) fn blob(
    reader: &Reader,
    image_set: i64,
    id: &ImageFrameId,
) -> Result<Option<BlobLocation>> {
    reader
        .prepare_cached(&format!("{SELECT_BLOB} WHERE blob.image_set = ?1 AND blob.id = ?2"))?
        .query_and_then((image_set, id.as_str()), place)?
        .next()
        .transpose()
}

/// Where a blob is to which a document of an image set refers.
pub(crate) fn referenced(
    reader: &Reader,
    image_set: i64,
    id: &ImageFrameId,
) -> Result<BlobLocation> {
    blob(reader, image_set, id)?
        .ok_or_else(|| StoreError::Damaged("the catalog lacks a frame of the document".to_owned()))
}

/// All blobs of an image set, of all its versions, pack by pack.
pub(crate) fn blobs(reader: &Reader, image_set: i64) -> Result<Vec<BlobLocation>> {
    reader
        .prepare_cached(&format!(
            "{SELECT_BLOB} WHERE blob.image_set = ?1 ORDER BY blob.pack, blob.offset"
        ))?
        .query_and_then([image_set], place)?
        .collect()
}

/// The packs that an image set owns.
pub(crate) fn owned(reader: &Reader, image_set: i64) -> Result<Vec<PackId>> {
    reader
        .prepare_cached("SELECT id FROM pack WHERE image_set = ?1 ORDER BY row")?
        .query_and_then([image_set], |row| Ok(PackId(row.get(0)?)))?
        .collect()
}

/// Removes all blobs of an image set; its packs lose their owner, and [`ownerless`] lists them.
pub(crate) fn disown(tx: &Tx<'_>, image_set: i64) -> Result<()> {
    tx.prepare_cached("DELETE FROM blob WHERE image_set = ?1")?.execute([image_set])?;
    tx.prepare_cached("UPDATE pack SET image_set = NULL WHERE image_set = ?1")?
        .execute([image_set])?;
    Ok(())
}

/// Packs without an owner, which an erased image set left.
pub(crate) fn ownerless(reader: &Reader) -> Result<Vec<PackId>> {
    reader
        .prepare_cached("SELECT id FROM pack WHERE image_set IS NULL")?
        .query_and_then([], |row| Ok(PackId(row.get(0)?)))?
        .collect()
}

/// Whether an image set owns the pack `id`.
pub(crate) fn is_owned(reader: &Reader, id: &PackId) -> Result<bool> {
    Ok(reader
        .prepare_cached("SELECT 1 FROM pack WHERE id = ?1 AND image_set IS NOT NULL")?
        .exists([&id.0])?)
}

/// Removes a pack whose file is gone, unless it has an owner by now.
pub(crate) fn forget(tx: &Tx<'_>, id: &PackId) -> Result<()> {
    tx.prepare_cached("DELETE FROM pack WHERE id = ?1 AND image_set IS NULL")?.execute([&id.0])?;
    Ok(())
}

fn place(row: &Row<'_>) -> Result<BlobLocation> {
    let id: String = row.get(0)?;
    let offset: i64 = row.get(2)?;
    let length: i64 = row.get(3)?;
    let kind: String = row.get(5)?;
    Ok(BlobLocation {
        id: ImageFrameId::try_from(id)?,
        pack: PackId(row.get(1)?),
        offset: offset.cast_unsigned(),
        length: length.cast_unsigned(),
        crc32: row.get(4)?,
        kind: BlobKind::parse(&kind).ok_or_else(unknown_kind)?,
        transfer_syntax: row.get(6)?,
    })
}

fn unknown_kind() -> StoreError {
    StoreError::Damaged("the catalog holds an unknown kind of blob".to_owned())
}
