//! From the UIDs of DICOMweb to an image set and its document.

use std::ops::Range;
use std::sync::Arc;

use healthimaging::model::{
    InstanceMetadataRequest, RetrieveBulkdataRequest, RetrieveFramesRequest,
    RetrieveInstanceRequest, SeriesMetadataRequest,
};
use healthimaging::{DatastoreId, Error, ImageSetId};
use healthimaging_dicom::Document;

use crate::catalog::blocks::{self, BlockRow};
use crate::catalog::image_sets::{self, ImageSetRow, VersionRow};
use crate::catalog::{Reader, datastores};
use crate::documents::OpenDocument;
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

/// The latest content of an image set that holds the series.
pub(super) enum SeriesContent {
    Whole(Arc<OpenDocument>),
    /// The levels, and the blocks of the series, in their order.
    Blocks(SeriesBlocks),
}

/// The blocks of a series.
pub(super) struct SeriesBlocks {
    image_set: ImageSetId,
    levels: Arc<Document>,
    blocks: Vec<BlockRow>,
}

impl SeriesBlocks {
    pub(super) const fn count(&self) -> usize {
        self.blocks.len()
    }

    /// Instances of a block by their positions in it, in a document; `None` behind the last block. Blocks.
    pub(super) fn open(
        &self,
        shared: &Shared,
        number: usize,
        positions: Range<usize>,
    ) -> Result<Option<Arc<OpenDocument>>> {
        let Some(row) = self.blocks.get(number) else { return Ok(None) };
        let documents = &shared.caches.documents;
        let find = |reader: &Reader| documents.blocks.find(reader, &self.image_set, row);
        let found = shared.catalog.read_blocking(find)?;
        documents.open_block(&self.levels, row, found, positions).map(Some)
    }
}

impl SeriesRequest {
    /// Finds the image set, and reads of its latest content what an instance needs: the document may hold no other
    /// instances. Blocks.
    pub(super) fn find_instance(&self, shared: &Shared, sop: &str) -> Result<FoundSeries> {
        let (uids, documents) = ((self.series.as_str(), sop), &shared.caches.documents);
        let (row, name, found) = shared.catalog.read_blocking(|reader| {
            let (set, version) = self.look_up(reader)?;
            let found = documents.find_instance(reader, &set, &version, uids)?;
            Ok((set.row, content_name(&set), found.ok_or_else(no_series)?))
        })?;
        let document = documents.open_instance(found, uids)?;
        self.check(&document)?;
        shared.caches.accesses.note(row, shared.now());
        Ok(FoundSeries { row, document, name })
    }

    /// Finds the image set and its latest content. Blocks.
    pub(super) fn find(&self, shared: &Shared) -> Result<SeriesContent> {
        let documents = &shared.caches.documents;
        let (row, found) = shared.catalog.read_blocking(|reader| {
            let (set, version) = self.look_up(reader)?;
            let holder = version.content_version.ok_or_else(no_series)?;
            let Some(count) = blocks::count(reader, set.row, holder)? else {
                let found = documents.find(reader, &set, &version)?;
                return Ok((set.row, Err(found.ok_or_else(no_series)?)));
            };
            let mut rows = blocks::of_version(reader, set.row, holder, count)?;
            rows.retain(|row| row.facts.series_instance_uid == self.series);
            let name = (set.id.clone(), holder);
            let levels = documents.blocks.find_levels(reader, set.row, name)?;
            Ok((set.row, Ok((set.id, levels, rows))))
        })?;
        let content = match found {
            Err(whole) => {
                let document = documents.open(whole)?;
                self.check(&document)?;
                SeriesContent::Whole(document)
            }
            Ok((image_set, levels, blocks)) => {
                let levels = documents.blocks.open_levels(levels)?;
                self.check(&levels)?;
                SeriesContent::Blocks(SeriesBlocks { image_set, levels, blocks })
            }
        };
        shared.caches.accesses.note(row, shared.now());
        Ok(content)
    }

    /// Fails unless the document is of the study and has the series.
    fn check(&self, document: &Document) -> Result<()> {
        let study = document.study.get("StudyInstanceUID").and_then(|uid| uid.as_str());
        if study.map(str::trim) == Some(self.study.as_str())
            && document.series.contains_key(&self.series)
        {
            return Ok(());
        }
        Err(no_series())
    }

    fn look_up(&self, reader: &Reader) -> Result<(ImageSetRow, VersionRow)> {
        let datastore = datastores::find_active(reader, &self.datastore)?;
        let set = if let Some(id) = &self.image_set {
            image_sets::find_live(reader, datastore.row, id)?
        } else {
            let (study, series) = (&self.study, &self.series);
            let row = image_sets::primary_of_series(reader, datastore.row, study, series)?;
            image_sets::at(reader, row.ok_or_else(no_series)?)?
        };
        let version = image_sets::latest_version(reader, &set)?;
        Ok((set, version))
    }
}

/// Image set and version, whose content never changes.
fn content_name(set: &ImageSetRow) -> String {
    format!("{}/{}", set.id, set.latest_version)
}

fn no_series() -> StoreError {
    Error::not_found(
        "the data store has no such series in this study; only primary image sets are looked at \
         unless the image set is named",
    )
    .into()
}

/// For an instance that the series does not hold.
pub(super) fn no_instance() -> StoreError {
    Error::not_found("the series holds no instance with this SOP Instance UID").into()
}
