//! Searches (QIDO-RS, `PS3.18 §10.6`): the page is found in the catalog alone; documents are read
//! only for attributes that it does not hold.

mod filters;
mod include;
mod keys;
mod own;
mod request_attributes;
mod results;

use std::cell::RefCell;
use std::sync::Arc;

use healthimaging::model::{DicomJson, SearchDicomRequest, SearchLevel};
use healthimaging::{Error, MemoryBudget, MemoryLease, QueryLevel};

use self::filters::Filters;
use crate::catalog::dicom_search::{self, DicomSearch, InstanceOrder};
use crate::catalog::{Reader, datastores, image_sets};
use crate::documents::{Documents, OpenDocument, size_of_attributes};
use crate::error::Result;
use crate::shared::{Shared, SharedStore};

/// Results of one request at most, and without a limit.
const MOST_RESULTS: u32 = 1000;
/// The farthest start.
const FARTHEST: u32 = 1_000_000;

/// Studies, series or instances of the primary image sets.
pub(crate) async fn search(
    shared: &SharedStore,
    mut request: SearchDicomRequest,
) -> Result<Vec<DicomJson>> {
    let limit = request.limit.unwrap_or(MOST_RESULTS);
    if !(1..=MOST_RESULTS).contains(&limit) {
        return Err(Error::validation(format!("limit is 1 to {MOST_RESULTS}")).into());
    }
    if request.offset > FARTHEST {
        return Err(Error::validation(format!("offset is 0 to {FARTHEST}")).into());
    }
    request_attributes::include(&mut request);
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        shared.catalog.read_blocking(|reader| {
            let datastore = datastores::find_active(reader, &request.datastore_id)?;
            let page = Page {
                reader,
                datastore: datastore.row,
                request: &request,
                limit,
                shared: &shared,
                last: RefCell::default(),
                included: RefCell::default(),
            };
            page.results()
        })
    })
    .await?
}

/// One page of results.
struct Page<'a> {
    reader: &'a Reader,
    /// Row of the data store.
    datastore: i64,
    request: &'a SearchDicomRequest,
    limit: u32,
    shared: &'a Shared,
    /// The image set whose document was read last, and the document: results of one set follow each other.
    last: RefCell<Option<(i64, Arc<OpenDocument>)>>,
    /// For the attributes out of documents that results hold.
    included: RefCell<Option<MemoryLease>>,
}

impl Page<'_> {
    fn results(&self) -> Result<Vec<DicomJson>> {
        let (level, study, series) = match &self.request.level {
            SearchLevel::Studies => (QueryLevel::Study, None, None),
            SearchLevel::Series(study) => (QueryLevel::Series, study.as_ref(), None),
            SearchLevel::Instances(study, series) => {
                (QueryLevel::Instance, study.as_ref(), series.as_ref())
            }
        };
        let Filters { conditions, modalities } = Filters::parse(self.request, study, series)?;
        let (datastore, limit, offset) = (self.datastore, self.limit, self.request.offset);
        let sets = None;
        let mut search =
            DicomSearch { datastore, level, conditions, modalities, sets, limit, offset };
        request_attributes::restrict(self, &mut search)?;
        match level {
            QueryLevel::Study => {
                let found = dicom_search::studies(self.reader, &search)?;
                found.iter().map(|study| results::study(self, study)).collect()
            }
            QueryLevel::Series => {
                let parents = Parents::shown(study.is_none());
                let found = dicom_search::series(self.reader, &search)?;
                found.iter().map(|series| results::series(self, series, parents)).collect()
            }
            QueryLevel::Instance => {
                let parents = Parents::shown(study.is_none() || series.is_none());
                let order = match (study, series) {
                    (Some(_), None) => InstanceOrder::LatestChange,
                    _ => InstanceOrder::Number,
                };
                let found = dicom_search::instances(self.reader, &search, order)?;
                found.iter().map(|instance| results::instance(self, instance, parents)).collect()
            }
        }
    }

    /// The latest document of an image set.
    fn document(&self, set: i64) -> Result<Option<Arc<OpenDocument>>> {
        let mut last = self.last.borrow_mut();
        if let Some((of_set, document)) = &*last
            && *of_set == set
        {
            return Ok(Some(Arc::clone(document)));
        }
        // The lease of one document must not be held while waiting for that of another.
        *last = None;
        let row = image_sets::at(self.reader, set)?;
        let version = image_sets::latest_version(self.reader, &row)?;
        let documents = &self.shared.caches.documents;
        let found = documents.find(self.reader, &row, &version)?;
        let is_leased = self.included.borrow().is_some();
        let open = if is_leased { Documents::open_at_once } else { Documents::open };
        let document = found.map(|found| open(documents, found)).transpose()?;
        *last = document.clone().map(|document| (set, document));
        Ok(document)
    }

    /// Leases memory for attributes that a result gets out of a document. It does not wait, since a document is
    /// open: later leases wait.
    fn lease(&self, attributes: &DicomJson) {
        let bytes = size_of_attributes(attributes) as u64;
        match &mut *self.included.borrow_mut() {
            Some(lease) => lease.resize(lease.bytes().saturating_add(bytes)),
            none => *none = Some(MemoryBudget::process().document_at_once(bytes)),
        }
    }
}

/// Whether a result repeats the attributes of the levels above it, as it must where the path does not
/// name them (`PS3.18 §10.6.3.3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parents {
    Shown,
    Named,
}

impl Parents {
    fn shown(shown: bool) -> Self {
        if shown { Self::Shown } else { Self::Named }
    }
}
