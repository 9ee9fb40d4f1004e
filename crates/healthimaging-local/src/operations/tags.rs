//! Tags of data stores and image sets.

use std::collections::BTreeMap;

use healthimaging::model::{
    DatastoreStatus, ListTagsForResourceRequest, ListTagsForResourceResponse, TagResourceRequest,
    TagResourceResponse, UntagResourceRequest, UntagResourceResponse,
};
use healthimaging::{DatastoreId, Error, ErrorKind, ImageSetId, Resource, TagKey, TagValue};
use rusqlite::{Connection, Transaction};

use crate::error::Result;
use crate::index::{datastores, image_sets};
use crate::shared::SharedStore;

/// Tags of one resource, at most, as in AWS.
const MOST_TAGS: i64 = 50;
/// Keys of one `UntagResource`, at most.
const MOST_KEYS: usize = 200;

/// The name of a data store in the table of tags.
pub(crate) fn datastore_key(id: &DatastoreId) -> String {
    format!("datastore/{id}")
}

/// The name of an image set in the table of tags.
pub(crate) fn image_set_key(id: &ImageSetId) -> String {
    format!("imageset/{id}")
}

/// Sets tags of a resource.
pub(crate) async fn tag(
    shared: &SharedStore,
    request: TagResourceRequest,
) -> Result<TagResourceResponse> {
    let resource = shared.own_resource(&request.resource_arn)?;
    let write = move |transaction: &Transaction<'_>| {
        let key = existing(transaction, resource.as_ref())?;
        write(transaction, &key, &request.tags)
    };
    shared.catalogue.write(write).await?;
    Ok(TagResourceResponse {})
}

/// Removes tags of a resource.
pub(crate) async fn untag(
    shared: &SharedStore,
    request: UntagResourceRequest,
) -> Result<UntagResourceResponse> {
    if request.tag_keys.len() > MOST_KEYS {
        return Err(Error::validation(format!(
            "tag_keys must have at most {MOST_KEYS} keys, not {}",
            request.tag_keys.len()
        ))
        .into());
    }
    let resource = shared.own_resource(&request.resource_arn)?;
    let write = move |transaction: &Transaction<'_>| {
        let resource = existing(transaction, resource.as_ref())?;
        for key in &request.tag_keys {
            transaction
                .prepare_cached("DELETE FROM tag WHERE resource = ?1 AND key = ?2")?
                .execute((&resource, key.as_str()))?;
        }
        Ok(())
    };
    shared.catalogue.write(write).await?;
    Ok(UntagResourceResponse {})
}

/// The tags of a resource.
pub(crate) async fn list(
    shared: &SharedStore,
    request: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse> {
    let resource = shared.own_resource(&request.resource_arn)?;
    let read = move |connection: &Connection| {
        let resource = existing(connection, resource.as_ref())?;
        connection
            .prepare_cached("SELECT key, value FROM tag WHERE resource = ?1")?
            .query_and_then([&resource], |row| {
                let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
                Ok((TagKey::try_from(key)?, TagValue::try_from(value)?))
            })?
            .collect::<Result<BTreeMap<_, _>>>()
    };
    let tags = shared.catalogue.read(read).await?;
    Ok(ListTagsForResourceResponse { tags })
}

/// Sets tags; more than 50 of one resource are refused.
pub(crate) fn write(
    transaction: &Transaction<'_>,
    resource: &str,
    tags: &BTreeMap<TagKey, TagValue>,
) -> Result<()> {
    for (key, value) in tags {
        transaction
            .prepare_cached(
                "INSERT INTO tag (resource, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET value = excluded.value",
            )?
            .execute((resource, key.as_str(), value.as_str()))?;
    }
    let count: i64 = transaction
        .prepare_cached("SELECT count(*) FROM tag WHERE resource = ?1")?
        .query_row([resource], |row| row.get(0))?;
    if count > MOST_TAGS {
        // Dropping the transaction takes the tags back.
        return Err(Error::validation(format!(
            "a resource can have at most {MOST_TAGS} tags; this would make {count}"
        ))
        .into());
    }
    Ok(())
}

/// Removes all tags of a resource.
pub(crate) fn clear(transaction: &Transaction<'_>, resource: &str) -> Result<()> {
    transaction.execute("DELETE FROM tag WHERE resource = ?1", [resource])?;
    Ok(())
}

/// The name of a resource that is there.
fn existing(connection: &Connection, resource: Option<&Resource>) -> Result<String> {
    match resource {
        None => Err(Error::new(
            ErrorKind::NotFound,
            "resource_arn is of another partition, region or account than this store",
        )
        .into()),
        Some(Resource::Datastore(id)) => {
            let found = datastores::find(connection, id)?;
            if found.status == DatastoreStatus::Deleted {
                return Err(Error::not_found("the data store is deleted").into());
            }
            Ok(datastore_key(id))
        }
        Some(Resource::ImageSet(datastore, id)) => {
            let datastore = datastores::find_active(connection, datastore)?;
            image_sets::find_live(connection, datastore.row, id)?;
            Ok(image_set_key(id))
        }
    }
}
