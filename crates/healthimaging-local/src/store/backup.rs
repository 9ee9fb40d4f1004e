//! A verified copy of the folder of a store that processes may write to: backup and restore.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use healthimaging::{Error, Result as PublicResult};
use healthimaging_packs::Files;
use tokio::sync::watch;

use super::{LocalStore, VerifyReport};
use crate::catalog::snapshot;
use crate::config::LocalConfig;
use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;

const CATALOG: &str = "catalogue.sqlite";
const PACKS: &str = "packs";
const JOBS: &str = "ledger/jobs.sqlite";
const OUTCOMES: &str = "imports";

/// Folder in the target that holds the copy until it is complete. A kill leaves it, and the next copy replaces it.
const UNFINISHED: &str = ".unfinished";
/// Lock in that folder, held while a copy is made.
const LOCK: &str = "copy.lock";

/// Snapshots of the catalog that are taken before the copy gives up: each one after the first is needed because image
/// sets were deleted between the snapshot and the copy of their packs.
const MOST_SNAPSHOTS: usize = 100;

/// Progress of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyProgress {
    /// Packs in the last snapshot.
    pub packs_total: u64,
    /// Packs copied.
    pub packs_done: u64,
    /// Bytes copied.
    pub bytes_done: u64,
}

/// Outcome of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReport {
    /// What was copied.
    pub progress: CopyProgress,
    /// What `verify` found in the copy.
    pub verified: VerifyReport,
}

impl LocalStore {
    /// Copies the store to the folder `target`, which must be missing or empty, and verifies the copy.
    ///
    /// Processes may use the store at the same time. The copy is the store at one moment after this call began: all that
    /// was acknowledged before is in it, and jobs that were not complete continue when it is used.
    pub async fn back_up(
        &self,
        target: &Path,
        progress: impl Fn(CopyProgress) + Send,
    ) -> PublicResult<CopyReport> {
        let config = &self.shared.config;
        let is_immutable = self.is_read_only();
        copy(config, &config.data_dir, is_immutable, target, progress).await
    }

    /// Restores a backup: copies the folder `backup` to the data folder of `config`, which must be missing or empty,
    /// migrates the copy to the format of this release, and verifies it.
    pub async fn restore(
        config: &LocalConfig,
        backup: &Path,
        progress: impl Fn(CopyProgress) + Send,
    ) -> PublicResult<CopyReport> {
        if !Self::exists_in(backup) {
            return Err(Error::validation("there is no backup in that folder"));
        }
        copy(config, backup, false, &config.data_dir, progress).await
    }
}

async fn copy(
    config: &LocalConfig,
    source: &Path,
    is_immutable: bool,
    target: &Path,
    progress: impl Fn(CopyProgress) + Send,
) -> PublicResult<CopyReport> {
    let (report, mut reports) = watch::channel(CopyProgress::default());
    let copying = Copying {
        files: config.files.clone(),
        source: source.to_owned(),
        is_immutable,
        target: target.to_owned(),
        report,
    };
    let mut copied = tokio::task::spawn_blocking(move || copying.run());
    let (unfinished, done) = loop {
        tokio::select! {
            ended = &mut copied => break ended.map_err(StoreError::Task)??,
            Ok(()) = reports.changed() => progress(*reports.borrow_and_update()),
        }
    };
    progress(done);
    let verified = verified(config, unfinished.folder()).await?;
    let finished = tokio::task::spawn_blocking(move || unfinished.finish());
    finished.await.map_err(StoreError::Task)??;
    Ok(CopyReport { progress: done, verified })
}

/// Opens the copy, without running its jobs, and verifies it.
async fn verified(config: &LocalConfig, folder: &Path) -> PublicResult<VerifyReport> {
    let copy = LocalConfig {
        files: config.files.clone(),
        migration: config.migration.clone(),
        run_jobs: false,
        ..LocalConfig::new(folder)
    };
    let store: Arc<LocalStore> = LocalStore::open(copy).await?;
    let verified = store.verify(|_| ()).await;
    store.close().await;
    verified
}

