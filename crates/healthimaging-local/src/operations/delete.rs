//! Operations on delete.

use healthimaging::model::{DeleteImageSetRequest, DeleteImageSetResponse};

use crate::error::Result;
use crate::shared::SharedStore;

pub(crate) async fn delete(
    _shared: &SharedStore,
    _request: DeleteImageSetRequest,
) -> Result<DeleteImageSetResponse> {
    Err(healthimaging::Error::not_supported("not there yet").into())
}
