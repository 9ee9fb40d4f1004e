//! Tags of data stores and image sets.

use healthimaging::model::{
    DatastoreStatus, ListTagsForResourceRequest, ListTagsForResourceResponse, TagResourceRequest,
    TagResourceResponse, UntagResourceRequest, UntagResourceResponse,
};
use healthimaging::{Error, ErrorKind, Resource};

use crate::catalog::{Reader, Tx, datastores, image_sets, tags};
use crate::error::Result;
use crate::shared::SharedStore;

/// Keys of one `UntagResource`, at most.
const MOST_KEYS: usize = 200;

/// Sets tags of a resource.
pub(crate) async fn tag(
    shared: &SharedStore,
    request: TagResourceRequest,
) -> Result<TagResourceResponse> {
    let resource = shared.config.own_resource(&request.resource_arn)?;
    let write = move |tx: &Tx<'_>| {
        let key = existing(tx, resource.as_ref())?;
        tags::write(tx, &key, &request.tags)
    };
    shared.catalog.write(write).await?;
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
    let resource = shared.config.own_resource(&request.resource_arn)?;
    let write = move |tx: &Tx<'_>| {
        let resource = existing(tx, resource.as_ref())?;
        tags::remove(tx, &resource, &request.tag_keys)
    };
    shared.catalog.write(write).await?;
    Ok(UntagResourceResponse {})
}

/// The tags of a resource.
pub(crate) async fn list(
    shared: &SharedStore,
    request: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse> {
    let resource = shared.config.own_resource(&request.resource_arn)?;
    let read = move |reader: &Reader| {
        let resource = existing(reader, resource.as_ref())?;
        tags::read(reader, &resource)
    };
    let tags = shared.catalog.read(read).await?;
    Ok(ListTagsForResourceResponse { tags })
}

/// The name of an existing resource.
fn existing(reader: &Reader, resource: Option<&Resource>) -> Result<String> {
    match resource {
        None => Err(Error::new(
            ErrorKind::NotFound,
            "resource_arn is of another partition, region or account than this store",
        )
        .into()),
        Some(Resource::Datastore(id)) => {
            let found = datastores::find(reader, id)?;
            if found.status == DatastoreStatus::Deleted {
                return Err(Error::not_found("the data store is deleted").into());
            }
            Ok(tags::datastore_key(id))
        }
        Some(Resource::ImageSet(datastore, id)) => {
            image_sets::find_in(reader, datastore, id)?;
            Ok(tags::image_set_key(id))
        }
    }
}
