//! A back end on the wire: what every request to it passes, and what every response carries.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use healthimaging::{DicomWeb, Error, ErrorKind, HealthImaging, Result};
use http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

use crate::access::Access;
use crate::base_url::BaseUrl;
use crate::call::Names;
use crate::content::check_encoding;
use crate::cors::Visitors;
use crate::failure::Failure;
use crate::timeouts::patient;
use crate::{dicomweb, peers, rest};

/// Shortest answer that is compressed, in bytes.
const LEAST_COMPRESSED: u16 = 1024;

/// The AWS wire and DICOMweb.
pub(crate) fn routes(
    service: Arc<dyn HealthImaging>,
    web: Arc<dyn DicomWeb>,
    access: Access,
    visitors: Visitors,
) -> Router {
    let cors = visitors.cors();
    let gate = Gate { service: Arc::clone(&service), access, visitors };
    let worth_it = SizeAbove::new(LEAST_COMPRESSED).and(is_json);
    rest::routes(service)
        .merge(dicomweb::routes(web))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn_with_state(gate, pass))
        .layer(CompressionLayer::new().compress_when(worth_it))
        .layer(cors)
}

async fn unknown() -> Failure {
    Failure::unknown_operation()
}

/// What every request passes.
#[derive(Debug, Clone)]
struct Gate {
    service: Arc<dyn HealthImaging>,
    access: Access,
    visitors: Visitors,
}

/// Lets a request in.
async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let mut request = match admit(&gate, request).await {
        Ok(request) => request,
        Err(error) => return Failure::from(error).into_response(),
    };
    if let Err(failure) = check_encoding(request.headers()) {
        return failure.into_response();
    }
    let base_url = BaseUrl::from_headers(&request);
    request.extensions_mut().insert(base_url);
    request.extensions_mut().insert(Names(gate.service));
    next.run(request).await
}

async fn admit(gate: &Gate, request: Request) -> Result<Request> {
    one_host(&request)?;
    gate.visitors.admit(&request)?;
    let request = gate.access.admit(request.map(patient)).await?;
    peers::prove(&request);
    Ok(request)
}

/// Whether a response is compressed for clients that accept it: only JSON is worth it.
fn is_json(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    media.is_some_and(|media| matches!(media, "application/json" | "application/dicom+json"))
}

/// Refuses a request whose host is not known for sure (RFC 9112 §3.2).
pub(crate) fn one_host(request: &Request) -> Result<()> {
    if request.headers().get_all(header::HOST).iter().count() == 1 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::BadRequest, "a request must have one Host header"))
}
