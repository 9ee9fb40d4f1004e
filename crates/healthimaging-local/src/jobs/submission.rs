//! What a new import job carries with it.

use std::path::PathBuf;

use healthimaging::{Error, ObjectUri};
use healthimaging_jobs::Needs;
use healthimaging_objects::{Objects, ObjectsConfig};

use super::output;
use crate::catalog::imports::ImportJob;
use crate::config::LocalConfig;
use crate::error::{Result, StoreError};
use crate::shared::Shared;

/// What a job over these places needs, with `paths` allowed beside the folders of the store.
pub(crate) fn needs<'a>(
    shared: &Shared,
    paths: &[PathBuf],
    places: impl IntoIterator<Item = &'a ObjectUri>,
) -> Needs {
    let places: Vec<&ObjectUri> = places.into_iter().collect();
    let LocalConfig { allowed_paths, runner, .. } = &shared.config;
    let allowed_paths = allowed_paths.clone();
    let objects = Objects::new(ObjectsConfig { allowed_paths, ..ObjectsConfig::default() });
    let mut folders = objects.resolved_folders(places.iter().copied());
    folders.extend_from_slice(paths);
    let signs = places.iter().any(|place| place.as_str().starts_with("s3://"));
    Needs {
        folders: Some(folders),
        credentials: signs.then(|| runner.credentials.clone()),
        deletes: false,
    }
}

/// The folder of outcomes of jobs that name none.
pub(crate) fn default_output(shared: &Shared) -> Result<ObjectUri> {
    let folder = std::path::absolute(shared.config.data_dir.join("imports"))
        .map_err(StoreError::file("find", &shared.config.data_dir))?;
    let uri = healthimaging_objects::file_uri(&folder)?;
    ObjectUri::try_from(format!("{uri}/")).map_err(|_| {
        Error::validation("the path of the data folder is too long; name an output_s3_uri").into()
    })
}

/// The requested output folder of a job, without the folder of its own that a run adds. The store may have moved since.
pub(super) fn asked_output(shared: &Shared, job: &ImportJob) -> Result<ObjectUri> {
    if job.request.is_own_output {
        return default_output(shared);
    }
    let asked = job.request.output.as_str().strip_suffix(&own_folder(job));
    let asked = asked.and_then(|uri| ObjectUri::try_from(uri).ok());
    Ok(asked.unwrap_or_else(|| job.request.output.clone()))
}

/// The output folder of a job as it is shown: once the job runs, its own.
pub(crate) fn output_of(shared: &Shared, job: &ImportJob) -> ObjectUri {
    let recorded = &job.request.output;
    let has_begun = recorded.as_str().ends_with(&own_folder(job));
    let now = || {
        let asked = asked_output(shared, job).ok()?;
        if has_begun { output::folder(&asked, &job.datastore, &job.id).ok() } else { Some(asked) }
    };
    now().unwrap_or_else(|| recorded.clone())
}

fn own_folder(job: &ImportJob) -> String {
    format!("{}-DicomImport-{}/", job.datastore, job.id)
}
