//! Data stores by name, where the API takes an ID.

use futures::TryStreamExt;

use crate::error::{Error, Result};
use crate::id::DatastoreId;
use crate::model::{DatastoreStatus, DatastoreSummary, ListDatastoresRequest};
use crate::page::{Page, sweep};
use crate::service::HealthImaging;

/// Maximum number of data stores that are searched for a name.
const MOST_DATASTORES: usize = 10_000;

/// Names that an error lists.
const NAMES_IN_ERROR: usize = 10;

/// Whether a text can be the name of a data store where an ID is expected: neither an ID nor nearly one.
#[must_use]
pub fn is_datastore_name(given: &str) -> bool {
    // 32 hexadecimal digits are an id, whatever their case.
    let is_hex = given.len() == 32 && given.bytes().all(|byte| byte.is_ascii_hexdigit());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/#-".contains(&byte);
    let is_name = (1..=256).contains(&given.len()) && given.bytes().all(allowed);
    is_name && !is_hex && DatastoreId::try_from(given).is_err()
}

/// Returns the ID of the data store with a name.
///
/// # Errors
///
/// `Validation` if no data store has the name (lists the names), or if several have it (lists their IDs).
pub async fn datastore_named(service: &dyn HealthImaging, name: &str) -> Result<DatastoreId> {
    let page_size = service.limits().page_size;
    let pages = sweep(MOST_DATASTORES, async |next_token| {
        let request = ListDatastoresRequest {
            datastore_status: None,
            next_token,
            max_results: Some(page_size),
        };
        let page = service.list_datastores(request).await?;
        Ok(Page { items: page.datastore_summaries, next_token: page.next_token })
    });
    let mut all: Vec<DatastoreSummary> = pages.try_collect().await?;
    all.retain(|store| {
        !matches!(
            store.datastore_status,
            DatastoreStatus::Deleting | DatastoreStatus::Deleted | DatastoreStatus::CreateFailed
        )
    });
    let named: Vec<&DatastoreSummary> =
        all.iter().filter(|store| store.datastore_name == name).collect();
    match &named[..] {
        [only] => Ok(only.datastore_id.clone()),
        [] => {
            Err(Error::validation(format!("no data store has that id or name; {}", listed(&all))))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|store| store.datastore_id.as_str()).collect();
            Err(Error::validation(format!(
                "{} data stores have that name; give the id of one: {}",
                ids.len(),
                ids.join(", ")
            )))
        }
    }
}

/// Lists the existing names for an error.
fn listed(all: &[DatastoreSummary]) -> String {
    if all.is_empty() {
        return "there is none; create one with create_datastore".to_owned();
    }
    let mut names: Vec<&str> =
        all.iter().take(NAMES_IN_ERROR).map(|store| store.datastore_name.as_str()).collect();
    names.sort_unstable();
    let more = all.len().saturating_sub(NAMES_IN_ERROR);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("active data stores: {}{more}", names.join(", "))
}
