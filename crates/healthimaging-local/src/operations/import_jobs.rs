//! Operations on import_jobs.

use healthimaging::model::{
    GetDicomImportJobRequest, GetDicomImportJobResponse, ListDicomImportJobsRequest,
    ListDicomImportJobsResponse, StartDicomImportJobRequest, StartDicomImportJobResponse,
};

use crate::error::Result;
use crate::shared::SharedStore;

pub(crate) async fn start(
    _shared: &SharedStore,
    _request: StartDicomImportJobRequest,
) -> Result<StartDicomImportJobResponse> {
    Err(healthimaging::Error::not_supported("not there yet").into())
}

pub(crate) async fn get(
    _shared: &SharedStore,
    _request: GetDicomImportJobRequest,
) -> Result<GetDicomImportJobResponse> {
    Err(healthimaging::Error::not_supported("not there yet").into())
}

pub(crate) async fn list(
    _shared: &SharedStore,
    _request: ListDicomImportJobsRequest,
) -> Result<ListDicomImportJobsResponse> {
    Err(healthimaging::Error::not_supported("not there yet").into())
}
