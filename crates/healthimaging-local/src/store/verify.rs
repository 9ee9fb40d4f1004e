//! Rereading the store against its checksums.

use std::collections::HashSet;
use std::sync::Arc;

use healthimaging::model::{ImageSetState, ImageSetWorkflowStatus};
use healthimaging::{ImageFrameId, ImageSetId, Result as PublicResult};
use healthimaging_packs::{BlobLocation, PackId, PackStore};

use super::LocalStore;
use crate::catalog::content::{self, StoredContent};
use crate::catalog::documents::blob_ids;
use crate::catalog::image_sets::{self, ImageSetRow, VersionRow};
use crate::catalog::{Reader, packs, verification};
use crate::documents::unpack;
use crate::error::{Result, StoreError};
use crate::shared::Shared;

/// Image sets looked up at once.
const PAGE: u32 = 500;
/// Versions looked up at once.
const VERSIONS: u32 = 100;

/// Progress of `verify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifyProgress {
    /// Image sets in the store when it began.
    pub image_sets_total: u64,
    /// Image sets reread.
    pub image_sets_done: u64,
    /// Bytes of frames and other values reread.
    pub bytes_done: u64,
}

/// Result of `verify`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Image sets reread.
    pub image_sets: u64,
    /// Metadata documents reread.
    pub documents: u64,
    /// Frames and other values reread.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Damage; empty if there is none.
    pub damaged: Vec<Damage>,
}

/// Something in the store that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// In which image set; absent when it is the catalog itself.
    pub image_set_id: Option<ImageSetId>,
    /// Which version's document.
    pub version: Option<u32>,
    /// Which frame or other value.
    pub blob: Option<ImageFrameId>,
    /// What is wrong with it.
    pub message: String,
}

impl LocalStore {
    /// Rereads everything: the catalog's own structure, each document against its checksum and against
    /// what searches see of it, each pack from its first byte to its last, and whether each frame that a
    /// document names is there.
    ///
    /// The report lists damage; an error means that the store could not be reread at all.
    pub async fn verify(
        &self,
        progress: impl Fn(VerifyProgress) + Send,
    ) -> PublicResult<VerifyReport> {
        Ok(verify(&self.shared, progress).await?)
    }
}

async fn verify(
    shared: &Arc<Shared>,
    progress: impl Fn(VerifyProgress) + Send,
) -> Result<VerifyReport> {
    let (total, faults) = match shared.catalog.read(verification::check).await {
        Err(error) => (0, vec![error.damage().map(str::to_owned).ok_or(error)?]),
        found => found?,
    };
    let mut report = VerifyReport {
        damaged: faults.into_iter().map(of_catalog).collect(),
        ..VerifyReport::default()
    };
    let mut after = 0;
    loop {
        let rows = shared.catalog.read(move |c| verification::page(c, after, PAGE)).await?;
        let Some(last) = rows.last() else {
            return Ok(report);
        };
        after = last.row;
        for set in rows {
            let of_task = Arc::clone(shared);
            let found = tokio::task::spawn_blocking(move || check_set(&of_task, &set)).await??;
            report.image_sets += 1;
            report.documents += found.documents;
            report.blobs += found.blobs;
            report.bytes += found.bytes;
            report.damaged.extend(found.damaged);
            progress(VerifyProgress {
                image_sets_total: total,
                image_sets_done: report.image_sets,
                bytes_done: report.bytes,
            });
        }
    }
}

fn of_catalog(message: String) -> Damage {
    Damage { image_set_id: None, version: None, blob: None, message }
}

/// Rereads one image set; one that is deleted while it is read is not damaged.
fn check_set(shared: &Shared, set: &ImageSetRow) -> Result<VerifyReport> {
    let mut check = Check { set: &set.id, report: VerifyReport::default() };
    match check.all(shared, set.row) {
        Ok(()) => {}
        Err(error) => {
            let what = error.damage().map(str::to_owned).ok_or(error)?;
            check.damage(None, None, what);
        }
    }
    if !check.report.damaged.is_empty() && is_going(shared, set.row)? {
        check.report.damaged.clear();
    }
    Ok(check.report)
}

