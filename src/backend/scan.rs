//! The disk of the embedded store, as certificates of erasure search it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use healthimaging::{DatastoreId, ImageSetId, Result};
use healthimaging_jobs_sqlite::JobsFile;
use healthimaging_local::{LocalStore, Piece as StorePiece};
use healthimaging_workflows::certificate::{Piece, Place, StoreScan, Visit};

/// How long to wait for the clean-up of deletions; a reader of another process may delay it.
const CLEAN_UP: Duration = Duration::from_mins(1);

/// The embedded store, and the ledger of jobs beside it.
#[derive(Debug)]
pub(super) struct LocalScan {
    pub(super) store: Arc<LocalStore>,
    pub(super) ledger: PathBuf,
}

fn piece(piece: StorePiece<'_>) -> Piece<'_> {
    match piece {
        StorePiece::Text(text) => Piece::Text(text),
        StorePiece::Attribute { keyword, value } => Piece::Attribute { keyword, value },
        StorePiece::Bytes(bytes) => Piece::Bytes(bytes),
        StorePiece::Frame { length, crc32 } => Piece::Frame { length, crc32 },
    }
}

#[async_trait]
impl StoreScan for LocalScan {
    fn walk_image_set(
        &self,
        datastore: &DatastoreId,
        image_set: &ImageSetId,
        visit: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Vec<String>> {
        self.store.walk_image_set(datastore, image_set, &mut |found| visit(piece(found)))
    }

    fn walk(&self, except: &str, visit: &mut Visit<'_>) -> Result<()> {
        let mut is_ended = false;
        self.store.walk(&mut |found, place| {
            let flow = visit(piece(found), &|| {
                let place = place();
                Place {
                    what: format!("catalogue.sqlite, {}", place.column),
                    image_set: place.image_set,
                }
            });
            is_ended |= flow.is_break();
            flow
        })?;
        if is_ended {
            return Ok(());
        }
        JobsFile::open_to_read(&self.ledger).walk(except, &mut |table, column, text| {
            let place = || Place::new(format!("ledger/jobs.sqlite, {table}.{column}"));
            let _: ControlFlow<()> = visit(Piece::Text(text), &place);
        })
    }

    async fn settled(&self) -> Result<bool> {
        self.store.settled(CLEAN_UP).await
    }

    fn packs_left(&self, packs: &[String]) -> Vec<String> {
        self.store.packs_left(packs)
    }

    fn walk_pack(&self, file: &Path, visit: &mut dyn FnMut(u64, u32)) -> Result<()> {
        self.store.walk_pack(file, visit)
    }
}
