//! Metadata as DICOM JSON (WADO-RS, `PS3.18 §10.4.1.1.2`).

use std::io::Write;
use std::iter;
use std::ops::Range;
use std::sync::Arc;

use healthimaging::model::{DicomJson, InstanceMetadataRequest, SeriesMetadataRequest};
use healthimaging::{Body, DatastoreId, Error, ImageSetId, MemoryBudget, path_segment};
use healthimaging_dicom::{BulkValue, Document, InstanceJson, Series};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::find::{SeriesBlocks, SeriesContent, SeriesRequest, no_instance};
use crate::documents::{OpenDocument, size_of_instance, size_of_levels};
use crate::error::{Result, StoreError};
use crate::shared::SharedStore;

/// Instances that a thread writes at once: each takes some ten microseconds.
const FEW: usize = 16;
/// Memory of the instances that are written at once, in bytes. A larger one is written while it is sent.
const AT_ONCE: usize = 8 << 20;
/// Memory of an element in the list of elements that are written, in bytes.
const INDEXED: u64 = 40;
/// Longest text that is sent in one piece, in bytes.
const ONE_PIECE: usize = 4 << 20;

/// The attributes of one instance.
pub(crate) async fn instance_metadata(
    shared: &SharedStore,
    request: InstanceMetadataRequest,
) -> Result<Body> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        let (series, sop) =
            (request.series_instance_uid.to_string(), request.sop_instance_uid.to_string());
        let document = SeriesRequest::from(&request).find_instance(&shared, &sop)?.document;
        document.instance(&series, &sop).ok_or_else(no_instance)?;
        let listing = Listing {
            document,
            series,
            instances: vec![sop],
            datastore: request.datastore_id,
            image_set: request.image_set_id,
        };
        listing.into_body()
    })
    .await?
}

/// The attributes of every instance of a series, by instance number.
pub(crate) async fn series_metadata(
    shared: &SharedStore,
    request: SeriesMetadataRequest,
) -> Result<Body> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || match SeriesRequest::from(&request).find(&shared)? {
        SeriesContent::Whole(document) => Listing::of(document, &request).into_body(),
        SeriesContent::Blocks(blocks) => blocks_body(shared, request, blocks),
    })
    .await?
}

/// A series whose document is in blocks: they are read one after the other, at the reader's pace. The first few instances are
/// sent before the others are parsed.
fn blocks_body(
    shared: SharedStore,
    request: SeriesMetadataRequest,
    blocks: SeriesBlocks,
) -> Result<Body> {
    let Some(first) = blocks.open(&shared, 0, 0..FEW)? else {
        return Ok(b"[]".to_vec().into());
    };
    let listing = Listing::of(first, &request);
    let batch = listing.batch(0)?;
    Ok(Body::from_writer(None, move |out| {
        let unwritable = |error| Error::internal("the reader closed the connection", error);
        out.write_all(b"[").map_err(unwritable)?;
        listing.write_from(batch, out)?;
        // The rest takes longer.
        out.flush().map_err(unwritable)?;
        drop(listing);
        let others = (1..blocks.count()).map(|number| (number, 0..usize::MAX));
        for (number, positions) in iter::once((0, FEW..usize::MAX)).chain(others) {
            let Some(block) = blocks.open(&shared, number, positions)? else { break };
            let listing = Listing::of(block, &request);
            if !listing.instances.is_empty() {
                out.write_all(b",").map_err(unwritable)?;
                listing.write_from(listing.batch(0)?, out)?;
            }
        }
        out.write_all(b"]").map_err(unwritable)?;
        Ok(())
    }))
}

/// Instances whose attributes are listed.
struct Listing {
    document: Arc<OpenDocument>,
    series: String,
    /// SOP Instance UIDs.
    instances: Vec<String>,
    datastore: DatastoreId,
    image_set: Option<ImageSetId>,
}

impl Listing {
    /// All instances of a series in a document.
    fn of(document: Arc<OpenDocument>, request: &SeriesMetadataRequest) -> Self {
        let series = request.series_instance_uid.to_string();
        let in_order = document.series.get(&series).map(Series::in_order).unwrap_or_default();
        let instances = in_order.into_iter().map(|(order, _)| order.sop_uid).collect();
        Self {
            instances,
            document,
            series,
            datastore: request.datastore_id.clone(),
            image_set: request.image_set_id.clone(),
        }
    }

    /// The list as JSON: of few instances in one piece, else batch by batch, at the reader's pace. If the
    /// first batch fails, this is an error, and not half a body.
    fn into_body(self) -> Result<Body> {
        let first = self.batch(0)?;
        if let Some(text) = &first.text
            && first.end == self.instances.len()
            && text.len() <= ONE_PIECE
        {
            return Ok([b"[", text.as_slice(), b"]"].concat().into());
        }
        Ok(Body::from_writer(None, move |out| Ok(self.write(first, out)?)))
    }

    fn write(&self, first: Batch, out: &mut dyn Write) -> Result<()> {
        let unwritable = |error| Error::internal("the reader closed the connection", error);
        out.write_all(b"[").map_err(unwritable)?;
        self.write_from(first, out)?;
        out.write_all(b"]").map_err(unwritable)?;
        Ok(())
    }

