//! Every call on the files of a store, but for those of SQLite: one place, so that tests can make each of
//! them fail in turn.

use std::fmt;
use std::fs::{DirBuilder, DirEntry, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// A call on a file or a folder of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileCall {
    /// Making a folder.
    MakeFolder,
    /// Listing a folder.
    List,
    /// Making a file.
    Make,
    /// Opening an existing file, or a folder.
    Open,
    /// Asking for the length of a file.
    Measure,
    /// Locking a file, waiting or not.
    Lock,
    /// Reading some bytes.
    Read,
    /// Writing some bytes.
    Write,
    /// Making a file or a folder durable.
    Sync,
    /// Renaming.
    Move,
    /// Making a hard link.
    Link,
    /// Removing a file.
    Remove,
}

type Watch = dyn Fn(FileCall) -> io::Result<usize> + Send + Sync;

/// How a store reaches its files.
#[derive(Clone, Default)]
pub struct Files(Option<Arc<Watch>>);

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Files").finish()
    }
}

impl Files {
    /// The file system itself.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// Calls `watch` before each call: its error is returned instead of making the call; its number is how
    /// many bytes one call may read or write at most.
    pub fn watched(watch: impl Fn(FileCall) -> io::Result<usize> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watch)))
    }

    fn ask(&self, call: FileCall) -> io::Result<usize> {
        self.0.as_ref().map_or(Ok(usize::MAX), |watch| watch(call))
    }

    fn wrap(&self, file: File) -> StoreFile {
        StoreFile { file, files: self.clone() }
    }

    /// Makes a folder and those above it, readable by their owner alone: they hold patient data.
    pub fn make_folders(&self, path: &Path) -> io::Result<()> {
        self.ask(FileCall::MakeFolder)?;
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    /// Makes one folder, which must not be there.
    pub fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.ask(FileCall::MakeFolder)?;
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    /// What is in a folder.
    pub fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        self.ask(FileCall::List)?;
        std::fs::read_dir(folder)?.collect()
    }

    /// Makes a file, which must not be there, to write to it.
    pub fn make(&self, path: &Path) -> io::Result<StoreFile> {
        self.ask(FileCall::Make)?;
        let made = owner_only().write(true).create_new(true).open(path);
        made.map(|file| self.wrap(file))
    }

    /// Makes a file that takes up so many bytes of the disk, which must not be there.
    pub fn allocate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.ask(FileCall::Make)?;
        let file = owner_only().write(true).create_new(true).open(path)?;
        let allocated = fs4::FileExt::allocate(&file, bytes);
        if allocated.is_err() {
            std::fs::remove_file(path)?;
        }
        allocated
    }

    /// Makes a file without a name, to read and write it.
    pub fn make_unnamed(&self, folder: &Path) -> io::Result<StoreFile> {
        self.ask(FileCall::Make)?;
        tempfile::tempfile_in(folder).map(|file| self.wrap(file))
    }

    /// Opens a file to read it.
    pub fn open(&self, path: &Path) -> io::Result<StoreFile> {
        self.ask(FileCall::Open)?;
        File::open(path).map(|file| self.wrap(file))
    }

    /// Opens an existing file, to lock it.
    pub fn open_to_lock(&self, path: &Path) -> io::Result<StoreFile> {
        self.ask(FileCall::Open)?;
        let opened = OpenOptions::new().write(true).open(path);
        opened.map(|file| self.wrap(file))
    }

    /// Opens a file to lock it, making it when it is missing.
    pub fn make_or_open_to_lock(&self, path: &Path) -> io::Result<StoreFile> {
        self.ask(FileCall::Make)?;
        let opened = owner_only().create(true).truncate(false).write(true).open(path);
        opened.map(|file| self.wrap(file))
    }

    /// Opens a file to read and write it, making it when it is missing.
    pub fn make_or_open(&self, path: &Path) -> io::Result<StoreFile> {
        self.ask(FileCall::Make)?;
        let mut options = OpenOptions::new();
        let opened = options.create(true).truncate(false).read(true).write(true).open(path);
        opened.map(|file| self.wrap(file))
    }

    /// Moves a file.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(FileCall::Move)?;
        std::fs::rename(from, to)
    }

    /// Makes a hard link to a file.
    pub fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(FileCall::Link)?;
        std::fs::hard_link(from, to)
    }

    /// Removes a file; one that is not there is gone already.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(FileCall::Remove)?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Removes a folder with all that is in it.
    pub fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.ask(FileCall::Remove)?;
        std::fs::remove_dir_all(path)
    }

    /// Makes new and removed names of a folder durable; only Unix lets a folder be synced.
    pub fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        if cfg!(unix) {
            self.open(folder)?.sync()?;
        }
        Ok(())
    }
}

/// An open file of the store.
#[derive(Debug)]
pub struct StoreFile {
    file: File,
    files: Files,
}

impl StoreFile {
    /// Length in bytes.
    pub fn length(&self) -> io::Result<u64> {
        self.files.ask(FileCall::Measure)?;
        Ok(self.file.metadata()?.len())
    }

    /// Waits for the exclusive lock.
    pub fn lock(&self) -> io::Result<()> {
        self.files.ask(FileCall::Lock)?;
        self.file.lock()
    }

    /// Waits for a shared lock.
    pub fn lock_shared(&self) -> io::Result<()> {
        self.files.ask(FileCall::Lock)?;
        self.file.lock_shared()
    }

    /// Takes the exclusive lock; `false` when another process or handle holds it.
    pub fn try_lock(&self) -> io::Result<bool> {
        self.files.ask(FileCall::Lock)?;
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Cuts the file to a length in bytes.
    pub fn truncate(&self, length: u64) -> io::Result<()> {
        self.files.ask(FileCall::Write)?;
        self.file.set_len(length)
    }

    /// Makes everything written durable.
    pub fn sync(&self) -> io::Result<()> {
        self.files.ask(FileCall::Sync)?;
        self.file.sync_all()
    }
}

/// How files are opened: new ones can be read by their owner alone.
fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn at_most(length: usize, most: usize) -> std::ops::RangeTo<usize> {
    ..length.min(most)
}

impl Read for StoreFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.files.ask(FileCall::Read)?;
        let range = at_most(buffer.len(), most);
        self.file.read(buffer.get_mut(range).unwrap_or_default())
    }
}

impl Write for StoreFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = self.files.ask(FileCall::Write)?;
        let range = at_most(bytes.len(), most);
        self.file.write(bytes.get(range).unwrap_or_default())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for StoreFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
