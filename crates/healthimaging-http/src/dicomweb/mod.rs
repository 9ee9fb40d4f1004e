//! DICOMweb (`PS3.18`) under `/datastore/{id}`: that of AWS HealthImaging, retrieval of whole studies and series, rendered
//! resources and thumbnails.

mod accept;
mod hierarchy;
mod multipart;
mod part;
mod rendered;
mod retrieve;
mod search;
mod store;
mod store_response;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use healthimaging::{DicomWeb, Error, Result};
use healthimaging_pixels::Decoder;
use http::{HeaderMap, HeaderValue, header};

use crate::call::{Call, Operation};
use crate::failure::Failure;
use rendered::Renderer;

#[cfg(feature = "fuzzing")]
pub(crate) use multipart::parts;

/// Parameter of the query that selects an image set, primary or not.
const IMAGE_SET_ID: &str = "imageSetId";

const JSON: &str = "application/dicom+json";

/// Routes of all actions; a path with a slash at its end is the same resource.
pub(crate) fn routes(web: Arc<dyn DicomWeb>, decoder: Decoder) -> Router {
    let picture = Operation(Arc::new(Renderer::new(Arc::clone(&web), decoder)));
    let action = Operation(Arc::clone(&web));
    let storing = move |request: Request| store::store(Arc::clone(&web), request);
    let of_instance = "/studies/{study}/series/{series}/instances/{instance}";
    let of_series = "/studies/{study}/series/{series}";
    let of_frames = format!("{of_instance}/frames/{{frames}}");
    let resources: [(String, MethodRouter); 22] = [
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
        ("/studies/{study}/rendered".into(), get(picture.run(rendered::study))),
        ("/studies/{study}/thumbnail".into(), get(picture.run(rendered::study_thumbnail))),
        (format!("{of_series}/rendered"), get(picture.run(rendered::series))),
        (format!("{of_series}/thumbnail"), get(picture.run(rendered::series_thumbnail))),
        (format!("{of_instance}/rendered"), get(picture.run(rendered::instance))),
        (format!("{of_instance}/thumbnail"), get(picture.run(rendered::instance_thumbnail))),
        (format!("{of_frames}/rendered"), get(picture.run(rendered::frames))),
        (format!("{of_frames}/thumbnail"), get(picture.run(rendered::frame_thumbnail))),
        ("/series".into(), get(action.run(search::series))),
        ("/instances".into(), get(action.run(search::instances))),
    ];
    let datastore = resources.into_iter().fold(Router::new(), |router, (path, methods)| {
        router.route(&format!("{path}/"), methods.clone()).route(&path, methods)
    });
    Router::new()
        .nest("/datastore/{datastoreId}", datastore.layer(map_response(vary)))
        .method_not_allowed_fallback(async || Failure::method_not_allowed())
}

/// Returns whether a path is one of DICOMweb.
pub(crate) fn is_path(path: &str) -> bool {
    let mut segments = path.split('/').skip(1);
    let (root, _, resource) = (segments.next(), segments.next(), segments.next());
    root == Some("datastore") && matches!(resource, Some("studies" | "series" | "instances"))
}

/// States that answers depend on `Accept`.
async fn vary(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// Returns whether a parameter of the query is one of every resource: `accept` and `charset` select the media type (`PS3.18
/// §8.3.3`), libraries add `_` to avoid caches, and presigned requests have those of their signature.
fn is_common(parameter: &str) -> bool {
    let is_signature = |start: &str| start.eq_ignore_ascii_case("X-Amz-");
    ["accept", "charset", "_"].iter().any(|known| parameter.eq_ignore_ascii_case(known))
        || parameter.get(..6).is_some_and(is_signature)
}

/// Rejects parameters of the query that the resource does not have, so that a misspelled one never selects another content.
fn check_parameters(call: &Call, known: &[&str]) -> Result<()> {
    if call.pairs().all(|(name, _)| is_common(name) || known.contains(&name)) {
        return Ok(());
    }
    Err(unknown_parameter(known))
}

/// Error of a parameter that a resource with these does not have.
fn unknown_parameter(known: &[&str]) -> Error {
    let known = [known, &["accept", "charset"]].concat().join(", ");
    Error::validation(format!(
        "unknown query parameter; the parameters of this resource are {known}"
    ))
}

/// Rejects a request for no JSON.
fn require_json(headers: &HeaderMap) -> Result<()> {
    accept::any(headers, &[JSON, "application/json"])
}

/// Returns data sets in the DICOM JSON Model as the response to a call.
async fn json(call: Call, data_sets: &impl serde::Serialize) -> Result<Response> {
    let text = serde_json::to_vec(data_sets)
        .map_err(|error| Error::internal("the response could not be written as JSON", error))?;
    crate::entity_tag::tagged(&call.headers, call.base_url.complete_bulk_data(text.into()), JSON)
        .await
}
