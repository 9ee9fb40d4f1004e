//! Snapshots of a database of a store, and the packs that a snapshot of the catalog names.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::Result;

/// How long a writer may hold the lock.
const BUSY: Duration = Duration::from_mins(1);

/// Writes the database `source`, as it is at one moment, to the empty file `target`, which then holds nothing that was
/// deleted. `is_immutable` says that the source is on a disk that cannot be written to.
pub(crate) fn take(source: &Path, is_immutable: bool, target: &Path) -> Result<()> {
    let connection = if is_immutable {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(immutable(source), flags)?
    } else {
        Connection::open_with_flags(source, OpenFlags::SQLITE_OPEN_READ_WRITE)?
    };
    connection.busy_timeout(BUSY)?;
    connection.execute("VACUUM INTO ?1", [target.to_string_lossy()])?;
    Ok(())
}

/// The packs that the catalog at `path` needs. Others were being written, or are garbage.
pub(crate) fn packs(path: &Path) -> Result<BTreeSet<String>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare("SELECT id FROM pack WHERE image_set IS NOT NULL")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// A URI that opens a database that nothing can write to.
fn immutable(path: &Path) -> String {
    let escaped =
        path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{escaped}?immutable=1")
}
