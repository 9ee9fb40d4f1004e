//! The routes of a back end, with the checks that every request passes.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use healthimaging::{Error, ErrorKind, Grant, HealthImaging, Restrictor, Result};
use healthimaging_audit::{Actor, as_actor};
use http::uri::Authority;
use http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::timeout::TimeoutBody;

use crate::access::Access;
use crate::base_url::BaseUrl;
use crate::call::{Limited, Names};
use crate::content::{READ_TIMEOUT, check_encoding};
use crate::cors::CorsPolicy;
use crate::failure::{Failure, as_dicomweb};
use crate::server::BackEnd;
use crate::{dicomweb, peers, rest};

/// Shortest compressed response in bytes.
const LEAST_COMPRESSED: u16 = 1024;

/// The AWS API, if it is served, and DICOMweb.
pub(crate) fn routes(
    BackEnd { service, dicomweb: web, decoder, has_api, restrictor }: BackEnd,
    access: Access,
    cors: CorsPolicy,
) -> Router {
    let cors_layer = cors.layer();
    let restrictor =
        restrictor.unwrap_or_else(|| Restrictor::of((Arc::clone(&service), Arc::clone(&web))));
    let gate =
        Gate { service: Arc::clone(&service), restrictor, access, cors, is_bridge: !has_api };
    let is_compressed = SizeAbove::new(LEAST_COMPRESSED).and(is_json);
    let api = if has_api { rest::routes(service) } else { Router::new() };
    api.merge(dicomweb::routes(web, decoder))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn_with_state(gate, pass))
        .layer(CompressionLayer::new().compress_when(is_compressed))
        .layer(cors_layer)
}

/// A body that fails if its sender pauses for too long.
fn with_read_timeout(body: Body) -> Body {
    Body::new(TimeoutBody::new(READ_TIMEOUT, body))
}

async fn unknown() -> Failure {
    Failure::unknown_operation()
}

/// Checks of every request.
#[derive(Debug, Clone)]
struct Gate {
    service: Arc<dyn HealthImaging>,
    restrictor: Restrictor,
    access: Access,
    cors: CorsPolicy,
    /// Whether the back end is a service behind this server.
    is_bridge: bool,
}

/// Passes an admitted request on.
async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let is_dicomweb = dicomweb::is_path(request.uri().path());
    let (is_bridge, challenges) = (gate.is_bridge, gate.access.challenges());
    let response = answer(gate, request, next).await;
    if is_dicomweb { as_dicomweb(response, is_bridge, &challenges) } else { response }
}

async fn answer(gate: Gate, request: Request, next: Next) -> Response {
    let mut request = match admit(&gate, request).await {
        Ok(request) => request,
        Err(error) => return Failure::from(error).into_response(),
    };
    if let Err(failure) = check_encoding(request.headers()) {
        return failure.into_response();
    }
    let base_url = BaseUrl::from_headers(&request);
    let is_dicomweb = dicomweb::is_path(request.uri().path());
    request.extensions_mut().insert(base_url);
    let grant = request.extensions().get::<Grant>().cloned().unwrap_or_default();
    let mut service = gate.service;
    if !grant.rights().is_unlimited() {
        let limited = gate.restrictor.restrict(grant.rights());
        service = Arc::clone(&limited.0);
        request.extensions_mut().insert(Limited(limited));
    }
    request.extensions_mut().insert(Names { service, is_dicomweb });
    let actor = request.extensions().get::<Actor>().cloned().unwrap_or_default();
    as_actor(actor, next.run(request)).await
}

async fn admit(gate: &Gate, request: Request) -> Result<Request> {
    one_host(&request)?;
    gate.cors.admit(&request)?;
    let request = gate.access.admit(request.map(with_read_timeout)).await?;
    peers::admitted(&request);
    Ok(request)
}

/// Returns whether a response is compressed for clients that accept it: only JSON is.
fn is_json(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    media.is_some_and(|media| matches!(media, "application/json" | "application/dicom+json"))
}

/// Rejects a request that has not exactly one host (RFC 9112 §3.2), or another one in its target.
pub(crate) fn one_host(request: &Request) -> Result<()> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    if let (Some(host), None) = (hosts.next(), hosts.next()) {
        let in_target = request.uri().authority();
        let is_same = |target: &Authority| target.as_str().as_bytes() == host.as_bytes();
        if in_target.is_none_or(is_same) {
            return Ok(());
        }
        return Err(Error::new(
            ErrorKind::BadRequest,
            "the Host header and the target of the request name different hosts",
        ));
    }
    Err(Error::new(ErrorKind::BadRequest, "a request must have one Host header"))
}
