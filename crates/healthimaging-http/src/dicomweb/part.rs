//! Parts of multipart responses, and the URLs that they name.

use std::fmt::Write as _;

use healthimaging::{Body, DatastoreId, Result, Uid, path_segment};

use super::is_common;
use crate::call::Call;

/// A part of a multipart response.
pub(super) struct Part {
    /// Its media type.
    pub(super) media: String,
    /// URL of the resource in it (`PS3.18` Table 8.4.2-1).
    pub(super) location: String,
    pub(super) body: Body,
}

/// URLs of resources of a data store, with the query of a request.
#[derive(Debug, Clone)]
pub(super) struct Urls {
    datastore: String,
    query: String,
}

impl Urls {
    /// Those of the data store of a call. Of its query, they have what selects or changes a resource.
    pub(super) fn of(call: &Call) -> Result<Self> {
        let datastore_id: DatastoreId = call.path("datastoreId")?;
        let mut query = String::new();
        for (name, value) in call.pairs().filter(|(name, _)| !is_common(name)) {
            let sign = if query.is_empty() { '?' } else { '&' };
            let _ = write!(query, "{sign}{}={}", path_segment(name), path_segment(value));
        }
        Ok(Self { datastore: format!("{}/datastore/{datastore_id}", call.base_url.0), query })
    }

    /// Returns the URL of a resource of an instance: `resource` is empty or, for example, `/frames/1`.
    pub(super) fn of_instance(
        &self,
        study: &Uid,
        series: &Uid,
        sop: &Uid,
        resource: &str,
    ) -> String {
        let [study, series, sop] = [study, series, sop].map(Uid::path_segment);
        let Self { datastore, query } = self;
        format!("{datastore}/studies/{study}/series/{series}/instances/{sop}{resource}{query}")
    }
}
