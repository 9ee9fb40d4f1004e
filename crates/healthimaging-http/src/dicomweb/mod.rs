//! DICOMweb (`PS3.18`) as AWS HealthImaging offers it, under `/datastore/{id}`.

mod accept;
mod multipart;
mod retrieve;
mod search;
mod store;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use healthimaging::{DicomWeb, Result};
use http::HeaderMap;
use serde::Serialize;

use crate::call::Operation;
use crate::content::written;

#[cfg(feature = "fuzzing")]
pub(crate) use multipart::parts;

const JSON: &str = "application/dicom+json";

/// All actions over `web`.
pub(crate) fn routes(web: Arc<dyn DicomWeb>) -> Router {
    let action = Operation(Arc::clone(&web));
    let storing = move |request: Request| store::store(Arc::clone(&web), request);
    let instance = Router::new()
        .route("/", get(action.run(retrieve::instance)))
        .route("/metadata", get(action.run(retrieve::instance_metadata)))
        .route("/frames/{frames}", get(action.run(retrieve::frames)))
        .route("/bulkdata/{bulkdata}", get(action.run(retrieve::bulkdata)));
    let series = Router::new()
        .route("/metadata", get(action.run(retrieve::series_metadata)))
        .route("/instances", get(action.run(search::instances)))
        .nest("/instances/{instance}", instance);
    let datastore = Router::new()
        .route("/studies", get(action.run(search::studies)).merge(post(storing.clone())))
        .route("/studies/{study}", post(storing))
        .route("/studies/{study}/series", get(action.run(search::series)))
        .route("/studies/{study}/instances", get(action.run(search::instances)))
        .nest("/studies/{study}/series/{series}", series)
        .route("/series", get(action.run(search::series)))
        .route("/instances", get(action.run(search::instances)));
    Router::new().nest("/datastore/{datastoreId}", datastore)
}

/// Data sets in the DICOM JSON Model.
fn json(data_sets: &impl Serialize) -> Result<Response> {
    written(data_sets, JSON)
}

/// Refuses a request whose client cannot read JSON.
fn wants_json(headers: &HeaderMap) -> Result<()> {
    accept::any(headers, &[JSON, "application/json"])
}
