//! The image set that files join, and the one transaction that adds them.
//!
//! Seven attributes group (AWS HealthImaging developer guide, "Understanding image sets"). What agrees
//! with the primary sets of its study becomes or extends the primary set of its series; what does not
//! becomes a new non-primary set.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use healthimaging::model::{ImageSetState, ImageSetWorkflowStatus};
use healthimaging::{DatastoreId, ImageSetId};
use healthimaging_dicom::{Document, GroupKey};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::file::StoredFile;
use super::joined::Joined;
use super::memory::GroupMemory;
use super::outcome::{Imported, Outcome, Refusal, Warning};
use super::sink::{SealedPack, Sink};
use crate::catalog::content::{self as rows, Content};
use crate::catalog::datastores;
use crate::catalog::documents::pack as content_of;
use crate::catalog::growth::{self, Growth};
use crate::catalog::image_sets::{self, Force, Hierarchy, ImageSetRow, NewImageSet};
use crate::catalog::packs;
use crate::catalog::{Reader, Tx};
use crate::config::Grouping;
use crate::documents::{self, Found};
use crate::error::{Result, StoreError};
use crate::shared::SharedStore;
use crate::sync::locked;

/// How long to wait for another write to the same image set.
const LOCKED_AT_MOST: Duration = Duration::from_mins(1);
const LOCKED_RETRY: Duration = Duration::from_millis(50);

/// Records the outcomes of files in the transaction that stores them.
pub(crate) type Recorder = Arc<dyn Fn(&Tx<'_>, &[(usize, Outcome)]) -> Result<()> + Send + Sync>;

/// A stored file, with the number that the caller gave it.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) number: usize,
    pub(crate) file: StoredFile,
}

/// Files that belong together, and where they go.
pub(crate) struct Group {
    pub(crate) shared: SharedStore,
    pub(crate) datastore: DatastoreId,
    /// Row of the data store.
    pub(crate) datastore_row: i64,
    pub(crate) key: GroupKey,
    pub(crate) recorder: Recorder,
    /// Whether the document will be needed again soon, and is worth caching.
    pub(crate) is_read_again: bool,
    /// Of the files, and the document that they join.
    pub(crate) memory: Arc<Mutex<GroupMemory>>,
}

/// Where files of a group go, according to the catalog.
#[derive(Debug)]
enum Destination {
    New(Hierarchy),
    Extend(ImageSetRow),
    /// A write to the set that they should join is under way.
    Locked,
}

/// What is read of the document that files join.
enum Extended {
    Whole(Found),
    Blocks(Growth),
}

/// The content that files make, and its destination when it was made.
struct Prepared {
    place: Destination,
    id: ImageSetId,
    content: Content,
    /// The whole document, if it was made.
    document: Option<Arc<Document>>,
    files: Vec<(usize, Vec<Warning>)>,
}

impl Group {
    /// Stores the files of a batch, which came in the order of their keys. `refused` are outcomes to write
    /// down along with theirs.
    pub(crate) async fn store(
        self,
        sink: Arc<Sink>,
        arrivals: Vec<Arrival>,
        mut refused: Vec<(usize, Refusal)>,
    ) -> Result<Vec<(usize, Outcome)>> {
        let (joined, changed) = Joined::of(arrivals);
        refused.extend(changed);
        let refused = refused.into_iter();
        let refused: Vec<_> =
            refused.map(|(number, refusal)| (number, Outcome::Refused(refusal))).collect();
        if joined.numbers().next().is_none() {
            return self.record(refused).await;
        }
        let joined = Arc::new(joined);
        // While the pack is synced, the content of the version is made.
        let (sealed, sealing) = oneshot::channel();
        // Without a receiver the pack stays without an owner, and is swept.
        tokio::task::spawn_blocking(move || drop(sealed.send(sink.seal())));
        let mut pack = NewPack::Sealing(sealing);
        let (group, refused) = (Arc::new(self), Arc::new(refused));
        let deadline = Instant::now() + LOCKED_AT_MOST;
        while Instant::now() < deadline {
            let series = &group.key.series.series_instance_uid;
            let lock = group.shared.series_locks.lock(group.datastore_row, series).await;
            let (group, joined) = (Arc::clone(&group), Arc::clone(&joined));
            let refused = Arc::clone(&refused);
            let attempt = blocking(move || {
                let outcomes = group.attempt(&joined, &mut pack, &refused)?;
                Ok((outcomes, pack))
            });
            let (outcomes, new_pack) = attempt.await?;
            if let Some(outcomes) = outcomes {
                return Ok(outcomes);
            }
            pack = new_pack;
            drop(lock);
            tokio::time::sleep(LOCKED_RETRY).await;
        }
        let busy = Refusal::fault("the image set stayed LOCKED by another write; import it again");
        let busy = joined.numbers().map(|number| (number, Outcome::Refused(busy.clone())));
        let outcomes = refused.iter().cloned().chain(busy).collect();
        group.record(outcomes).await
    }

