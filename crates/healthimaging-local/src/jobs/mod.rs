//! Import jobs.

use healthimaging::JobId;

use crate::error::Result;
use crate::shared::SharedStore;

/// How far an import job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportProgress {}

/// What an import job did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportSummary {}

/// Begins to run a job that was just accepted.
pub(crate) fn run(_shared: &SharedStore, _job: JobId) {}

/// Runs jobs whose process has died. Called every two seconds by the holder of the store's lease.
pub(crate) async fn adopt(_shared: &SharedStore) -> Result<()> {
    Ok(())
}
