//! Imports from the command line, which allows the paths that it names.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use healthimaging::model::JobStatus;
use healthimaging::{DatastoreId, Error, JobId, ObjectUri, Result};
use healthimaging_jobs::{Needs, engine};
use healthimaging_jobs_sqlite as sql;
use healthimaging_objects::file_uri;

use super::LocalStore;
use crate::catalog::ImportProgress;
use crate::catalog::datastores;
use crate::catalog::imports::{self, ImportJob, ImportRequest};
use crate::error::StoreError;
use crate::ingest::FileKind;
use crate::jobs;

/// How often progress is reported to the caller.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// Name of such jobs.
const JOB_NAME: &str = "import";
/// Files of a list that a summary names.
const LISTED_AT_MOST: usize = 100;

/// Result of an import job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSummary {
    /// The job.
    pub job_id: JobId,
    /// Whether it is an earlier job for the same input that had not ended.
    pub is_continued: bool,
    /// `COMPLETED` or `FAILED`; still running if the store was closed before its end.
    pub status: JobStatus,
    /// Why it failed.
    pub message: Option<String>,
    /// The counters at its end.
    pub progress: ImportProgress,
    /// Where its output is.
    pub output_s3_uri: ObjectUri,
    /// Files that were not imported.
    pub refused: RefusedFiles,
}

/// Files that were not imported; lists hold the first 100, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefusedFiles {
    /// Files that should have been imported.
    pub failed: Vec<RefusedFile>,
    /// Files that are known not to be DICOM instances.
    pub skipped: Vec<RefusedFile>,
    /// How many of each kind were skipped.
    pub skipped_kinds: BTreeMap<FileKind, u64>,
}

/// A file that was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFile {
    /// Its key: for a file its path.
    pub key: String,
    /// Why.
    pub message: String,
}

impl RefusedFiles {
    /// Adds a line of the list of failures.
    fn add(&mut self, line: &str) {
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else {
            return;
        };
        let text = |pointer| line.pointer(pointer).and_then(|value| value.as_str());
        let (Some(key), Some(message)) = (text("/inputFile"), text("/exception/message")) else {
            return;
        };
        let list = match FileKind::of_message(message) {
            Some(kind) => {
                *self.skipped_kinds.entry(kind).or_default() += 1;
                &mut self.skipped
            }
            None => &mut self.failed,
        };
        if list.len() < LISTED_AT_MOST {
            list.push(RefusedFile { key: key.to_owned(), message: message.to_owned() });
        }
    }

    /// How many files were skipped.
    #[must_use]
    pub fn skipped_count(&self) -> u64 {
        self.skipped_kinds.values().sum()
    }
}

/// The job of an import.
struct Submitted {
    job: JobId,
    is_continued: bool,
}

impl LocalStore {
    /// Imports files and folders, as a job that reads these paths and nothing else. If such a job was submitted before this
    /// store was opened and had not ended then, because its process was killed or is at work, that one is continued: nothing
    /// is stored twice.
    ///
    /// Returns when the job has ended; `progress` is called repeatedly until then. The job continues
    /// if the caller stops waiting. `Validation` for a path that does not exist.
    pub async fn import_paths(
        &self,
        datastore: &DatastoreId,
        paths: &[PathBuf],
        progress: impl Fn(ImportProgress) + Send,
    ) -> Result<ImportSummary> {
        let job = self.submit_paths(datastore, paths).await?;
        self.run_to_its_end(job, progress).await
    }

    /// Imports the objects under an `s3://` prefix, otherwise as [`Self::import_paths`].
    pub async fn import_objects(
        &self,
        datastore: &DatastoreId,
        prefix: &ObjectUri,
        progress: impl Fn(ImportProgress) + Send,
    ) -> Result<ImportSummary> {
        let output = jobs::default_output(&self.shared)?;
        let needs = jobs::needs(&self.shared, &[], [prefix, &output]);
        let request = ImportRequest {
            role: None,
            input: prefix.clone(),
            output,
            is_own_output: true,
            configuration: None,
            local_paths: Vec::new(),
        };
        let job = self.submit(datastore, &request, needs).await?;
        self.run_to_its_end(job, progress).await
    }

    async fn run_to_its_end(
        &self,
        Submitted { job, is_continued }: Submitted,
        progress: impl Fn(ImportProgress) + Send,
    ) -> Result<ImportSummary> {
        loop {
            self.carry_out_or_watch(&job, &progress).await?;
            let now = self.job(&job).await?;
            progress(now.progress);
            let ended = matches!(now.status, JobStatus::Completed | JobStatus::Failed);
            if ended || self.shared.lifecycle.closing.is_cancelled() {
                return self.summary(now, is_continued).await;
            }
            // Another process runs the job; if it dies, the job is tried here again.
            tokio::select! {
                () = self.shared.lifecycle.closing.cancelled() => {}
                () = tokio::time::sleep(PROGRESS_EVERY) => {}
            }
        }
    }

