//! Finds the data store that a command names, or creates it.

#[cfg(feature = "local")]
use std::time::Duration;

use anyhow::{Result, bail};
use healthimaging::DatastoreId;
use healthimaging::model::{DatastoreSummary, JobStatus, ListDicomImportJobsRequest};
#[cfg(feature = "local")]
use healthimaging::{
    DatastoreName,
    model::{DatastoreStatus, GetDatastoreRequest},
};

use crate::backend::Backend;
use crate::terminal;

/// How often the state of a new data store is polled.
#[cfg(feature = "local")]
const POLLED: Duration = Duration::from_millis(20);

/// Returns the data store of that name or ID, or the only one, with its name; `None` if there is none.
pub(super) async fn find(
    backend: &Backend,
    named: Option<&str>,
) -> Result<Option<(DatastoreId, String)>> {
    let active = backend.active_datastores().await?;
    let fits = |one: &&DatastoreSummary| match named {
        Some(wanted) => one.datastore_name == wanted || one.datastore_id.as_str() == wanted,
        None => true,
    };
    let found: Vec<&DatastoreSummary> = active.iter().filter(fits).collect();
    match found.as_slice() {
        [only] => Ok(Some((only.datastore_id.clone(), only.datastore_name.clone()))),
        [] => Ok(None),
        several => bail!(
            "--datastore: {} data stores fit; name one of them: {}",
            several.len(),
            several
                .iter()
                .map(|one| format!("{} ({})", one.datastore_name, one.datastore_id))
                .collect::<Vec<_>>()
                .join(", "),
        ),
    }
}

/// Returns the IDs of the import jobs of a data store that have not ended.
pub(super) async fn unfinished_imports(
    backend: &Backend,
    datastore_id: &DatastoreId,
) -> Result<Vec<String>> {
    let mut jobs = Vec::new();
    for status in [JobStatus::Submitted, JobStatus::InProgress] {
        let request = ListDicomImportJobsRequest {
            datastore_id: datastore_id.clone(),
            job_status: Some(status),
            next_token: None,
            max_results: None,
        };
        let found = backend.service.list_dicom_import_jobs(request).await?;
        jobs.extend(found.job_summaries.into_iter().map(|job| job.job_id.to_string()));
    }
    Ok(jobs)
}

/// Says that a data store is read while imports into it have not ended.
pub(super) async fn note_unfinished_imports(
    backend: &Backend,
    datastore_id: &DatastoreId,
) -> Result<()> {
    let jobs = unfinished_imports(backend, datastore_id).await?;
    if !jobs.is_empty() {
        terminal::note(&format!(
            "the data store is not complete: {} ({}). Files that are not imported yet are left out",
            if jobs.len() == 1 { "an import has not ended" } else { "imports have not ended" },
            jobs.join(", ")
        ));
    }
    Ok(())
}

/// Returns the data store to import into, with its name; creates it if there is none.
#[cfg(feature = "local")]
pub(super) async fn find_or_create(
    backend: &Backend,
    named: Option<&str>,
) -> Result<(DatastoreId, String)> {
    match find(backend, named).await? {
        Some(found) => Ok(found),
        None => create(backend, named.unwrap_or("default")).await,
    }
}

#[cfg(feature = "local")]
async fn create(backend: &Backend, name: &str) -> Result<(DatastoreId, String)> {
    let store = backend.store("import")?;
    let datastore_id = store.find_or_create_datastore(DatastoreName::try_from(name)?).await?;
    loop {
        let request = GetDatastoreRequest { datastore_id: datastore_id.clone() };
        let found = backend.service.get_datastore(request).await?.datastore_properties;
        match found.datastore_status {
            DatastoreStatus::Active => return Ok((datastore_id, found.datastore_name)),
            DatastoreStatus::Creating => tokio::time::sleep(POLLED).await,
            other => bail!("the new data store is {other}"),
        }
    }
}