/// A copy in the making.
struct Copying {
    files: Files,
    source: PathBuf,
    /// Whether the source is on a disk that cannot be written to.
    is_immutable: bool,
    target: PathBuf,
    report: watch::Sender<CopyProgress>,
}

impl Copying {
    fn run(self) -> Result<(Unfinished, CopyProgress)> {
        let unfinished = Unfinished::begin(&self.files, &self.source, &self.target)?;
        let folder = unfinished.folder();
        let progress = self.catalog_and_packs(folder)?;
        if self.source.join(JOBS).exists() {
            self.make_folders(&folder.join("ledger"))?;
            self.snapshot(JOBS, folder)?;
        }
        self.outcomes(&self.source.join(OUTCOMES), &folder.join(OUTCOMES))?;
        Ok((unfinished, progress))
    }

    /// Copies a snapshot of the catalog, and every pack that it names.
    ///
    /// A pack never changes, but it is removed when its image set is deleted. If that happens between the snapshot and
    /// the copy, the next snapshot no longer names it. A pack that two snapshots name and that is not there is damage,
    /// which `verify` reports.
    fn catalog_and_packs(&self, folder: &Path) -> Result<CopyProgress> {
        let mut copied: HashSet<String> = HashSet::new();
        let mut missing: BTreeSet<String> = BTreeSet::new();
        let mut progress = CopyProgress::default();
        for _ in 0..MOST_SNAPSHOTS {
            self.snapshot(CATALOG, folder)?;
            let named = snapshot::packs(&folder.join(CATALOG))?;
            for gone in copied.extract_if(|pack| !named.contains(pack)) {
                let path = folder.join(place(&gone));
                self.files.remove(&path).map_err(StoreError::file("remove", &path))?;
            }
            progress.packs_total = named.len() as u64;
            let mut newly_missing = BTreeSet::new();
            for pack in &named {
                if copied.contains(pack) {
                    continue;
                }
                match self.pack(pack, folder)? {
                    Some(bytes) => {
                        copied.insert(pack.clone());
                        progress.packs_done = copied.len() as u64;
                        progress.bytes_done += bytes;
                        self.report.send_replace(progress);
                    }
                    None => drop(newly_missing.insert(pack.clone())),
                }
            }
            progress.packs_done = copied.len() as u64;
            if newly_missing.is_subset(&missing) {
                return Ok(progress);
            }
            missing = newly_missing;
        }
        Err(Error::conflict(
            "image sets are deleted faster than the store can be copied; try again when less is deleted",
        )
        .into())
    }

    /// Copies a database as it is at one moment. Its file holds nothing that was deleted.
    fn snapshot(&self, name: &str, folder: &Path) -> Result<()> {
        let path = folder.join(name);
        if path.exists() {
            self.files.remove(&path).map_err(StoreError::file("remove", &path))?;
        }
        // SQLite writes to an empty file that exists, which keeps its permissions.
        drop(self.files.make(&path).map_err(StoreError::file("make", &path))?);
        snapshot::take(&self.source.join(name), self.is_immutable, &path)?;
        let file = self.files.make_or_open(&path).map_err(StoreError::file("open", &path))?;
        file.sync().map_err(StoreError::file("sync", &path))
    }

    /// Copies a pack, and returns its length; `None` if it is not there.
    fn pack(&self, pack: &str, folder: &Path) -> Result<Option<u64>> {
        let place = place(pack);
        let to = folder.join(&place);
        if let Some(parent) = to.parent() {
            self.make_folders(parent)?;
        }
        self.file(&self.source.join(&place), &to)
    }

    /// Copies the outcomes of import jobs; files may come and go.
    fn outcomes(&self, from: &Path, to: &Path) -> Result<()> {
        let listed = match self.files.list(from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => listed.map_err(StoreError::file("list", from))?,
        };
        self.make_folders(to)?;
        for entry in listed {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if from.is_dir() {
                self.outcomes(&from, &to)?;
            } else {
                self.file(&from, &to)?;
            }
        }
        self.files.sync_folder(to).map_err(StoreError::file("sync", to))
    }

