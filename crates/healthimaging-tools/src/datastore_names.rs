//! Data stores by name or ARN, where a tool takes the id of one.

use futures::TryStreamExt;
use healthimaging::model::{DatastoreStatus, DatastoreSummary, ListDatastoresRequest};
use healthimaging::{
    DatastoreId, Error, HealthImaging, Page, Resource, ResourceArn, Result, sweep,
};
use serde_json::Value;

use crate::tool::{Arguments, ToolEntry};

/// Arguments that name a data store.
const NAMING: [&str; 2] = ["datastore_id", "source_datastore_id"];

/// More data stores than this are not searched for a name.
const MOST_DATASTORES: usize = 10_000;

/// Names that an error lists.
const NAMES_IN_ERROR: usize = 10;

/// Replaces names and ARNs of data stores by their ids.
pub(crate) async fn resolve(
    tool: &ToolEntry,
    service: &dyn HealthImaging,
    arguments: &mut Arguments,
) -> Result<()> {
    for argument in NAMING {
        let Some(Value::String(given)) = arguments.get(argument) else { continue };
        // Also what is nearly an id is refused as one, and never read as a name.
        let is_hex = given.len() == 32 && given.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_known = || {
            let schema = tool.definition().input_schema;
            schema.get("properties").and_then(|all| all.get(argument)).is_some()
        };
        if is_hex || DatastoreId::try_from(given.as_str()).is_ok() || !is_name(given) || !is_known()
        {
            continue;
        }
        let arn = ResourceArn::try_from(given.as_str()).ok();
        let id = match arn.and_then(|arn| arn.resource()) {
            Some(Resource::Datastore(id)) => id,
            _ => by_name(service, argument, given).await?,
        };
        arguments.insert(argument.to_owned(), Value::from(id.as_str()));
    }
    Ok(())
}

/// Characters and length of a data store name or an ARN (`CreateDatastore` in the AWS API reference).
fn is_name(given: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/#:-".contains(&byte);
    (1..=256).contains(&given.len()) && given.bytes().all(allowed)
}

async fn by_name(service: &dyn HealthImaging, argument: &str, name: &str) -> Result<DatastoreId> {
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
        [] => Err(Error::validation(format!(
            "`{argument}`: no data store has that id or name; {}",
            listed(&all)
        ))),
        several => {
            let ids: Vec<&str> = several.iter().map(|store| store.datastore_id.as_str()).collect();
            Err(Error::validation(format!(
                "`{argument}`: {} data stores have that name; give the id of one: {}",
                ids.len(),
                ids.join(", ")
            )))
        }
    }
}

/// What there is, for a caller who named something else.
fn listed(all: &[DatastoreSummary]) -> String {
    if all.is_empty() {
        return "there is none; create one with create_datastore".to_owned();
    }
    let mut names: Vec<&str> =
        all.iter().take(NAMES_IN_ERROR).map(|store| store.datastore_name.as_str()).collect();
    names.sort_unstable();
    let more = all.len().saturating_sub(NAMES_IN_ERROR);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("there are {}{more}", names.join(", "))
}
