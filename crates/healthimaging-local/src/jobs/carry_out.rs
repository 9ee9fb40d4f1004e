//! A job from its lease to its end.

use std::sync::Arc;

use healthimaging::model::JobStatus;
use healthimaging::{Error, JobId};

use super::rows;
use super::run::{Ended, Run};
use crate::error::Result;
use crate::file_lock::FileLock;
use crate::shared::SharedStore;

/// Begins to run a job that was just accepted.
pub(crate) fn run(shared: &SharedStore, job: JobId) {
    let of_task = Arc::clone(shared);
    shared.tasks.spawn(async move {
        if let Err(error) = carry_out(&of_task, &job).await {
            tracing::error!(%job, %error, "an import job could not be run; it is taken up again");
        }
    });
}

/// Runs jobs whose process has died. Called every two seconds by the holder of the store's lease.
pub(crate) async fn adopt(shared: &SharedStore) -> Result<()> {
    for job in shared.catalogue.read(rows::unfinished).await? {
        run(shared, job);
    }
    Ok(())
}

/// Runs a job to its end, unless somebody else does.
///
/// When the store is closed meanwhile the job stays as it is, to be taken up again.
pub(super) async fn carry_out(shared: &SharedStore, id: &JobId) -> Result<()> {
    let path = shared.config.data_dir.join(format!("locks/job-{id}.lock"));
    let Some(lease) = FileLock::try_acquire(&shared.config.files, &path)? else {
        return Ok(());
    };
    let id = id.clone();
    let job = shared.catalogue.read(move |connection| rows::find(connection, &id)).await?;
    if matches!(job.status, JobStatus::Completed | JobStatus::Failed) {
        return lease.remove();
    }
    let (row, id) = (job.row, job.id.clone());
    tracing::info!(job = %id, "an import job runs");
    let (status, message) = match Run::prepare(shared, job).await {
        Ok(run) => match run.to_the_end().await {
            Ok(Ended::Completed) => (JobStatus::Completed, None),
            Ok(Ended::Stopped) => return Ok(()),
            Err(error) => {
                let failure = failed(&id, &error.into());
                run.tell_failure().await;
                failure
            }
        },
        Err(error) => failed(&id, &error.into()),
    };
    let at = shared.now();
    shared
        .catalogue
        .write(move |transaction| rows::end(transaction, row, status, message.as_deref(), at))
        .await?;
    tracing::info!(job = %id, %status, "an import job has ended");
    lease.remove()
}

fn failed(job: &JobId, error: &Error) -> (JobStatus, Option<String>) {
    tracing::error!(%job, ?error, "an import job failed");
    (JobStatus::Failed, Some(error.message().to_owned()))
}
