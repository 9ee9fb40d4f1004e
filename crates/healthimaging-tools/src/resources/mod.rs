//! Resources: data stores, image sets, their metadata and frames, tables, under `healthimaging://`.

pub(crate) mod count;
mod uri;

use bytes::Bytes;
use rmcp::ErrorData;
use rmcp::model::{
    CacheScope, ErrorCode, ListResourceTemplatesResult, ListResourcesResult, MetaObject,
    ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};
use serde_json::{Value, json};

use futures::TryStreamExt as _;
use healthimaging::model::{
    DatastoreStatus, DatastoreSummary, GetDatastoreRequest, GetImageSetMetadataRequest,
    GetImageSetRequest, ListDatastoresRequest,
};
use healthimaging::{Error, ErrorKind, HealthImaging, NextToken, Page, Result, sweep};
use healthimaging_render::FrameSelector;
use healthimaging_viewer::{PAGE, RESOURCE_MEDIA_TYPE, RESOURCE_URI};
use healthimaging_workflows::document;

use crate::answer::to_object;
use crate::base64_text;
use crate::failure::error_document;
use crate::picture;
use crate::pixels;
use crate::server::Server;
use crate::sheet;
use crate::stack::Stack;
use crate::tools::tabulate;
use crate::visible;

pub(crate) use uri::{DATASTORE, FRAME, IMAGE_SET, METADATA, PICTURE, PIXELS, SHEET};
use uri::{INDEX, LIST_DATASTORES, PixelsQuery, ResourceUri};
pub(crate) use uri::{frame_uri, metadata_uri, sheet_uri, table_uri};

const JSON: &str = "application/json";

/// Most data stores in the index.
const MOST_DATASTORES: usize = 10_000;

/// How long clients may cache a resource, in milliseconds; never shared between users.
const FRESH_MS: u64 = 5_000;

/// How long clients may cache what does not change, in milliseconds.
const TEMPLATES_FRESH_MS: u64 = 3_600_000;

