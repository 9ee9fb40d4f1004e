//! Finds the data store that a command names, or creates it.

#[cfg(feature = "local")]
use std::time::Duration;

use anyhow::{Result, bail};
use healthimaging::model::DatastoreSummary;
use healthimaging::{DatastoreId, JobId};
#[cfg(feature = "local")]
use healthimaging::{
    DatastoreName,
    model::{DatastoreStatus, GetDatastoreRequest},
};
use healthimaging_workflows::imports;
use serde_json::Value;

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

/// Says that a data store is read while imports into it have not ended, and returns how many.
pub(super) async fn note_unfinished_imports(
    backend: &Backend,
    datastore_id: &DatastoreId,
) -> Result<usize> {
    let jobs = imports::not_ended(&*backend.service, datastore_id).await?;
    if !jobs.is_empty() {
        let named: Vec<&str> = jobs.iter().map(JobId::as_str).collect();
        terminal::note(&format!(
            "the data store is not complete: {} ({}). Files that are not imported yet are left out",
            if jobs.len() == 1 { "an import has not ended" } else { "imports have not ended" },
            named.join(", ")
        ));
    }
    Ok(jobs.len())
}

/// Adds to the result of a command how many imports had not ended before the store was used, which continues them.
pub(super) fn add_unfinished_imports(document: &mut Value, count: usize) {
    if let Value::Object(document) = document
        && count > 0
    {
        document.insert(imports::NOT_ENDED.to_owned(), count.into());
    }
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
