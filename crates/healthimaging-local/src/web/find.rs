//! From the UIDs of DICOMweb to an image set and its document.

use std::sync::Arc;

use healthimaging::model::{
    InstanceMetadataRequest, RetrieveBulkdataRequest, RetrieveFramesRequest,
    RetrieveInstanceRequest, SeriesMetadataRequest,
};
use healthimaging::{DatastoreId, Error, ImageSetId};
use rusqlite::{Connection, OptionalExtension};

use crate::documents::{Found, OpenDocument};
use crate::error::{Result, StoreError};
use crate::index::{attributes, datastores, image_sets};
use crate::shared::Shared;

/// Which series is wanted, and in which image set.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) datastore: DatastoreId,
    pub(super) study: String,
    pub(super) series: String,
    /// This image set, primary or not; the primary one when absent.
    pub(super) image_set: Option<ImageSetId>,
}

/// An image set that holds the series.
#[derive(Debug)]
pub(super) struct Held {
    /// Row of the image set.
    pub(super) row: i64,
    pub(super) document: Arc<OpenDocument>,
    /// Image set and version, whose content never changes.
    pub(super) name: String,
}

macro_rules! wanted_from {
    ($($request:ty),+) => {
        $(impl From<&$request> for Wanted {
            fn from(request: &$request) -> Self {
                Self {
                    datastore: request.datastore_id.clone(),
                    study: request.study_instance_uid.to_string(),
                    series: request.series_instance_uid.to_string(),
                    image_set: request.image_set_id.clone(),
                }
            }
        })+
    };
}
wanted_from!(
    RetrieveInstanceRequest,
    RetrieveFramesRequest,
    RetrieveBulkdataRequest,
    InstanceMetadataRequest,
    SeriesMetadataRequest
);

impl Wanted {
    /// Finds the image set and reads its latest content. Blocks.
    pub(super) fn find(&self, shared: &Shared) -> Result<Held> {
        let found =
            shared.catalogue.read_blocking(|connection| self.look_up(shared, connection))?;
        let (row, name, found) = found;
        let document = shared.documents.open(found)?;
        let study = document.study.get("StudyInstanceUID").and_then(|uid| uid.as_str());
        if study.map(str::trim) != Some(self.study.as_str())
            || !document.series.contains_key(&self.series)
        {
            return Err(no_series());
        }
        shared.accesses.note(row, shared.now());
        Ok(Held { row, document, name })
    }

    fn look_up(&self, shared: &Shared, connection: &Connection) -> Result<(i64, String, Found)> {
        let datastore = datastores::find_active(connection, &self.datastore)?;
        let set = match &self.image_set {
            Some(id) => image_sets::find_live(connection, datastore.row, id)?,
            None => image_sets::at(connection, self.primary(connection, datastore.row)?)?,
        };
        let version = image_sets::version(connection, set.row, set.latest_version.into())?;
        let found = shared.documents.find(connection, &set, &version)?;
        let name = format!("{}/{}", set.id, set.latest_version);
        Ok((set.row, name, found.ok_or_else(no_series)?))
    }

    fn primary(&self, connection: &Connection, datastore: i64) -> Result<i64> {
        let of_series = attributes::with_value("SeriesInstanceUID");
        connection
            .prepare_cached(&format!(
                "SELECT image_set.row FROM {of_series} AND image_set.is_primary = 1
                     AND image_set.study_instance_uid = ?3
                 ORDER BY image_set.updated_at DESC LIMIT 1"
            ))?
            .query_row((datastore, &self.series, &self.study), |row| row.get(0))
            .optional()?
            .ok_or_else(no_series)
    }
}

fn no_series() -> StoreError {
    Error::not_found(
        "the data store has no such series in this study; only primary image sets are looked at \
         unless image_set_id names one",
    )
    .into()
}

/// For an instance that the series does not hold.
pub(super) fn no_instance() -> StoreError {
    Error::not_found("the series holds no instance with this SOP Instance UID").into()
}
