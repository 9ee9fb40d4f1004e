//! Everything that the store holds, piece by piece: what certificates of erasures look through.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use healthimaging::model::ImageSetState;
use healthimaging::{DatastoreId, ImageSetId, Result as PublicResult};
use healthimaging_packs::PackId;

use super::LocalStore;
use crate::catalog::walk::{self, Piece};
use crate::catalog::{datastores, image_sets, packs, writes};
use crate::error::StoreError;

/// How often the end of a clean-up, which another process may carry out, is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Where a piece is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StorePlace {
    /// Table and column of the catalog.
    pub column: String,
    /// The image set that it belongs to and that is not deleted.
    pub image_set: Option<ImageSetId>,
}

/// Receives the pieces of a store, each with a function that returns its place, until it ends the walk.
pub type StoreVisit<'v> = dyn FnMut(Piece<'_>, &dyn Fn() -> StorePlace) -> ControlFlow<()> + 'v;

impl LocalStore {
    /// Visits all that the store holds of an image set, and returns the names of its packs. Blocks.
    ///
    /// One that is deleted holds nothing.
    pub fn walk_image_set(
        &self,
        datastore: &DatastoreId,
        image_set: &ImageSetId,
        visit: &mut dyn FnMut(Piece<'_>),
    ) -> PublicResult<Vec<String>> {
        let found = self.shared.catalog.read_blocking(|reader| {
            let datastore = datastores::find_active(reader, datastore)?;
            let set = image_sets::find(reader, datastore.row, image_set)?;
            walk::walk(reader, Some(set.row), &mut |piece, _| {
                visit(piece);
                ControlFlow::Continue(())
            })?;
            packs::owned(reader, set.row)
        });
        Ok(found?.into_iter().map(|pack| pack.0).collect())
    }

    /// Visits everything in the catalog, at one moment, until `visit` ends it. Blocks.
    pub fn walk(&self, visit: &mut StoreVisit<'_>) -> PublicResult<()> {
        let walked = self.shared.catalog.read_blocking(|reader| {
            let failed = RefCell::new(None);
            walk::walk(reader, None, &mut |piece, origin| {
                let place = || StorePlace {
                    column: format!("{}.{}", origin.table, origin.column),
                    image_set: origin.image_set.and_then(|row| match image_sets::at(reader, row) {
                        Ok(set) => (set.state != ImageSetState::Deleted).then_some(set.id),
                        Err(StoreError::Public(_)) => None,
                        Err(error) => {
                            failed.replace(Some(error));
                            None
                        }
                    }),
                };
                visit(piece, &place)
            })?;
            failed.into_inner().map_or(Ok(()), Err)
        });
        Ok(walked?)
    }

    /// Waits until nothing is left to be done for deletions that were acknowledged; `false` after `at_most`.
    pub async fn settled(&self, at_most: Duration) -> PublicResult<bool> {
        let end = tokio::time::Instant::now() + at_most;
        while self.shared.catalog.read(writes::deletes).await? {
            if tokio::time::Instant::now() >= end {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(true)
    }

    /// Returns those of the packs that are on the disk. Blocks.
    pub fn packs_left(&self, packs: &[String]) -> Vec<String> {
        let is_left = |pack: &&String| self.shared.blobs.packs.is_there(&PackId((*pack).clone()));
        packs.iter().filter(is_left).cloned().collect()
    }

    /// Visits length and CRC-32 of each frame and other value in a file, if it is a pack. Blocks.
    pub fn walk_pack(&self, file: &Path, visit: &mut dyn FnMut(u64, u32)) -> PublicResult<()> {
        let walked = self.shared.blobs.packs.records_of(file, visit);
        Ok(walked.map_err(StoreError::from)?)
    }
}
