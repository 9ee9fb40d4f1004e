//! DICOMweb (`PS3.18`) under `/datastore/{id}`: that of AWS HealthImaging, and retrieval of whole studies and series.

mod accept;
mod hierarchy;
mod multipart;
mod retrieve;
mod search;
mod store;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use healthimaging::{DicomWeb, Result};
use http::HeaderMap;

use crate::call::{Call, Operation};
use crate::failure::Failure;

#[cfg(feature = "fuzzing")]
pub(crate) use multipart::parts;

const JSON: &str = "application/dicom+json";

/// Routes of all actions; a path with a slash at its end is the same resource.
pub(crate) fn routes(web: Arc<dyn DicomWeb>) -> Router {
    let action = Operation(Arc::clone(&web));
    let storing = move |request: Request| store::store(Arc::clone(&web), request);
    let of_instance = "/studies/{study}/series/{series}/instances/{instance}";
    let resources: [(String, MethodRouter); 14] = [
        ("/studies".into(), get(action.run(search::studies)).merge(post(storing.clone()))),
        ("/studies/{study}".into(), get(action.run(hierarchy::study)).merge(post(storing))),
        ("/studies/{study}/metadata".into(), get(action.run(hierarchy::study_metadata))),
        ("/studies/{study}/series".into(), get(action.run(search::series))),
        ("/studies/{study}/instances".into(), get(action.run(search::instances))),
        ("/studies/{study}/series/{series}".into(), get(action.run(hierarchy::series))),
        (
            "/studies/{study}/series/{series}/metadata".into(),
            get(action.run(retrieve::series_metadata)),
        ),
        ("/studies/{study}/series/{series}/instances".into(), get(action.run(search::instances))),
        (of_instance.into(), get(action.run(retrieve::instance))),
        (format!("{of_instance}/metadata"), get(action.run(retrieve::instance_metadata))),
        (format!("{of_instance}/frames/{{frames}}"), get(action.run(retrieve::frames))),
        (format!("{of_instance}/bulkdata/{{bulkdata}}"), get(action.run(retrieve::bulkdata))),
        ("/series".into(), get(action.run(search::series))),
        ("/instances".into(), get(action.run(search::instances))),
    ];
    let datastore = resources.into_iter().fold(Router::new(), |router, (path, methods)| {
        router.route(&format!("{path}/"), methods.clone()).route(&path, methods)
    });
    Router::new()
        .nest("/datastore/{datastoreId}", datastore)
        .method_not_allowed_fallback(async || Failure::method_not_allowed())
}

/// Rejects a request for no JSON.
fn require_json(headers: &HeaderMap) -> Result<()> {
    accept::any(headers, &[JSON, "application/json"])
}

/// Returns data sets in the DICOM JSON Model as the response to a call.
async fn json(call: Call, data_sets: &impl serde::Serialize) -> Result<Response> {
    let text = serde_json::to_vec(data_sets).map_err(|error| {
        healthimaging::Error::internal("the response could not be written as JSON", error)
    })?;
    crate::entity_tag::tagged(&call.headers, call.base_url.complete_bulk_data(text.into()), JSON)
        .await
}
