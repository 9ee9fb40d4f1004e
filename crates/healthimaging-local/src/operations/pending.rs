//! Operations on pending.

use crate::error::Result;
use crate::shared::SharedStore;

pub(crate) async fn adopt(_shared: &SharedStore) -> Result<()> {
    Ok(())
}