    /// Tries once, in one thread from the first read to the commit: each change of threads takes as long as a
    /// small read. `None` if the set is locked, or was written to since it was read. Blocks.
    fn attempt(
        self: &Arc<Self>,
        joined: &Arc<Joined>,
        pack: &mut NewPack,
        refused: &[(usize, Outcome)],
    ) -> Result<Option<Vec<(usize, Outcome)>>> {
        let Some(prepared) = self.prepare(joined)? else {
            return Ok(None);
        };
        let (files, mut outcomes) = (Arc::clone(joined), refused.to_vec());
        let sealed = pack.sealed()?;
        // The transaction holds it: as long as it may come, a sweep must not.
        let pack = sealed.clone();
        let group = Arc::clone(self);
        let written = self.shared.catalog.write_together(move |tx| {
            let Some((row, imported)) = group.commit(tx, &prepared)? else {
                return Ok(None);
            };
            let version = imported.version;
            if let Some(pack) = &pack {
                packs::adopt(tx, &pack.id, row, &files.blobs, group.shared.now())?;
            }
            outcomes.extend(prepared.files.iter().map(|(number, warnings)| {
                let warnings = warnings.clone();
                let imported = Imported { warnings, ..imported.clone() };
                (*number, Outcome::Imported(imported))
            }));
            (group.recorder)(tx, &outcomes)?;
            Ok(Some((outcomes, prepared, version)))
        })?;
        let Some((outcomes, prepared, version)) = written else {
            return Ok(None);
        };
        if let Some(pack) = sealed {
            pack.keep();
        }
        if self.is_read_again
            && let Prepared { id, document: Some(document), .. } = prepared
        {
            self.shared.caches.documents.keep((id, version), document);
        }
        Ok(Some(outcomes))
    }

    /// Makes the content of the new version, outside of any write transaction. Blocks.
    fn prepare(&self, joined: &Joined) -> Result<Option<Prepared>> {
        let catalog = &self.shared.catalog;
        let (place, found) = catalog.read_blocking(|reader| self.look_up(reader, joined))?;
        if matches!(place, Destination::Locked) {
            return Ok(None);
        }
        let cache = &self.shared.caches.documents;
        if let (Destination::Extend(set), Some(found)) = (&place, found) {
            let (mut document, growth) = match found {
                Extended::Whole(found) => (cache.take(found, &set.id)?, None),
                Extended::Blocks(growth) => (growth.open()?, Some(growth)),
            };
            let size = documents::size(&document) as u64;
            locked(&self.memory).add_document(size);
            let series = &self.key.series.series_instance_uid;
            let held = match self.shared.config.grouping {
                Grouping::Service => document.group_key(series),
                Grouping::Strict => document.strict_group_key(series),
            };
            if held.as_ref() == Some(&self.key) {
                joined.add_to(&mut document);
                let (id, document) = (set.id.clone(), Arc::new(document));
                let Some(growth) = growth else {
                    return self.prepared(place, id, document, joined).map(Some);
                };
                let content = growth.pack(&document, &self.shared.config.quotas)?;
                let files = joined.warnings(&document);
                return Ok(Some(Prepared { place, id, content, document: None, files }));
            }
        }
        let place = match place {
            Destination::Extend(_) => Destination::New(Hierarchy::NonPrimary),
            place => place,
        };
        self.prepared(place, ImageSetId::random()?, joined.document(), joined).map(Some)
    }

    fn prepared(
        &self,
        place: Destination,
        id: ImageSetId,
        document: Arc<Document>,
        joined: &Joined,
    ) -> Result<Prepared> {
        Ok(Prepared {
            place,
            content: content_of(&document, &self.datastore, &id, &self.shared.config.quotas)?,
            id,
            files: joined.warnings(&document),
            document: Some(document),
        })
    }

    /// Where the files go, and the document there.
    fn look_up(&self, reader: &Reader, joined: &Joined) -> Result<(Destination, Option<Extended>)> {
        let place = self.place(reader)?;
        let Destination::Extend(set) = &place else {
            return Ok((place, None));
        };
        let version = image_sets::latest_version(reader, set)?;
        if let Some(growth) = growth::find(reader, set.row, &version, joined.joining())? {
            return Ok((place, Some(Extended::Blocks(growth))));
        }
        let found = self.shared.caches.documents.find(reader, set, &version)?;
        let found =
            found.ok_or_else(|| StoreError::Damaged("an image set has no metadata".to_owned()))?;
        Ok((place, Some(Extended::Whole(found))))
    }

