//! DICOMweb.

use healthimaging::Error;
use healthimaging::model::{
    DicomJson, InstanceMetadataRequest, RetrieveInstanceRequest, RetrieveInstanceResponse,
    SearchDicomRequest, SeriesMetadataRequest, StoreInstancesRequest, StoreInstancesResponse,
};

use crate::error::Result;
use crate::shared::SharedStore;

fn missing<T>() -> Result<T> {
    Err(Error::not_supported("DICOMweb is not there yet").into())
}

pub(crate) async fn retrieve_instance(
    _shared: &SharedStore,
    _request: RetrieveInstanceRequest,
) -> Result<RetrieveInstanceResponse> {
    missing()
}

pub(crate) async fn instance_metadata(
    _shared: &SharedStore,
    _request: InstanceMetadataRequest,
) -> Result<DicomJson> {
    missing()
}

pub(crate) async fn series_metadata(
    _shared: &SharedStore,
    _request: SeriesMetadataRequest,
) -> Result<Vec<DicomJson>> {
    missing()
}

pub(crate) async fn search(
    _shared: &SharedStore,
    _request: SearchDicomRequest,
) -> Result<Vec<DicomJson>> {
    missing()
}

pub(crate) async fn store_instances(
    _shared: &SharedStore,
    _request: StoreInstancesRequest,
) -> Result<StoreInstancesResponse> {
    missing()
}
