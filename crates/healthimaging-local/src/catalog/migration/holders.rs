//! Which processes use a folder.

use std::fs::{self, Metadata};
use std::path::Path;

use healthimaging_packs::Files;

use crate::error::{Result, StoreError};
use crate::file_lock::FileLock;

/// What processes hold: those whose id can be found, and whether there are others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Holders {
    pub(super) pids: Vec<u32>,
    pub(super) unknown: bool,
}

impl Holders {
    /// Processes that have the store in `folder` open; dead ones hold no locks.
    pub(super) fn of_folder(files: &Files, folder: &Path) -> Result<Self> {
        let mut found = Self::default();
        let locks = folder.join("locks");
        let entries = files.list(&locks).map_err(StoreError::file("list", &locks))?;
        for entry in entries {
            let name = entry.file_name();
            if !name.to_string_lossy().starts_with("process-") {
                continue;
            }
            let path = entry.path();
            if FileLock::try_acquire(files, &path)?.is_none() {
                let written = fs::read_to_string(&path).ok();
                let pid = written.and_then(|text| text.trim().parse().ok());
                // Earlier releases left their lock files empty.
                found.add(pid.into_iter().chain(lockers(&path)));
            }
        }
        found.pids.sort_unstable();
        found.pids.dedup();
        Ok(found)
    }

    /// Processes that have the file of a catalog open.
    pub(super) fn of_catalog(path: &Path) -> Self {
        let mut found = Self::default();
        found.add(lockers(path).into_iter().filter(|pid| *pid != std::process::id()));
        found.pids.sort_unstable();
        found.pids.dedup();
        found
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pids.is_empty() && !self.unknown
    }

    fn add(&mut self, pids: impl Iterator<Item = u32>) {
        let known = self.pids.len();
        self.pids.extend(pids);
        self.unknown |= self.pids.len() == known;
    }

    /// For messages: `process ids 17, 23`.
    pub(super) fn described(&self) -> String {
        let ids: Vec<String> = self.pids.iter().map(u32::to_string).collect();
        match (&ids[..], self.unknown) {
            ([], _) => "their process ids are not known".to_owned(),
            ([one], false) => format!("process id {one}"),
            (_, false) => format!("process ids {}", ids.join(", ")),
            (_, true) => format!("process ids {}, and others", ids.join(", ")),
        }
    }
}

/// Processes that hold a lock on a file, as Linux lists them; empty elsewhere.
fn lockers(path: &Path) -> Vec<u32> {
    let (Ok(listed), Some(inode)) =
        (fs::read_to_string("/proc/locks"), fs::metadata(path).ok().and_then(|data| inode(&data)))
    else {
        return Vec::new();
    };
    // "1: FLOCK  ADVISORY  WRITE 4321 fe:00:1234 0 EOF"; the device is not that of the file everywhere.
    let of_file = |line: &&str| {
        let place = line.split_whitespace().nth(5).and_then(|place| place.rsplit(':').next());
        place.and_then(|number| number.parse().ok()) == Some(inode)
    };
    let pid = |line: &str| line.split_whitespace().nth(4)?.parse().ok();
    listed.lines().filter(of_file).filter_map(pid).collect()
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn inode(data: &Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::ino(data))
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> Option<u64> {
    None
}