    /// Runs the job to its end, unless another process does.
    async fn carry_out_or_watch(
        &self,
        job: &JobId,
        progress: &(impl Fn(ImportProgress) + Send),
    ) -> Result<()> {
        let (shared, id) = (Arc::clone(&self.shared), job.clone());
        let work = async move { engine::run(&shared, &id).await };
        let mut running = self.shared.lifecycle.tasks.spawn(work);
        loop {
            tokio::select! {
                ended = &mut running => return ended.map_err(StoreError::Task)?,
                () = tokio::time::sleep(PROGRESS_EVERY) => {
                    progress(self.import_progress(job).await?);
                }
            }
        }
    }

    /// How far an import job is.
    pub async fn import_progress(&self, job: &JobId) -> Result<ImportProgress> {
        Ok(self.job(job).await?.progress)
    }

    async fn job(&self, id: &JobId) -> Result<ImportJob> {
        let id = id.clone();
        let found = self.shared.catalog.read(move |reader| imports::find(reader, &id));
        Ok(found.await?)
    }

    async fn submit_paths(&self, datastore: &DatastoreId, paths: &[PathBuf]) -> Result<Submitted> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| found(path)).collect::<Result<_>>()?;
        let input = common_folder(&paths)
            .ok_or_else(|| Error::validation("there is nothing to import; name a path"))?;
        let input = file_uri(&input)?;
        let output = jobs::default_output(&self.shared)?;
        let needs = jobs::needs(&self.shared, &paths, []);
        let request = ImportRequest {
            role: None,
            input,
            output,
            is_own_output: true,
            configuration: None,
            local_paths: paths,
        };
        self.submit(datastore, &request, needs).await
    }

    async fn submit(
        &self,
        datastore: &DatastoreId,
        request: &ImportRequest,
        needs: Needs,
    ) -> Result<Submitted> {
        let id = JobId::random()?;
        let (datastore, request, at) = (datastore.clone(), request.clone(), self.shared.now());
        let job = imports::new(id.clone(), datastore.clone(), JOB_NAME, &request, needs, at)?;
        let opened_at = self.shared.lifecycle.opened_at;
        self.shared.lifecycle.engine.accept(&id);
        let submitted = self.shared.catalog.write(move |tx| {
            datastores::find_active(tx, &datastore)?;
            let same = imports::same_job_at(tx, opened_at, &datastore, JOB_NAME, &request)?;
            if let Some(job) = same {
                return Ok(Submitted { job, is_continued: true });
            }
            sql::insert(tx, &job)?;
            Ok(Submitted { job: job.id, is_continued: false })
        });
        Ok(submitted.await?)
    }

    async fn summary(&self, job: ImportJob, is_continued: bool) -> Result<ImportSummary> {
        Ok(ImportSummary {
            is_continued,
            refused: self.refused_files(&job).await,
            output_s3_uri: jobs::output_of(&self.shared, &job),
            job_id: job.id,
            status: job.status,
            message: job.message,
            progress: job.progress,
        })
    }

    /// From the output in the store's own folder; none when it cannot be read.
    async fn refused_files(&self, job: &ImportJob) -> RefusedFiles {
        let folder = format!("{}-DicomImport-{}", job.datastore, job.id);
        let imports = self.shared.config.data_dir.join("imports");
        let path = imports.join(folder).join("FAILURE/failure.ndjson");
        let reading = tokio::task::spawn_blocking(move || {
            let mut refused = RefusedFiles::default();
            if let Ok(file) = File::open(path) {
                BufReader::new(file)
                    .lines()
                    .map_while(io::Result::ok)
                    .for_each(|l| refused.add(&l));
            }
            refused
        });
        reading.await.unwrap_or_default()
    }
}

fn found(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(|error| {
        let message = format!("{} cannot be read: {}", path.display(), error.kind());
        Error::validation(message).with_source(error)
    })
}

/// The deepest folder that holds all paths; the path itself when there is one.
fn common_folder(paths: &[PathBuf]) -> Option<PathBuf> {
    let (first, rest) = paths.split_first()?;
    let mut common = first.clone();
    while rest.iter().any(|path| !path.starts_with(&common)) {
        common.pop();
    }
    Some(common)
}
