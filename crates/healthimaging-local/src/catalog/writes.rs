//! Acknowledged writes that are still to be carried out, as jobs of one scope.
//!
//! The request's transaction adds the job; carrying it out is one transaction that also removes it, so that
//! it happens once, by one process. The process that accepted it holds the lease of all its writes; when
//! it dies, another one carries them out.

use healthimaging::JobId;
use healthimaging::model::ImageSetWorkflowStatus;
use healthimaging_jobs::{Job, Needs};
use healthimaging_jobs_sqlite as sql;
use serde::{Deserialize, Serialize};

use super::db::{Reader, Tx};
use crate::clock::Millis;
use crate::error::{Result, StoreError};

/// Scope of writes.
pub(crate) const WRITE: &str = "write";

/// A write that is still to be carried out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Makes a data store `ACTIVE`.
    CreateDatastore { row: i64 },
    /// Makes a data store `DELETED`.
    DeleteDatastore { row: i64 },
    /// Changes metadata.
    Update(UpdateWork),
    /// Copies instances.
    Copy(CopyWork),
    /// Erases an image set.
    DeleteImageSet { row: i64 },
    /// Removes from the disk what an erased image set left there.
    CleanUp,
}

/// A copy that is still to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CopyWork {
    pub(crate) source: i64,
    pub(crate) source_version: u32,
    /// Status of the source before the copy, which it gets back afterwards.
    pub(crate) source_workflow: ImageSetWorkflowStatus,
    pub(crate) destination: i64,
    pub(crate) destination_version: u32,
    /// `copiableAttributes`; the whole set, when absent.
    pub(crate) selection: Option<String>,
    pub(crate) forced: bool,
    pub(crate) kind: CopyKind,
}

/// Destination of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CopyKind {
    /// Into a new image set.
    New,
    /// Into an existing image set.
    Merge,
    /// Into a new image set of the primary hierarchy.
    Promote,
    /// Into the primary image set of its series, whose grouping attributes it shares.
    PromoteInto,
}

/// An update that is still to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UpdateWork {
    pub(crate) targets: Vec<UpdateTarget>,
    pub(crate) change: Change,
    pub(crate) forced: bool,
    pub(crate) scope: Scope,
}

/// An image set to change, and the version that is being made.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct UpdateTarget {
    pub(crate) set: i64,
    pub(crate) version: u32,
}

/// What an update changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Change {
    /// Update documents, as JSON text.
    Documents { updatable: Option<String>, removable: Option<String> },
    /// To the content of this version.
    Revert { version: u32 },
}

/// Which image sets an update is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scope {
    ImageSet,
    /// All primary sets of the study.
    Study,
}

impl Work {
    pub(crate) const KINDS: [&str; 6] =
        ["create_datastore", "delete_datastore", "update", "copy", "delete_image_set", "clean_up"];

    fn kind(&self) -> &'static str {
        let [create, delete, update, copy, delete_image_set, clean_up] = Self::KINDS;
        match self {
            Self::CreateDatastore { .. } => create,
            Self::DeleteDatastore { .. } => delete,
            Self::Update(_) => update,
            Self::Copy(_) => copy,
            Self::DeleteImageSet { .. } => delete_image_set,
            Self::CleanUp => clean_up,
        }
    }

    /// What it needs of its process: to be allowed to begin a deletion, which the clean-up after one does not.
    fn needs(&self) -> Needs {
        let deletes = matches!(self, Self::DeleteDatastore { .. } | Self::DeleteImageSet { .. });
        Needs { deletes, ..Needs::default() }
    }

    pub(crate) fn of(job: &Job) -> Result<Self> {
        serde_json::from_str(&job.request)
            .map_err(|_| StoreError::Damaged("a recorded write cannot be read".to_owned()))
    }

    fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|_| StoreError::Damaged("a write could not be recorded".to_owned()))
    }
}

/// Adds a write in the transaction that acknowledges it, and returns its id.
pub(crate) fn insert(tx: &Tx<'_>, owner: &str, work: &Work, at: Millis) -> Result<JobId> {
    let id = JobId::random()?;
    let job = Job {
        lease: format!("process-{owner}"),
        needs: work.needs(),
        request: work.to_json()?,
        ..Job::new(id.clone(), WRITE, work.kind(), at.into())
    };
    sql::insert(tx, &job)?;
    Ok(id)
}

/// Whether something is left to be done for a deletion.
pub(crate) fn deletes(reader: &Reader) -> Result<bool> {
    let [.., delete, clean_up] = Work::KINDS;
    let found = "SELECT 1 FROM job WHERE scope = ?1 AND kind IN (?2, ?3) AND ended_at IS NULL";
    Ok(reader.prepare_cached(found)?.exists((WRITE, delete, clean_up))?)
}

/// Replaces a write by the rest of it, within the transaction that carries it out; `false` if another process
/// already did.
pub(crate) fn replace(tx: &Tx<'_>, row: i64, work: &Work, rest: &Work) -> Result<bool> {
    let (from, to) = (work.kind(), rest.kind());
    Ok(sql::turn(tx, row, from, to, &rest.needs(), &rest.to_json()?)?)
}

/// Removes a write, within the transaction that carries it out; `false` if another process already did.
pub(crate) fn take(tx: &Tx<'_>, row: i64) -> Result<bool> {
    Ok(sql::remove(tx, row)?)
}
