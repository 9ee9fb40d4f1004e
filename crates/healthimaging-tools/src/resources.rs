//! Resources: data stores, image sets and their metadata, under `healthimaging://`.

use rmcp::ErrorData;
use rmcp::model::{
    CacheScope, CompleteRequestParams, CompletionInfo, ErrorCode, ListResourceTemplatesResult,
    ListResourcesResult, ReadResourceResult, Reference, Resource, ResourceContents,
    ResourceTemplate,
};
use serde_json::{Value, json};

use futures::TryStreamExt as _;
use healthimaging::model::{
    DatastoreStatus, DatastoreSummary, GetDatastoreRequest, GetImageSetMetadataRequest,
    GetImageSetRequest, ListDatastoresRequest, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging::{
    DatastoreId, Error, ErrorKind, HealthImaging, ImageSetId, NextToken, Page, Result, VersionId,
    sweep,
};

use crate::failure::error_document;
use healthimaging_workflows::document;

const INDEX: &str = "healthimaging://datastores";
const JSON: &str = "application/json";
const IMAGE_SET: &str = "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}";
const METADATA: &str =
    "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}/metadata{?version_id}";
const DATASTORE: &str = "healthimaging://datastores/{datastore_id}";

/// Most data stores that the index holds.
const MOST_DATASTORES: usize = 10_000;

/// How long a client may keep what it read, in milliseconds; never shared between users.
const FRESH_MS: u64 = 5_000;

/// What a URI names.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Index,
    Datastore(DatastoreId),
    ImageSet(DatastoreId, ImageSetId),
    Metadata(DatastoreId, ImageSetId, Option<VersionId>),
}

impl Place {
    fn of(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix(INDEX)?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let version = match query {
            Some(query) => Some(VersionId::try_from(query.strip_prefix("version_id=")?).ok()?),
            None => None,
        };
        let mut parts = path.split('/');
        if !parts.next()?.is_empty() {
            return None;
        }
        let parts: Vec<&str> = parts.collect();
        let datastore = |id: &str| DatastoreId::try_from(id).ok();
        let image_set = |id: &str| ImageSetId::try_from(id).ok();
        match (&parts[..], version) {
            ([], None) => Some(Self::Index),
            ([id], None) => Some(Self::Datastore(datastore(id)?)),
            ([id, "image-sets", set], None) => {
                Some(Self::ImageSet(datastore(id)?, image_set(set)?))
            }
            ([id, "image-sets", set, "metadata"], version) => {
                Some(Self::Metadata(datastore(id)?, image_set(set)?, version))
            }
            _ => None,
        }
    }
}

/// The resource that holds the whole metadata of an image set.
pub(crate) fn metadata_uri(
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
    version_id: Option<&VersionId>,
) -> String {
    let uri = format!("{INDEX}/{datastore_id}/image-sets/{image_set_id}/metadata");
    match version_id {
        Some(version) => format!("{uri}?version_id={version}"),
        None => uri,
    }
}

/// One page: the index first, then a resource for each data store.
pub(crate) async fn list(
    service: &dyn HealthImaging,
    cursor: Option<String>,
) -> Result<ListResourcesResult, ErrorData> {
    let mut resources = Vec::new();
    if cursor.is_none() {
        resources.push(
            Resource::new(INDEX, "datastores")
                .with_title("Data stores")
                .with_description("All data stores of this server.")
                .with_mime_type(JSON),
        );
    }
    let next_token = cursor
        .map(NextToken::try_from)
        .transpose()
        .map_err(|_| ErrorData::invalid_params("the cursor is not one of this server's", None))?;
    let request = ListDatastoresRequest {
        datastore_status: None,
        next_token,
        max_results: Some(service.limits().page_size),
    };
    let page = service
        .list_datastores(request)
        .await
        .map_err(|error| protocol_error(&error))?;
    resources.extend(page.datastore_summaries.iter().map(datastore_resource));
    let mut result = ListResourcesResult::with_all_items(resources)
        .with_ttl_ms(FRESH_MS)
        .with_cache_scope(CacheScope::Private);
    result.next_cursor = page.next_token.map(String::from);
    Ok(result)
}

fn datastore_resource(datastore: &DatastoreSummary) -> Resource {
    let id = &datastore.datastore_id;
    Resource::new(format!("{INDEX}/{id}"), datastore.datastore_name.clone())
        .with_description(format!("Data store {id}, {}.", datastore.datastore_status))
        .with_mime_type(JSON)
}

/// The templates.
pub(crate) fn templates() -> ListResourceTemplatesResult {
    let template = |uri: &str, name: &str, description: &str| {
        ResourceTemplate::new(uri, name)
            .with_description(description)
            .with_mime_type(JSON)
    };
    ListResourceTemplatesResult::with_all_items(vec![
        template(DATASTORE, "datastore", "A data store."),
        template(IMAGE_SET, "image-set", "The state of an image set."),
        template(
            METADATA,
            "image-set-metadata",
            "The whole metadata of an image set.",
        ),
    ])
    .with_ttl_ms(3_600_000)
    .with_cache_scope(CacheScope::Public)
}

