//! Completion of the arguments of resource templates.

use rmcp::ErrorData;
use rmcp::model::{CompleteRequestParams, CompletionInfo, Reference};

use healthimaging::model::{
    DatastoreStatus, ListImageSetVersionsRequest, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging::{DatastoreId, HealthImaging, ImageSetId, Result};

use super::uri::{DATASTORE, FRAME, IMAGE_SET, METADATA, PICTURE, PIXELS, SHEET};
use super::{all_datastores, protocol_error};
use crate::picture;
use crate::server::Server;

/// Returns IDs that start with the argument.
pub(crate) async fn complete(
    server: &Server,
    request: &CompleteRequestParams,
) -> Result<CompletionInfo, ErrorData> {
    let service = server.service().map_err(|error| protocol_error(&error))?;
    let Reference::Resource(template) = &request.r#ref else {
        return Err(ErrorData::invalid_params("this server has no prompts", None));
    };
    if ![DATASTORE, IMAGE_SET, METADATA, FRAME, PICTURE, PIXELS, SHEET]
        .contains(&template.uri.as_str())
    {
        return Err(ErrorData::invalid_params("this server has no such resource template", None));
    }
    let begun = request.argument.value.as_str();
    let ids = match request.argument.name.as_str() {
        "datastore_id" => datastore_ids(service).await,
        "image_set_id" => match datastore_of(request) {
            Some(datastore_id) => image_set_ids(service, datastore_id).await,
            None => Ok(Vec::new()),
        },
        "version_id" => match image_set_of(request) {
            Some((datastore_id, image_set_id)) => {
                version_ids(service, datastore_id, image_set_id).await
            }
            None => Ok(Vec::new()),
        },
        "image_frame_id" => match image_set_of(request) {
            Some((datastore_id, image_set_id)) => {
                picture::frame_ids(service, &datastore_id, &image_set_id).await
            }
            None => Ok(Vec::new()),
        },
        "format" => Ok(vec!["png".to_owned(), "jpeg".to_owned()]),
        _ => Ok(Vec::new()),
    };
    let ids = ids.map_err(|error| protocol_error(&error))?;
    let fitting: Vec<String> = ids.into_iter().filter(|id| id.starts_with(begun)).collect();
    let shown: Vec<String> = fitting.iter().take(CompletionInfo::MAX_VALUES).cloned().collect();
    let more = fitting.len() > shown.len();
    CompletionInfo::with_pagination(shown, None, more)
        .map_err(|message| ErrorData::internal_error(message, None))
}

/// Returns an argument that the client has resolved already.
fn known<'a>(request: &'a CompleteRequestParams, name: &str) -> Option<&'a str> {
    let known = request.context.as_ref()?.get_argument(name)?;
    Some(known.as_str())
}

fn datastore_of(request: &CompleteRequestParams) -> Option<DatastoreId> {
    DatastoreId::try_from(known(request, "datastore_id")?).ok()
}

fn image_set_of(request: &CompleteRequestParams) -> Option<(DatastoreId, ImageSetId)> {
    let image_set_id = ImageSetId::try_from(known(request, "image_set_id")?).ok()?;
    Some((datastore_of(request)?, image_set_id))
}

async fn datastore_ids(service: &dyn HealthImaging) -> Result<Vec<String>> {
    let all = all_datastores(service, Some(DatastoreStatus::Active)).await?;
    Ok(all.into_iter().map(|datastore| datastore.datastore_id.into()).collect())
}

/// Lists those of the first page only: completion is not a listing.
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
    Ok(summaries.map(|summary| summary.image_set_id.into()).collect())
}

/// Lists those of one page, newest first, as the service returns them.
async fn version_ids(
    service: &dyn HealthImaging,
    datastore_id: DatastoreId,
    image_set_id: ImageSetId,
) -> Result<Vec<String>> {
    let request = ListImageSetVersionsRequest {
        datastore_id,
        image_set_id,
        next_token: None,
        max_results: Some(service.limits().page_size),
    };
    let found = service.list_image_set_versions(request).await?;
    let versions = found.image_set_properties_list.into_iter();
    Ok(versions.map(|version| version.version_id.into()).collect())
}
