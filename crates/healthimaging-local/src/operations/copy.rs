//! Operations on copy.

use healthimaging::model::{CopyImageSetRequest, CopyImageSetResponse};

use crate::error::Result;
use crate::shared::SharedStore;

pub(crate) async fn copy(
    _shared: &SharedStore,
    _request: CopyImageSetRequest,
) -> Result<CopyImageSetResponse> {
    Err(healthimaging::Error::not_supported("not there yet").into())
}
