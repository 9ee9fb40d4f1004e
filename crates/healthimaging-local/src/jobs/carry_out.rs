//! A job from its lease to its end.

use std::sync::Arc;

use healthimaging::model::JobStatus;
use healthimaging::{Error, JobId};
use healthimaging_jobs::is_lack_of_access;

use super::known::Origin;
use super::rows::{self, JobRow};
use super::run::{Ended, Run};
use super::touch;
use crate::error::Result;
use crate::file_lock::FileLock;
use crate::shared::SharedStore;

/// Begins to run a job that was just accepted.
pub(crate) fn run(shared: &SharedStore, job: JobId) {
    shared.jobs.accept(&job);
    spawn(shared, job);
}

fn spawn(shared: &SharedStore, job: JobId) {
    let of_task = Arc::clone(shared);
    shared.tasks.spawn(async move {
        if let Err(error) = carry_out(&of_task, &job).await {
            tracing::error!(%job, %error, "an import job could not be run; it is taken up again");
        }
    });
}

/// Runs jobs whose process has died.
pub(crate) async fn adopt(shared: &SharedStore) -> Result<()> {
    for job in shared.catalogue.read(rows::unfinished).await? {
        if !shared.jobs.is_left(&job) {
            spawn(shared, job);
        }
    }
    Ok(())
}

/// Runs a job to its end, unless somebody else does or has to.
///
/// When the store is closed meanwhile the job stays as it is, to be taken up again.
pub(super) async fn carry_out(shared: &SharedStore, id: &JobId) -> Result<()> {
    let path = shared.config.data_dir.join(format!("locks/job-{id}.lock"));
    let Some(lease) = FileLock::try_acquire(&shared.config.files, &path)? else {
        return Ok(());
    };
    let found = id.clone();
    let job = shared.catalogue.read(move |connection| rows::find(connection, &found)).await?;
    if matches!(job.status, JobStatus::Completed | JobStatus::Failed) {
        shared.jobs.forget(id);
        touch::forget(shared, id)?;
        return lease.remove();
    }
    let origin = shared.jobs.origin(id);
    if origin == Origin::TakenOver
        && let Err(reason) = shared.config.runner.check(&job.needs)
    {
        return hold(shared, &job, reason).await;
    }
    tracing::info!(job = %id, ?origin, "an import job runs");
    let (status, message) = match Run::prepare(shared, job.clone(), origin).await {
        Ok(run) => match run.to_the_end().await {
            Ok(Ended::Completed) => (JobStatus::Completed, None),
            Ok(Ended::Stopped) => {
                run.put_down();
                return Ok(());
            }
            Err(error) => {
                let error = error.into();
                if is_left(origin, &error) {
                    run.put_down();
                    return leave(shared, &job, &error).await;
                }
                run.tell_failure().await;
                failed(id, &error)
            }
        },
        Err(error) => {
            let error = error.into();
            if is_left(origin, &error) {
                return leave(shared, &job, &error).await;
            }
            failed(id, &error)
        }
    };
    let (row, at) = (job.row, shared.now());
    shared
        .catalogue
        .write(move |transaction| rows::end(transaction, row, status, message.as_deref(), at))
        .await?;
    tracing::info!(job = %id, %status, "an import job has ended");
    shared.jobs.forget(id);
    touch::forget(shared, id)?;
    lease.remove()
}

/// Whether another process may do what this one has no access for.
fn is_left(origin: Origin, error: &Error) -> bool {
    origin == Origin::TakenOver && is_lack_of_access(error.kind())
}

/// Leaves a job to a process that has access.
async fn leave(shared: &SharedStore, job: &JobRow, error: &Error) -> Result<()> {
    tracing::warn!(job = %job.id, ?error, "an import job is left: this process lacks access");
    shared.jobs.leave(&job.id);
    let reason = format!("waiting for a server that has access: {}", error.message());
    hold(shared, job, reason).await
}

/// Shows in the job's status why it waits.
async fn hold(shared: &SharedStore, job: &JobRow, reason: String) -> Result<()> {
    // A write transaction costs a sync of the disk, and this comes every two seconds.
    if job.message.as_deref() == Some(&*reason) {
        return Ok(());
    }
    let row = job.row;
    shared.catalogue.write(move |transaction| rows::hold(transaction, row, &reason)).await
}

fn failed(job: &JobId, error: &Error) -> (JobStatus, Option<String>) {
    tracing::error!(%job, ?error, "an import job failed");
    (JobStatus::Failed, Some(error.message().to_owned()))
}