    /// Writes a batch and all behind it, with commas between the instances.
    fn write_from(&self, first: Batch, out: &mut dyn Write) -> Result<()> {
        let unwritable = |error| Error::internal("the reader closed the connection", error);
        let mut batch = first;
        loop {
            let Batch { text, start, end } = batch;
            if let Some(text) = text {
                out.write_all(&text).map_err(unwritable)?;
            } else {
                let _lease = MemoryBudget::process().work_blocking(self.index_size(start));
                self.write_some(start..end, out)?;
            }
            if end >= self.instances.len() {
                break;
            }
            out.write_all(b",").map_err(unwritable)?;
            batch = self.batch(end)?;
        }
        Ok(())
    }

    /// The attributes of the instances from a position on, as many as are written at once. Several threads
    /// write them.
    fn batch(&self, start: usize) -> Result<Batch> {
        let all = self.instances.get(start..).unwrap_or_default();
        let of_levels = size_of_levels(&self.document, &self.series);
        let size_of = |sop: &String| {
            let instance = self.document.instance(&self.series, sop);
            of_levels + instance.map_or(0, size_of_instance)
        };
        let mut size = 0;
        let fits = |sop: &&String| {
            size += size_of(sop);
            size <= AT_ONCE
        };
        let count = all.iter().take_while(fits).count();
        if count == 0 {
            return Ok(Batch { text: None, start, end: all.len().min(1) + start });
        }
        let end = start + count;
        let _lease = MemoryBudget::process().work_blocking(2 * size.min(AT_ONCE) as u64);
        let starts: Vec<_> = (start..end).step_by(FEW).collect();
        let parts = starts.into_par_iter().map(|start| {
            let mut text = Vec::new();
            self.write_some(start..end.min(start + FEW), &mut text)?;
            Ok(text)
        });
        let parts: Vec<_> = parts.collect::<Result<_>>()?;
        Ok(Batch { text: Some(parts.join(&b',')), start, end })
    }

    /// Bytes of memory of the list of elements of an instance that is written.
    fn index_size(&self, number: usize) -> u64 {
        let sop = self.instances.get(number);
        let instance = sop.and_then(|sop| self.document.instance(&self.series, sop));
        instance.map_or(0, |instance| instance.attributes.len() as u64 * INDEXED)
    }

    /// Writes the attributes of some instances, with commas between them.
    fn write_some(&self, range: Range<usize>, out: &mut dyn Write) -> Result<()> {
        let some = self.instances.get(range).unwrap_or_default();
        for (number, sop) in some.iter().enumerate() {
            if number > 0 {
                out.write_all(b",")
                    .map_err(|error| Error::internal("the reader closed the connection", error))?;
            }
            self.place().write(&self.document, &self.series, sop, out)?;
        }
        Ok(())
    }

    fn place(&self) -> BulkDataUrls<'_> {
        BulkDataUrls { datastore: &self.datastore, image_set: self.image_set.as_ref() }
    }
}

/// Some instances of a list, from one position up to another; of a large one the text is not made before
/// it is sent.
struct Batch {
    text: Option<Vec<u8>>,
    start: usize,
    end: usize,
}

/// Where large values are found.
#[derive(Debug, Clone, Copy)]
pub(super) struct BulkDataUrls<'a> {
    pub(super) datastore: &'a DatastoreId,
    /// The requested one: values of a non-primary image set are found in it alone.
    pub(super) image_set: Option<&'a ImageSetId>,
}

impl BulkDataUrls<'_> {
    /// Writes the attributes of one instance; large values are named by their place.
    fn write(
        &self,
        document: &Document,
        series: &str,
        sop: &str,
        to: &mut dyn Write,
    ) -> Result<()> {
        self.show(document, series, sop, |shown| serde_json::to_writer(to, &shown))
    }

    /// The requested attributes of one instance.
    pub(super) fn attributes(
        &self,
        document: &Document,
        series: &str,
        sop: &str,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<DicomJson> {
        self.show(document, series, sop, |mut shown| {
            shown.retain(is_wanted);
            serde_json::from_value(serde_json::to_value(shown)?)
        })
    }

    fn show<T>(
        &self,
        document: &Document,
        series: &str,
        sop: &str,
        show: impl FnOnce(InstanceJson<'_>) -> serde_json::Result<T>,
    ) -> Result<T> {
        let study = document.study.get("StudyInstanceUID");
        let study = study.and_then(|uid| uid.as_str()).unwrap_or_default();
        let [study, series_segment, sop_segment] = [study.trim(), series, sop].map(path_segment);
        let bulk = |value: &BulkValue| {
            let image_set = self.image_set.map(|id| format!("?imageSetId={id}"));
            format!(
                "/datastore/{}/studies/{study}/series/{series_segment}/instances/{sop_segment}/bulkdata/{}{}",
                self.datastore,
                value.blob_id,
                image_set.unwrap_or_default()
            )
        };
        let shown = InstanceJson::of(document, series, sop, &bulk)?;
        show(shown).map_err(|error| {
            if error.is_io() {
                return Error::internal("the reader closed the connection", error).into();
            }
            StoreError::Damaged(format!("the metadata could not be written: {error}"))
        })
    }
}
