//! Operations on image_sets.

use healthimaging::model::{
    GetImageFrameRequest, GetImageFrameResponse, GetImageSetMetadataRequest,
    GetImageSetMetadataResponse, GetImageSetRequest, GetImageSetResponse,
    ListImageSetVersionsRequest, ListImageSetVersionsResponse,
};

use crate::error::Result;
use crate::shared::SharedStore;

pub(crate) async fn get(
    _shared: &SharedStore,
    _request: GetImageSetRequest,
) -> Result<GetImageSetResponse> {
    Err(healthimaging::Error::not_supported("not there yet").into())
}

pub(crate) async fn metadata(
    _shared: &SharedStore,
    _request: GetImageSetMetadataRequest,
) -> Result<GetImageSetMetadataResponse> {
    Err(healthimaging::Error::not_supported("not there yet").into())
}

pub(crate) async fn frame(
    _shared: &SharedStore,
    _request: GetImageFrameRequest,
) -> Result<GetImageFrameResponse> {
    Err(healthimaging::Error::not_supported("not there yet").into())
}

pub(crate) async fn versions(
    _shared: &SharedStore,
    _request: ListImageSetVersionsRequest,
) -> Result<ListImageSetVersionsResponse> {
    Err(healthimaging::Error::not_supported("not there yet").into())
}
