//! `serve --ephemeral`: a temporary store, for tests of programs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::TryStreamExt as _;
use healthimaging::model::{
    DatastoreStatus, DatastoreSummary, DeleteDatastoreRequest, DeleteImageSetRequest,
    GetDatastoreRequest, ListDatastoresRequest, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging::{
    DatastoreId, Error, ErrorKind, HealthImaging, ImageSetId, Page, poll_pauses, sweep,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::config::Config;
use crate::options::BackendKind;
use crate::outcome::InvalidOption;

/// Path of the request that empties the store.
pub(crate) const RESET: &str = "/ephemeral/reset";

/// Most data stores, and most image sets of each, that a reset deletes.
const MOST: usize = 100_000;

/// First pause between two looks at a deletion, and the longest time of a reset.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_mins(1);

/// A temporary store, which is removed with its folder.
#[derive(Debug)]
pub(crate) struct Ephemeral(TempDir);

impl Ephemeral {
    /// Creates the folder.
    pub(crate) fn create(config: &Config) -> Result<Self> {
        let invalid = |why: &str| Err(InvalidOption(format!("--ephemeral {why}")).into());
        if config.backend == BackendKind::Aws {
            return invalid("only works with the embedded store: use --backend local");
        }
        if config.read_only {
            return invalid("makes an empty store, which --read-only could not fill");
        }
        let folder = tempfile::Builder::new().prefix("healthimaging-ephemeral-").tempdir();
        folder.map(Self).context("the temporary folder cannot be created")
    }

    /// The configuration with this store in place of the one that it names.
    pub(crate) fn config(&self, config: &Config) -> Config {
        Config { data_dir: self.0.path().to_path_buf(), ..config.clone() }
    }

    /// Removes the store, once it is closed.
    pub(crate) fn remove(self) -> Result<()> {
        self.0.close().context("the temporary store cannot be removed")
    }
}

/// Deletes every data store with all that it holds, once running imports and writes have ended, and returns the counts.
///
/// # Errors
/// A conflict if something does not end in a minute.
pub(crate) async fn reset(service: Arc<dyn HealthImaging>) -> healthimaging::Result<Value> {
    let emptying = async {
        let (mut datastores, mut image_sets) = (0, BTreeSet::new());
        for datastore in all(&*service).await? {
            remove(&*service, &datastore.datastore_id, &mut image_sets).await?;
            datastores += 1;
        }
        Ok(json!({ "datastores_deleted": datastores, "image_sets_deleted": image_sets.len() }))
    };
    let within = tokio::time::timeout(LONGEST, emptying).await;
    within.unwrap_or_else(|_| Err(still_written()))
}

fn still_written() -> Error {
    Error::conflict(
        "an import or another write did not end within a minute, so the store is not empty: wait for its end, then reset \
         again",
    )
}

/// Deletes a data store with its image sets, also those that a running import still adds.
async fn remove(
    service: &dyn HealthImaging,
    id: &DatastoreId,
    image_sets: &mut BTreeSet<ImageSetId>,
) -> healthimaging::Result<()> {
    for pause in poll_pauses(FIRST_PAUSE, LONGEST) {
        let removing = async {
            empty(service, id, image_sets).await?;
            delete(service, id).await
        };
        match removing.await {
            // Something is being written, or the data store is being created.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            deleted => return deleted,
        }
        tokio::time::sleep(pause).await;
    }
    Err(still_written())
}

async fn all(service: &dyn HealthImaging) -> healthimaging::Result<Vec<DatastoreSummary>> {
    let pages = sweep(MOST, |next_token| async {
        let request =
            ListDatastoresRequest { datastore_status: None, next_token, max_results: None };
        let mut page = service.list_datastores(request).await?;
        page.datastore_summaries.retain(|one| {
            matches!(one.datastore_status, DatastoreStatus::Active | DatastoreStatus::Creating)
        });
        Ok(Page { items: page.datastore_summaries, next_token: page.next_token })
    });
    pages.try_collect().await
}

/// Deletes the image sets that are not being written, and waits until they are gone.
async fn empty(
    service: &dyn HealthImaging,
    id: &DatastoreId,
    deleted: &mut BTreeSet<ImageSetId>,
) -> healthimaging::Result<()> {
    let found = || async {
        let pages = sweep(MOST, |next_token| async {
            let request = SearchImageSetsRequest {
                datastore_id: id.clone(),
                search_criteria: SearchCriteria::default(),
                next_token,
                max_results: None,
            };
            let page = service.search_image_sets(request).await?;
            Ok(Page { items: page.image_sets_metadata_summaries, next_token: page.next_token })
        });
        pages.try_collect::<Vec<_>>().await
    };
    let sets = found().await?;
    for set in &sets {
        let request = DeleteImageSetRequest {
            datastore_id: id.clone(),
            image_set_id: set.image_set_id.clone(),
        };
        match service.delete_image_set(request).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            done => {
                done?;
                deleted.insert(set.image_set_id.clone());
            }
        }
    }
    for pause in poll_pauses(FIRST_PAUSE, LONGEST) {
        if found().await?.iter().all(|set| !deleted.contains(&set.image_set_id)) {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// Deletes an empty data store, and waits until it is gone.
async fn delete(service: &dyn HealthImaging, id: &DatastoreId) -> healthimaging::Result<()> {
    service.delete_datastore(DeleteDatastoreRequest { datastore_id: id.clone() }).await?;
    for pause in poll_pauses(FIRST_PAUSE, LONGEST) {
        let request = GetDatastoreRequest { datastore_id: id.clone() };
        let is_gone = match service.get_datastore(request).await {
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            found => found?.datastore_properties.datastore_status == DatastoreStatus::Deleted,
        };
        if is_gone {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    Ok(())
}