/// What a URI names, as JSON.
pub(crate) async fn read(
    service: &dyn HealthImaging,
    uri: &str,
) -> Result<ReadResourceResult, ErrorData> {
    let missing = || {
        ErrorData::resource_not_found(
            "this server has no such resource",
            Some(json!({ "uri": uri })),
        )
    };
    let place = Place::of(uri).ok_or_else(missing)?;
    let text = match read_place(service, place).await {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(protocol_error(&error)),
    };
    let contents = ResourceContents::text(text, uri).with_mime_type(JSON);
    Ok(ReadResourceResult::new(vec![contents])
        .with_ttl_ms(FRESH_MS)
        .with_cache_scope(CacheScope::Private))
}

async fn read_place(service: &dyn HealthImaging, place: Place) -> Result<String> {
    let value = match place {
        Place::Index => json!({ "datastore_summaries": all_datastores(service, None).await? }),
        Place::Datastore(datastore_id) => {
            let found = service
                .get_datastore(GetDatastoreRequest { datastore_id })
                .await?;
            json!(found.datastore_properties)
        }
        Place::ImageSet(datastore_id, image_set_id) => {
            let request = GetImageSetRequest {
                datastore_id,
                image_set_id,
                version_id: None,
            };
            json!(service.get_image_set(request).await?)
        }
        Place::Metadata(datastore_id, image_set_id, version_id) => {
            let request = GetImageSetMetadataRequest {
                datastore_id,
                image_set_id,
                version_id,
            };
            let text = document::fetch(service, request).await?;
            return String::from_utf8(text)
                .map_err(|error| Error::internal("the metadata is not UTF-8", error));
        }
    };
    Ok(value.to_string())
}

async fn all_datastores(
    service: &dyn HealthImaging,
    status: Option<DatastoreStatus>,
) -> Result<Vec<DatastoreSummary>> {
    let page_size = service.limits().page_size;
    let pages = sweep(MOST_DATASTORES, async |next_token| {
        let request = ListDatastoresRequest {
            datastore_status: status,
            next_token,
            max_results: Some(page_size),
        };
        let page = service.list_datastores(request).await?;
        Ok(Page {
            items: page.datastore_summaries,
            next_token: page.next_token,
        })
    });
    pages.try_collect().await
}

/// Ids that begin as the argument does.
pub(crate) async fn complete(
    service: &dyn HealthImaging,
    request: &CompleteRequestParams,
) -> Result<CompletionInfo, ErrorData> {
    let Reference::Resource(template) = &request.r#ref else {
        return Err(ErrorData::invalid_params(
            "this server has no prompts",
            None,
        ));
    };
    if ![DATASTORE, IMAGE_SET, METADATA].contains(&template.uri.as_str()) {
        return Err(ErrorData::invalid_params(
            "this server has no such resource template",
            None,
        ));
    }
    let begun = request.argument.value.as_str();
    let ids = match request.argument.name.as_str() {
        "datastore_id" => datastore_ids(service).await,
        "image_set_id" => {
            let named = request
                .context
                .as_ref()
                .and_then(|known| known.get_argument("datastore_id"));
            match named.map(|id| DatastoreId::try_from(id.as_str())) {
                Some(Ok(datastore_id)) => image_set_ids(service, datastore_id).await,
                _ => Ok(Vec::new()),
            }
        }
        _ => Ok(Vec::new()),
    };
    let ids = ids.map_err(|error| protocol_error(&error))?;
    let fitting: Vec<String> = ids.into_iter().filter(|id| id.starts_with(begun)).collect();
    let shown: Vec<String> = fitting
        .iter()
        .take(CompletionInfo::MAX_VALUES)
        .cloned()
        .collect();
    let more = fitting.len() > shown.len();
    CompletionInfo::with_pagination(shown, None, more)
        .map_err(|message| ErrorData::internal_error(message, None))
}

async fn datastore_ids(service: &dyn HealthImaging) -> Result<Vec<String>> {
    let all = all_datastores(service, Some(DatastoreStatus::Active)).await?;
    Ok(all
        .into_iter()
        .map(|datastore| datastore.datastore_id.into())
        .collect())
}

/// Those of the newest page: completion is a help, not a listing.
async fn image_set_ids(
    service: &dyn HealthImaging,
    datastore_id: DatastoreId,
) -> Result<Vec<String>> {
    let request = SearchImageSetsRequest {
        datastore_id,
        search_criteria: SearchCriteria::default(),
        next_token: None,
        max_results: Some(service.limits().page_size),
    };
    let found = service.search_image_sets(request).await?;
    let summaries = found.image_sets_metadata_summaries.into_iter();
    Ok(summaries
        .map(|summary| summary.image_set_id.into())
        .collect())
}

/// An error outside of a tool: the same document, as the data of a protocol error.
fn protocol_error(error: &Error) -> ErrorData {
    crate::failure::log("resources", error);
    let code = match error.kind() {
        ErrorKind::Validation | ErrorKind::BadRequest | ErrorKind::NotFound => {
            ErrorCode::INVALID_PARAMS
        }
        _ => ErrorCode::INTERNAL_ERROR,
    };
    let data = Value::Object(error_document(error));
    ErrorData::new(code, error.message().to_owned(), Some(data))
}