    /// Copies a file durably, and returns its length; `None` if it is not there.
    fn file(&self, from: &Path, to: &Path) -> Result<Option<u64>> {
        let mut source = match self.files.open(from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(StoreError::file("open", from))?,
        };
        let mut target = self.files.make(to).map_err(StoreError::file("make", to))?;
        let copied = io::copy(&mut source, &mut target).map_err(StoreError::file("write", to))?;
        target.sync().map_err(StoreError::file("sync", to))?;
        Ok(Some(copied))
    }

    fn make_folders(&self, path: &Path) -> Result<()> {
        self.files.make_folders(path).map_err(StoreError::file("make", path))
    }
}

/// The path of a pack in the folder of a store.
fn place(pack: &str) -> PathBuf {
    let (first_digits, _) = pack.split_at_checked(2).unwrap_or((pack, ""));
    Path::new(PACKS).join(first_digits).join(format!("{pack}.pack"))
}

/// The copy in the target folder, until it is moved to its place.
struct Unfinished {
    files: Files,
    target: PathBuf,
    folder: PathBuf,
    lock: FileLock,
}

impl Unfinished {
    /// Makes the folder, in place of one that a killed process left.
    fn begin(files: &Files, source: &Path, target: &Path) -> Result<Self> {
        if target.is_file() {
            return Err(Error::conflict("it is a file: use a new folder").into());
        }
        let absolute = |path: &Path| path.canonicalize().map_err(StoreError::file("open", path));
        let from = absolute(source)?;
        // Nothing is made in a folder that is refused.
        let place = target.ancestors().find(|place| place.exists()).unwrap_or(Path::new("."));
        let is_within = absolute(place)?.starts_with(&from);
        if !is_within {
            files.make_folders(target).map_err(StoreError::file("make", target))?;
        }
        if is_within || from.starts_with(absolute(target)?) {
            return Err(Error::validation(
                "the folder lies in the folder of the store, or contains it: use another one",
            )
            .into());
        }
        let folder = target.join(UNFINISHED);
        let listed = files.list(target).map_err(StoreError::file("list", target))?;
        if listed.iter().any(|entry| entry.file_name() != UNFINISHED) {
            return Err(Error::conflict("the folder is not empty: use a new one").into());
        }
        files.make_folders(&folder).map_err(StoreError::file("make", &folder))?;
        let Some(lock) = FileLock::try_acquire(files, &folder.join(LOCK))? else {
            return Err(
                Error::conflict("another process writes to the folder: use another one").into()
            );
        };
        let listed = files.list(&folder).map_err(StoreError::file("list", &folder))?;
        for entry in listed.iter().filter(|entry| entry.file_name() != LOCK) {
            let path = entry.path();
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { files.remove(&path) };
            removed.map_err(StoreError::file("remove", &path))?;
        }
        files.make_folders(&folder.join(PACKS)).map_err(StoreError::file("make", &folder))?;
        Ok(Self { files: files.clone(), target: target.to_owned(), folder, lock })
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    /// Moves the copy to its place, the catalog last: without it, the folder is not a store.
    fn finish(self) -> Result<()> {
        let Self { files, target, folder, lock } = self;
        let packs = folder.join(PACKS);
        for entry in files.list(&packs).map_err(StoreError::file("list", &packs))? {
            let path = entry.path();
            files.sync_folder(&path).map_err(StoreError::file("sync", &path))?;
        }
        files.sync_folder(&packs).map_err(StoreError::file("sync", &packs))?;
        let mut entries = files.list(&folder).map_err(StoreError::file("list", &folder))?;
        entries.sort_by_key(|entry| entry.file_name() == CATALOG);
        for entry in entries.iter().filter(|entry| entry.file_name() != LOCK) {
            if entry.file_name() == CATALOG {
                files.sync_folder(&target).map_err(StoreError::file("sync", &target))?;
            }
            let to = target.join(entry.file_name());
            files.rename(&entry.path(), &to).map_err(StoreError::file("move", &to))?;
        }
        lock.remove()?;
        files.remove_folder(&folder).map_err(StoreError::file("remove", &folder))?;
        files.sync_folder(&target).map_err(StoreError::file("sync", &target))
    }
}
