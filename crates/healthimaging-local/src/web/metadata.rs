//! Metadata as DICOM JSON (WADO-RS, `PS3.18 §10.4.1.1.2`).

use std::sync::Arc;

use healthimaging::DatastoreId;
use healthimaging::model::{DicomJson, InstanceMetadataRequest, SeriesMetadataRequest};
use healthimaging_dicom::{Document, InstanceIndex, dicom_json};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::find::{Wanted, no_instance};
use crate::error::Result;
use crate::shared::SharedStore;

/// Instances that are not worth another thread: each takes some ten microseconds.
const FEW: usize = 16;

/// The attributes of one instance.
pub(crate) async fn instance_metadata(
    shared: &SharedStore,
    request: InstanceMetadataRequest,
) -> Result<DicomJson> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        let held = Wanted::from(&request).find(&shared)?;
        let (series, sop) = (&request.series_instance_uid, &request.sop_instance_uid);
        held.document
            .instance(series.as_str(), sop.as_str())
            .ok_or_else(no_instance)?;
        shown(
            &held.document,
            &request.datastore_id,
            series.as_str(),
            sop.as_str(),
        )
    })
    .await?
}

/// The attributes of every instance of a series, by instance number.
pub(crate) async fn series_metadata(
    shared: &SharedStore,
    request: SeriesMetadataRequest,
) -> Result<Vec<DicomJson>> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        let held = Wanted::from(&request).find(&shared)?;
        let series = request.series_instance_uid.as_str();
        let of_series = |instance: &InstanceIndex| instance.series_instance_uid == series;
        let mut instances: Vec<_> = held.document.instance_index().filter(of_series).collect();
        instances
            .sort_by_key(|instance| (instance.instance_number.is_none(), instance.instance_number));
        instances
            .par_iter()
            .with_min_len(FEW)
            .map(|at| {
                shown(
                    &held.document,
                    &request.datastore_id,
                    series,
                    &at.sop_instance_uid,
                )
            })
            .collect()
    })
    .await?
}

/// The attributes of one instance; large values are named by their place.
pub(super) fn shown(
    document: &Document,
    datastore: &DatastoreId,
    series: &str,
    sop: &str,
) -> Result<DicomJson> {
    let study = document
        .study
        .get("StudyInstanceUID")
        .and_then(|uid| uid.as_str());
    let place = instance_path(datastore, study.unwrap_or_default().trim(), series, sop);
    Ok(dicom_json(document, series, sop, &|apart| {
        format!("{place}/bulkdata/{}", apart.blob_id)
    })?)
}

/// Path of an instance below the host that serves DICOMweb.
fn instance_path(datastore: &DatastoreId, study: &str, series: &str, sop: &str) -> String {
    format!("/datastore/{datastore}/studies/{study}/series/{series}/instances/{sop}")
}
