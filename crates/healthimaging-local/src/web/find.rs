//! From the UIDs of DICOMweb to an image set and its document.

use std::sync::Arc;

use healthimaging::model::{
    InstanceMetadataRequest, RetrieveBulkdataRequest, RetrieveFramesRequest,
    RetrieveInstanceRequest, SeriesMetadataRequest,
};
use healthimaging::{DatastoreId, Error, ImageSetId};

use crate::catalog::{Reader, datastores, image_sets};
use crate::documents::{Found, OpenDocument};
use crate::error::{Result, StoreError};
use crate::shared::Shared;

/// A requested series, and the image set to look in.
#[derive(Debug, Clone)]
pub(super) struct SeriesRequest {
    pub(super) datastore: DatastoreId,
    pub(super) study: String,
    pub(super) series: String,
    /// This image set, primary or not; the primary one when absent.
    pub(super) image_set: Option<ImageSetId>,
}

/// An image set that holds the series.
#[derive(Debug)]
pub(super) struct FoundSeries {
    /// Row of the image set.
    pub(super) row: i64,
    pub(super) document: Arc<OpenDocument>,
    /// Image set and version, whose content never changes.
    pub(super) name: String,
}

macro_rules! wanted_from {
    ($($request:ty),+) => {
        $(impl From<&$request> for SeriesRequest {
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

impl SeriesRequest {
    /// Finds the image set and reads its latest content. Blocks.
    pub(super) fn find(&self, shared: &Shared) -> Result<FoundSeries> {
        let found = shared.catalog.read_blocking(|reader| self.look_up(shared, reader))?;
        let (row, name, found) = found;
        let document = shared.caches.documents.open(found)?;
        let study = document.study.get("StudyInstanceUID").and_then(|uid| uid.as_str());
        if study.map(str::trim) != Some(self.study.as_str())
            || !document.series.contains_key(&self.series)
        {
            return Err(no_series());
        }
        shared.caches.accesses.note(row, shared.now());
        Ok(FoundSeries { row, document, name })
    }

    fn look_up(&self, shared: &Shared, reader: &Reader) -> Result<(i64, String, Found)> {
        let datastore = datastores::find_active(reader, &self.datastore)?;
        let set = if let Some(id) = &self.image_set {
            image_sets::find_live(reader, datastore.row, id)?
        } else {
            let (study, series) = (&self.study, &self.series);
            let row = image_sets::primary_of_series(reader, datastore.row, study, series)?;
            image_sets::at(reader, row.ok_or_else(no_series)?)?
        };
        let version = image_sets::latest_version(reader, &set)?;
        let found = shared.caches.documents.find(reader, &set, &version)?;
        let name = format!("{}/{}", set.id, set.latest_version);
        Ok((set.row, name, found.ok_or_else(no_series)?))
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
