//! Whether a folder holds a store, without opening it.

use std::path::Path;

use crate::store::LocalStore;

impl LocalStore {
    /// Whether `data_dir` holds a store, which may be damaged. Opening a store where none is would create one.
    pub fn exists_in(data_dir: &Path) -> bool {
        ["catalogue.sqlite", "packs"].iter().any(|name| data_dir.join(name).exists())
    }
}
