//! Metadata as DICOM JSON (WADO-RS, `PS3.18 §10.4.1.1.2`).

use std::io::Write;
use std::sync::Arc;

use healthimaging::model::{DicomJson, InstanceMetadataRequest, SeriesMetadataRequest};
use healthimaging::{Body, DatastoreId, Error, ImageSetId, MemoryBudget, path_segment};
use healthimaging_dicom::{ApartValue, Document, InstanceIndex, InstanceJson};
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use super::find::{Wanted, no_instance};
use super::stream::body_of;
use crate::documents::{OpenDocument, size_of_instance};
use crate::error::{Result, StoreError};
use crate::shared::SharedStore;

/// Instances that a thread writes at once: each takes some ten microseconds.
const FEW: usize = 16;
/// Memory of the instances that are written at once, in bytes, unless one takes more.
const AT_ONCE: usize = 8 << 20;
/// Longest text that is sent in one piece, in bytes.
const ONE_PIECE: usize = 4 << 20;

/// The attributes of one instance.
pub(crate) async fn instance_metadata(
    shared: &SharedStore,
    request: InstanceMetadataRequest,
) -> Result<Body> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        let document = Wanted::from(&request).find(&shared)?.document;
        let (series, sop) =
            (request.series_instance_uid.to_string(), request.sop_instance_uid.to_string());
        document.instance(&series, &sop).ok_or_else(no_instance)?;
        let listing = Listing {
            document,
            series,
            instances: vec![sop],
            host: request.host,
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
    tokio::task::spawn_blocking(move || {
        let document = Wanted::from(&request).find(&shared)?.document;
        let series = request.series_instance_uid.to_string();
        let of_series = |instance: &InstanceIndex| instance.series_instance_uid == series;
        let mut instances: Vec<_> = document.instance_index().filter(of_series).collect();
        instances
            .sort_by_key(|instance| (instance.instance_number.is_none(), instance.instance_number));
        let instances = instances.into_iter().map(|instance| instance.sop_instance_uid);
        let listing = Listing {
            instances: instances.collect(),
            document,
            series,
            host: request.host,
            datastore: request.datastore_id,
            image_set: request.image_set_id,
        };
        listing.into_body()
    })
    .await?
}

/// Instances whose attributes are listed.
struct Listing {
    document: Arc<OpenDocument>,
    series: String,
    /// SOP Instance UIDs.
    instances: Vec<String>,
    host: String,
    datastore: DatastoreId,
    image_set: Option<ImageSetId>,
}

impl Listing {
    /// The list as JSON: of few instances in one piece, else batch by batch, at the reader's pace. What goes
    /// wrong with the first batch is an error, and not half a body.
    fn into_body(self) -> Result<Body> {
        let first = self.batch(0)?;
        if first.end == self.instances.len() && first.text.len() <= ONE_PIECE {
            return Ok([b"[", first.text.as_slice(), b"]"].concat().into());
        }
        Ok(body_of(None, move |out| Ok(self.write(first, out)?)))
    }

    fn write(&self, first: Batch, out: &mut dyn Write) -> Result<()> {
        let unwritable = |error| Error::internal("the reader is gone", error);
        out.write_all(b"[").map_err(unwritable)?;
        let mut batch = first;
        loop {
            out.write_all(&batch.text).map_err(unwritable)?;
            if batch.end >= self.instances.len() {
                break;
            }
            out.write_all(b",").map_err(unwritable)?;
            batch = self.batch(batch.end)?;
        }
        out.write_all(b"]").map_err(unwritable)?;
        Ok(())
    }

    /// The attributes of the instances from a position on, as many as are written at once. Several threads
    /// write them.
    fn batch(&self, start: usize) -> Result<Batch> {
        let all = self.instances.get(start..).unwrap_or_default();
        let mut size = 0;
        let fits = |sop: &&String| {
            let instance = self.document.instance(&self.series, sop);
            let before = size;
            size += instance.map_or(0, size_of_instance);
            before == 0 || size <= AT_ONCE
        };
        let count = all.iter().take_while(fits).count();
        let (some, _) = all.split_at(count);
        let _lease = MemoryBudget::process().work_blocking(2 * size as u64);
        let parts = some.par_chunks(FEW).map(|few| {
            let mut text = Vec::new();
            for sop in few {
                if !text.is_empty() {
                    text.push(b',');
                }
                self.place().write(&self.document, &self.series, sop, &mut text)?;
            }
            Ok(text)
        });
        let parts: Vec<_> = parts.collect::<Result<_>>()?;
        Ok(Batch { text: parts.join(&b','), end: start + count })
    }

    fn place(&self) -> Place<'_> {
        let Self { host, datastore, image_set, .. } = self;
        Place { host, datastore, image_set: image_set.as_ref() }
    }
}

/// Some instances of a list, and the position behind them.
struct Batch {
    text: Vec<u8>,
    end: usize,
}

/// Where large values are found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Scheme and host, or nothing.
    pub(super) host: &'a str,
    pub(super) datastore: &'a DatastoreId,
    /// The one that was asked for: values of one that is not primary are found in it alone.
    pub(super) image_set: Option<&'a ImageSetId>,
}

impl Place<'_> {
    /// Writes the attributes of one instance; large values are named by their place.
    fn write(&self, document: &Document, series: &str, sop: &str, to: &mut Vec<u8>) -> Result<()> {
        self.show(document, series, sop, |shown| serde_json::to_writer(to, shown))
    }

    /// The attributes of one instance, one by one.
    pub(super) fn attributes(
        &self,
        document: &Document,
        series: &str,
        sop: &str,
    ) -> Result<DicomJson> {
        let show = |shown: &InstanceJson<'_>| serde_json::from_value(serde_json::to_value(shown)?);
        self.show(document, series, sop, show)
    }

    fn show<T>(
        &self,
        document: &Document,
        series: &str,
        sop: &str,
        show: impl FnOnce(&InstanceJson<'_>) -> serde_json::Result<T>,
    ) -> Result<T> {
        let study = document.study.get("StudyInstanceUID");
        let study = study.and_then(|uid| uid.as_str()).unwrap_or_default();
        let [study, series_segment, sop_segment] = [study.trim(), series, sop].map(path_segment);
        let bulk = |apart: &ApartValue| {
            let image_set = self.image_set.map(|id| format!("?imageSetId={id}"));
            format!(
                "{}/datastore/{}/studies/{study}/series/{series_segment}/instances/{sop_segment}/bulkdata/{}{}",
                self.host,
                self.datastore,
                apart.blob_id,
                image_set.unwrap_or_default()
            )
        };
        let shown = InstanceJson::of(document, series, sop, &bulk)?;
        show(&shown).map_err(|error| {
            StoreError::Damaged(format!("the metadata could not be written: {error}"))
        })
    }
}
