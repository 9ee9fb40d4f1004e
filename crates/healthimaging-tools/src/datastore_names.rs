//! Names and ARNs of data stores in the place of their IDs.

use healthimaging::{
    Error, ErrorKind, HealthImaging, Resource, ResourceArn, Result, datastore_named,
    is_datastore_name,
};
use serde_json::Value;

use crate::arguments::Arguments;
use crate::tool::ToolEntry;

/// Arguments that name a data store.
const NAMING: [&str; 3] = ["datastore_id", "source_datastore_id", "other_datastore_id"];

/// Replaces names and ARNs of data stores by their IDs.
pub(crate) async fn resolve(
    tool: &ToolEntry,
    service: &dyn HealthImaging,
    arguments: &mut Arguments,
) -> Result<()> {
    for argument in NAMING {
        let Some(Value::String(given)) = arguments.get(argument) else { continue };
        let is_argument = || {
            let schema = tool.definition().input_schema;
            schema.get("properties").and_then(|all| all.get(argument)).is_some()
        };
        let arn = ResourceArn::try_from(given.as_str()).ok();
        let id = match arn.and_then(|arn| arn.resource()) {
            _ if !is_argument() => continue,
            Some(Resource::Datastore(id)) => id,
            _ if is_datastore_name(given) => {
                let found = datastore_named(service, given).await;
                found.map_err(|error| match error.kind() {
                    ErrorKind::Validation => {
                        Error::validation(format!("`{argument}`: {}", error.message()))
                    }
                    _ => error,
                })?
            }
            _ => continue,
        };
        arguments.insert(argument.to_owned(), Value::from(id.as_str()));
    }
    Ok(())
}
