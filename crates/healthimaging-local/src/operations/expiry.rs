//! Operations on expiry.

use crate::error::Result;
use crate::shared::SharedStore;

pub(crate) async fn expire(_shared: &SharedStore) -> Result<()> {
    Ok(())
}
