//! The slices of a series, in the order in which they are scrolled.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use healthimaging::{
    DatastoreId, Error, HealthImaging, ImageSetId, MemoryBudget, Result, Uid, VersionId,
};
use healthimaging_render::{
    FrameLocation, FrameSelector, Geometry, Slice, SliceOrder, find_frame, slices_and_geometry,
};
use healthimaging_workflows::document::{self, DocumentText};
use healthimaging_workflows::find::{self, Criteria, is_primary};

use crate::arguments::SliceChoice;
use crate::versions::Documents;

/// Most image sets that are looked through for those of a series.
const MOST_OF_A_SERIES: usize = 1_000;

/// Image sets that an error lists.
const LISTED: usize = 10;

/// The slices of a series in an image set.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) datastore_id: DatastoreId,
    pub(crate) image_set_id: ImageSetId,
    pub(crate) series_instance_uid: String,
    document: Arc<DocumentText>,
    order: Arc<Order>,
}

/// The slices of a series in their order, and what their positions show.
#[derive(Debug)]
struct Order {
    slices: Vec<Slice>,
    geometry: Geometry,
}

/// The order of a series, and the document that it was read from.
type Known = (Weak<DocumentText>, String, Arc<Order>);

/// Orders of the documents that were read last, the oldest first: scrolling asks for slice after slice.
static KNOWN: Mutex<VecDeque<Known>> = Mutex::new(VecDeque::new());

/// Most slices of known orders.
const MOST_KNOWN: usize = 50_000;

fn known() -> MutexGuard<'static, VecDeque<Known>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the order of the slices of a series, unless it is known.
async fn order_of(document: &Arc<DocumentText>, series: &str) -> Result<Arc<Order>> {
    let is_same = |(of, uid, _): &&Known| {
        uid == series && of.upgrade().is_some_and(|of| Arc::ptr_eq(&of, document))
    };
    if let Some((_, _, order)) = known().iter().find(is_same) {
        return Ok(Arc::clone(order));
    }
    let lease = MemoryBudget::process().work(document::parsed_size(document)).await;
    let (read, uid) = (Arc::clone(document), series.to_owned());
    let (slices, geometry) = tokio::task::spawn_blocking(move || {
        let _lease = lease;
        slices_and_geometry(&read, Some(&uid))
    })
    .await
    .map_err(|error| Error::internal("reading the positions of slices failed", error))??;
    let order = Arc::new(Order { slices, geometry });
    let mut known = known();
    known.retain(|(of, ..)| of.strong_count() > 0);
    known.push_back((Arc::downgrade(document), series.to_owned(), Arc::clone(&order)));
    let mut count: usize = known.iter().map(|(_, _, order)| order.slices.len()).sum();
    while count > MOST_KNOWN
        && let Some((_, _, oldest)) = known.pop_front()
    {
        count -= oldest.slices.len();
    }
    Ok(order)
}

impl Stack {
    /// Reads the slices of a series from an image set, or else from its primary or only one.
    pub(crate) async fn of_series(
        documents: Documents<'_>,
        datastore_id: DatastoreId,
        series: Uid,
        image_set_id: Option<ImageSetId>,
    ) -> Result<Self> {
        let image_set_id = match image_set_id {
            Some(named) => named,
            None => image_set_of(documents.service, &datastore_id, series.clone()).await?,
        };
        Self::read(documents, datastore_id, image_set_id, None, Some(series)).await
    }

    /// Reads the slices of a version of an image set with one series.
    pub(crate) async fn of_image_set(
        documents: Documents<'_>,
        datastore_id: DatastoreId,
        image_set_id: ImageSetId,
        version_id: Option<&VersionId>,
    ) -> Result<Self> {
        Self::read(documents, datastore_id, image_set_id, version_id, None).await
    }

    async fn read(
        documents: Documents<'_>,
        datastore_id: DatastoreId,
        image_set_id: ImageSetId,
        version_id: Option<&VersionId>,
        series: Option<Uid>,
    ) -> Result<Self> {
        let document = documents.fetch(&datastore_id, &image_set_id, version_id).await?;
        let all = &document.levels().series;
        let series_instance_uid = match &series {
            Some(wanted) if all.contains_key(wanted.as_str()) => wanted.as_str().to_owned(),
            Some(_) => {
                return Err(Error::not_found(
                    "the image set holds no series of that series_instance_uid",
                ));
            }
            None => match all.keys().next() {
                Some(only) if all.len() == 1 => only.clone(),
                Some(_) => {
                    return Err(Error::validation(
                        "the image set holds several series; identify the frame by sop_instance_uid",
                    ));
                }
                None => return Err(Error::not_found("the image set holds no series")),
            },
        };
        let order = order_of(&document, &series_instance_uid).await?;
        Ok(Self { datastore_id, image_set_id, series_instance_uid, document, order })
    }

    /// Returns what orders the slices, in a word of the answer.
    pub(crate) fn order(&self) -> &'static str {
        match self.geometry().order {
            SliceOrder::Position => "position",
            SliceOrder::InstanceNumber => "instance_number",
        }
    }

    /// Number of its slices; at least 1.
    pub(crate) fn len(&self) -> usize {
        self.order.slices.len()
    }

    /// What the positions of its slices show.
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.order.geometry
    }

    /// Study Instance UID; `None` if the document has none.
    pub(crate) fn study_instance_uid(&self) -> Option<&str> {
        self.document.levels().study_instance_uid()
    }

    /// Returns the index of a slice, from 0.
    pub(crate) fn index(&self, choice: SliceChoice) -> Result<usize> {
        let count = self.len();
        match choice {
            SliceChoice::Middle => Ok((count - 1) / 2),
            SliceChoice::Number(number) if number as usize <= count => Ok(number as usize - 1),
            SliceChoice::Number(_) => Err(Error::validation(format!(
                "the series has {count} slices; slice is middle, or from 1 to {count}"
            ))),
        }
    }

    /// Returns the frame of a slice, from 0.
    pub(crate) fn selector(&self, index: usize) -> Result<FrameSelector> {
        let slice = self.order.slices.get(index);
        let slice = slice.ok_or_else(|| Error::internal("no such slice", "an index"))?;
        let uid = Uid::try_from(slice.sop_instance_uid.as_str())?;
        Ok(FrameSelector::Number(uid, slice.frame_number))
    }

    /// Finds the frame of a slice, from 0.
    pub(crate) fn locate(&self, index: usize) -> Result<FrameLocation> {
        Ok(find_frame(&self.document, &self.selector(index)?)?)
    }
}

/// Finds the primary or only image set of a series.
async fn image_set_of(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    series: Uid,
) -> Result<ImageSetId> {
    let criteria = Criteria::series(series);
    let found = find::all(service, datastore_id, &criteria, MOST_OF_A_SERIES).await?.image_sets;
    if let Some(primary) = found.iter().find(|set| is_primary(set)) {
        return Ok(primary.image_set_id.clone());
    }
    match &found[..] {
        [] => Err(Error::not_found(
            "the data store holds no image set of that series_instance_uid; search_image_sets finds series",
        )),
        [only] => Ok(only.image_set_id.clone()),
        several => {
            let ids: Vec<&str> =
                several.iter().take(LISTED).map(|set| set.image_set_id.as_str()).collect();
            Err(Error::validation(format!(
                "the series has {} image sets and none is primary; name one in image_set_id: {}",
                several.len(),
                ids.join(", ")
            )))
        }
    }
}
