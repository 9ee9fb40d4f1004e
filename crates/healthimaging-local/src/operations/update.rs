//! Operations on update.

use healthimaging::model::{UpdateImageSetMetadataRequest, UpdateImageSetMetadataResponse};

use crate::error::Result;
use crate::shared::SharedStore;

pub(crate) async fn update(
    _shared: &SharedStore,
    _request: UpdateImageSetMetadataRequest,
) -> Result<UpdateImageSetMetadataResponse> {
    Err(healthimaging::Error::not_supported("not there yet").into())
}
