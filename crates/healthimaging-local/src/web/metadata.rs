//! Metadata as DICOM JSON (WADO-RS, `PS3.18 §10.4.1.1.2`).

use std::sync::Arc;

use healthimaging::model::{DicomJson, InstanceMetadataRequest, SeriesMetadataRequest};
use healthimaging::{Body, DatastoreId, ImageSetId, path_segment};
use healthimaging_dicom::{ApartValue, Document, InstanceIndex, InstanceJson};
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use super::find::{Wanted, no_instance};
use crate::error::{Result, StoreError};
use crate::shared::SharedStore;

/// Instances that a thread writes at once: each takes some ten microseconds.
const FEW: usize = 16;

/// The attributes of one instance.
pub(crate) async fn instance_metadata(
    shared: &SharedStore,
    request: InstanceMetadataRequest,
) -> Result<Body> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        let document = Wanted::from(&request).find(&shared)?.document;
        let (series, sop) =
            (request.series_instance_uid.as_str(), request.sop_instance_uid.as_str());
        document.instance(series, sop).ok_or_else(no_instance)?;
        let place = Place {
            host: &request.host,
            datastore: &request.datastore_id,
            image_set: request.image_set_id.as_ref(),
        };
        let mut text = vec![b'['];
        place.write(&document, series, sop, &mut text)?;
        text.push(b']');
        Ok(text.into())
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
        let series = request.series_instance_uid.as_str();
        let of_series = |instance: &InstanceIndex| instance.series_instance_uid == series;
        let mut instances: Vec<_> = document.instance_index().filter(of_series).collect();
        instances
            .sort_by_key(|instance| (instance.instance_number.is_none(), instance.instance_number));
        let place = Place {
            host: &request.host,
            datastore: &request.datastore_id,
            image_set: request.image_set_id.as_ref(),
        };
        let parts = instances.par_chunks(FEW).map(|few| {
            let mut text = Vec::new();
            for instance in few {
                if !text.is_empty() {
                    text.push(b',');
                }
                place.write(&document, series, &instance.sop_instance_uid, &mut text)?;
            }
            Ok(text)
        });
        let parts: Vec<_> = parts.collect::<Result<_>>()?;
        Ok([b"[", parts.join(&b',').as_slice(), b"]"].concat().into())
    })
    .await?
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