    /// Where the files go, but for the attributes of the series, which only the document holds.
    fn place(&self, reader: &Reader) -> Result<Destination> {
        let GroupKey { study, series, .. } = &self.key;
        let of_study =
            image_sets::primaries(reader, self.datastore_row, &study.study_instance_uid)?;
        if of_study.iter().any(|primary| primary.study != *study) {
            return Ok(Destination::New(Hierarchy::NonPrimary));
        }
        let same_series = of_study
            .into_iter()
            .find(|primary| primary.series_instance_uid == series.series_instance_uid);
        let Some(found) = same_series else {
            // A primary set of the same series in another study disagrees in one of the seven.
            let elsewhere = image_sets::has_primary_in_another_study(
                reader,
                self.datastore_row,
                &study.study_instance_uid,
                &series.series_instance_uid,
            )?;
            let hierarchy = if elsewhere { Hierarchy::NonPrimary } else { Hierarchy::Primary };
            return Ok(Destination::New(hierarchy));
        };
        if found.set.state != ImageSetState::Active {
            return Ok(Destination::Locked);
        }
        Ok(Destination::Extend(found.set))
    }

    /// Writes the version, if the catalog still is as it was when the content was made.
    fn commit(&self, tx: &Tx<'_>, prepared: &Prepared) -> Result<Option<(i64, Imported)>> {
        datastores::find_active(tx, &self.datastore)?;
        let at = self.shared.now();
        let (row, version, is_primary) = match (&prepared.place, self.place(tx)?) {
            (Destination::Extend(was), Destination::Extend(now))
                if was.row == now.row && was.latest_version == now.latest_version =>
            {
                let workflow = ImageSetWorkflowStatus::Imported;
                let content = &prepared.content;
                let version = rows::add_version(tx, &now, workflow, content, at)?;
                (now.row, version, true)
            }
            // The files may belong to a set of the series that was made since.
            (Destination::New(Hierarchy::NonPrimary), now) if now_is_apart(&now) => {
                (self.create(tx, prepared, Hierarchy::NonPrimary)?, 1, false)
            }
            (Destination::New(Hierarchy::Primary), Destination::New(Hierarchy::Primary)) => {
                (self.create(tx, prepared, Hierarchy::Primary)?, 1, true)
            }
            _ => return Ok(None),
        };
        Ok(Some((
            row,
            Imported { image_set: prepared.id.clone(), version, is_primary, warnings: Vec::new() },
        )))
    }

    fn create(&self, tx: &Tx<'_>, prepared: &Prepared, hierarchy: Hierarchy) -> Result<i64> {
        let new = NewImageSet {
            id: &prepared.id,
            datastore: self.datastore_row,
            hierarchy,
            state: ImageSetState::Active,
            workflow: ImageSetWorkflowStatus::Created,
            force: Force::No,
        };
        rows::create(tx, &new, &prepared.content, self.shared.now())
    }

    /// Writes down outcomes alone.
    async fn record(&self, outcomes: Vec<(usize, Outcome)>) -> Result<Vec<(usize, Outcome)>> {
        let recorder = Arc::clone(&self.recorder);
        self.shared
            .catalog
            .write(move |tx| {
                recorder(tx, &outcomes)?;
                Ok(outcomes)
            })
            .await
    }
}

/// A set that disagrees in the series' own attributes still does: they do not change in primary sets.
fn now_is_apart(now: &Destination) -> bool {
    matches!(now, Destination::New(Hierarchy::NonPrimary) | Destination::Extend(_))
}

/// The pack of a batch, which may be still being synced.
enum NewPack {
    Sealing(oneshot::Receiver<Result<Option<SealedPack>>>),
    Sealed(Option<Arc<SealedPack>>),
}

impl NewPack {
    /// Waits until it is durable; `None` if there is none. Blocks.
    fn sealed(&mut self) -> Result<Option<Arc<SealedPack>>> {
        let sealed = match std::mem::replace(self, Self::Sealed(None)) {
            // Lost if the thread that syncs it panicked.
            Self::Sealing(sealing) => {
                let sealed = sealing.blocking_recv().map_err(|_| StoreError::Lost)?;
                sealed?.map(Arc::new)
            }
            Self::Sealed(sealed) => sealed,
        };
        *self = Self::Sealed(sealed.clone());
        Ok(sealed)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}