/// The versions that hold content of their own.
fn versions(reader: &Reader, set: i64) -> Result<Vec<VersionRow>> {
    let mut all = Vec::new();
    let mut before = None;
    loop {
        let found = image_sets::versions(reader, set, before, VERSIONS)?;
        let Some(last) = found.last() else {
            all.retain(|row: &VersionRow| row.content_version == Some(row.version));
            return Ok(all);
        };
        before = Some(last.version.into());
        all.extend(found);
    }
}

/// Whether an image set is deleted, or is being deleted: several reads of it need not agree then.
fn is_going(shared: &Shared, row: i64) -> Result<bool> {
    let now = shared.catalog.read_blocking(|reader| image_sets::at(reader, row));
    match now {
        Ok(now) => {
            Ok(now.workflow == ImageSetWorkflowStatus::Deleting
                || now.state == ImageSetState::Deleted)
        }
        // Its tombstone is gone too.
        Err(StoreError::Public(_)) => Ok(true),
        Err(error) if error.damage().is_some() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The check of one image set.
struct Check<'a> {
    set: &'a ImageSetId,
    report: VerifyReport,
}

impl Check<'_> {
    fn all(&mut self, shared: &Shared, set: i64) -> Result<()> {
        let (versions, packs, blobs) = shared.catalog.read_blocking(|reader| {
            let versions = versions(reader, set)?;
            let packs = packs::owned(reader, set)?;
            Ok((versions, packs, packs::blobs(reader, set)?))
        })?;
        for pack in packs {
            let of_pack = blobs.iter().filter(|blob| blob.pack == pack).cloned();
            self.pack(shared, &pack, &of_pack.collect::<Vec<_>>());
        }
        let present: HashSet<&ImageFrameId> = blobs.iter().map(|blob| &blob.id).collect();
        for version in &versions {
            let stored =
                shared.catalog.read_blocking(|reader| content::stored(reader, set, version));
            self.document(version.version, stored, &present)?;
        }
        self.columns(shared, set)
    }

    fn pack(&mut self, shared: &Shared, pack: &PackId, blobs: &[BlobLocation]) {
        let found = shared.blobs.packs.verify(pack, blobs);
        self.report.blobs += found.blobs;
        self.report.bytes += found.bytes;
        for (blob, message) in found.damaged {
            self.damage(None, blob.as_ref(), message);
        }
    }

    /// Compares the search columns with the latest document; a damaged document is reported already.
    fn columns(&mut self, shared: &Shared, set: i64) -> Result<()> {
        let agrees = shared.catalog.read_blocking(|reader| {
            let stored = content::latest(reader, &image_sets::at(reader, set)?)?;
            let Some(stored) = stored else { return Ok(true) };
            match unpack(&stored) {
                Ok(document) => verification::agrees(reader, set, &stored, &document),
                Err(_) => Ok(true),
            }
        })?;
        if !agrees {
            let message = "what searches find is not what the metadata says";
            self.damage(None, None, message.to_owned());
        }
        Ok(())
    }

    fn document(
        &mut self,
        version: u32,
        stored: Result<Option<StoredContent>>,
        present: &HashSet<&ImageFrameId>,
    ) -> Result<()> {
        let document = match stored {
            Ok(None) => return Ok(()),
            Ok(Some(stored)) => unpack(&stored),
            Err(error) => Err(error),
        };
        match document {
            Ok(document) => {
                self.report.documents += 1;
                for id in blob_ids(&document).filter(|id| !present.contains(id)) {
                    let message = "a value that the metadata names is missing".to_owned();
                    self.damage(Some(version), Some(id), message);
                }
            }
            Err(StoreError::Damaged(message)) => self.damage(Some(version), None, message),
            Err(StoreError::Public(error)) => {
                self.damage(Some(version), None, error.message().to_owned());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn damage(&mut self, version: Option<u32>, blob: Option<&ImageFrameId>, message: String) {
        self.report.damaged.push(Damage {
            image_set_id: Some(self.set.clone()),
            version,
            blob: blob.cloned(),
            message,
        });
    }
}
