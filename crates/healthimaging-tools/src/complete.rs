//! Completion of the arguments of resource templates and prompts.
//!
//! A completion reads at most [`MOST_PAGES`] pages of a search, at the pace of every call: it helps to type, and is not
//! a listing.

use std::collections::{BTreeMap, BTreeSet};

use rmcp::ErrorData;
use rmcp::model::{CompleteRequestParams, CompletionInfo, Reference};

use healthimaging::model::{
    DatastoreStatus, DicomTags, ListDatastoresRequest, ListDicomImportJobsRequest,
    ListImageSetVersionsRequest, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging::{DatastoreId, HealthImaging, ImageSetId, Result, Uid};
use healthimaging_workflows::find::{Criteria, Text};

use crate::picture;
use crate::prompts;
use crate::resources::{
    DATASTORE, FRAME, IMAGE_SET, METADATA, PICTURE, PIXELS, SHEET, all_datastores, protocol_error,
};
use crate::server::Server;
use crate::versions::Documents;
use crate::visible;

/// Most pages of a search that a completion reads.
const MOST_PAGES: usize = 4;

/// Most data stores that a completion looks into.
const MOST_DATASTORES: usize = 4;

/// Returns values that start with the argument.
pub(crate) async fn complete(
    server: &Server,
    request: &CompleteRequestParams,
) -> Result<CompletionInfo, ErrorData> {
    let argument = request.argument.name.as_str();
    match &request.r#ref {
        Reference::Prompt(prompt) => {
            prompts::check_argument(server.options(), &prompt.name, argument)?;
        }
        Reference::Resource(template) => {
            if ![DATASTORE, IMAGE_SET, METADATA, FRAME, PICTURE, PIXELS, SHEET]
                .contains(&template.uri.as_str())
            {
                let message = "this server has no such resource template";
                return Err(ErrorData::invalid_params(message, None));
            }
        }
        _ => return Err(ErrorData::invalid_params("completes prompts and templates only", None)),
    }
    let documents = server.documents().map_err(|error| protocol_error(&error))?;
    let is_offered = argument == "datastore_id" || server.check_policy("search_image_sets").is_ok();
    let values = if is_offered { values(documents, request).await } else { Ok(Vec::new()) };
    let values = values.map_err(|error| protocol_error(&server.shown_error(error)))?;
    // Values are shown, and taken, as answers of tools show them.
    let shown = values.into_iter().map(|value| visible::shown(&value).into_owned());
    let fitting: Vec<String> =
        shown.filter(|value| value.starts_with(&request.argument.value)).collect();
    let first: Vec<String> = fitting.iter().take(CompletionInfo::MAX_VALUES).cloned().collect();
    let more = fitting.len() > first.len();
    CompletionInfo::with_pagination(first, None, more)
        .map_err(|message| ErrorData::internal_error(message, None))
}

async fn values(documents: Documents<'_>, request: &CompleteRequestParams) -> Result<Vec<String>> {
    let service = documents.service;
    let argument = request.argument.name.as_str();
    match argument {
        "datastore_id" => {
            let takes_names = matches!(request.r#ref, Reference::Prompt(_));
            return datastore_ids(service, takes_names).await;
        }
        "format" => return Ok(vec!["png".to_owned(), "jpeg".to_owned()]),
        _ => {}
    }
    let mut values = Vec::new();
    for datastore_id in datastores_of(service, request).await? {
        values.extend(values_in(documents, request, datastore_id).await?);
    }
    Ok(values)
}

async fn values_in(
    documents: Documents<'_>,
    request: &CompleteRequestParams,
    datastore_id: DatastoreId,
) -> Result<Vec<String>> {
    let service = documents.service;
    let argument = request.argument.name.as_str();
    match (argument, image_set_of(request)) {
        ("image_set_id", _) => image_set_ids(service, datastore_id).await,
        ("version_id", Some(set)) => version_ids(service, datastore_id, set).await,
        ("image_frame_id", Some(set)) => picture::frame_ids(documents, &datastore_id, &set).await,
        ("patient_id", _) => {
            search(service, datastore_id, request, |tags| tags.patient_id.as_ref()).await
        }
        ("study_instance_uid", _) => {
            search(service, datastore_id, request, |tags| tags.study_instance_uid.as_ref()).await
        }
        ("series_instance_uid", _) => {
            search(service, datastore_id, request, |tags| tags.series_instance_uid.as_ref()).await
        }
        ("job_id", _) => import_job_ids(service, datastore_id).await,
        _ => Ok(Vec::new()),
    }
}

/// Returns an argument that the client has resolved already.
fn known<'a>(request: &'a CompleteRequestParams, name: &str) -> Option<&'a str> {
    let known = request.context.as_ref()?.get_argument(name)?;
    Some(known.as_str())
}

