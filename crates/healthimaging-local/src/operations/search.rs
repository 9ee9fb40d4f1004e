//! Operations on search.

use healthimaging::model::{SearchImageSetsRequest, SearchImageSetsResponse};

use crate::error::Result;
use crate::shared::SharedStore;

pub(crate) async fn search(
    _shared: &SharedStore,
    _request: SearchImageSetsRequest,
) -> Result<SearchImageSetsResponse> {
    Err(healthimaging::Error::not_supported("not there yet").into())
}
