//! Running import jobs.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use healthimaging::{Error, JobId, Result};
use healthimaging_jobs::{End, Host, Job, JobState, Origin, Ran, engine, is_lack_of_access};

use super::run::{Ended, Run};
use crate::shared::SharedStore;

/// Begins to run a job that was just accepted.
pub(crate) fn run(shared: &SharedStore, job: JobId) {
    shared.lifecycle.engine.accept(&job);
    let of_task = Arc::clone(shared);
    shared.lifecycle.tasks.spawn(async move {
        if let Err(error) = engine::run(&of_task, &job).await {
            tracing::error!(%job, %error, "an import job could not be run; it is taken up again");
        }
    });
}

/// Runs an import job.
pub(crate) fn import(shared: &SharedStore, job: Job, origin: Origin) -> BoxFuture<'_, Result<Ran>> {
    run_import(shared, job, origin).boxed()
}

/// Runs an import to its end. When the store is closed before, the job stays as it is, to be resumed.
async fn run_import(shared: &SharedStore, job: Job, origin: Origin) -> Result<Ran> {
    tracing::info!(job = %job.id, ?origin, "an import job runs");
    let run = Run::prepare(shared, job.try_into()?, origin).await?;
    match run.to_the_end().await.map_err(Error::from) {
        Ok(Ended::Completed) => Ok(Ran::Ended(End {
            state: JobState::Completed,
            at: Host::now(&**shared),
            message: None,
            report: None,
            request: None,
        })),
        Ok(Ended::Stopped) => {
            run.stop();
            Ok(Ran::Left)
        }
        Err(error) => {
            if origin == Origin::TakenOver && is_lack_of_access(error.kind()) {
                run.stop();
            } else {
                run.write_failure().await;
            }
            Err(error)
        }
    }
}