/// Lists one page: the index and the viewer first, then a resource for each data store.
pub(crate) async fn list(
    server: &Server,
    cursor: Option<String>,
) -> Result<ListResourcesResult, ErrorData> {
    let service = server.service().map_err(|error| protocol_error(&error))?;
    let mut resources = Vec::new();
    if cursor.is_none() {
        resources.push(
            Resource::new(INDEX, "datastores")
                .with_title("Data stores")
                .with_description("All data stores of this server.")
                .with_mime_type(JSON),
        );
        resources.push(
            Resource::new(RESOURCE_URI, "viewer")
                .with_title("Viewer")
                .with_description("The page that shows a series in clients with MCP Apps.")
                .with_mime_type(RESOURCE_MEDIA_TYPE),
        );
    }
    let next_token = cursor.map(NextToken::try_from).transpose().map_err(|_| {
        ErrorData::invalid_params("invalid cursor; leave it out to start again", None)
    })?;
    if server.check_policy(LIST_DATASTORES).is_err() {
        return Ok(ListResourcesResult::with_all_items(resources)
            .with_ttl_ms(FRESH_MS)
            .with_cache_scope(CacheScope::Private));
    }
    let request = ListDatastoresRequest {
        datastore_status: None,
        next_token,
        max_results: Some(service.limits().page_size),
    };
    let page = service.list_datastores(request).await;
    let page = page.map_err(|error| protocol_error(&server.shown_error(error)))?;
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

/// Lists the templates.
pub(crate) fn templates() -> ListResourceTemplatesResult {
    let template = |uri: &str, name: &str, description: &str| {
        ResourceTemplate::new(uri, name).with_description(description)
    };
    let json = |uri: &str, name: &str, description: &str| {
        template(uri, name, description).with_mime_type(JSON)
    };
    ListResourceTemplatesResult::with_all_items(vec![
        json(DATASTORE, "datastore", "A data store, with its number of image sets."),
        json(IMAGE_SET, "image-set", "The state of an image set."),
        json(METADATA, "image-set-metadata", "The whole metadata of an image set."),
        template(FRAME, "image-frame", "A stored frame."),
        template(
            PICTURE,
            "image-frame-picture",
            "A frame as a picture, PNG unless format is jpeg.",
        ),
        json(PIXELS, "image-frame-pixels", "The pixels of a frame in pieces, for the viewer."),
        template(SHEET, "contact-sheet", "Evenly spaced slices of a series in one picture."),
    ])
    .with_ttl_ms(TEMPLATES_FRESH_MS)
    .with_cache_scope(CacheScope::Public)
}

/// Reads the resource of a URI.
pub(crate) async fn read(server: &Server, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let missing = || {
        ErrorData::resource_not_found(
            "this server has no such resource",
            Some(json!({ "uri": uri })),
        )
    };
    if uri == RESOURCE_URI {
        return Ok(viewer());
    }
    let resource = ResourceUri::parse(uri).ok_or_else(missing)?;
    let contents = match read_resource(server, resource).await {
        Ok(Contents::Json(text)) => {
            ResourceContents::text(visible::shown_document(text), uri).with_mime_type(JSON)
        }
        Ok(Contents::Csv(text)) => ResourceContents::text(visible::shown(&text).into_owned(), uri)
            .with_mime_type(tabulate::CSV),
        Ok(Contents::Bytes(bytes, media_type)) => {
            ResourceContents::blob(base64_text::encoded(&bytes), uri).with_mime_type(media_type)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(protocol_error(&server.shown_error(error))),
    };
    Ok(ReadResourceResult::new(vec![contents])
        .with_ttl_ms(FRESH_MS)
        .with_cache_scope(CacheScope::Private))
}

/// The page of the viewer; it needs nothing beyond what hosts allow by default.
fn viewer() -> ReadResourceResult {
    let mut meta = MetaObject::new();
    meta.insert("ui".to_owned(), json!({ "prefersBorder": false }));
    let page = ResourceContents::text(PAGE, RESOURCE_URI)
        .with_mime_type(RESOURCE_MEDIA_TYPE)
        .with_meta(meta);
    ReadResourceResult::new(vec![page])
        .with_ttl_ms(TEMPLATES_FRESH_MS)
        .with_cache_scope(CacheScope::Public)
}

/// Contents of a resource.
enum Contents {
    Json(String),
    Csv(String),
    /// Bytes and their media type.
    Bytes(Bytes, String),
}

async fn read_resource(server: &Server, resource: ResourceUri) -> Result<Contents> {
    server.check_policy(resource.shown_by())?;
    let service = server.service()?;
    let value = match resource {
        ResourceUri::Index => {
            json!({ "datastore_summaries": all_datastores(service, None).await? })
        }
        ResourceUri::Datastore(datastore_id) => {
            let found = service
                .get_datastore(GetDatastoreRequest { datastore_id: datastore_id.clone() })
                .await?;
            let mut properties = to_object(&found.datastore_properties)?;
            properties.insert("counts".to_owned(), count::of(service, &datastore_id).await?.into());
            Value::Object(properties)
        }
        ResourceUri::ImageSet(datastore_id, image_set_id) => {
            let request = GetImageSetRequest { datastore_id, image_set_id, version_id: None };
            json!(service.get_image_set(request).await?)
        }
        ResourceUri::Metadata(datastore_id, image_set_id, version_id) => {
            let request = GetImageSetMetadataRequest { datastore_id, image_set_id, version_id };
            let document = document::fetch(service, request).await?;
            return std::str::from_utf8(document.text())
                .map(|text| Contents::Json(text.to_owned()))
                .map_err(|error| Error::internal("the metadata is not UTF-8", error));
        }
        ResourceUri::Frame(datastore_id, image_set_id, frame) => {
            let stored = picture::fetch(service, &datastore_id, &image_set_id, &frame).await?;
            return Ok(Contents::Bytes(stored.bytes, stored.content_type));
        }
        ResourceUri::Picture(datastore_id, image_set_id, frame, options) => {
            let selector = FrameSelector::Id(frame);
            let decoder = &server.options().decoder;
            let documents = server.documents()?;
            let location =
                picture::locate(documents, &datastore_id, &image_set_id, None, &selector).await?;
            let (_, rendered) = picture::picture(
                (service, server.dicomweb()?),
                decoder,
                (&datastore_id, &image_set_id),
                location,
                options,
            )
            .await?;
            let media_type = rendered.format.media_type().to_owned();
            return Ok(Contents::Bytes(rendered.file.into(), media_type));
        }
        ResourceUri::Pixels(
            datastore_id,
            image_set_id,
            frame,
            PixelsQuery { chunk, frame_number },
        ) => {
            let place = (datastore_id, image_set_id, frame, frame_number);
            let decoder = &server.options().decoder;
            return pixels::piece(server.documents()?, decoder, place, chunk)
                .await
                .map(Contents::Json);
        }
        ResourceUri::Sheet(datastore_id, image_set_id, series, options) => {
            let set = Some(image_set_id);
            let stack = Stack::of_series(server.documents()?, datastore_id, series, set).await?;
            let back_end = (service, server.dicomweb()?);
            let made = sheet::make(back_end, &server.options().decoder, &stack, options).await?;
            let media_type = options.format.media_type().to_owned();
            return Ok(Contents::Bytes(made.file.into(), media_type));
        }
        ResourceUri::Table(arguments) => {
            return tabulate::read_csv(service, arguments).await.map(Contents::Csv);
        }
    };
    Ok(Contents::Json(value.to_string()))
}

pub(crate) async fn all_datastores(
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
        Ok(Page { items: page.datastore_summaries, next_token: page.next_token })
    });
    pages.try_collect().await
}

/// Converts an error outside of a tool: the same document, as data of a protocol error.
pub(crate) fn protocol_error(error: &Error) -> ErrorData {
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
