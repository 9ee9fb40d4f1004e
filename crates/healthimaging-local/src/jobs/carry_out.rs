//! Jobs of the store: where they are kept, and what runs each kind.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use healthimaging::{Error, JobId, Result, Timestamp};
use healthimaging_jobs::{
    End, Engine, Handler, Host, Job, JobState, Origin, Ran, Runner, Unfinished, engine,
    is_lack_of_access,
};
use healthimaging_jobs_sqlite as sql;
use tokio_util::task::TaskTracker;

use super::run::{Ended, Run};
use super::touch;
use crate::file_lock::FileLock;
use crate::index::import_jobs::IMPORT;
use crate::operations::pending;
use crate::shared::{Shared, SharedStore};

/// Begins to run a job that was just accepted.
pub(crate) fn run(shared: &SharedStore, job: JobId) {
    shared.jobs.engine.accept(&job);
    let of_task = Arc::clone(shared);
    shared.tasks.spawn(async move {
        if let Err(error) = engine::run(&of_task, &job).await {
            tracing::error!(%job, %error, "an import job could not be run; it is taken up again");
        }
    });
}

#[async_trait]
impl Host for Shared {
    type Lease = FileLock;

    fn handler(kind: &str) -> Option<Handler<Self>> {
        if kind == IMPORT { Some(import) } else { pending::handler(kind) }
    }

    fn engine(&self) -> &Engine {
        &self.jobs.engine
    }

    fn runner(&self) -> &Runner {
        &self.config.runner
    }

    fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    async fn unfinished(&self) -> Result<Vec<Unfinished>> {
        Ok(self.catalogue.read(|connection| Ok(sql::unfinished(connection, None)?)).await?)
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>> {
        let id = id.clone();
        Ok(self.catalogue.read(move |connection| Ok(sql::find(connection, &id)?)).await?)
    }

    async fn hold(&self, job: &Job, reason: String) -> Result<()> {
        let row = job.row;
        let held =
            self.catalogue.write(move |transaction| Ok(sql::hold(transaction, row, &reason)?));
        Ok(held.await?)
    }

    /// The files of an import are in its output now.
    async fn end(&self, job: &Job, end: End) -> Result<()> {
        let row = job.row;
        self.catalogue
            .write(move |transaction| {
                sql::end(transaction, row, &end)?;
                Ok(sql::remove_items(transaction, row)?)
            })
            .await?;
        Ok(touch::forget(self, &job.id)?)
    }

    fn lease(&self, name: &str) -> Result<Option<FileLock>> {
        Ok(FileLock::try_acquire(&self.config.files, &self.lock_path(name))?)
    }

    fn release(&self, lease: FileLock) -> Result<()> {
        Ok(lease.remove()?)
    }

    fn now(&self) -> Timestamp {
        Shared::now(self).into()
    }
}

fn import(shared: &SharedStore, job: Job, origin: Origin) -> BoxFuture<'_, Result<Ran>> {
    run_import(shared, job, origin).boxed()
}

/// Runs an import to its end. When the store is closed meanwhile the job stays as it is, to be taken up again.
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
            run.put_down();
            Ok(Ran::Left)
        }
        Err(error) => {
            if origin == Origin::TakenOver && is_lack_of_access(error.kind()) {
                run.put_down();
            } else {
                run.tell_failure().await;
            }
            Err(error)
        }
    }
}
