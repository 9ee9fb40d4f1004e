//! Export: instances as Part 10 files, with a manifest and a checksum a file.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::{DatastoreId, Error, Result};

use crate::work::{Journal, Tools};

/// What to export, and where to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// From which data store.
    pub datastore_id: DatastoreId,
}

/// Carries it out.
pub(crate) async fn run(
    _export: &Export,
    _tools: &Tools,
    _journal: &dyn Journal,
) -> Result<Map<String, Value>> {
    Err(Error::not_supported("exports are not here yet"))
}
