//! Changes and deletions: what they are, and how each is carried out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::{DatastoreId, Error, Result};

use crate::work::{Journal, Tools};

/// Changes and deletions of one data store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// In which data store.
    pub datastore_id: DatastoreId,
}

/// Carries it out.
pub(crate) async fn run(
    _change: &Change,
    _tools: &Tools,
    _journal: &dyn Journal,
) -> Result<Map<String, Value>> {
    Err(Error::not_supported("changes are not here yet"))
}