/// Returns the data store that the client has resolved, by ID or name, or else the first active ones.
async fn datastores_of(
    service: &dyn HealthImaging,
    request: &CompleteRequestParams,
) -> Result<Vec<DatastoreId>> {
    let named = known(request, "datastore_id").filter(|named| !named.is_empty());
    if let Some(id) = named.and_then(|named| DatastoreId::try_from(named).ok()) {
        return Ok(vec![id]);
    }
    let active = ListDatastoresRequest {
        datastore_status: Some(DatastoreStatus::Active),
        next_token: None,
        max_results: Some(service.limits().page_size),
    };
    let mut active = service.list_datastores(active).await?.datastore_summaries;
    active.retain(|one| named.is_none_or(|named| one.datastore_name == named));
    active.truncate(MOST_DATASTORES);
    Ok(active.into_iter().map(|one| one.datastore_id).collect())
}

fn image_set_of(request: &CompleteRequestParams) -> Option<ImageSetId> {
    ImageSetId::try_from(known(request, "image_set_id")?).ok()
}

/// What a search is narrowed by: the study or patient that the client has resolved.
fn criteria(request: &CompleteRequestParams) -> SearchCriteria {
    let argument = request.argument.name.as_str();
    let study = known(request, "study_instance_uid").and_then(|uid| Uid::try_from(uid).ok());
    let patient = known(request, "patient_id").and_then(|id| Text::try_from(id.to_owned()).ok());
    let found = match (argument, study, patient) {
        ("series_instance_uid", Some(study), _) => Criteria::study(study),
        ("series_instance_uid" | "study_instance_uid", _, Some(patient)) => {
            Criteria::patient(patient)
        }
        _ => Criteria::default(),
    };
    SearchCriteria { filters: found.filters(), sort: None }
}

/// Returns the values of an attribute that image sets have, most recently changed first.
async fn search(
    service: &dyn HealthImaging,
    datastore_id: DatastoreId,
    request: &CompleteRequestParams,
    value: fn(&DicomTags) -> Option<&String>,
) -> Result<Vec<String>> {
    let begun = request.argument.value.as_str();
    let (mut values, mut seen) = (Vec::new(), BTreeSet::new());
    let mut next_token = None;
    for _ in 0..MOST_PAGES {
        let asked = SearchImageSetsRequest {
            datastore_id: datastore_id.clone(),
            search_criteria: criteria(request),
            next_token,
            max_results: Some(service.limits().page_size),
        };
        let page = service.search_image_sets(asked).await?;
        for summary in page.image_sets_metadata_summaries {
            let found = summary.dicom_tags.as_ref().and_then(value);
            if let Some(found) = found.filter(|found| visible::shown(found).starts_with(begun))
                && seen.insert(found.clone())
            {
                values.push(found.clone());
            }
        }
        next_token = page.next_token;
        if next_token.is_none() || values.len() >= CompletionInfo::MAX_VALUES {
            break;
        }
    }
    Ok(values)
}

/// Lists those of the first page, as the service orders them.
async fn import_job_ids(
    service: &dyn HealthImaging,
    datastore_id: DatastoreId,
) -> Result<Vec<String>> {
    let request = ListDicomImportJobsRequest {
        datastore_id,
        job_status: None,
        next_token: None,
        max_results: Some(service.limits().page_size),
    };
    let found = service.list_dicom_import_jobs(request).await?;
    Ok(found.job_summaries.into_iter().map(|job| job.job_id.into()).collect())
}

/// Lists the IDs; names too, where tools will get the value, which take both.
async fn datastore_ids(service: &dyn HealthImaging, takes_names: bool) -> Result<Vec<String>> {
    let all = all_datastores(service, Some(DatastoreStatus::Active)).await?;
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for one in all.iter().filter(|_| takes_names) {
        *names.entry(one.datastore_name.clone()).or_default() += 1;
    }
    // A name that several have identifies none of them.
    let names = names.into_iter().filter(|(_, count)| *count == 1).map(|(name, _)| name);
    let ids = all.iter().map(|datastore| datastore.datastore_id.as_str().to_owned());
    Ok(names.chain(ids).collect())
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
