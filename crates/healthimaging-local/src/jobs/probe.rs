//! Trying a file on which a process crashed in a process of its own: the file may not be the cause.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;
use crate::shared::Shared;

/// A process that takes longer is considered not to crash.
const LONGEST: Duration = Duration::from_mins(10);
/// Begins the names of the folders of such processes.
const PREFIX: &str = "probe-";
/// The lock in such a folder of the process that waits.
const LOCK: &str = "waiting.lock";

type Make = dyn Fn(&Path, &Path) -> Command + Send + Sync;

/// Makes the command of a process that imports a file into a store of its own, and may crash.
#[derive(Clone)]
pub struct Probe(Arc<Make>);

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Probe").finish()
    }
}

impl Probe {
    /// `command` is called with the folder of the store and the file.
    pub fn new(command: impl Fn(&Path, &Path) -> Command + Send + Sync + 'static) -> Self {
        Self(Arc::new(command))
    }

    /// Whether a process that imports the file is killed by a signal.
    pub(super) async fn is_fatal(&self, shared: &Shared, file: &Path) -> Result<bool> {
        let incoming = crate::ingest::spool::folder(shared)?;
        let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&incoming);
        let folder = made.map_err(StoreError::file("make a folder in", &incoming))?;
        let _waiting = FileLock::try_acquire(&shared.config.files, &folder.path().join(LOCK))?;
        let mut command = (self.0)(&folder.path().join("store"), file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut command = tokio::process::Command::from(command);
        let ended = command.kill_on_drop(true).status();
        match tokio::time::timeout(LONGEST, ended).await {
            Ok(Ok(status)) => Ok(status.code().is_none()),
            Ok(Err(error)) => Err(StoreError::file("run a process in", &incoming)(error)),
            Err(_) => Ok(false),
        }
    }
}

/// Removes the folders of such processes for which no process waits.
pub(crate) fn sweep(shared: &Shared) -> Result<()> {
    let files = &shared.config.files;
    let incoming = crate::ingest::spool::folder(shared)?;
    for entry in files.list(&incoming).map_err(StoreError::file("list", &incoming))? {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && FileLock::try_acquire(files, &path.join(LOCK)).is_ok_and(|lock| lock.is_some())
        {
            files.remove_folder(&path).map_err(StoreError::file("remove", &path))?;
        }
    }
    Ok(())
}
