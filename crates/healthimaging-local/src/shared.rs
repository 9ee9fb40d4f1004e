//! What all parts of an open store share.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use healthimaging::{DatastoreId, ImageSetId, Resource, ResourceArn};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Accesses;
use crate::clock::Millis;
use crate::config::LocalConfig;
use crate::documents::Documents;
use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;
use crate::index::Catalogue;
use crate::jobs::KnownJobs;
use crate::new_id;
use crate::packs::Packs;
use crate::reserve::Reserve;
use crate::turns::Turns;
use crate::web::DecodedFrames;

/// What all parts of an open store share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: LocalConfig,
    pub(crate) catalogue: Catalogue,
    pub(crate) packs: Packs,
    pub(crate) accesses: Accesses,
    pub(crate) documents: Documents,
    pub(crate) decoded: DecodedFrames,
    /// Who writes to a series.
    pub(crate) turns: Turns,
    /// Import jobs that this process accepted, and those that it leaves to others.
    pub(crate) jobs: KnownJobs,
    /// Work that outlives the call that began it; [`crate::LocalStore::close`] waits for it.
    pub(crate) tasks: TaskTracker,
    /// Says that the store is being closed: loops end, jobs stop at the next file.
    pub(crate) closing: CancellationToken,
    /// Space that is given up when the disk is full.
    pub(crate) reserve: Reserve,
    /// Whether the folder can only be read.
    pub(crate) is_read_only: bool,
    /// Names this process in the leases of its writes, `locks/process-<name>.lock`.
    pub(crate) process: String,
    _process_lock: Option<FileLock>,
}

impl Shared {
    /// Opens the folder, making what is missing; one that cannot be written to is opened to be read.
    pub(crate) fn open(config: LocalConfig) -> Result<Self> {
        let process = new_id::random_hex()?;
        let reserve = Reserve::of(&config.files, &config.data_dir);
        let (lock, catalogue) = match Self::prepare(&config, &process) {
            Err(error) if error.is_forbidden() && config.data_dir.exists() => {
                tracing::info!(?error, "the store cannot be written to; it is opened to be read");
                (None, Catalogue::open_to_read(&config)?)
            }
            Err(error) => return Err(error),
            Ok(lock) => {
                let opened = match Catalogue::open(&config) {
                    // To open a catalog takes some space for the index of its log.
                    Err(error) if error.is_full() && reserve.release()? => Catalogue::open(&config),
                    opened => opened,
                };
                if opened.is_err() {
                    drop(config.files.remove(&lock));
                }
                let catalogue = opened?;
                (Some(Self::lock(&config, &lock)?), catalogue)
            }
        };
        let packs = Packs::open(&config.files, &config.data_dir.join("packs"));
        let is_read_only = lock.is_none();
        if !is_read_only {
            packs.make_folder()?;
            reserve.set_aside();
        }
        Ok(Self {
            config,
            catalogue,
            packs,
            accesses: Accesses::default(),
            documents: Documents::default(),
            decoded: DecodedFrames::default(),
            turns: Turns::default(),
            jobs: KnownJobs::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            reserve,
            is_read_only,
            process,
            _process_lock: lock,
        })
    }

    /// Makes the folders that are missing, and the file whose lock shows that this process uses them; it is
    /// locked once the catalog is open, since a migration wants the folder for itself.
    fn prepare(config: &LocalConfig, process: &str) -> Result<PathBuf> {
        let folder = &config.data_dir;
        for name in ["", "packs", "imports", "locks"] {
            let path = folder.join(name);
            let made = config.files.make_folders(&path);
            made.map_err(StoreError::file("make", &path))?;
        }
        let path = lock_path(folder, &format!("process-{process}"));
        let made = config.files.make_or_open_to_lock(&path);
        made.map_err(StoreError::file("make", &path))?;
        Ok(path)
    }

    fn lock(config: &LocalConfig, path: &Path) -> Result<FileLock> {
        let mut lock = FileLock::try_acquire(&config.files, path)?
            .ok_or_else(|| StoreError::Damaged("a new lock is already held".to_owned()))?;
        match lock.write_pid() {
            // Others cannot name this process then.
            Err(error) if error.is_full() => {}
            written => written?,
        }
        Ok(lock)
    }

    /// Tries again when the disk is full, with the space that is kept for what frees space.
    pub(crate) async fn freeing<T, W: Future<Output = Result<T>>>(
        &self,
        attempt: impl Fn() -> W,
    ) -> Result<T> {
        match attempt().await {
            Err(error) if error.is_full() && self.reserve.release()? => attempt().await,
            done => done,
        }
    }

    /// Now.
    pub(crate) fn now(&self) -> Millis {
        self.config.clock.now()
    }

    /// Where the lock `name` is.
    pub(crate) fn lock_path(&self, name: &str) -> PathBuf {
        lock_path(&self.config.data_dir, name)
    }

    /// Says that this process has no work left: its lock file is not needed any more.
    pub(crate) fn sign_off(&self) {
        if self.is_read_only {
            return;
        }
        let lock = self.lock_path(&format!("process-{}", self.process));
        if let Err(error) = self.config.files.remove(&lock) {
            tracing::debug!(%error, "the lock file of this process stays behind");
        }
    }

    /// Runs `work` to its end even when the caller goes away.
    ///
    /// A write that is committed must not lose the step that follows it.
    pub(crate) async fn to_the_end<T, W>(&self, work: W) -> healthimaging::Result<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let done = self.tasks.spawn(work).await.map_err(StoreError::Task)?;
        Ok(done?)
    }

    /// ARN of a data store.
    pub(crate) fn datastore_arn(&self, id: &DatastoreId) -> Result<ResourceArn> {
        let LocalConfig { partition, region, account_id, .. } = &self.config;
        Ok(ResourceArn::try_from(format!(
            "arn:{partition}:medical-imaging:{region}:{account_id}:datastore/{id}"
        ))?)
    }

    /// ARN of an image set.
    pub(crate) fn image_set_arn(
        &self,
        datastore: &DatastoreId,
        id: &ImageSetId,
    ) -> Result<ResourceArn> {
        let datastore = self.datastore_arn(datastore)?;
        Ok(ResourceArn::try_from(format!("{datastore}/imageset/{id}"))?)
    }

    /// What `arn` points at, when it is an ARN of this store.
    pub(crate) fn own_resource(&self, arn: &ResourceArn) -> Result<Option<Resource>> {
        let resource = arn.resource();
        let own = match &resource {
            Some(Resource::Datastore(id)) => self.datastore_arn(id)?,
            Some(Resource::ImageSet(datastore, id)) => self.image_set_arn(datastore, id)?,
            None => return Ok(None),
        };
        Ok(resource.filter(|_| own == *arn))
    }
}

/// A store that is open.
pub(crate) type SharedStore = Arc<Shared>;

fn lock_path(folder: &Path, name: &str) -> PathBuf {
    folder.join("locks").join(format!("{name}.lock"))
}
