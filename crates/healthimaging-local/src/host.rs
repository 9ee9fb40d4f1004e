//! The store as the host of its jobs: where they are kept, and the handler of each kind.

use async_trait::async_trait;
use healthimaging::{JobId, Result, Timestamp};
use healthimaging_jobs::{End, Engine, Handler, Host, Job, Runner, Unfinished};
use healthimaging_jobs_sqlite as sql;
use tokio_util::task::TaskTracker;

use crate::catalog::imports::IMPORT;
use crate::file_lock::FileLock;
use crate::jobs;
use crate::operations::handlers;
use crate::shared::Shared;

#[async_trait]
impl Host for Shared {
    type Lease = FileLock;

    fn handler(kind: &str) -> Option<Handler<Self>> {
        if kind == IMPORT { Some(jobs::import) } else { handlers::handler(kind) }
    }

    fn engine(&self) -> &Engine {
        &self.lifecycle.engine
    }

    fn runner(&self) -> &Runner {
        &self.config.runner
    }

    fn tasks(&self) -> &TaskTracker {
        &self.lifecycle.tasks
    }

    async fn unfinished(&self) -> Result<Vec<Unfinished>> {
        Ok(self.catalog.read(|reader| Ok(sql::unfinished(reader, None)?)).await?)
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>> {
        let id = id.clone();
        Ok(self.catalog.read(move |reader| Ok(sql::find(reader, &id)?)).await?)
    }

    async fn hold(&self, job: &Job, reason: String) -> Result<()> {
        let row = job.row;
        let held = self.catalog.write(move |tx| Ok(sql::hold(tx, row, &reason)?));
        Ok(held.await?)
    }

    /// The files of an import are in its output now.
    async fn end(&self, job: &Job, end: End) -> Result<()> {
        let row = job.row;
        self.catalog
            .write(move |tx| {
                sql::end(tx, row, &end)?;
                Ok(sql::remove_items(tx, row)?)
            })
            .await?;
        Ok(jobs::forget(self, &job.id)?)
    }

    fn lease(&self, name: &str) -> Result<Option<FileLock>> {
        Ok(FileLock::try_acquire(&self.config.files, &self.config.lock_path(name))?)
    }

    fn release(&self, lease: FileLock) -> Result<()> {
        Ok(lease.remove()?)
    }

    fn now(&self) -> Timestamp {
        Shared::now(self).into()
    }
}
